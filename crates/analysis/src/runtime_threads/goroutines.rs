//! Goroutines: all that the runtime knows of (`runtime.allgs`), what they wait for, and where they are (`runtime/runtime2.go`).

use crate::languages::go::{Module, is_switch, search_in};
use crate::stack::{End, Stack, Stacks};
use snapshot::{Memory, Range, Registers, Thread};
use std::collections::HashMap;

/// The most goroutines that are read.
const MOST: u64 = 1 << 20;

/// The most frames of all goroutines together.
const MOST_FRAMES: usize = 4 << 20;

/// The most different stacks that are kept.
const MOST_STACKS: usize = 1 << 16;

/// The number of the goroutine that runs `main`.
const MAIN: u64 = 1;

/// The longest text of a reason to wait, in bytes.
const LONGEST_REASON: u64 = 64;

/// Offsets in `g`: its stack, the thread that it is on (`m`), and where it goes on (`gobuf`).
const STACK: u64 = 0;
const MACHINE: u64 = 48;
const SCHED: u64 = 56;
/// Offset of the number of a goroutine; the second one is that of Go 1.23 and 1.24.
const IDS: [u64; 2] = [152, 160];
/// Offsets from the number of a goroutine.
const STATUS: u64 = 8;
const WAITS_SINCE: u64 = 16;
const REASON: u64 = 24;

/// Goroutines of a process.
#[derive(Clone, Debug, Default)]
pub struct Go {
    /// In the order of their making, without those that ended.
    pub goroutines: Vec<Goroutine>,
    /// Their different stacks.
    pub stacks: Vec<Stack>,
    /// What could not be had, in sentences.
    pub notes: Vec<String>,
}

/// A goroutine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goroutine {
    /// Its number, as Go's own tracebacks have it.
    pub id: u64,
    /// What it does: "running", "runnable", "syscall", "waiting".
    pub state: &'static str,
    /// What it waits for, in the words of the runtime: "chan receive".
    pub reason: Option<String>,
    /// Since when it waits, by the clock of the system's start in nanoseconds; the runtime notes that when it collects garbage.
    pub since: Option<u64>,
    /// The thread that runs it.
    pub thread: Option<u32>,
    /// The number of its stack in [`Go::stacks`]; `None` if it was not walked.
    pub stack: Option<usize>,
    /// The `go` statement that made it.
    pub creator: Option<Creator>,
    /// Whether the runtime made it for itself.
    pub is_of_runtime: bool,
}

/// Where a goroutine was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creator {
    /// The function.
    pub function: String,
    /// The source file.
    pub file: Option<String>,
    /// The line of the `go` statement.
    pub line: Option<u32>,
    /// The goroutine that did it; since Go 1.21.
    pub goroutine: Option<u64>,
}

/// The places of values that differ between versions.
struct Layout {
    id: u64,
    /// Of the address behind the `go` statement.
    made_at: Option<u64>,
    /// Of the number of the goroutine that made it.
    parent: Option<u64>,
}

/// All goroutines, by the tables of the program. `threads` are its threads with their stacks, to which is added what stands on the
/// stacks of the goroutines that they run.
pub(super) fn read(
    module: &Module,
    stacks: &Stacks,
    threads: &mut [(&Thread, Stack)],
    memory: &dyn Memory,
) -> Go {
    let go = listed(module, stacks, threads, memory);
    for goroutine in &go.goroutines {
        let thread = threads
            .iter_mut()
            .find(|(t, _)| Some(t.id) == goroutine.thread);
        let rest = goroutine.stack.and_then(|number| go.stacks.get(number));
        if let (Some((_, stack)), Some(rest)) = (thread, rest)
            && is_cut(stack)
        {
            stack.frames.extend(rest.frames.iter().cloned());
            stack.end = rest.end;
        }
    }
    go
}

/// Whether the rest of a thread's stack is that of a goroutine.
fn is_cut(stack: &Stack) -> bool {
    let last = stack.frames.last().and_then(|frame| frame.language.last());
    last.is_some_and(|last| is_switch(&last.function))
}

