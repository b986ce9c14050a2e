//! `firstchance counters`: lists the counters that a condition can name, with their values.

use super::target;
use crate::ui::console;
use serde::Serialize;
use snapshot::{Measure, OperatingSystem};
use std::{process::ExitCode, time::Duration};

/// Time between the two samples from which rates are computed.
const INTERVAL: Duration = Duration::from_millis(500);

/// Options of `counters`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The process whose counters are shown [default: this one]
    target: Option<String>,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// A counter in the list.
#[derive(Serialize)]
struct CounterRow {
    counter: String,
    value: Option<f64>,
    what: String,
}

/// Samples all counters of a process twice and prints the second values.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut host = platform::this_machine();
    let text = args
        .target
        .clone()
        .unwrap_or_else(|| std::process::id().to_string());
    let key = target::resolve(&*host, &[text], false)?[0];
    let known = host.counters();
    let measures: Vec<Measure> = known
        .iter()
        .map(|(path, _)| Measure::Counter(path.clone()))
        .collect();
    host.sample(key, &measures)?;
    std::thread::sleep(INTERVAL);
    let sample = host.sample(key, &measures)?;
    let rows: Vec<CounterRow> = known
        .into_iter()
        .zip(&measures)
        .map(|((counter, what), measure)| CounterRow {
            counter,
            value: sample.value(measure),
            what,
        })
        .collect();
    if args.json {
        console::print_json(&serde_json::to_string_pretty(&rows)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    console::print(&format!(
        "Use one as: --when 'counter \"NAME\" > 100'. {}\n",
        others(platform::OS)
    ))?;
    let width = rows.iter().map(|row| row.counter.len()).max().unwrap_or(0);
    for row in &rows {
        let value = row.value.map_or("-".to_owned(), figure);
        console::print(&format!(
            "{:<width$}  {value:>16}  {}",
            row.counter, row.what
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A sentence about counters that are not listed but can be named.
fn others(os: OperatingSystem) -> &'static str {
    match os {
        OperatingSystem::Linux | OperatingSystem::Foreign(_) => {
            "Other files of /proc and /sys can be named in the same way."
        }
        OperatingSystem::Windows => {
            "Every other counter of Windows (`typeperf -q`) can be named too."
        }
    }
}

/// Formats a value: whole numbers without decimals, others with two.
fn figure(value: f64) -> String {
    if value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}
