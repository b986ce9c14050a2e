//! `firstchance explain`: the rule behind a command line or a file.

use super::{Cli, Command, watch};
use crate::{
    rules,
    ui::{console, exit::Usage},
};
use clap::Parser;
use policy::Rule;
use std::{path::PathBuf, process::ExitCode};

/// What can be asked of `explain`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A file of rules
    #[arg(long, value_name = "FILE", conflicts_with = "command")]
    rules: Option<PathBuf>,
    /// A command line: `procdump …`, `watch …` or `run …`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// Prints each rule as a sentence and as TOML; the sentence is a comment, so that all of it is a file
/// of rules.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let rules = match &args.rules {
        Some(file) => watch::read_rules(file)?,
        None => rules_of(&args.command)?,
    };
    for rule in &rules {
        let sentence = rule.to_string().replace('\n', "\n# ");
        console::print(&format!("# {sentence}\n"))?;
    }
    console::print(&rules::print(&rules))?;
    Ok(ExitCode::SUCCESS)
}

fn rules_of(command: &[String]) -> anyhow::Result<Vec<Rule>> {
    if let Some((first, words)) = command.split_first()
        && first == "procdump"
    {
        return Ok(vec![super::procdump::rule(words)?]);
    }
    let argv = std::iter::once("firstchance".to_owned()).chain(command.iter().cloned());
    let job = match Cli::try_parse_from(argv)
        .map_err(|e| Usage(e.to_string()))?
        .command
    {
        Command::Watch(args) => args.job()?,
        Command::Run(args) => args.job()?,
        _ => {
            return Err(Usage(
                "explain what? `procdump …`, `watch …`, `run …`, or --rules FILE".to_owned(),
            )
            .into());
        }
    };
    Ok(job.rules.into_iter().map(|(rule, _)| rule).collect())
}
