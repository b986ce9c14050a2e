//! The sections of a dump that can be asked for, as text.

use super::open::Opened;
use super::page::Page;
use super::symbols::build;
use crate::ui::console;
use pages::Column;
use snapshot::{Module, Region, RegionKind, WallTime};
use std::time::Duration;

/// Adds the programs and libraries.
pub(super) fn modules(page: &mut Page, opened: &Opened) {
    let modules = &opened.dump.snapshot.modules;
    page.heading(&format!("Modules: {}", modules.len()));
    let columns = [
        Column::number("base"),
        Column::number("size"),
        Column::text("version"),
        Column::text("build"),
        Column::text("path"),
    ];
    let row = |module: &Module| {
        let deleted = if module.deleted {
            " (deleted or replaced)"
        } else {
            ""
        };
        vec![
            format!("{:x}", module.range.start),
            console::size(module.range.len()),
            module.version.clone(),
            build(module),
            format!("{}{deleted}", module.path),
        ]
    };
    page.table(&columns, modules.iter().map(row).collect());
    let unloaded = &opened.dump.snapshot.unloaded;
    if !unloaded.is_empty() {
        page.heading(&format!("Unloaded modules: {}", unloaded.len()));
        page.table(&columns, unloaded.iter().map(row).collect());
    }
}

/// Adds the memory by class, and every region.
pub(super) fn memory(page: &mut Page, opened: &Opened) {
    super::summary::memory(page, opened);
    let dump = &opened.dump;
    let columns = [
        Column::number("start"),
        Column::number("end"),
        Column::text("access"),
        Column::text("kind"),
        Column::number("size"),
        Column::number("resident"),
        Column::number("in the dump"),
        Column::text("name"),
    ];
    let row = |region: &Region| {
        let shared = if region.shared { "s" } else { "p" };
        vec![
            format!("{:x}", region.range.start),
            format!("{:x}", region.range.end),
            format!("{}{shared}", region.protection),
            kind(region.kind).to_owned(),
            console::size(region.range.len()),
            console::size(region.resident_bytes()),
            console::size(in_dump(opened, region)),
            region.name.clone(),
        ]
    };
    page.heading(&format!("Regions: {}", dump.snapshot.regions.len()));
    page.table(&columns, dump.snapshot.regions.iter().map(row).collect());
}

pub(super) fn kind(kind: RegionKind) -> &'static str {
    match kind {
        RegionKind::Private => "private",
        RegionKind::Heap => "heap",
        RegionKind::Stack => "stack",
        RegionKind::Image => "image",
        RegionKind::Mapped => "mapped",
        RegionKind::Kernel => "kernel",
    }
}

/// Bytes of a region that are in the dump.
pub(super) fn in_dump(opened: &Opened, region: &Region) -> u64 {
    let ranges = &opened.dump.ranges;
    let first = ranges.partition_point(|r| r.end <= region.range.start);
    let overlapping = ranges[first..]
        .iter()
        .take_while(|r| r.start < region.range.end);
    overlapping
        .filter_map(|r| r.intersect(region.range))
        .map(|r| r.len())
        .sum()
}

/// Adds the open descriptors or handles.
pub(super) fn handles(page: &mut Page, opened: &Opened) {
    let handles = &opened.dump.snapshot.handles;
    page.heading(&format!("Open descriptors or handles: {}", handles.len()));
    let columns = [
        Column::number("number"),
        Column::text("kind"),
        Column::number("position"),
        Column::number("flags"),
        Column::text("name"),
    ];
    let row = |handle: &snapshot::Handle| {
        vec![
            handle.number.to_string(),
            handle.kind.clone(),
            handle
                .position
                .map_or(String::new(), |position| position.to_string()),
            format!("{:#x}", handle.flags),
            handle.name.clone(),
        ]
    };
    page.table(&columns, handles.iter().map(row).collect());
}

/// Adds the facts about the process and the machine.
pub(super) fn process(page: &mut Page, opened: &Opened) {
    let snapshot = &opened.dump.snapshot;
    let (process, user, system) = (&snapshot.process, &snapshot.process.user, &snapshot.system);
    page.heading("Process");
    let facts = [
        ("pid", known(process.key.pid)),
        (
            "pid inside its container",
            process.inner_pid.map_or(String::new(), |p| p.to_string()),
        ),
        ("parent", known(process.parent)),
        ("group", known(process.group)),
        ("session", known(process.session)),
        ("name", process.name.clone()),
        ("kernel's name", process.comm.clone()),
        ("program", process.exe.clone()),
        ("command line", process.command_line.join(" ")),
        ("user", user_of(user)),
        ("started", when(process.started)),
        ("dumped", when(snapshot.taken)),
        ("CPU time, user", time(process.user_time)),
        ("CPU time, kernel", time(process.kernel_time)),
        ("nice", nice(process)),
        ("service", process.service.clone().unwrap_or_default()),
        ("container", process.container.clone().unwrap_or_default()),
        ("host", system.host.clone()),
        ("system", system.distribution.clone()),
        ("kernel", format!("{} {}", system.release, system.version)),
        ("processor", processor(system)),
        ("memory", memory_of(system)),
        ("uptime", time(system.uptime)),
    ];
    let known = facts
        .into_iter()
        .filter(|(_, value)| !value.trim().is_empty());
    let rows = known
        .map(|(name, value)| vec![name.to_owned(), value])
        .collect();
    page.table(&[Column::text(""), Column::text("")], rows);
    for name in ["cgroup", "limits"] {
        if let Some(text) = process.file(name) {
            page.heading(name);
            String::from_utf8_lossy(text)
                .lines()
                .for_each(|line| page.line(&format!(" {line}")));
        }
    }
}

