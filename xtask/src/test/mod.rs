//! `cargo xtask test`: all checks, in stages.

mod debian13;
mod stages;
mod summary;
mod wine;

use std::time::Instant;

use anyhow::{Result, bail};

use crate::tools;
use summary::{Done, print};

/// The switch that compiles the tests' fault points in.
const FAILPOINTS: &str = "--features firstchance/failpoints";

/// The options of the command line.
#[derive(Default)]
pub(crate) struct Options {
    /// Run the longer versions of stages that have them.
    pub(crate) all: bool,
    /// Run only these stages; all if empty.
    only: Vec<String>,
    /// Only print the names of the stages.
    list: bool,
}

impl Options {
    /// # Errors
    /// If an argument is not known.
    pub(crate) fn parse(args: &[String]) -> Result<Options> {
        let mut options = Options::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match (arg.as_str(), arg.as_str() == "--only") {
                ("--all", _) => options.all = true,
                ("--list", _) => options.list = true,
                (_, true) => options.only.extend(args.next().cloned()),
                (other, _) => bail!("`test` knows no {other:?}"),
            }
        }
        Ok(options)
    }

    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|o| o == name)
    }
}

/// One stage: its name, and what it does.
struct Stage {
    name: &'static str,
    run: fn(&Options) -> Result<()>,
}

/// Runs the stages one after the other; goes on if one fails.
///
/// # Errors
/// If a stage failed, or a tool is missing and cannot be installed.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.list {
        let all = stages::STAGES.iter().chain(stages::ON_DEMAND);
        all.for_each(|stage| println!("{}", stage.name));
        return Ok(());
    }
    let mut done = Vec::new();
    if options.only.is_empty() {
        done.push(timed("tools", tools::install));
        if let Some(error) = &done[0].error {
            bail!("{error}");
        }
    }
    let wanted = stages::STAGES
        .iter()
        .filter(|stage| options.wants(stage.name));
    let named = stages::ON_DEMAND
        .iter()
        .filter(|stage| options.only.iter().any(|only| only == stage.name));
    let wanted = wanted.chain(named);
    done.extend(wanted.map(|stage| timed(stage.name, || (stage.run)(options))));
    print(&done);
    match done.iter().filter(|stage| stage.error.is_some()).count() {
        0 if done.is_empty() => bail!("no such stage; `--list` names them"),
        0 => Ok(()),
        failed => bail!("{failed} of {} stages failed", done.len()),
    }
}

fn timed(name: &'static str, work: impl FnOnce() -> Result<()>) -> Done {
    println!("\n== {name}");
    let start = Instant::now();
    let error = work().err().map(|error| format!("{error:#}"));
    if let Some(error) = &error {
        println!("{name} FAILED: {error}");
    }
    Done {
        name,
        took: start.elapsed(),
        error,
    }
}
