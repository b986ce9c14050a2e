//! A crash: the process that the kernel holds while it dies, and the head of the kernel's core.

use super::{Collected, Request, collect_attached};
use analysis::{Files, Stacks, thrown};
use formats::{CoreNotes, Extent, FIRST_LOOK, NoteReader};
use platform::{
    ARCHITECTURE, Adopted, CaptureOptions, CrashNotice, Crashed, Error, ErrorKind, Host,
    ImageFiles, JustInTime, OS, RegisterStore, Result, Target, xsave_layout,
};
use snapshot::auxv::{AT_EGID, AT_EUID, AT_GID, AT_SECURE, AT_UID};
use snapshot::{Exception, Module, NoMemory, OperatingSystem, ProcessKey, SparseBytes};
use std::{
    io::{self, Read},
    panic::{AssertUnwindSafe, catch_unwind},
};

/// What is taken of a head at most: the notes of ten thousand threads fit.
const LARGEST_HEAD: u64 = 192 << 20;
/// So many of the innermost frames tell one cause from another.
const FRAMES: usize = 5;
const SIGABRT: u32 = 6;

/// What comes before the memory in the kernel's core.
#[derive(Clone, Debug, Default)]
pub struct CoreHead {
    /// The bytes as they came, in pieces of [`PIECE`]. Most of them are the registers of threads, of
    /// which there may be more than memory.
    bytes: Vec<SparseBytes>,
    /// Where the whole core would end, where that is known.
    pub end: Option<u64>,
    notes: CoreNotes,
}

/// What is read at once.
const PIECE: usize = 64 << 10;

impl CoreHead {
    /// Reads it from the kernel's stream; what was read stays in `taken` when it is no core.
    pub fn read(stream: &mut dyn Read, taken: &mut Vec<u8>) -> Result<Self> {
        let failed = |e: io::Error| {
            Error::new(
                ErrorKind::Other,
                format!("reading the kernel's core failed: {e}"),
            )
        };
        let no_core = || Error::new(ErrorKind::Other, "what came on standard input is no core");
        fill(stream, taken, FIRST_LOOK as u64).map_err(failed)?;
        let extent = formats::extent(taken).ok_or_else(no_core)?;
        let mut store = RegisterStore::default();
        let keep = Box::new(move |bytes: &[u8]| store.keep(bytes));
        let notes = NoteReader::new(taken, xsave_layout().clone(), keep).ok_or_else(no_core)?;
        if extent.head > LARGEST_HEAD || extent.notes > extent.head {
            return Err(no_core());
        }
        fill(stream, taken, extent.notes).map_err(failed)?;
        let mut head = Self::of_bytes(&std::mem::take(taken));
        head.end = extent_of(&head).and_then(|Extent { end, .. }| end);
        head.read_notes(stream, extent.head - extent.notes, notes)
            .map_err(failed)?;
        Ok(head)
    }

    /// What the notes tell, which nobody else needs then.
    pub fn take_notes(&mut self) -> CoreNotes {
        std::mem::take(&mut self.notes)
    }

    /// What came of a core that was cut short.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.chunks(PIECE).map(SparseBytes::new).collect(),
            ..Self::default()
        }
    }

    fn read_notes(
        &mut self,
        stream: &mut dyn Read,
        size: u64,
        mut notes: NoteReader,
    ) -> io::Result<()> {
        let mut left = size;
        let mut piece = Vec::with_capacity(PIECE);
        let mut store = RegisterStore::default();
        while left > 0 {
            piece.clear();
            fill(stream, &mut piece, left.min(PIECE as u64))?;
            if piece.is_empty() {
                break;
            }
            left -= piece.len() as u64;
            notes.feed(&piece);
            self.bytes.push(store.keep(&piece));
        }
        self.notes = notes.done();
        Ok(())
    }

    /// The bytes as they came, piece by piece.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = Vec<u8>> {
        self.bytes.iter().map(SparseBytes::to_vec)
    }
}

/// The end shows once all headers are there.
fn extent_of(head: &CoreHead) -> Option<Extent> {
    formats::extent(&head.pieces().flatten().collect::<Vec<u8>>())
}

impl CoreHead {
    /// The user and the group for whom the program was started, when it got no other rights than
    /// theirs by that. The kernel wrote this note for the process that crashed: no other process
    /// that has its pid by now can stand in for it.
    pub fn started_for(&self) -> Option<(u32, u32)> {
        let auxv = &self.notes.auxv;
        let value = |entry| snapshot::auxv::value(auxv, entry);
        let (uid, gid) = (value(AT_UID)?, value(AT_GID)?);
        let is_plain = value(AT_SECURE)? == 0 && value(AT_EUID)? == uid && value(AT_EGID)? == gid;
        let ids = Some((u32::try_from(uid).ok()?, u32::try_from(gid).ok()?));
        ids.filter(|_| is_plain)
    }
}

