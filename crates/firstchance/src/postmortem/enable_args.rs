//! The options of `postmortem enable`.

use super::{Settings, ValueArgs};
use crate::ui::exit::Usage;
use clap::builder::BoolishValueParser;
use snapshot::{Compression, DumpKind};
use std::path::PathBuf;

/// Default path of the copy of firstchance that the kernel starts: only root can write there.
pub(super) const PROGRAM: &str = "/usr/libexec/firstchance";

/// Options of `postmortem enable`.
#[derive(Debug, clap::Args)]
pub(crate) struct EnableArgs {
    #[command(flatten)]
    pub(super) values: ValueArgs,
    /// Write dumps only of programs named by `postmortem set`
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "yes", value_name = "yes|no")]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub(super) only_listed: Option<bool>,
    /// Pass crashes that are not wanted here to the handler that was registered before
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "yes", value_name = "yes|no")]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub(super) forward: Option<bool>,
    /// Write a dump at SIGQUIT (Ctrl-\) too
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "yes", value_name = "yes|no")]
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub(super) quit: Option<bool>,
    /// Time in which the same crash of the same program is only counted; 0s stores each [default: 1h]
    #[arg(long, value_name = "TIME")]
    pub(super) repeat_window: Option<String>,
    /// Path for the copy of firstchance that the kernel starts [default: /usr/libexec/firstchance]
    #[arg(long, value_name = "FILE")]
    pub(super) program: Option<PathBuf>,
    /// Replace a handler that is not a known one, and a file of others at the path for the copy
    #[arg(long)]
    pub(super) force: bool,
}

impl EnableArgs {
    /// A folder, a type and a compression of dumps, with every other option at its default.
    pub(super) fn of(folder: PathBuf, kind: DumpKind, compress: Option<Compression>) -> Self {
        Self {
            values: ValueArgs::of(folder, kind, compress),
            only_listed: Some(false),
            forward: Some(false),
            quit: Some(false),
            repeat_window: None,
            program: None,
            force: false,
        }
    }

    /// Replaces in the settings what was given; all else stays as it was. Refuses values that cannot be understood.
    pub(crate) fn put_to(&self, settings: &mut Settings) -> anyhow::Result<()> {
        self.values.put_to(&mut settings.default)?;
        for (value, given) in [
            (&mut settings.only_listed, self.only_listed),
            (&mut settings.forward, self.forward),
            (&mut settings.quit, self.quit),
        ] {
            *value = given.unwrap_or(*value);
        }
        if let Some(window) = &self.repeat_window {
            policy::parse_duration(window).map_err(Usage)?;
            settings.repeat_window = Some(window.clone());
        }
        Ok(())
    }
}
