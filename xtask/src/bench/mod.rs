//! `cargo xtask bench`: compares firstchance with other programs that do the same work.

mod churn;
mod collectors;
mod compress;
mod crash;
mod dump;
mod latency;
mod latency_client;
mod latency_dotnet;
mod latency_servers;
mod measure;
mod pause;
mod postgresql;
mod report;
mod series;
mod server;
mod signals;
mod sparse;
mod start;
mod store;
mod target;
mod throw;
mod watch;
mod writer;
mod young;

use anyhow::{Result, bail};

use crate::tools;

/// All benchmarks.
const ALL: [&str; 16] = [
    "dump", "sparse", "compress", "latency", "watch", "throw", "server", "churn", "young",
    "signals", "store", "crash", "start", "pause", "writer", "series",
];

/// The options of the command line.
pub(crate) struct Options {
    /// The benchmarks to run.
    pub(crate) which: Vec<String>,
    /// How many processes are watched at once.
    pub(crate) processes: usize,
    /// How often each tool runs; the medians are shown.
    pub(crate) runs: usize,
    /// The size of the target's memory.
    pub(crate) mebibytes: u64,
    /// Whether docs/benchmarks.md is updated.
    pub(crate) write: bool,
}

impl Options {
    /// # Errors
    /// If an argument is not known.
    pub(crate) fn parse(args: &[String]) -> Result<Options> {
        let mut options = Options {
            which: Vec::new(),
            processes: 500,
            runs: 5,
            mebibytes: 2048,
            write: false,
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                which if ALL.contains(&which) => options.which.push(arg.clone()),
                "--processes" => options.processes = number(args.next())?,
                "--write" => options.write = true,
                "--runs" => options.runs = number(args.next())?,
                "--mib" => options.mebibytes = number(args.next())? as u64,
                other => bail!("`bench` knows no {other:?}"),
            }
        }
        if options.which.is_empty() {
            options.which = ALL.map(str::to_owned).to_vec();
        }
        Ok(options)
    }
}

fn number(arg: Option<&String>) -> Result<usize> {
    match arg.and_then(|a| a.parse().ok()) {
        Some(n) if n > 0 => Ok(n),
        _ => bail!("a number is wanted, not {arg:?}"),
    }
}

/// Runs the benchmarks and prints their tables.
///
/// # Errors
/// If a tool is missing or fails.
pub(crate) fn run(options: &Options) -> Result<()> {
    tools::install_packages(&[("gdb", "gdb"), ("gcore", "gdb"), ("procdump", "procdump")])?;
    for which in &options.which {
        let text = match which.as_str() {
            "dump" => report::text(&dump::run(options)?, options),
            "sparse" => sparse::run(options)?,
            "compress" => compress::run(options)?,
            "latency" => latency::run(options)?,
            "throw" => throw::run(options)?,
            "server" => server::run(options)?,
            "churn" => churn::run(options)?,
            "young" => young::run(options)?,
            "signals" => signals::run(options)?,
            "store" => store::run(options)?,
            "crash" => crash::run(options)?,
            "start" => start::run(options)?,
            "pause" => pause::run(options)?,
            "writer" => writer::run(options)?,
            "series" => series::run(options)?,
            _ => watch::run(options)?,
        };
        println!("\n{text}");
        if options.write {
            report::write(which, &text)?;
        }
    }
    Ok(())
}
