//! The dump as one JSON object. Addresses are hexadecimal strings, as many JSON readers round large
//! numbers; times are RFC 3339; sizes are in bytes.

use super::goroutines::{self, GoroutineWire};
use super::languages;
use super::lines::Places;
use super::open::{Opened, Walked};
use super::symbols::build;
use super::verdict::{self, CauseWire, Verdict, VerdictWire};
use super::wire_frames::{FrameWire, frames};
use super::{heap, sections, threads, waits};
use crate::ui::console;
use analysis::Stack;
use analysis::waits::{Wait, cycles};
use collector::Record;
use serde::Serialize;
use snapshot::{
    Exception, ForeignSystem, Handle, Module, OperatingSystem, Region, Snapshot, Thread,
    ThreadState, Told, WallTime,
};
use std::collections::BTreeMap;

/// The object as text, with a line end.
pub(super) fn json(opened: &Opened, frames: Option<usize>) -> anyhow::Result<String> {
    let walked = opened.walk();
    let verdict = verdict::verdict(opened, &walked);
    let limit = frames.unwrap_or(usize::MAX);
    let places = Places::of(
        &walked,
        walked
            .threads
            .iter()
            .map(|(_, stack)| (stack, limit))
            .chain(goroutines::stacks(&walked).map(|stack| (stack, limit))),
    );
    let document = document(opened, &walked, &verdict, &places, limit);
    let mut text = console::plain_json(&serde_json::to_string_pretty(&document)?);
    text.push('\n');
    Ok(text)
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(super) struct Document<'a> {
    path: String,
    bytes: u64,
    format: &'static str,
    producer: &'a str,
    taken: Option<String>,
    /// What the tool that took the dump, or the program, says in it.
    comments: Vec<CommentWire<'a>>,
    verdict: VerdictWire<'a>,
    cause: Option<CauseWire<'a>>,
    #[cfg_attr(
        test,
        schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")
    )]
    record: Option<&'a Record>,
    process: ProcessWire<'a>,
    system: SystemWire<'a>,
    runtime: String,
    fault: Option<FaultWire<'a>>,
    threads: Vec<ThreadWire<'a>>,
    /// The goroutines of a Go program.
    goroutines: Vec<GoroutineWire<'a>>,
    /// Threads that wait for each other, each for what the next one has.
    deadlocks: Vec<Vec<u32>>,
    modules: Vec<ModuleWire<'a>>,
    memory: Vec<ClassWire>,
    heap: heap::HeapWire,
    regions: Vec<RegionWire<'a>>,
    handles: Vec<HandleWire<'a>>,
    doubts: Vec<String>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct CommentWire<'a> {
    key: &'a str,
    text: &'a str,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
struct ProcessWire<'a> {
    /// Null if it is not known.
    pid: Option<u32>,
    inner_pid: Option<u32>,
    /// Null if it is not known, or there is none in its pid namespace.
    parent: Option<u32>,
    name: &'a str,
    executable: &'a str,
    executable_deleted: bool,
    command_line: &'a [String],
    environment: &'a [String],
    /// Null if it is not known, as is `uid`.
    user: Option<&'a str>,
    uid: Option<u32>,
    started: Option<String>,
    user_time_ms: u64,
    kernel_time_ms: u64,
    service: Option<&'a str>,
    container: Option<&'a str>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
struct SystemWire<'a> {
    os: String,
    architecture: String,
    release: &'a str,
    version: &'a str,
    distribution: &'a str,
    host: &'a str,
    cpus: u32,
    cpu: &'a str,
    memory_total: u64,
    memory_available: u64,
    uptime_seconds: u64,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
struct FaultWire<'a> {
    name: String,
    message: &'a str,
    thread: u32,
    code: String,
    /// Null if the dump does not tell it.
    flags: Option<u32>,
    /// Null if the dump does not tell it.
    address: Option<String>,
    parameters: Vec<String>,
    first_chance: bool,
    detail: Option<String>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
struct ThreadWire<'a> {
    id: u32,
    name: &'a str,
    /// Its name and state in Java.
    java_name: Option<&'a str>,
    java_state: Option<&'static str>,
    state: String,
    was_stopped: bool,
    signal: i32,
    user_time_ms: u64,
    kernel_time_ms: u64,
    registers: BTreeMap<String, String>,
    waits: Option<WaitWire>,
    /// `GetLastError` of the thread, on Windows.
    last_error: Option<u32>,
    /// The NTSTATUS behind it.
    last_status: Option<String>,
    /// The exceptions of a language that it raises, and that it handles.
    exceptions: Vec<String>,
    frames: Vec<FrameWire<'a>>,
    /// Frames in the middle of a deep stack that are not among `frames`.
    frames_left_out: Option<LeftOutWire>,
    /// Whether the stack was walked to the thread's first function.
    whole: bool,
    end: String,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