fn listed(
    module: &Module,
    stacks: &Stacks,
    threads: &[(&Thread, Stack)],
    memory: &dyn Memory,
) -> Go {
    let listed = stacks
        .variable("runtime.allgs")
        .and_then(|at| list(at, memory));
    let listed = listed.or_else(|| find_list(module.data, memory));
    let Some((first, count)) = listed else {
        return Go {
            notes: vec![NO_LIST.to_owned()],
            ..Go::default()
        };
    };
    let Some(layout) = layout(first, memory) else {
        return Go {
            notes: vec![NO_LIST.to_owned()],
            ..Go::default()
        };
    };
    let reasons = Reasons::find(stacks, module, memory);
    let mut reader = Reader {
        module,
        stacks,
        threads: Threads::new(threads, memory),
        memory,
        layout: layout.with(module.version),
        reasons,
        known: HashMap::new(),
        frames: 0,
        go: Go::default(),
    };
    for number in 0..count.min(MOST) {
        let Some(at) = memory.read_u64(first.wrapping_add(8 * number)) else {
            break;
        };
        reader.add(at);
    }
    reader.finish(count)
}

const NO_LIST: &str = "the goroutines are not in the dump, or this version of Go keeps them in a way that is not known";

/// The address of the first pointer of a list of goroutines, and their number; `None` if there is no list at `at`.
fn list(at: u64, memory: &dyn Memory) -> Option<(u64, u64)> {
    let word = |number: u64| memory.read_u64(at.wrapping_add(8 * number));
    let [first, count, room] = [word(0)?, word(1)?, word(2)?];
    let is_list = count > 0 && count <= room && room < 1 << 32 && first % 8 == 0;
    (is_list && layout(first, memory).is_some()).then_some((first, count))
}

/// The list of a program without symbols, by what it looks like: it begins with the goroutine of `main`, whose number is 1.
fn find_list(data: Range, memory: &dyn Memory) -> Option<(u64, u64)> {
    let word = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
    let looks_like = |words: &[[u8; 8]]| {
        let [first, count, room] = [0, 1, 2].map(|number| word(&words[number]));
        let is_heap = first >= 0x1_0000 && first % 8 == 0;
        is_heap && (2..=room).contains(&count) && room < 1 << 32 && layout(first, memory).is_some()
    };
    let at = search_in(data, memory, |bytes| {
        let words = bytes.as_chunks::<8>().0;
        words.windows(3).position(looks_like).map(|at| 8 * at)
    })?;
    list(at, memory)
}

/// Where the values are, by the first goroutine, whose number is 1; `None` if this is none.
fn layout(first: u64, memory: &dyn Memory) -> Option<Layout> {
    let main = memory.read_u64(first)?;
    let [low, high] = stack_of(main, memory)?;
    let sp = memory.read_u64(main.wrapping_add(SCHED))?;
    let is_goroutine =
        low < high && high - low <= 1 << 30 && (sp == 0 || (low..=high).contains(&sp));
    let is_it = |at: &u64| {
        let status = memory.read_u32(main.wrapping_add(at - STATUS));
        let id = memory.read_u64(main.wrapping_add(*at));
        id == Some(MAIN) && status.and_then(state).is_some()
    };
    let id = IDS.into_iter().find(is_it).filter(|_| is_goroutine)?;
    Some(Layout {
        id,
        made_at: None,
        parent: None,
    })
}

impl Layout {
    /// With what depends on the version of Go, which was looked up in programs of each version (DWARF of `runtime.g`).
    fn with(self, version: Option<u32>) -> Self {
        let (made_at, parent) = match version {
            Some(19) => (Some(144), None),
            Some(21..=25) => (Some(128), Some(120)),
            Some(26..=27) => (Some(136), Some(128)),
            _ => (None, None),
        };
        let from_id = |at: Option<u64>| Some(self.id + at?);
        Self {
            id: self.id,
            made_at: from_id(made_at),
            parent: from_id(parent),
        }
    }
}

fn stack_of(goroutine: u64, memory: &dyn Memory) -> Option<[u64; 2]> {
    let word = |at: u64| memory.read_u64(goroutine.wrapping_add(STACK + at));
    Some([word(0)?, word(8)?])
}

/// A status in words; `None` if it is none. Those of goroutines that ended are "dead".
fn state(status: u32) -> Option<&'static str> {
    const SCANNED: u32 = 0x1000;
    Some(match status & !SCANNED {
        0 => "idle",
        1 => "runnable",
        2 => "running",
        3 => "syscall",
        4 => "waiting",
        6 | 11 => "dead",
        8 => "stack is moved",
        9 => "preempted",
        10 => "leaked",
        _ => return None,
    })
}

/// The threads of a process.
struct Threads<'a> {
    threads: &'a [(&'a Thread, Stack)],
    /// The stack pointers of all frames, ascending, and of which thread each is.
    pointers: Vec<(u64, usize)>,
    /// The numbers of threads by the addresses of what the runtime knows of each (`m`).
    machines: HashMap<u64, u32>,
}