/// Reads until there are `wanted` bytes, or no more come.
fn fill(stream: &mut dyn Read, taken: &mut Vec<u8>, wanted: u64) -> io::Result<()> {
    let missing = wanted.saturating_sub(taken.len() as u64);
    stream.take(missing).read_to_end(taken)?;
    Ok(())
}

/// A crashed process, ready for its dump.
pub struct Crash {
    target: Box<dyn Target>,
    /// What it dies of.
    pub exception: Exception,
    /// What crashes for the same cause have in common: the signal and the innermost frames, each
    /// as module and offset.
    pub signature: String,
}

impl Crash {
    /// Adopts it with the threads that the head tells of.
    pub fn adopt(host: &dyn Host, crashed: &Crashed, notes: CoreNotes) -> Result<Self> {
        let CoreNotes {
            threads,
            exception,
            auxv,
        } = notes;
        if threads.iter().all(|thread| thread.registers.is_none()) {
            let what = "the kernel's core tells of no thread";
            return Err(Error::new(ErrorKind::Other, what));
        }
        let notice = CrashNotice::Core {
            crashed,
            threads,
            fault: exception,
        };
        let mut adopted = host.adopt(notice)?;
        expect_same(&mut *adopted.target, &auxv)?;
        Self::at_its_crash(adopted)
    }

    /// Takes hold of one of which the system tells its just-in-time debugger.
    pub fn told(host: &dyn Host, call: &JustInTime) -> Result<Self> {
        Self::at_its_crash(host.adopt(CrashNotice::JustInTime(call))?)
    }

    fn at_its_crash(adopted: Adopted) -> Result<Self> {
        let exception = named(&adopted);
        let mut target = adopted.target;
        let signature = signature(&mut *target, &exception)?;
        Ok(Self {
            target,
            exception,
            signature,
        })
    }

    /// Who crashed.
    pub fn key(&self) -> ProcessKey {
        self.target.key()
    }

    /// Takes the dumps of `request`, whose reason, exception, thread and signature are the crash's.
    pub fn collect(&mut self, request: &Request) -> Collected {
        let request = Request {
            reason: policy::Trigger::Exception(self.exception.clone()).to_string(),
            exception: Some(self.exception.clone()),
            thread: Some(self.exception.thread),
            signature: Some(self.signature.clone()),
            ..request.clone()
        };
        let taken = catch_unwind(AssertUnwindSafe(|| {
            collect_attached(&mut *self.target, &request, false, &mut |_| {})
        }));
        taken.unwrap_or_else(|_| Collected {
            dumps: Vec::new(),
            error: Some(Error::new(
                ErrorKind::Other,
                "taking the dump failed within firstchance itself",
            )),
        })
    }
}

/// Refuses a process that the kernel's core is not of: its pid came again. The auxiliary vector holds
/// addresses that differ from process to process.
fn expect_same(target: &mut dyn Target, told: &[(u64, u64)]) -> Result<()> {
    if target.facts()?.process.auxv == told {
        return Ok(());
    }
    let what = format!("process {} is another one by now", target.key());
    Err(Error::new(ErrorKind::TargetDied, what))
}

/// The fault under its printed name: that of the exception which nobody caught, where there is one.
fn named(adopted: &Adopted) -> Exception {
    let (target, mut fault) = (&adopted.target, adopted.exception.clone());
    if OS == OperatingSystem::Windows {
        let memory = target.memory();
        analysis::name_exception(&mut fault, OS, ARCHITECTURE, &*memory);
        return fault;
    }
    fault.name = analysis::exception_name(&fault, OS, ARCHITECTURE, &NoMemory);
    let registers = adopted.registers.filter(|_| fault.code == SIGABRT);
    let thrown = registers.and_then(|registers| thrown::uncaught(&registers, &*target.memory()));
    match thrown {
        Some(thrown) => Exception {
            name: thrown.name,
            bases: thrown.bases,
            message: thrown.message,
            ..fault
        },
        None => fault,
    }
}

fn signature(target: &mut dyn Target, fault: &Exception) -> Result<String> {
    let files = ImageFiles::of(target.key());
    let mut capture = target.capture(&CaptureOptions::default())?;
    let memory = capture.memory();
    let snapshot = std::mem::take(&mut capture.snapshot);
    let image = |module: &Module| files.as_ref()?.open(module);
    let files = Files {
        image: &image,
        debug: &|_| None,
    };
    let stacks = Stacks::new(&snapshot, &*memory, files);
    let thread = snapshot.threads.iter().find(|t| t.id == fault.thread);
    let frames = thread.map(|t| stacks.of(t).frames).unwrap_or_default();
    let place = |frame: &analysis::Frame| match &frame.module {
        Some(module) => format!(" {module}+{:#x}", frame.offset),
        None => " ?".to_owned(),
    };
    let places: String = frames.iter().take(FRAMES).map(place).collect();
    Ok(match OS {
        OperatingSystem::Linux => format!("{}{places}", snapshot::signal_name(fault.code as i32)),
        OperatingSystem::Windows => format!("{:08X}{places}", fault.code),
    })
}