struct LeftOutWire {
    /// So many of the frames that are there come first.
    behind: usize,
    frames: usize,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
struct WaitWire {
    /// The sentence that the page has.
    what: String,
    address: Option<String>,
    /// The thread that has it.
    owner: Option<u32>,
    timeout_ms: Option<u64>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
struct ModuleWire<'a> {
    base: String,
    bytes: u64,
    path: &'a str,
    version: &'a str,
    soname: &'a str,
    build_id: String,
    pdb: Option<&'a str>,
    timestamp: u32,
    deleted: bool,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
struct ClassWire {
    class: String,
    regions: usize,
    virtual_bytes: u64,
    resident_bytes: u64,
    dumped_bytes: u64,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
struct RegionWire<'a> {
    start: String,
    end: String,
    access: String,
    kind: &'static str,
    shared: bool,
    name: &'a str,
    offset: u64,
    resident_bytes: u64,
    dumped_bytes: u64,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
struct HandleWire<'a> {
    number: u64,
    kind: &'a str,
    name: &'a str,
    position: Option<u64>,
    flags: u32,
}

fn document<'a>(
    opened: &'a Opened,
    walked: &'a Walked,
    verdict: &'a Verdict,
    places: &'a Places,
    limit: usize,
) -> Document<'a> {
    let dump = &opened.dump;
    let snapshot = &dump.snapshot;
    let record = opened.record.as_ref();
    let sender = record.and_then(|record| record.sender.as_deref());
    let threads = walked
        .threads
        .iter()
        .map(|(t, s)| thread(opened, walked, t, s, frames(walked, s, places, limit)))
        .collect();
    Document {
        path: opened.path.display().to_string(),
        bytes: opened.file_bytes,
        format: dump.format.extension(),
        producer: &dump.producer,
        taken: time(snapshot.taken),
        comments: dump.comments.iter().map(comment).collect(),
        verdict: verdict.into(),
        cause: walked
            .cause
            .as_ref()
            .map(|cause| CauseWire::new(cause, sender)),
        record,
        process: process(&snapshot.process),
        system: system(&snapshot.system),
        runtime: analysis::runtime(snapshot).to_string(),
        fault: snapshot.exception.as_ref().map(|e| fault(opened, e)),
        threads,
        goroutines: goroutines::wire(walked, places, limit),
        deadlocks: cycles(&walked.waits)
            .iter()
            .map(|cycle| ids(cycle))
            .collect(),
        modules: snapshot.modules.iter().map(module).collect(),
        memory: classes(opened),
        heap: heap::wire(opened, walked),
        regions: snapshot.regions.iter().map(|r| region(opened, r)).collect(),
        handles: snapshot.handles.iter().map(handle).collect(),
        doubts: walked
            .doubts
            .iter()
            .chain(&places.troubles)
            .chain(walked.languages.notes())
            .cloned()
            .collect(),
        warnings: opened.warnings(),
    }
}

fn comment(comment: &formats::Comment) -> CommentWire<'_> {
    CommentWire {
        key: &comment.key,
        text: &comment.text,
    }
}

fn ids(cycle: &[&Wait]) -> Vec<u32> {
    cycle.iter().map(|wait| wait.thread).collect()
}

fn hex(value: u64) -> String {
    format!("{value:#x}")
}

fn time(when: WallTime) -> Option<String> {
    let stamp = jiff::Timestamp::from_nanosecond(i128::from(when.0)).ok()?;
    (when != WallTime::default()).then(|| stamp.to_string())
}

fn process(process: &snapshot::Process) -> ProcessWire<'_> {
    let user = Some(&process.user).filter(|user| !user.name.is_empty());
    ProcessWire {
        pid: Some(process.key.pid).filter(|&pid| pid != 0),
        inner_pid: process.inner_pid,
        parent: Some(process.parent).filter(|&pid| pid != 0),
        name: &process.name,
        executable: &process.exe,
        executable_deleted: process.exe_deleted,
        command_line: &process.command_line,
        environment: &process.environment,
        user: user.map(|user| &user.name[..]),
        uid: user.map(|user| user.uid),
        started: time(process.started),
        user_time_ms: process.user_time.as_millis() as u64,
        kernel_time_ms: process.kernel_time.as_millis() as u64,
        service: process.service.as_deref(),
        container: process.container.as_deref(),
    }
}