impl<'a> Threads<'a> {
    fn new(threads: &'a [(&'a Thread, Stack)], memory: &dyn Memory) -> Self {
        let numbered = threads.iter().enumerate();
        let pointers = numbered.flat_map(|(number, (_, stack))| {
            stack.frames.iter().map(move |frame| (frame.sp, number))
        });
        let mut pointers: Vec<(u64, usize)> = pointers.collect();
        pointers.sort_unstable();
        let machines = threads
            .iter()
            .filter_map(|(thread, _)| machine(thread, memory));
        Self {
            threads,
            pointers,
            machines: machines.collect(),
        }
    }

    /// The thread with frames on the stack within these bounds, and these frames.
    fn on(&self, [low, high]: [u64; 2]) -> Option<(u32, Stack)> {
        let first = self.pointers.partition_point(|(sp, _)| *sp < low);
        let (_, number) = self.pointers.get(first).filter(|(sp, _)| *sp < high)?;
        let (thread, stack) = self.threads.get(*number)?;
        let mut own = stack.clone();
        own.frames.retain(|frame| (low..=high).contains(&frame.sp));
        Some((thread.id, own))
    }
}

/// The address of what the runtime knows of a thread, and its number: on x86-64 the word before the thread pointer has the goroutine that
/// runs (`runtime/asm_amd64.s`).
fn machine(thread: &Thread, memory: &dyn Memory) -> Option<(u64, u32)> {
    let Some(Registers::X86_64(registers)) = &thread.registers else {
        return None;
    };
    let goroutine = memory.read_u64(registers.fs_base.wrapping_sub(8))?;
    let machine = memory.read_u64(goroutine.wrapping_add(MACHINE))?;
    Some((machine, thread.id))
}

/// The texts of reasons to wait (`runtime.waitReasonStrings`).
struct Reasons(Option<u64>);

impl Reasons {
    /// By its symbol, or by its second and third text, which have been the same since Go 1.11.
    fn find(stacks: &Stacks, module: &Module, memory: &dyn Memory) -> Self {
        const TEXTS: [&[u8]; 2] = [b"GC assist marking", b"IO wait"];
        let is_it = |words: &[[u8; 8]]| {
            let pairs = words[2..].as_chunks::<2>().0.iter();
            let pairs = pairs.map(|pair| pair.map(u64::from_le_bytes));
            pairs.zip(TEXTS).all(|([at, length], text)| {
                let is_long = length == text.len() as u64;
                is_long && memory.read_c_string(at, text.len()).as_deref() == Some(text)
            })
        };
        let by_looks = || {
            search_in(module.data, memory, |bytes| {
                let words = bytes.as_chunks::<8>().0;
                words.windows(6).position(is_it).map(|at| 8 * at)
            })
        };
        Self(
            stacks
                .variable("runtime.waitReasonStrings")
                .or_else(by_looks),
        )
    }

    fn text(&self, number: u8, memory: &dyn Memory) -> Option<String> {
        let at = self.0?.wrapping_add(16 * u64::from(number));
        let [text, length] = [memory.read_u64(at)?, memory.read_u64(at.wrapping_add(8))?];
        let is_text = length > 0 && length <= LONGEST_REASON;
        let mut bytes = vec![0; if is_text { length as usize } else { 0 }];
        let is_read = is_text && memory.read_all(text, &mut bytes);
        is_read.then(|| String::from_utf8_lossy(&bytes).into_owned())
    }
}

struct Reader<'a, 's> {
    module: &'a Module,
    stacks: &'a Stacks<'s>,
    threads: Threads<'a>,
    memory: &'a dyn Memory,
    layout: Layout,
    reasons: Reasons,
    /// The numbers of stacks by their instruction pointers.
    known: HashMap<Vec<u64>, usize>,
    frames: usize,
    go: Go,
}

impl Reader<'_, '_> {
    fn word(&self, goroutine: u64, at: u64) -> Option<u64> {
        self.memory.read_u64(goroutine.wrapping_add(at))
    }

    fn add(&mut self, at: u64) {
        let Some(goroutine) = self.goroutine(at) else {
            return;
        };
        self.go.goroutines.push(goroutine);
    }

