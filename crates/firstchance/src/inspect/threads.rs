//! Threads and their stacks, as text.

use super::busiest;
use super::frames::show_stack;
use super::goroutines;
use super::groups::{Group, groups};
use super::languages;
use super::lines::Places;
use super::names::quoted;
use super::open::{Opened, Walked};
use super::page::Page;
use super::verdict::remarkable;
use super::waits;
use crate::ui::console;
use policy::print_count;
use snapshot::{Registers, Snapshot, Thread, ThreadState};
use std::time::Duration;

/// Groups in the summary, beside the one of the first thread.
const GROUPS: usize = 5;

/// Frames of each of these groups in the summary.
const GROUP_FRAMES: usize = 10;

/// Thread ids in the heading of a group in the summary.
const NAMES: usize = 8;

/// Modules with doubtful frames that are listed.
const DOUBTS: usize = 4;

/// Adds the stacks of the threads that are `remarkable` and of the first thread, and the largest groups of the others.
pub(super) fn summary(
    page: &mut Page,
    opened: &Opened,
    walked: &Walked,
    remarkable: &[u32],
    frames: Option<usize>,
) {
    let groups = groups(&walked.threads, remarkable);
    let snapshot = &opened.dump.snapshot;
    busiest::write(page, snapshot, walked, opened.record.as_ref());
    waits::write(page, snapshot, walked);
    page.paragraph("Threads", &[count(walked, &groups)]);
    let limit = |at| if at == 0 { usize::MAX } else { GROUP_FRAMES };
    let limit = |at| frames.unwrap_or(limit(at));
    let shown = || groups.iter().take(1 + GROUPS).enumerate();
    let stacks = shown().map(|(at, group)| (group.stack, limit(at)));
    let places = Places::of(walked, stacks);
    for (at, group) in shown() {
        show(page, snapshot, walked, group, &places, limit(at), NAMES);
    }
    let left = groups.iter().skip(1 + GROUPS);
    let left: usize = left.map(|group| group.threads.len()).sum();
    if left > 0 {
        let hint = opened.hint("threads");
        page.gap();
        page.faint_end(
            &format!("  … {}", print_count(left as u64, "more thread")),
            &hint,
        );
    }
    goroutines::write(page, opened, walked, frames, Some(1 + GROUPS));
    doubts(page, walked, &places);
}

/// Adds the stacks of all threads.
pub(super) fn all(page: &mut Page, opened: &Opened, frames: Option<usize>) {
    let walked = opened.walk();
    let groups = groups(&walked.threads, &remarkable(opened, &walked));
    let snapshot = &opened.dump.snapshot;
    waits::write(page, snapshot, &walked);
    page.paragraph("Threads", &[count(&walked, &groups)]);
    let limit = frames.unwrap_or(usize::MAX);
    let places = Places::of(&walked, groups.iter().map(|group| (group.stack, limit)));
    for group in &groups {
        show(page, snapshot, &walked, group, &places, limit, usize::MAX);
    }
    goroutines::write(page, opened, &walked, frames, None);
    if let Some(first) = snapshot.threads.first()
        && let Some(registers) = &first.registers
    {
        page.heading(&format!("Registers of thread {}", first.id));
        show_registers(page, registers);
    }
    doubts(page, &walked, &places);
}

/// How many threads there are, and at how many different places.
pub(super) fn count(walked: &Walked, groups: &[Group]) -> String {
    let threads = walked.threads.len();
    match (threads, groups.len()) {
        (0, _) => "none is in the dump".to_owned(),
        (1, _) => "1".to_owned(),
        (_, count) if count == threads => format!("{threads}"),
        (_, count) => format!("{threads}, at {count} different places"),
    }
}

fn show(
    page: &mut Page,
    snapshot: &Snapshot,
    walked: &Walked,
    group: &Group,
    places: &Places,
    limit: usize,
    names: usize,
) {
    page.gap();
    page.line(&format!("  {}", title(snapshot, walked, group, names)));
    show_stack(page, walked, group.stack, places, limit);
}

/// `Thread 4711 "main" · faulting`, or `32 threads "worker": 4712, 4713 …`.
pub(super) fn title(snapshot: &Snapshot, walked: &Walked, group: &Group, names: usize) -> String {
    let named = |thread: &Thread| quoted(walked.name_of(thread));
    if let [thread] = group.threads[..] {
        let facts = facts(snapshot, walked, thread);
        let facts = facts.iter().map(|fact| format!(" · {fact}"));
        let name = named(thread);
        return format!("Thread {}{name}{}", thread.id, facts.collect::<String>());
    }
    let count = group.threads.len();
    let shared = group.threads.first().map(|thread| named(thread));
    let shared = shared.filter(|name| group.threads.iter().all(|t| named(t) == *name));
    let told = group.threads.iter().take(names);
    let told: Vec<String> = match &shared {
        Some(_) => told.map(|thread| thread.id.to_string()).collect(),
        None => told
            .map(|thread| format!("{}{}", thread.id, named(thread)))
            .collect(),
    };
    let threads = print_count(count as u64, "thread");
    let more = if count > told.len() { " …" } else { "" };
    let shared = shared.unwrap_or_default();
    format!("{threads}{shared}: {}{more}", told.join(", "))
}

