//! `firstchance counters`.

use super::{console, target};
use serde::Serialize;
use snapshot::{Measure, OperatingSystem};
use std::{process::ExitCode, time::Duration};

/// Rates are measured over this time.
const INTERVAL: Duration = Duration::from_millis(500);

/// What can be asked of `counters`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The process whose counters are shown [default: this one]
    target: Option<String>,
    /// A JSON array
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Line {
    counter: String,
    value: Option<f64>,
    what: String,
}

/// Lists them.
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
    let lines: Vec<Line> = known
        .into_iter()
        .zip(&measures)
        .map(|((counter, what), measure)| Line {
            counter,
            value: sample.value(measure),
            what,
        })
        .collect();
    if args.json {
        console::print(&serde_json::to_string_pretty(&lines)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    console::print(&format!(
        "Use one as: --when 'counter \"NAME\" > 100'. {}\n",
        others(platform::OS)
    ))?;
    let width = lines
        .iter()
        .map(|line| line.counter.len())
        .max()
        .unwrap_or(0);
    for line in &lines {
        let value = line.value.map_or("-".to_owned(), figure);
        console::print(&format!(
            "{:<width$}  {value:>16}  {}",
            line.counter, line.what
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What else can be named.
fn others(os: OperatingSystem) -> &'static str {
    match os {
        OperatingSystem::Linux => "Other files of /proc and /sys can be named alike.",
        OperatingSystem::Windows => {
            "Every other counter of Windows (`typeperf -q`) can be named too."
        }
    }
}

/// Whole numbers whole, others with two digits.
fn figure(value: f64) -> String {
    if value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}