    /// The goroutine at an address; `None` if it ended, or cannot be read.
    fn goroutine(&mut self, at: u64) -> Option<Goroutine> {
        let id_at = self.layout.id;
        let status = self.memory.read_u32(at.wrapping_add(id_at - STATUS))?;
        let state = state(status).filter(|state| !matches!(*state, "dead" | "idle"))?;
        let is_waiting = state == "waiting";
        let reason = self.memory.read_u32(at.wrapping_add(id_at + REASON))? as u8;
        let reason = is_waiting.then(|| self.reasons.text(reason, self.memory));
        let since = self.word(at, id_at + WAITS_SINCE);
        let (thread, stack) = self.stack(at, state);
        let id = self.word(at, id_at)?;
        let creator = self.creator(at).filter(|_| id != MAIN);
        let is_of_runtime = self.is_of_runtime(creator.as_ref(), stack);
        Some(Goroutine {
            id,
            state,
            reason: reason.flatten(),
            since: since.filter(|since| is_waiting && *since != 0),
            thread,
            stack,
            creator,
            is_of_runtime,
        })
    }

    /// The thread that runs it, and the number of its stack.
    fn stack(&mut self, at: u64, state: &str) -> (Option<u32>, Option<usize>) {
        let is_on = matches!(state, "running" | "syscall");
        let bounds = stack_of(at, self.memory).filter(|_| is_on);
        if let Some((thread, own)) = bounds.and_then(|bounds| self.threads.on(bounds)) {
            return (Some(thread), self.kept(own));
        }
        let machine = self.word(at, MACHINE).filter(|_| is_on);
        let thread = machine.and_then(|machine| self.threads.machines.get(&machine).copied());
        (thread, self.walked(at))
    }

    /// The number of the stack of one that runs on no thread, or whose thread is on a stack of its own now.
    fn walked(&mut self, at: u64) -> Option<usize> {
        if self.frames >= MOST_FRAMES || self.known.len() >= MOST_STACKS {
            return None;
        }
        let [sp, ip] = [0, 8].map(|word| self.word(at, SCHED + word));
        let stack = self.stacks.of_goroutine(ip?, sp?);
        self.kept(stack)
    }

    fn kept(&mut self, stack: Stack) -> Option<usize> {
        if stack.frames.is_empty() {
            return None;
        }
        self.frames += stack.frames.len();
        let ips = stack.frames.iter().map(|frame| frame.ip).collect();
        let next = self.go.stacks.len();
        let number = *self.known.entry(ips).or_insert(next);
        if number == next {
            self.go.stacks.push(stack);
        }
        Some(number)
    }

    fn creator(&self, at: u64) -> Option<Creator> {
        let made_at = self.word(at, self.layout.made_at?).filter(|at| *at != 0)?;
        // It is the address behind a call.
        let place = self.module.place(made_at.wrapping_sub(1), self.memory)?;
        let spot = place.frames().pop()?;
        let parent = self.layout.parent.and_then(|parent| self.word(at, parent));
        Some(Creator {
            function: spot.function,
            file: spot.file,
            line: spot.line,
            goroutine: parent.filter(|parent| *parent != 0),
        })
    }

    /// As Go's tracebacks decide it: what the runtime began, other than `main` and finalizers.
    fn is_of_runtime(&self, creator: Option<&Creator>, stack: Option<usize>) -> bool {
        let stack = stack.and_then(|number| self.go.stacks.get(number));
        let mut frames = stack.iter().flat_map(|stack| stack.frames.iter().rev());
        let first = frames.find_map(|frame| {
            let name = &frame.language.last()?.function;
            (name != "runtime.goexit").then_some(name)
        });
        let is_runtime = |name: &str| name.starts_with("runtime.");
        let by_creator = creator.is_none_or(|creator| is_runtime(&creator.function));
        by_creator && first.is_some_and(|name| is_runtime(name) && name != "runtime.main")
    }

    fn finish(mut self, count: u64) -> Go {
        if count > MOST {
            let left = count - MOST;
            self.go
                .notes
                .push(format!("{left} more goroutines were not read"));
        }
        let stack = |goroutine: &Goroutine| self.go.stacks.get(goroutine.stack?);
        let is_lacking = |goroutine: &&Goroutine| {
            stack(goroutine).is_none_or(|stack| matches!(stack.end, End::NoMemory(_)))
        };
        match self.go.goroutines.iter().filter(is_lacking).count() {
            0 => {}
            count => self.go.notes.push(format!(
                "the stacks of {count} goroutines are not in the dump, or not wholly"
            )),
        }
        self.go
    }
}
