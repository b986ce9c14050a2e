//! `firstchance explain`: prints the rules that a command line, a file or the settings mean.

use super::{Cli, Command, postmortem, watch};
use crate::{
    postmortem::{CrashRule, Settings},
    rules,
    ui::{console, exit::Usage},
};
use clap::Parser;
use policy::Rule;
use std::{path::PathBuf, process::ExitCode};

/// Options of `explain`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The rules of a file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["command", "postmortem"])]
    rules: Option<PathBuf>,
    /// The rules that this machine's postmortem settings mean (on Windows: the registry)
    #[arg(long, conflicts_with = "command")]
    postmortem: bool,
    /// A command line: `procdump …`, `watch …`, `run …` or `postmortem enable …`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// Rules with comments before them: all of it is a file of rules.
#[derive(Default)]
struct Explained {
    comments: Vec<String>,
    rules: Vec<Rule>,
}

/// Prints each rule as a sentence, which is a comment, and then all rules as TOML.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let explained = match &args.rules {
        Some(file) => watch::read_rules(file)?.into(),
        None if args.postmortem => of_this_machine()?,
        None => of_command(&args.command)?,
    };
    log::debug!("{} rules", explained.rules.len());
    for comment in &explained.comments {
        console::print(&format!("# {}\n", comment.replace('\n', "\n# ")))?;
    }
    console::print(&rules::print(&explained.rules))?;
    Ok(ExitCode::SUCCESS)
}

impl From<Vec<Rule>> for Explained {
    fn from(rules: Vec<Rule>) -> Self {
        Self {
            comments: rules.iter().map(ToString::to_string).collect(),
            rules,
        }
    }
}

fn of_command(command: &[String]) -> anyhow::Result<Explained> {
    if let Some((first, words)) = command.split_first()
        && first == "procdump"
    {
        return Ok(vec![super::procdump::rule(words)?].into());
    }
    let argv = std::iter::once("firstchance".to_owned()).chain(command.iter().cloned());
    let parsed = Cli::try_parse_from(argv).map_err(|e| Usage(e.to_string()))?;
    let job = match parsed.command {
        Command::Watch(args) => args.job()?,
        Command::Run(args) => args.job()?,
        Command::Postmortem(args) => {
            let settings = postmortem::settings_of(&args)?.ok_or_else(no_rule)?;
            return of_settings(&settings);
        }
        _ => return Err(no_rule().into()),
    };
    let rules: Vec<Rule> = job.rules.into_iter().map(|(rule, _)| rule).collect();
    Ok(rules.into())
}

fn no_rule() -> Usage {
    let what = "explain what? `procdump …`, `watch …`, `run …`, `postmortem enable …`, \
                --postmortem or --rules FILE";
    Usage(what.to_owned())
}

/// The rules that apply at a crash: those of the last good settings, if there is a mistake in the settings.
fn of_this_machine() -> anyhow::Result<Explained> {
    let good = Settings::load_good()?;
    let mut explained = of_settings(&good.settings.unwrap_or_default())?;
    let mistake = good.mistake.map(|mistake| {
        let mistake = console::plain(&mistake.to_string());
        format!("WRONG SETTINGS: {mistake} These are the last ones that made sense.")
    });
    explained.comments.splice(..0, mistake);
    Ok(explained)
}

fn of_settings(settings: &Settings) -> anyhow::Result<Explained> {
    let state = match settings.is_enabled() {
        true => "Postmortem dumps are on.",
        false => "Postmortem dumps are off: `firstchance postmortem enable` puts rules to work.",
    };
    let mut comments = vec![
        state.to_owned(),
        "The first rule about a program that crashes is the one that applies.".to_owned(),
    ];
    if settings.only_listed {
        comments.push("Programs that no rule is about leave no dump.".to_owned());
    }
    let mut explained = Vec::new();
    for CrashRule { rule, format } in settings.rules()? {
        comments.push(match rule.folder {
            Some(_) => format!("{rule} (as a {})", format_name(format)),
            None => rule.to_string(),
        });
        explained.push(rule);
    }
    Ok(Explained {
        comments,
        rules: explained,
    })
}

fn format_name(format: snapshot::DumpFormat) -> &'static str {
    match format {
        snapshot::DumpFormat::Core => "core",
        snapshot::DumpFormat::Minidump => "minidump",
    }
}