/// A number of a process, which is 0 if it is not known.
fn known(number: u32) -> String {
    match number {
        0 => String::new(),
        number => number.to_string(),
    }
}

/// Empty if the dump does not tell the user.
fn user_of(user: &snapshot::User) -> String {
    match user.name.is_empty() {
        true => String::new(),
        false => format!("{} ({}, effective {})", user.name, user.uid, user.euid),
    }
}

/// The nice value; empty where the state of the process is not told, because that comes from the same place.
fn nice(process: &snapshot::Process) -> String {
    match process.state {
        ' ' | '\0' => String::new(),
        _ => process.nice.to_string(),
    }
}

fn processor(system: &snapshot::System) -> String {
    match system.cpus {
        0 => system.cpu_model.clone(),
        count => format!("{count} × {}", system.cpu_model),
    }
}

/// A duration; empty if it is zero, which means unknown.
fn time(duration: Duration) -> String {
    match duration {
        Duration::ZERO => String::new(),
        _ => console::duration(duration),
    }
}

fn memory_of(system: &snapshot::System) -> String {
    let (total, free) = (system.memory_total, system.memory_available);
    match total {
        0 => String::new(),
        _ => format!(
            "{}, {} available",
            console::size(total),
            console::size(free)
        ),
    }
}

fn when(time: WallTime) -> String {
    match time {
        WallTime(0) => String::new(),
        _ => console::date_time(time),
    }
}

/// Adds the environment variables.
pub(super) fn environment(page: &mut Page, opened: &Opened) {
    let environment = &opened.dump.snapshot.process.environment;
    // A program that writes over its environment (setproctitle) leaves bytes of zero.
    let (empty, told): (Vec<_>, Vec<_>) = environment.iter().partition(|line| line.is_empty());
    page.heading(&match empty.len() {
        0 => format!("Environment: {}", told.len()),
        empty => format!("Environment: {} (and {empty} empty)", told.len()),
    });
    told.iter().for_each(|line| page.line(&format!(" {line}")));
}

/// Adds the record, with gaps and warnings.
pub(super) fn record(page: &mut Page, opened: &Opened) {
    page.heading("Record");
    if let Some(record) = &opened.record {
        let pause = record.pause_ms.map_or(String::new(), console::milliseconds);
        let shared = match record.shared_bytes {
            0 => String::new(),
            bytes => format!("{} with the dump before", console::size(bytes)),
        };
        let facts = [
            ("written by", record.producer.clone()),
            (
                "complete",
                if record.complete { "yes" } else { "NO" }.to_owned(),
            ),
            ("kind", record.kind.clone()),
            ("reason", record.reason.clone()),
            ("trigger", record.trigger.clone()),
            ("rule", record.rule.clone()),
            ("comment", record.comment.clone().unwrap_or_default()),
            ("taken", record.taken.clone()),
            ("method", record.method.clone()),
            ("compressed", record.compression.clone().unwrap_or_default()),
            ("pause", pause),
            ("memory", console::size(record.memory_bytes)),
            ("shared", shared),
            (
                "gaps",
                format!("{}, {}", record.gap_count, console::size(record.gap_bytes)),
            ),
        ];
        let rows = facts
            .map(|(name, value)| vec![name.to_owned(), value])
            .to_vec();
        page.table(&[Column::text(""), Column::text("")], rows);
        gaps(page, record);
        absent_files(page, record);
    } else {
        page.line(" This dump was not written by firstchance, and does not say how it was taken.");
        all_comments(page, opened);
    }
    let warnings = opened.warnings();
    if !warnings.is_empty() {
        page.heading(&format!("Warnings: {}", warnings.len()));
        warnings
            .iter()
            .for_each(|warning| page.line(&format!(" {warning}")));
    }
}

fn all_comments(page: &mut Page, opened: &Opened) {
    let row = |comment: &formats::Comment| vec![comment.key.clone(), comment.text.clone()];
    let rows: Vec<Vec<String>> = opened.dump.comments.iter().map(row).collect();
    if !rows.is_empty() {
        page.heading(&format!("Comments and annotations: {}", rows.len()));
        page.table(&[Column::text(""), Column::text("")], rows);
    }
}

fn gaps(page: &mut Page, record: &collector::Record) {
    if record.gaps.is_empty() {
        return;
    }
    page.heading("Memory that is not in it");
    let row = |gap: &collector::Gap| vec![gap.address.clone(), console::size(gap.bytes)];
    let columns = [Column::number("address"), Column::number("size")];
    page.table(&columns, record.gaps.iter().map(row).collect());
    let left = record.gap_count.saturating_sub(record.gaps.len() as u64);
    if left > 0 {
        page.line(&format!(" … {left} more"));
    }
}

fn absent_files(page: &mut Page, record: &collector::Record) {
    if record.absent_files.is_empty() {
        return;
    }
    page.heading("Mapped files that are too large to be in the dump");
    let row = |file: &collector::AbsentFile| {
        vec![
            console::size(file.bytes),
            file.inode.to_string(),
            file.modified.clone(),
            file.path.clone(),
        ]
    };
    let columns = [
        Column::number("size"),
        Column::number("inode"),
        Column::text("changed"),
        Column::text("path"),
    ];
    page.table(&columns, record.absent_files.iter().map(row).collect());
}