fn system(system: &snapshot::System) -> SystemWire<'_> {
    SystemWire {
        os: system.os.name().to_lowercase(),
        architecture: match system.os {
            OperatingSystem::Foreign(ForeignSystem::Unknown) => "unknown".to_owned(),
            _ => format!("{:?}", system.architecture).to_lowercase(),
        },
        release: &system.release,
        version: &system.version,
        distribution: &system.distribution,
        host: &system.host,
        cpus: system.cpus,
        cpu: &system.cpu_model,
        memory_total: system.memory_total,
        memory_available: system.memory_available,
        uptime_seconds: system.uptime.as_secs(),
    }
}

fn fault<'a>(opened: &Opened, exception: &'a Exception) -> FaultWire<'a> {
    FaultWire {
        name: opened.fault_name(exception),
        message: &exception.message,
        thread: exception.thread,
        code: hex(exception.code.into()),
        flags: (exception.told == Told::All).then_some(exception.flags),
        address: (exception.told != Told::OnlySignal).then(|| hex(exception.address)),
        parameters: exception.parameters.iter().map(|&p| hex(p)).collect(),
        first_chance: exception.first_chance,
        detail: analysis::exception_detail(exception, opened.dump.snapshot.system.os),
    }
}

fn thread<'a>(
    opened: &Opened,
    walked: &'a Walked,
    thread: &'a Thread,
    stack: &'a Stack,
    frames: Vec<FrameWire<'a>>,
) -> ThreadWire<'a> {
    let snapshot = &opened.dump.snapshot;
    let last = analysis::cause::last_error(snapshot, thread, &*opened.dump.memory);
    let java = walked.languages.java_thread(thread.id);
    let registers = thread.registers.iter().flat_map(|r| threads::named(r).0);
    ThreadWire {
        id: thread.id,
        name: &thread.name,
        java_name: java.and_then(|java| java.name.as_deref()),
        java_state: java.and_then(|java| java.state),
        state: thread.letter.to_string().trim().to_owned(),
        was_stopped: !matches!(thread.state, ThreadState::Unstopped(_)),
        signal: thread.signal,
        user_time_ms: thread.user_time.as_millis() as u64,
        kernel_time_ms: thread.kernel_time.as_millis() as u64,
        registers: registers.map(|(name, value)| (name, hex(value))).collect(),
        waits: walked
            .wait_of(thread)
            .map(|wait| wire_of(snapshot, walked, wait)),
        last_error: last.map(|last| last.error),
        last_status: last.map(|last| hex(last.status.into())),
        exceptions: languages::exceptions(walked, thread),
        frames,
        frames_left_out: stack.left_out.map(|left| LeftOutWire {
            behind: left.behind,
            frames: left.frames,
        }),
        whole: stack.end == analysis::End::Root,
        end: stack.end.to_string(),
    }
}

fn wire_of(snapshot: &Snapshot, walked: &Walked, wait: &Wait) -> WaitWire {
    WaitWire {
        what: waits::sentence(snapshot, walked, wait),
        address: wait.address().map(hex),
        owner: wait.owner(),
        timeout_ms: wait.timeout.map(|nanoseconds| nanoseconds / 1_000_000),
    }
}

fn module(module: &Module) -> ModuleWire<'_> {
    ModuleWire {
        base: hex(module.range.start),
        bytes: module.range.len(),
        path: &module.path,
        version: &module.version,
        soname: &module.soname,
        build_id: build(module),
        pdb: module.codeview.as_ref().map(|c| &c.file[..]),
        timestamp: module.timestamp,
        deleted: module.deleted,
    }
}

fn classes(opened: &Opened) -> Vec<ClassWire> {
    let sizes = analysis::memory_summary(&opened.dump.snapshot, &opened.dump.ranges);
    let wire = |size: analysis::ClassSize| ClassWire {
        class: size.class.to_string(),
        regions: size.regions,
        virtual_bytes: size.virtual_bytes,
        resident_bytes: size.resident_bytes,
        dumped_bytes: size.dumped_bytes,
    };
    sizes.into_iter().map(wire).collect()
}

fn region<'a>(opened: &Opened, region: &'a Region) -> RegionWire<'a> {
    RegionWire {
        start: hex(region.range.start),
        end: hex(region.range.end),
        access: region.protection.to_string(),
        kind: sections::kind(region.kind),
        shared: region.shared,
        name: &region.name,
        offset: region.offset,
        resident_bytes: region.resident_bytes(),
        dumped_bytes: sections::in_dump(opened, region),
    }
}

fn handle(handle: &Handle) -> HandleWire<'_> {
    HandleWire {
        number: handle.number,
        kind: &handle.kind,
        name: &handle.name,
        position: handle.position,
        flags: handle.flags,
    }
}
