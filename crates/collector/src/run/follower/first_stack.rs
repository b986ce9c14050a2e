//! Where each exception came from first: its stack, copied while the thread stands and walked while
//! it runs on.

use super::{FollowerEvent, Teller, stacks};
use crate::collect::LocalFiles;
use platform::{ARCHITECTURE, ImageFiles, OS, lock};
use snapshot::{Memory, Module, Registers, Snapshot, System, Thread};
use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

/// So much of a stack is copied from its top: some hundred frames.
const COPIED: usize = 64 << 10;
/// Names of exceptions whose first stack is kept.
const NAMES: usize = 100;

/// Held by who walks a stack. The symbols of its images take megabytes meanwhile, and hundreds of processes may throw or die
/// at once.
static WALKING: Mutex<()> = Mutex::new(());

/// The names that have come, and stacks that are being walked.
#[derive(Default)]
pub(super) struct FirstStacks {
    seen: HashSet<String>,
    walks: Vec<JoinHandle<()>>,
}

/// A thread that stands at an exception.
pub(super) struct Thrower<'a> {
    pub(super) thread: u32,
    pub(super) registers: Registers,
    pub(super) memory: Arc<dyn Memory>,
    pub(super) modules: &'a [Module],
    pub(super) files: Option<ImageFiles>,
}

impl FirstStacks {
    /// Whether the stack of an exception of this name has still to be told.
    pub(super) fn wants(&self, name: &str) -> bool {
        self.seen.len() < NAMES && !self.seen.contains(name)
    }

    /// Tells the stack of a thread at the first exception of a name.
    pub(super) fn met(&mut self, name: &str, thrower: Thrower<'_>, tell: &Teller) {
        if self.seen.len() >= NAMES || !self.seen.insert(name.to_owned()) {
            return;
        }
        let (name, tell) = (name.to_owned(), tell.clone());
        let memory = Copied::of(thrower.registers.sp(), thrower.memory);
        let snapshot = Snapshot {
            system: System {
                os: OS,
                architecture: ARCHITECTURE,
                ..System::default()
            },
            modules: thrower.modules.to_vec(),
            threads: vec![Thread {
                id: thrower.thread,
                registers: Some(thrower.registers),
                ..Thread::default()
            }],
            ..Snapshot::default()
        };
        // Mappings that were read outlive the process.
        let files = LocalFiles {
            images: thrower.files,
            user: None,
        };
        self.walks.push(std::thread::spawn(move || {
            let _alone = lock(&WALKING);
            let lines = stacks::frames(&snapshot, &memory, &files);
            tell.tell(FollowerEvent::FirstStack {
                name,
                frames: lines,
            });
        }));
    }

    /// Waits for stacks that are still being walked.
    pub(super) fn finish(&mut self) {
        for walk in self.walks.drain(..) {
            // One that panicked has no stack to tell.
            let _ = walk.join();
        }
    }
}

/// Memory of a process, the top of a stack as it was.
struct Copied {
    start: u64,
    stack: Vec<u8>,
    rest: Arc<dyn Memory>,
}

impl Copied {
    fn of(start: u64, rest: Arc<dyn Memory>) -> Self {
        let mut stack = vec![0; COPIED];
        let got = rest.read(start, &mut stack);
        stack.truncate(got);
        Self { start, stack, rest }
    }
}

impl Memory for Copied {
    fn read(&self, address: u64, buf: &mut [u8]) -> usize {
        let skip = address.checked_sub(self.start).map(|skip| skip as usize);
        match skip.and_then(|skip| self.stack.get(skip..)) {
            Some(copy) if !copy.is_empty() => {
                let count = copy.len().min(buf.len());
                buf[..count].copy_from_slice(&copy[..count]);
                count
            }
            _ => self.rest.read(address, buf),
        }
    }
}
