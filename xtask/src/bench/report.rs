//! The results as Markdown tables in docs/benchmarks.md.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Options;
use super::dump::Row;
use super::measure::{Measured, median};
use crate::shell::root;

/// The place of a benchmark's table in docs/benchmarks.md.
fn marks(which: &str) -> (String, String) {
    let mark = |word: &str| format!("<!-- {word}: cargo xtask bench {which} -->");
    (mark("begin"), mark("end"))
}

/// The medians of a tool.
struct Medians {
    name: &'static str,
    seconds: f64,
    pause: Option<f64>,
    memory: f64,
    bytes: f64,
}

impl Medians {
    fn of(row: &Row) -> Medians {
        let middle = |value: fn(&Measured) -> f64| {
            median(row.runs.iter().map(value).collect()).unwrap_or_default()
        };
        let pauses = row.runs.iter().filter_map(|run| run.pause);
        Medians {
            name: row.name,
            seconds: middle(|run| run.wall.as_secs_f64()),
            pause: median(pauses.map(|pause| pause.as_secs_f64() * 1e3).collect()),
            memory: middle(|run| run.memory as f64 / f64::from(1 << 20)),
            bytes: middle(|run| run.bytes as f64 / f64::from(1 << 20)),
        }
    }
}

/// The table. The others are compared with its first row.
pub(crate) fn text(rows: &[Row], options: &Options) -> String {
    let all: Vec<Medians> = rows.iter().map(Medians::of).collect();
    let mut text = format!(
        "Full dump of a process with {} MiB of random content in pages of 4 KiB; medians of {} \
         runs.\n{}.\n\n",
        options.mebibytes,
        options.runs,
        machine()
    );
    text.push_str("| | wall time | target stopped | memory of the tool | file | ");
    text.push_str("wall time, as a ratio | stopped, as a ratio |\n");
    text.push_str("|---|---:|---:|---:|---:|---:|---:|\n");
    for row in &all {
        let _ = writeln!(text, "{}", line(row, &all[0]));
    }
    text + &beside_forks(&rows[0])
}

/// How long the first row's targets stood, beside a plain fork(2) of the same processes.
fn beside_forks(row: &Row) -> String {
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let of_run = |run: &Measured| Some((milliseconds(run.fork?), milliseconds(run.pause?)));
    let both: Vec<(f64, f64)> = row.runs.iter().filter_map(of_run).collect();
    let middle = |of: fn(&(f64, f64)) -> f64| median(both.iter().map(of).collect());
    let ratio = middle(|(fork, pause)| pause / fork).unwrap_or(f64::NAN);
    let fork = middle(|(fork, _)| *fork).unwrap_or(f64::NAN);
    format!(
        "\nA plain fork(2) of the same process took {fork:.1} ms, the mean of one before and one after the dump. {} stopped it {ratio:.2} times as long; \
         the median of the ratios of each run.\n",
        row.name
    )
}

fn line(row: &Medians, first: &Medians) -> String {
    let pause = row
        .pause
        .map_or("–".to_owned(), |pause| format!("{pause:.1} ms"));
    let pause_ratio = match (row.pause, first.pause) {
        (Some(pause), Some(first)) if first > 0.0 => format!("{:.2}", pause / first),
        _ => "–".to_owned(),
    };
    format!(
        "| {} | {:.2} s | {pause} | {:.0} MiB | {:.0} MiB | {:.2} | {pause_ratio} |",
        row.name,
        row.seconds,
        row.memory,
        row.bytes,
        row.seconds / first.seconds.max(f64::MIN_POSITIVE),
    )
}

/// The machine: its processor, kernel and memory, but not its name.
pub(crate) fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap_or_default();
        line.split_once(':')
            .map(|(_, value)| value.trim().to_owned())
            .unwrap_or_default()
    };
    let processor = field(&read("/proc/cpuinfo"), "model name");
    let kernel = read("/proc/sys/kernel/osrelease");
    let version = kernel
        .split('-')
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned();
    let memory = field(&read("/proc/meminfo"), "MemTotal");
    let kibibytes: u64 = memory
        .split(' ')
        .next()
        .and_then(|n| n.parse().ok())
        .unwrap_or(0);
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "{processors} × {processor}, {} GiB, Linux {version}",
        kibibytes >> 20
    )
}

/// Replaces the table in docs/benchmarks.md.
///
/// # Errors
/// If the file cannot be written.
pub(crate) fn write(which: &str, text: &str) -> Result<()> {
    let path = root().join("docs").join("benchmarks.md");
    let old = std::fs::read_to_string(&path).unwrap_or_default();
    std::fs::create_dir_all(root().join("docs"))?;
    std::fs::write(&path, replaced(&old, which, text)).context("docs/benchmarks.md")?;
    println!("written to docs/benchmarks.md");
    Ok(())
}

fn replaced(old: &str, which: &str, table: &str) -> String {
    let (begin, end) = marks(which);
    let block = format!("{begin}\n{table}{end}");
    match (old.find(&begin), old.find(&end)) {
        (Some(from), Some(to)) if from < to => {
            format!("{}{block}{}", &old[..from], &old[to + end.len()..])
        }
        _ if old.is_empty() => format!(
            "# Benchmarks\n\n`cargo xtask bench --write` measures and writes this.\n\n{block}\n"
        ),
        _ => format!("{}\n\n{block}\n", old.trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_table_takes_the_place_of_the_old() {
        let first = replaced("", "dump", "one\n");
        let second = replaced(&first, "dump", "two\n");
        assert!(second.contains("two") && !second.contains("one"));
        assert_eq!(replaced(&second, "dump", "two\n"), second);
        assert!(second.starts_with("# Benchmarks"));
        let both = replaced(&second, "watch", "three\n");
        assert!(both.contains("two") && both.contains("three"));
    }
}
