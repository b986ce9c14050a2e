//! What `firstchance doctor` checks on Linux: whether each mechanism that a dump or a watch uses
//! works here, and what to do if it does not.

use super::{
    cgroup::{Groups, limits},
    proc::ProcDir,
    rights::{has_ptrace_capability, yama_scope},
};
use crate::{Finding, Health};
use std::{fs, path::Path};

/// Checks everything that dumps and watches need. `folder` is where dumps would be written.
pub(crate) fn doctor(folder: &Path) -> Vec<Finding> {
    let mut findings = vec![rights(), yama(), kernel(), residency(), live_memory()];
    findings.extend([
        memory_limit(),
        disk(folder),
        file_size_limit(),
        core_pattern(),
        probes(),
        starts(),
        deaths(),
        senders(),
    ]);
    findings
}

fn finding(what: &str, health: Health, found: String, advice: &str) -> Finding {
    Finding {
        what: what.to_owned(),
        health,
        found,
        advice: advice.to_owned(),
    }
}

/// Checks whether uprobes can hold threads at throws and breakpoints.
fn probes() -> Finding {
    match super::bpf_programs::ThreadHolds::new(std::process::id(), 1)
        .and_then(|holds| holds.try_program())
    {
        Ok(()) => finding(
            "exceptions",
            Health::Good,
            "uprobes report throws and breakpoints; unwanted ones pass without a stop".into(),
            "",
        ),
        Err(error) => finding(
            "exceptions",
            Health::Weak,
            format!("no uprobes here ({error}): only signals and exits are seen"),
            "Uprobes need Linux 5.17, and root or CAP_BPF and CAP_PERFMON; --unsafe-breakpoints works \
             without them.",
        ),
    }
}

/// Checks whether every process that starts is seen.
fn starts() -> Finding {
    let what = "starts";
    match super::watch::starts_are_reported() {
        Ok(()) => finding(what, Health::Good, "are told by the kernel".into(), ""),
        Err(error) => finding(
            what,
            Health::Weak,
            format!(
                "are looked for ten times a second ({error}): what lives for less, and dies of whatever, is not seen"
            ),
            "To see each needs root, and the pid namespace of the machine (docker run --pid host).",
        ),
    }
}

/// Checks whether the death of a process can be seen without tracing it.
fn deaths() -> Finding {
    let what = "crashes";
    match super::death_watch::DeathWatch::is_possible() {
        Ok(()) => seen_without_tracing(what),
        Err(error) => finding(
            what,
            Health::Weak,
            format!("seen by tracing ({error}): each signal costs the process some microseconds"),
            "To see them without tracing needs root, BPF and userfaultfd.",
        ),
    }
}

fn seen_without_tracing(what: &str) -> Finding {
    let seen = "seen without tracing: handled signals cost the process nothing";
    match super::dying::is_possible() {
        Ok(()) => finding(what, Health::Good, seen.into(), ""),
        Err(error) => finding(
            what,
            Health::Good,
            format!("{seen}; not seen of processes that end before they are watched ({error})"),
            "To catch those too needs Linux 6.16 and two processors.",
        ),
    }
}

/// Checks whether the sender of a SIGKILL can be found out.
fn senders() -> Finding {
    let what = "sender of SIGKILL";
    match super::bpf_programs::SignalSenders::of(std::process::id()) {
        Ok(_) => finding(what, Health::Good, "is told by pid and name".into(), ""),
        Err(error) => finding(
            what,
            Health::Weak,
            format!("is not known ({error})"),
            "To find it out needs root, BPF and tracefs.",
        ),
    }
}

fn rights() -> Finding {
    let status = fs::read("/proc/self/status").unwrap_or_default();
    let root = rustix::process::geteuid().is_root();
    match (root, has_ptrace_capability(&status)) {
        (true, true) => finding(
            "rights",
            Health::Good,
            "root with CAP_SYS_PTRACE: every process".into(),
            "",
        ),
        (false, true) => finding(
            "rights",
            Health::Good,
            "CAP_SYS_PTRACE: every process".into(),
            "",
        ),
        (true, false) => finding(
            "rights",
            Health::Bad,
            "root without CAP_SYS_PTRACE".into(),
            "In a container, add the capability SYS_PTRACE (docker run --cap-add SYS_PTRACE).",
        ),
        (false, false) => finding(
            "rights",
            Health::Weak,
            "an ordinary user: your own processes only".into(),
            "Run firstchance as root to dump those of others.",
        ),
    }
}

