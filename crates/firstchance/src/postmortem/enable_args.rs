//! The options of `postmortem enable`.

use super::{Settings, ValueArgs};
use crate::ui::exit::Usage;
use snapshot::DumpKind;
use std::path::PathBuf;

/// Default path of the copy of firstchance that the kernel starts: only root can write there.
pub(super) const PROGRAM: &str = "/usr/libexec/firstchance";

/// Options of `postmortem enable`.
#[derive(Debug, clap::Args)]
pub(crate) struct EnableArgs {
    #[command(flatten)]
    pub(super) values: ValueArgs,
    /// Write dumps only of programs named by `postmortem set`
    #[arg(long)]
    pub(super) only_listed: bool,
    /// Pass crashes that are not wanted here to the handler that was registered before
    #[arg(long)]
    pub(super) forward: bool,
    /// Write a dump at SIGQUIT (Ctrl-\) too
    #[arg(long)]
    pub(super) quit: bool,
    /// Time in which the same crash of the same program is only counted [default: 1h]
    #[arg(long, value_name = "TIME")]
    pub(super) repeat_window: Option<String>,
    /// Path for the copy of firstchance that the kernel starts
    #[arg(long, value_name = "FILE", default_value = PROGRAM)]
    pub(super) program: PathBuf,
    /// Replace a handler that is not a known one
    #[arg(long)]
    pub(super) force: bool,
}

impl EnableArgs {
    /// A folder and a type of dump, with every other option at its default.
    pub(super) fn of(folder: PathBuf, kind: DumpKind) -> Self {
        Self {
            values: ValueArgs::of(folder, kind),
            only_listed: false,
            forward: false,
            quit: false,
            repeat_window: None,
            program: PROGRAM.into(),
            force: false,
        }
    }

    /// Replaces in the settings what was given. Refuses values that cannot be understood.
    pub(crate) fn put_to(&self, settings: &mut Settings) -> anyhow::Result<()> {
        self.values.put_to(&mut settings.default)?;
        settings.only_listed = self.only_listed;
        settings.forward = self.forward;
        settings.quit = self.quit;
        if let Some(window) = &self.repeat_window {
            policy::parse_duration(window).map_err(Usage)?;
            settings.repeat_window = Some(window.clone());
        }
        Ok(())
    }
}
