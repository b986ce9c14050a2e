//! The summary: the page that `inspect` prints if no section is asked for.

use super::names::called;
use super::open::Opened;
use super::page::{INDENT, Page};
use super::{threads, verdict};
use crate::ui::console;
use pages::Column;
use snapshot::{
    Architecture, DumpFormat, Exception, ForeignSystem, OperatingSystem, Process, System, WallTime,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// Warnings in the summary.
const MOST_LINES: usize = 5;

/// Lines of comments and annotations in the summary.
const MOST_COMMENTS: usize = 12;

/// Characters of the command line in the summary, at most.
const LONGEST_COMMAND: usize = 300;

/// Shown for a process without a name.
const NO_NAME: &str = "(no name)";

/// Adds the summary to a page.
pub(super) fn write(page: &mut Page, opened: &Opened, frames: Option<usize>) {
    page.heading(&title(opened));
    let all = opened.hint("record");
    comments(page, opened, &all);
    let walked = opened.walk();
    let verdict = verdict::verdict(opened, &walked);
    verdict::write(page, &verdict);
    facts(page, opened);
    threads::summary(page, opened, &walked, &verdict.threads, frames);
    page.paragraph("Modules", &modules(opened));
    memory(page, opened);
    page.paragraph("Open", &handles(opened));
    missing(page, opened, &all);
}

/// Adds what the tool that took the dump, or the program, says in it. The comment of a tool is why it was taken. `all` says where
/// all of it is.
pub(super) fn comments(page: &mut Page, opened: &Opened, all: &str) {
    let line = |comment: &formats::Comment| match &comment.key[..] {
        "comment" => comment.text.lines().map(str::to_owned).collect(),
        key => vec![format!("{key}: {}", comment.text)],
    };
    let lines: Vec<String> = opened.dump.comments.iter().flat_map(line).collect();
    let left = lines.len().saturating_sub(MOST_COMMENTS);
    let shown = lines.iter().take(MOST_COMMENTS);
    let mut shown: Vec<String> = shown
        .map(|line| console::cut(line.trim(), LONGEST_COMMAND))
        .collect();
    if left > 0 {
        shown.push(format!("… {left} more{all}"));
    }
    page.paragraph("Comment", &shown);
}

/// Adds who was dumped, when and where, and what failed.
pub(super) fn facts(page: &mut Page, opened: &Opened) {
    page.paragraph("Process", &process(opened));
    page.paragraph("Dumped", &dumped(opened));
    page.paragraph("Machine", &machine(&opened.dump.snapshot.system));
    exception(page, opened);
}

/// Adds what is not in the dump, and what may be wrong in it. `all` says where all of that is.
pub(super) fn missing(page: &mut Page, opened: &Opened, all: &str) {
    page.paragraph("Gaps", &gaps(opened, all));
    page.paragraph("Absent", &absent_files(opened, all));
    page.paragraph("Warnings", &warnings(opened, all));
}

/// Adds the exception, if there is one.
pub(super) fn exception(page: &mut Page, opened: &Opened) {
    if let Some(exception) = &opened.dump.snapshot.exception {
        let heading = match exception.is_dump_request() {
            true => "Asked for",
            false => "Fault",
        };
        page.paragraph(heading, &fault(opened, exception));
    }
}

pub(super) fn title(opened: &Opened) -> String {
    let format = match opened.dump.format {
        DumpFormat::Core => "ELF core",
        DumpFormat::Minidump => "minidump",
    };
    let size = console::size(opened.file_bytes);
    let record = opened.record.as_ref();
    let producer = record.map_or(&opened.dump.producer, |record| &record.producer);
    let producer = match &producer[..] {
        "" => String::new(),
        producer => format!(" by {producer}"),
    };
    format!("{} · {format}{producer}, {size}", opened.path.display())
}

fn process(opened: &Opened) -> Vec<String> {
    let process = &opened.dump.snapshot.process;
    if process.key.pid == 0 && named(process) == NO_NAME {
        return vec!["not recorded in this file".to_owned()];
    }
    let runtime = analysis::runtime(&opened.dump.snapshot);
    let pid = match process.key.pid {
        0 => "unknown pid".to_owned(),
        pid => format!("pid {pid}"),
    };
    let mut first = format!("{} · {pid}", named(process));
    if !process.user.name.is_empty() {
        first += &format!(" · user {}", process.user.name);
    }
    first += &format!(" · {runtime}");
    let command = match process.command_line.is_empty() {
        true => process.exe.clone(),
        false => process.command_line.join(" "),
    };
    let record = opened.record.as_ref();
    let place = [
        ("service", &process.service),
        ("container", &process.container),
        ("image", &record.and_then(|record| record.image.clone())),
        ("pod", &record.and_then(|record| record.pod.clone())),
    ];
    let place = place
        .iter()
        .filter_map(|(kind, name)| name.as_ref().map(|name| format!("{kind} {name}")));
    let mut lines = vec![first, console::cut(command.trim_end(), LONGEST_COMMAND)];
    lines.extend(place);
    if process.exe_deleted {
        lines.push("the file of its program was deleted or replaced".to_owned());
    }
    lines
}

pub(super) fn named(process: &Process) -> &str {
    let file = process.exe.rsplit(['/', '\\']).next().unwrap_or_default();
    let names = [&process.name[..], file, &process.comm];
    names
        .into_iter()
        .find(|name| !name.is_empty())
        .unwrap_or(NO_NAME)
}

fn dumped(opened: &Opened) -> Vec<String> {
    let snapshot = &opened.dump.snapshot;
    let mut lines = Vec::new();
    if snapshot.taken != WallTime::default() {
        let age = snapshot.taken.0.saturating_sub(snapshot.process.started.0);
        let age = match snapshot.process.started {
            WallTime(0) => String::new(),
            _ => format!(", {} after its start", since(age)),
        };
        lines.push(format!("{}{age}", console::date_time(snapshot.taken)));
    }
    let Some(record) = &opened.record else {
        return lines;
    };
    let reason = match &record.reason[..] {
        "" => String::new(),
        reason => format!(": {reason}"),
    };
    lines.push(format!("{} dump{reason}", record.kind));
    lines.push(record.rule.clone());
    lines.extend(record.comment.clone());
    if record.repeats > 0 {
        let times = record.repeats;
        lines.push(format!(
            "the same crash came {times} times more, which was only counted (`firstchance postmortem enable --repeat-window 0s` stores each)"
        ));
    }
    if record.raced {
        lines.push("the process was gone before it could be looked at: raced".to_owned());
    }
    let pause = record.pause_ms.map(console::milliseconds);
    let pause = pause.map_or_else(String::new, |pause| format!(", for {pause}"));
    let in_place = record.in_place.iter();
    let in_place = in_place.map(|why| format!(" (no clone was made, because {why})"));
    let in_place: String = in_place.collect();
    lines.push(format!(
        "taken while {}{pause}{in_place}",
        method(&record.method)
    ));
    if !record.complete {
        lines.push("INCOMPLETE: parts that were wanted are missing".to_owned());
    }
    lines
}

fn method(method: &str) -> &str {
    match method {
        "not stopped" => "the process was running: its parts may not be consistent",
        "clone" => "a copy of the process was made",
        "" | "stopped" => "the process was stopped",
        "crash" => "the process died",
        other => other,
    }
}

fn since(nanoseconds: i64) -> String {
    console::duration(Duration::from_nanos(nanoseconds.max(0) as u64))
}

fn machine(system: &System) -> Vec<String> {
    let os = system.os.name();
    let processor = match system.architecture {
        // Without the system, the dump does not tell the processor either.
        _ if system.os == OperatingSystem::Foreign(ForeignSystem::Unknown) => "",
        Architecture::X86 => "x86",
        Architecture::X86_64 => "x86-64",
        Architecture::X32 => "x86-64 (x32)",
        Architecture::Arm => "ARM",
        Architecture::Aarch64 => "ARM64",
        Architecture::RiscV64 => "RISC-V",
    };
    let mut facts = vec![system.host.clone(), system.distribution.clone()];
    facts.push(format!("{os} {}", system.release).trim_end().to_owned());
    let cpus = match system.cpus {
        0 => processor.to_owned(),
        count => format!("{count} × {processor}"),
    };
    facts.push(
        format!("{cpus} {}", system.cpu_model.trim())
            .trim_end()
            .to_owned(),
    );
    if system.memory_total > 0 {
        facts.push(format!("{} of memory", console::size(system.memory_total)));
    }
    facts.retain(|fact| !fact.is_empty());
    vec![facts.join(" · ")]
}

fn fault(opened: &Opened, exception: &Exception) -> Vec<String> {
    let snapshot = &opened.dump.snapshot;
    let mut first = opened.fault_name(exception);
    if !exception.message.is_empty() {
        first += &format!(" (\"{}\")", exception.message);
    }
    if let Some(detail) = analysis::exception_detail(exception, snapshot.system.os) {
        first += &format!(" {detail}");
    }
    let thread = snapshot.threads.iter().find(|t| t.id == exception.thread);
    let thread = match thread.map(|t| &t.name[..]) {
        Some(name) => format!("in {}", called(exception.thread, name)),
        None if exception.thread == 0 => String::new(),
        None => format!("in thread {}, which is not in the dump", exception.thread),
    };
    let chance = match exception.first_chance {
        true => "first chance: the program may still handle it",
        false => "",
    };
    vec![first, thread, chance.to_owned()]
}

fn modules(opened: &Opened) -> Vec<String> {
    let modules = &opened.dump.snapshot.modules;
    let unlinked = modules.iter().filter(|m| m.deleted).count();
    let unlinked = match unlinked {
        0 => String::new(),
        count => format!(", {count} deleted or replaced since"),
    };
    vec![format!(
        "{}{unlinked}{}",
        modules.len(),
        opened.hint("modules")
    )]
}

/// Adds the table of memory by class.
pub(super) fn memory(page: &mut Page, opened: &Opened) {
    let dump = &opened.dump;
    let sizes = analysis::memory_summary(&dump.snapshot, &dump.ranges);
    let total =
        |of: fn(&analysis::ClassSize) -> u64| sizes.iter().map(of).fold(0, u64::saturating_add);
    let row = |name: &str, regions: usize, sizes: [u64; 3]| {
        // Padded to the width of the headings above and below.
        let mut row = vec![format!("{name:<0$}", INDENT - 2), regions.to_string()];
        row.extend(sizes.map(console::size));
        row
    };
    let mut rows: Vec<Vec<String>> = sizes
        .iter()
        .map(|s| {
            let sizes = [s.virtual_bytes, s.resident_bytes, s.dumped_bytes];
            row(&s.class.to_string(), s.regions, sizes)
        })
        .collect();
    let regions = sizes.iter().map(|s| s.regions).sum();
    let virtual_bytes = total(|s| s.virtual_bytes);
    // Includes memory that is in none of the regions that the dump lists.
    let dumped = snapshot::total_bytes(&dump.ranges);
    let totals = [virtual_bytes, total(|s| s.resident_bytes), dumped];
    rows.push(row("all", regions, totals));
    page.gap();
    let columns = [
        Column::text("Memory"),
        Column::number("regions"),
        Column::number("virtual"),
        Column::number("resident"),
        Column::number("in the dump"),
    ];
    page.table(&columns, rows);
}

fn handles(opened: &Opened) -> Vec<String> {
    let handles = &opened.dump.snapshot.handles;
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for handle in handles {
        *kinds.entry(&handle.kind).or_default() += 1;
    }
    let mut kinds: Vec<(&str, usize)> = kinds.into_iter().collect();
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let told: Vec<String> = kinds
        .iter()
        .map(|(kind, count)| policy::print_count(*count as u64, kind))
        .collect();
    match told.is_empty() {
        true => vec![],
        false => vec![format!("{}{}", told.join(", "), opened.hint("handles"))],
    }
}

fn gaps(opened: &Opened, all: &str) -> Vec<String> {
    match &opened.record {
        Some(record) if record.gap_count > 0 => vec![format!(
            "{} of memory in {} places are not in it{all}",
            console::size(record.gap_bytes),
            record.gap_count
        )],
        _ => vec![],
    }
}

fn absent_files(opened: &Opened, all: &str) -> Vec<String> {
    let files = opened.record.iter().flat_map(|record| &record.absent_files);
    let count = files.clone().count() as u64;
    let bytes = files.map(|file| file.bytes).fold(0, u64::saturating_add);
    match count {
        0 => vec![],
        _ => vec![format!(
            "{} of {} too large to be in the dump{all}",
            policy::print_count(count, "mapped file"),
            console::size(bytes)
        )],
    }
}

fn warnings(opened: &Opened, all: &str) -> Vec<String> {
    let warnings = opened.warnings();
    let left = warnings.len().saturating_sub(MOST_LINES);
    let mut lines: Vec<String> = warnings.into_iter().take(MOST_LINES).collect();
    if left > 0 {
        lines.push(format!("… {left} more{all}"));
    }
    lines
}
