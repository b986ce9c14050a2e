//! `firstchance postmortem`: dumps of every crash on this machine.

use crate::{
    postmortem::{self, EnableArgs, Settings, ValueArgs, Values},
    ui::{console, exit::Usage},
};
use std::process::ExitCode;

/// Options of `postmortem`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Write a dump of every crash on this machine
    Enable(Box<EnableArgs>),
    /// Restore what was registered before, and remove the settings; dumps stay
    Disable {
        /// Keep the settings for the next `enable`
        #[arg(long)]
        keep_settings: bool,
    },
    /// Show whether crashes leave dumps, and what is wrong if they do not
    Status,
    /// List the values for all programs, and those of single programs
    List,
    /// Set values for one program
    Set(Box<SetArgs>),
    /// Remove the values of one program
    Remove(ProgramArgs),
    /// Write no dumps of one program
    Exclude(ProgramArgs),
    /// Switch Windows Error Reporting, which sends reports to Microsoft, on or off
    Reporting(ReportingArgs),
    /// Register again, as at boot
    #[command(hide = true)]
    Apply,
}

#[derive(Debug, clap::Args)]
struct ProgramArgs {
    /// Name (nginx) or full path of the program
    program: String,
}

#[derive(Debug, clap::Args)]
struct ReportingArgs {
    state: Switch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Switch {
    On,
    Off,
}

#[derive(Debug, clap::Args)]
struct SetArgs {
    #[command(flatten)]
    program: ProgramArgs,
    #[command(flatten)]
    values: ValueArgs,
}

impl What {
    /// Whether it changes what becomes of crashes.
    fn is_a_change(&self) -> bool {
        !matches!(self, What::Status | What::List | What::Reporting(_))
    }
}

/// Runs the command that was given.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.what.is_a_change() {
        postmortem::expect_root()?;
    }
    match &args.what {
        What::Enable(args) => postmortem::enable(args),
        What::Disable { keep_settings } => postmortem::disable(*keep_settings),
        What::Status => postmortem::status(),
        What::Reporting(args) => postmortem::reporting(args.state == Switch::On),
        What::Apply => postmortem::apply(),
        What::List => list(),
        What::Set(args) => change(|settings| {
            let entry = settings
                .programs
                .entry(settings.program(&args.program.program)?);
            let values = entry.or_default();
            values.exclude = false;
            args.values.put_to(values)?;
            let own = values.clone();
            settings.expect_usable(&own)?;
            let folder = settings.resolve(&own)?.folder;
            postmortem::make_folder(&folder, &args.values)
        }),
        What::Remove(args) => change(|settings| {
            let removed = settings.programs.remove(&settings.program(&args.program)?);
            removed.map(|_| ()).ok_or_else(|| {
                let what = format!("no values are set for {}", console::plain(&args.program));
                Usage(what).into()
            })
        }),
        What::Exclude(args) => change(|settings| {
            let entry = settings.programs.entry(settings.program(&args.program)?);
            entry.or_default().exclude = true;
            Ok(())
        }),
    }
}

/// The settings that `postmortem enable …` would make. Returns `None` for other commands.
pub(crate) fn settings_of(args: &Args) -> anyhow::Result<Option<Settings>> {
    let What::Enable(args) = &args.what else {
        return Ok(None);
    };
    let mut settings = Settings::load()?.unwrap_or_default();
    args.put_to(&mut settings)?;
    settings.expect_usable(&settings.default)?;
    Ok(Some(settings))
}

fn change(how: impl FnOnce(&mut Settings) -> anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    let mut settings = Settings::load()?.unwrap_or_default();
    let was_enabled = settings.is_enabled();
    how(&mut settings)?;
    settings.save()?;
    postmortem::say_what_came_with_it(was_enabled)?;
    console::print(match settings.is_enabled() || postmortem::is_windows() {
        true => "Saved; `firstchance postmortem list` shows all values",
        false => {
            "Saved, but postmortem dumps are off: `firstchance postmortem enable` puts it to work"
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

fn list() -> anyhow::Result<ExitCode> {
    let settings = Settings::load()?.unwrap_or_default();
    let mut table = console::table(&["PROGRAM", "TYPE", "COUNT", "DUMPS", "FOLDER"], &[2, 3]);
    let all = [("(all)", &settings.default)];
    let programs = settings.programs.iter();
    for (name, values) in all
        .into_iter()
        .chain(programs.map(|(n, v)| (n.as_str(), v)))
    {
        table.add_row(row(&settings, name, values)?);
    }
    console::print(&table.to_string())?;
    Ok(ExitCode::SUCCESS)
}

fn row(settings: &Settings, name: &str, values: &Values) -> anyhow::Result<Vec<String>> {
    let name = console::plain(name);
    if values.exclude {
        return Ok(vec![name, "none".to_owned()]);
    }
    let values = settings.resolve(values)?;
    let dumps = super::dumps::all_dumps(&postmortem::expand(&values.folder));
    Ok(vec![
        name,
        values.kind.to_string(),
        values
            .keep
            .max_count
            .map(|n| n.to_string())
            .unwrap_or_default(),
        dumps.map_or("?".to_owned(), |dumps| dumps.len().to_string()),
        values.folder.display().to_string(),
    ])
}
