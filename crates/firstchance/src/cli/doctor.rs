//! `firstchance doctor`: checks what works on this machine.

use super::target;
use crate::ui::{console, exit::Usage};
use platform::{Finding, Health};
use serde::Serialize;
use std::{path::PathBuf, process::ExitCode};

/// Options of `doctor`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Also says how a dump of this process would be taken, and for how long it would stand: PID or name
    #[arg(value_name = "TARGET", allow_negative_numbers = true)]
    target: Option<String>,
    /// Folder that dumps would go to
    #[arg(short, long, value_name = "FOLDER", default_value = ".")]
    output: PathBuf,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// The result of a check.
#[derive(Serialize)]
struct CheckRow {
    what: String,
    health: &'static str,
    found: String,
    advice: String,
}

/// Prints the result of every check. The exit code is 0 even if something does not work.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let outlook = args.target.as_ref().map(outlook).transpose()?;
    let rows: Vec<CheckRow> = platform::doctor(&args.output)
        .into_iter()
        .chain(outlook)
        .map(|f| CheckRow {
            what: f.what,
            health: word(f.health),
            found: f.found,
            advice: f.advice,
        })
        .collect();
    if args.json {
        console::print_json(&serde_json::to_string_pretty(&rows)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let width = rows.iter().map(|row| row.what.len()).max().unwrap_or(0);
    for row in &rows {
        console::print(&format!(
            "{:<4}  {:<width$}  {}",
            row.health, row.what, row.found
        ))?;
        if !row.advice.is_empty() {
            console::print(&format!("      {:<width$}  → {}", "", row.advice))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn outlook(target: &String) -> anyhow::Result<Finding> {
    let host = platform::this_machine();
    let keys = target::resolve(&*host, std::slice::from_ref(target), false)?;
    let key = keys
        .first()
        .ok_or_else(|| Usage("no process was named".to_owned()))?;
    Ok(host.attach(*key)?.outlook()?)
}

fn word(health: Health) -> &'static str {
    match health {
        Health::Good => "ok",
        Health::Weak => "weak",
        Health::Bad => "no",
    }
}