fn facts(snapshot: &Snapshot, walked: &Walked, thread: &Thread) -> Vec<String> {
    let mut facts = Vec::new();
    let fault = snapshot.exception.as_ref();
    if let Some(fault) = fault.filter(|fault| fault.thread == thread.id) {
        facts.push(match fault.is_dump_request() {
            true => "asked for the dump".to_owned(),
            false => "faulting".to_owned(),
        });
    }
    match &thread.state {
        ThreadState::Unstopped(why) => facts.push(format!("was not stopped: {why}")),
        ThreadState::AlreadyStopped => facts.push("was already stopped".to_owned()),
        ThreadState::Stopped => facts.extend(activity(snapshot, walked, thread)),
    }
    if thread.signal != 0 && fault.is_none() {
        facts.push(format!("on {}", snapshot::signal_name(thread.signal)));
    }
    let java = walked.languages.java_thread(thread.id);
    facts.extend(java.and_then(|java| java.state).map(str::to_owned));
    facts.extend(languages::exceptions(walked, thread));
    let time = thread.user_time + thread.kernel_time;
    if time >= Duration::from_millis(50) {
        facts.push(format!("CPU {}", console::duration(time)));
    }
    facts
}

/// What the thread does, or waits for.
fn activity(snapshot: &Snapshot, walked: &Walked, thread: &Thread) -> Option<String> {
    match walked.wait_of(thread) {
        Some(wait) => Some(waits::sentence(snapshot, walked, wait)),
        None => doing(thread.letter).map(str::to_owned),
    }
}

fn doing(letter: char) -> Option<&'static str> {
    Some(match letter {
        'R' => "running",
        'S' => "waiting",
        'D' => "in the kernel, uninterruptible",
        'T' => "stopped",
        't' => "held by a debugger",
        'Z' | 'X' => "ended",
        _ => return None,
    })
}

pub(super) fn doubts(page: &mut Page, walked: &Walked, places: &Places) {
    let doubts = || walked.doubts.iter().chain(&places.troubles);
    let mut lines: Vec<String> = doubts().take(DOUBTS).cloned().collect();
    let left = doubts().count().saturating_sub(DOUBTS);
    if left > 0 {
        lines.push(format!(
            "… and the same for {}",
            print_count(left as u64, "more module")
        ));
    }
    page.paragraph("Names", &lines);
    let notes: Vec<String> = walked.languages.notes().cloned().collect();
    page.paragraph("Languages", &notes);
}

/// Adds the registers, four in a row, under the names that gdb and WinDbg give them.
pub(super) fn show_registers(page: &mut Page, registers: &Registers) {
    let (named, digits) = named(registers);
    let cells: Vec<String> = named
        .iter()
        .map(|(name, value)| format!("{name:>6} {value:0digits$x}"))
        .collect();
    for row in cells.chunks(4) {
        page.line(&row.join(" "));
    }
}

/// The registers with their names, and the number of hexadecimal digits of a register.
pub(super) fn named(registers: &Registers) -> (Vec<(String, u64)>, usize) {
    fn list<const N: usize>(named: [(&str, u64); N]) -> Vec<(String, u64)> {
        named.map(|(name, value)| (name.to_owned(), value)).to_vec()
    }
    match registers {
        Registers::X86_64(r) => {
            let all = [
                ("rax", r.rax),
                ("rbx", r.rbx),
                ("rcx", r.rcx),
                ("rdx", r.rdx),
                ("rsi", r.rsi),
                ("rdi", r.rdi),
                ("rbp", r.rbp),
                ("rsp", r.rsp),
                ("r8", r.r8),
                ("r9", r.r9),
                ("r10", r.r10),
                ("r11", r.r11),
                ("r12", r.r12),
                ("r13", r.r13),
                ("r14", r.r14),
                ("r15", r.r15),
                ("rip", r.rip),
                ("rflags", r.rflags),
                ("fsbase", r.fs_base),
                ("gsbase", r.gs_base),
            ];
            (list(all), 16)
        }
        Registers::X86(r) => {
            let all = [
                ("eax", r.eax),
                ("ebx", r.ebx),
                ("ecx", r.ecx),
                ("edx", r.edx),
                ("esi", r.esi),
                ("edi", r.edi),
                ("ebp", r.ebp),
                ("esp", r.esp),
                ("eip", r.eip),
                ("eflags", r.eflags),
            ];
            (list(all.map(|(name, value)| (name, u64::from(value)))), 8)
        }
        Registers::Arm(r) => {
            let all = r.r.iter().enumerate();
            let mut all: Vec<(String, u64)> = all
                .map(|(n, &word)| (arm_name(n), u64::from(word)))
                .collect();
            all.push(("cpsr".to_owned(), u64::from(r.cpsr)));
            (all, 8)
        }
        Registers::RiscV64(r) => {
            let numbered = r.x.iter().zip(RISCV64_NAMES);
            let numbered = numbered.map(|(&value, name)| (name.to_owned(), value));
            let pc = [("pc".to_owned(), r.pc)];
            (numbered.chain(pc).collect(), 16)
        }
        Registers::Aarch64(r) => {
            let numbered = r.x.iter().enumerate().map(|(n, &x)| (format!("x{n}"), x));
            let rest = list([
                ("sp", r.sp),
                ("pc", r.pc),
                ("pstate", r.pstate),
                ("tls", r.tls),
            ]);
            (numbered.chain(rest).collect(), 16)
        }
    }
}

fn arm_name(number: usize) -> String {
    match number {
        13 => "sp".to_owned(),
        14 => "lr".to_owned(),
        15 => "pc".to_owned(),
        other => format!("r{other}"),
    }
}

/// X1 to X31 (RISC-V ABIs Specification, table 1).
const RISCV64_NAMES: [&str; 31] = [
    "ra", "sp", "gp", "tp", "t0", "t1", "t2", "fp", "s1", "a0", "a1", "a2", "a3", "a4", "a5", "a6",
    "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
];