fn yama() -> Finding {
    let capable = has_ptrace_capability(&fs::read("/proc/self/status").unwrap_or_default());
    let advice = "sysctl kernel.yama.ptrace_scope=0 lets users dump their own processes.";
    match yama_scope() {
        None => finding("Yama", Health::Good, "not in this kernel".into(), ""),
        Some(0) => finding(
            "Yama",
            Health::Good,
            "ptrace_scope 0: no further limits".into(),
            "",
        ),
        Some(3) => finding(
            "Yama",
            Health::Bad,
            "ptrace_scope 3: nobody may trace".into(),
            "Only a reboot changes that.",
        ),
        Some(scope) if capable => finding(
            "Yama",
            Health::Good,
            format!("ptrace_scope {scope}: does not restrict us"),
            "",
        ),
        Some(scope) => finding("Yama", Health::Bad, format!("ptrace_scope {scope}"), advice),
    }
}

fn kernel() -> Finding {
    let release = super::system().release;
    finding("kernel", Health::Good, release, "")
}

fn residency() -> Finding {
    let mut regions = Vec::new();
    let scanned = fs::File::open("/proc/self/pagemap")
        .and_then(|pagemap| super::pages::fill(&pagemap, &mut regions, 4096));
    match scanned {
        Ok(()) => finding(
            "page map",
            Health::Good,
            "pages that were never touched are left out of dumps".into(),
            "",
        ),
        Err(error) => finding(
            "page map",
            Health::Bad,
            error.to_string(),
            "Mount /proc without restrictions.",
        ),
    }
}

fn live_memory() -> Finding {
    let mut byte = [0; 1];
    let here = &raw const byte as u64;
    let me = std::process::id() as i32;
    match super::sys::memory::read_process(me, here, &mut byte) {
        Ok(_) => finding("process_vm_readv", Health::Good, "works".into(), ""),
        Err(error) => finding(
            "process_vm_readv",
            Health::Weak,
            error.to_string(),
            "A seccomp filter forbids it; /proc/PID/mem is used instead, which is slower.",
        ),
    }
}

fn memory_limit() -> Finding {
    let own = ProcDir::open_pid(std::process::id()).ok();
    let memory = own.and_then(|own| limits::memory(&Groups::of(&own)));
    match memory.map(|memory| memory.limit) {
        Some(bytes) if bytes < 64 << 20 => finding(
            "memory limit",
            Health::Weak,
            format!("{} MB for this control group", bytes >> 20),
            "firstchance needs up to 64 MB.",
        ),
        Some(bytes) => finding(
            "memory limit",
            Health::Good,
            format!("{} MB for this control group", bytes >> 20),
            "",
        ),
        None => finding("memory limit", Health::Good, "none".into(), ""),
    }
}

fn disk(folder: &Path) -> Finding {
    let what = "disk";
    match super::space_at(folder) {
        Ok(space) if space.free < 1 << 30 => finding(
            what,
            Health::Weak,
            format!("{} MB free in {}", space.free >> 20, folder.display()),
            "A full dump needs as much as the process has resident; -o writes elsewhere.",
        ),
        Ok(space) => finding(
            what,
            Health::Good,
            format!("{} GB free in {}", space.free >> 30, folder.display()),
            "",
        ),
        Err(error) => finding(
            what,
            Health::Bad,
            format!("{}: {error}", folder.display()),
            "Choose another folder with -o.",
        ),
    }
}

fn file_size_limit() -> Finding {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
    match limit {
        None => finding("file size limit", Health::Good, "none".into(), ""),
        Some(bytes) => finding(
            "file size limit",
            Health::Weak,
            format!("{} MB (ulimit -f)", bytes >> 20),
            "Raise it for larger dumps: ulimit -f unlimited.",
        ),
    }
}

fn core_pattern() -> Finding {
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    let pattern = pattern.trim();
    finding(
        "crash handler",
        Health::Good,
        format!("core_pattern is \"{pattern}\""),
        "",
    )
}
