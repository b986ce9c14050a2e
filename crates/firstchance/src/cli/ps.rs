//! `firstchance ps`: lists the processes, and tells which ones this user may not look into.

use super::pool;
use crate::ui::{console, values};
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, presets};
use platform::{Host, ProcessEntry};
use serde::Serialize;
use snapshot::{ProcessKey, Time, fold_case};
use std::{collections::HashMap, process::ExitCode, time::Duration};

/// Options of `ps`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only the process with this PID, and those whose name or command line contains this text
    filter: Option<String>,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
    /// Look for so long how much CPU time they use, which is else that of their whole life, as ps(1) has it
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    cpu_over: Option<Duration>,
}

/// A process in the list, or as JSON.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ProcessRow {
    pid: u32,
    parent: u32,
    started: String,
    user: String,
    name: String,
    /// Percent of one processor.
    cpu_percent: f64,
    private_bytes: u64,
    resident_bytes: u64,
    threads: u32,
    handles: Option<u32>,
    /// `null` where this user may not look into the process.
    runtime: Option<String>,
    service: Option<String>,
    container: Option<String>,
    pool: Option<String>,
    command_line: Vec<String>,
}

/// Lists the processes.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let host = platform::this_machine();
    let before = args.cpu_over.map(|time| Earlier::look(&*host, time));
    let before = before.transpose()?;
    let own = std::process::id();
    let lines: Vec<(ProcessEntry, ProcessRow)> = host
        .processes(platform::Detail::Figures)?
        .into_iter()
        .filter(|entry| !entry.kernel && !entry.has_ended() && entry.key.pid != own)
        .filter(|entry| {
            args.filter
                .as_deref()
                .is_none_or(|text| contains(entry, text))
        })
        .map(|entry| {
            let cpu = before.as_ref().map(|before| before.cpu(&*host, &entry));
            let row = row(&entry, cpu.unwrap_or_else(|| cpu_of_life(&entry)));
            (entry, row)
        })
        .collect();
    if args.json {
        let lines: Vec<&ProcessRow> = lines.iter().map(|(_, line)| line).collect();
        console::print_json(&serde_json::to_string_pretty(&lines)?)?;
    } else {
        console::print(&table(&lines).to_string())?;
        if lines.iter().any(|(_, line)| line.runtime.is_none()) {
            console::print(
                "RUNTIME is ? where this user may not look into the process: `firstchance dump PID` says why",
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The CPU time of all processes a while ago.
struct Earlier {
    at: Time,
    used: HashMap<ProcessKey, Duration>,
}

impl Earlier {
    fn look(host: &dyn Host, wait: Duration) -> anyhow::Result<Self> {
        let at = host.now();
        let entries = host.processes(platform::Detail::Identity)?.into_iter();
        let used = entries.map(|entry| (entry.key, entry.cpu)).collect();
        std::thread::sleep(wait);
        Ok(Self { at, used })
    }

    /// The CPU time that a process used since, in percent of one processor.
    fn cpu(&self, host: &dyn Host, entry: &ProcessEntry) -> f64 {
        let before = self.used.get(&entry.key).copied().unwrap_or_default();
        let elapsed = host.now().since(self.at);
        percent(entry.cpu.saturating_sub(before), elapsed)
    }
}

/// The CPU time that a process used in its whole life, in percent of one processor.
fn cpu_of_life(entry: &ProcessEntry) -> f64 {
    let nanoseconds = console::now().0 - entry.started.0;
    percent(
        entry.cpu,
        Duration::from_nanos(nanoseconds.try_into().unwrap_or(0)),
    )
}

/// The system counts CPU time in ticks of 10 ms, also of a process that has just begun.
fn percent(used: Duration, elapsed: Duration) -> f64 {
    let elapsed = elapsed.max(Duration::from_millis(10));
    used.as_secs_f64() / elapsed.as_secs_f64() * 100.0
}

fn contains(entry: &ProcessEntry, text: &str) -> bool {
    if entry.key.pid.to_string() == text {
        return true;
    }
    let text = fold_case(text);
    let all = format!("{} {}", entry.name, entry.command_line.join(" "));
    fold_case(&all).contains(&text)
}

fn row(entry: &ProcessEntry, cpu: f64) -> ProcessRow {
    ProcessRow {
        pid: entry.key.pid,
        parent: entry.parent,
        started: console::date_time(entry.started),
        user: entry.user.clone(),
        name: entry.name.clone(),
        cpu_percent: (cpu * 10.0).round() / 10.0,
        private_bytes: entry.private,
        resident_bytes: entry.resident,
        threads: entry.threads,
        handles: entry.handles,
        runtime: runtime(entry),
        service: entry.service.clone(),
        container: entry.container.clone(),
        pool: pool::of(entry),
        command_line: entry.command_line.clone(),
    }
}

/// The runtime of a process; `None` if we may not see its mappings, and so may not dump it either.
fn runtime(entry: &ProcessEntry) -> Option<String> {
    let mapped = entry.mapped.iter().map(|(start, name)| (*start, &name[..]));
    let is_known = !entry.mapped.is_empty();
    is_known.then(|| analysis::runtime_of(mapped).to_string())
}

fn table(lines: &[(ProcessEntry, ProcessRow)]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header([
        "PID", "STARTED", "USER", "NAME", "CPU %", "PRIVATE", "RESIDENT", "THREADS", "FDS",
        "RUNTIME", "COMMAND",
    ]);
    for (entry, line) in lines {
        table.add_row([
            line.pid.to_string(),
            line.started.clone(),
            line.user.clone(),
            console::cut(&console::plain(&line.name), 24),
            format!("{:.1}", line.cpu_percent),
            console::size(line.private_bytes),
            console::size(line.resident_bytes),
            line.threads.to_string(),
            line.handles
                .map_or("-".to_owned(), |handles| handles.to_string()),
            line.runtime.clone().unwrap_or("?".to_owned()),
            console::cut(&pool::marked_command(entry), 60),
        ]);
    }
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if [0, 4, 5, 6, 7, 8].contains(&at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n43_a_runtime_that_cannot_be_seen_is_not_native() {
        let mut entry = ProcessEntry::default();
        assert_eq!(runtime(&entry), None);
        entry.mapped.push((0x1000, "/bin/sleep".to_owned()));
        assert_eq!(runtime(&entry).as_deref(), Some("native"));
    }
}
