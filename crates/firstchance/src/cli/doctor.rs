//! `firstchance doctor`: checks what works on this machine.

use crate::ui::console;
use platform::Health;
use serde::Serialize;
use std::{path::PathBuf, process::ExitCode};

/// Options of `doctor`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
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
    let rows: Vec<CheckRow> = platform::doctor(&args.output)
        .into_iter()
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

fn word(health: Health) -> &'static str {
    match health {
        Health::Good => "ok",
        Health::Weak => "weak",
        Health::Bad => "no",
    }
}
