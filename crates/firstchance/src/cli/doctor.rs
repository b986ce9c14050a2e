//! `firstchance doctor`.

use crate::ui::console;
use platform::Health;
use serde::Serialize;
use std::{path::PathBuf, process::ExitCode};

/// What can be asked of `doctor`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where dumps would go
    #[arg(short, long, value_name = "FOLDER", default_value = ".")]
    output: PathBuf,
    /// A JSON array
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Line {
    what: String,
    health: &'static str,
    found: String,
    advice: String,
}

/// Looks and tells; the exit code is 0 also when something does not work.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let lines: Vec<Line> = platform::doctor(&args.output)
        .into_iter()
        .map(|f| Line {
            what: f.what,
            health: word(f.health),
            found: f.found,
            advice: f.advice,
        })
        .collect();
    if args.json {
        console::print(&serde_json::to_string_pretty(&lines)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let width = lines.iter().map(|line| line.what.len()).max().unwrap_or(0);
    for line in &lines {
        console::print(&format!(
            "{:<4}  {:<width$}  {}",
            line.health, line.what, line.found
        ))?;
        if !line.advice.is_empty() {
            console::print(&format!("      {:<width$}  → {}", "", line.advice))?;
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
