//! A process that has crashed: the system holds it until its dumps are taken.

use super::{Collected, Request, collect_attached};
use analysis::{Stacks, cause, thrown};
use formats::{CoreNotes, image};
use platform::{
    ARCHITECTURE, Adopted, CaptureOptions, CrashNotice, Crashed, Error, ErrorKind, Host,
    ImageFiles, JustInTime, OS, Result, Target,
};
use policy::Trigger;
use snapshot::{Exception, Memory, Module, NoMemory, OperatingSystem, ProcessKey, Snapshot, auxv};
use std::panic::{AssertUnwindSafe, catch_unwind};

const SIGABRT: u32 = 6;

/// A crashed process that can be dumped.
pub struct Crash {
    target: Box<dyn Target>,
    /// The exception that nobody handled: the process ends because of it.
    pub exception: Exception,
    /// Crash signature ([`cause::signature`]).
    pub signature: String,
    /// The build-id of the program in hexadecimal digits; empty if it has none.
    pub build: String,
}

impl Crash {
    /// Takes over the crashed process from the kernel. `notes` are those in the head of its core.
    ///
    /// # Errors
    /// If the notes have no registers of any thread, or if the process is gone or is another one by
    /// now.
    pub fn adopt(host: &dyn Host, crashed: &Crashed, notes: CoreNotes) -> Result<Self> {
        let CoreNotes {
            threads,
            exception,
            auxv,
            word,
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
        expect_same(&mut *adopted.target, &auxv, word)?;
        Self::at_its_crash(adopted)
    }

    /// Takes over the crashed process for which Windows has called us as its just-in-time debugger.
    ///
    /// # Errors
    /// If the process may not be opened, or is gone.
    pub fn told(host: &dyn Host, call: &JustInTime) -> Result<Self> {
        Self::at_its_crash(host.adopt(CrashNotice::JustInTime(call))?)
    }

    fn at_its_crash(adopted: Adopted) -> Result<Self> {
        // The system calls a crash handler only for what no handler of the program took.
        let exception = Exception {
            first_chance: false,
            ..named(&adopted)
        };
        let mut target = adopted.target;
        let (signature, build) = signature(&mut *target, &exception)?;
        Ok(Self {
            target,
            exception,
            signature,
            build,
        })
    }

    /// The process that crashed.
    pub fn key(&self) -> ProcessKey {
        self.target.key()
    }

    /// Takes the dumps of `request`, with the crash as their trigger and with its signature. Calls `copied` when nothing is wanted
    /// of the process any more, and the files are finished.
    pub fn collect(&mut self, request: &Request, copied: &mut dyn FnMut()) -> Collected {
        let request = Request {
            trigger: Trigger::Exception(self.exception.clone()),
            signature: Some(self.signature.clone()),
            ..request.clone()
        };
        let taken = catch_unwind(AssertUnwindSafe(|| {
            let unfinished = collect_attached(&mut *self.target, &request, false, &mut |_| {});
            if unfinished.is_whole() {
                copied();
            }
            unfinished.finish(&mut |_| {})
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

/// Fails if the kernel's core is of another process, whose pid the target has got meanwhile. The
/// auxiliary vector tells them apart: it has addresses that differ from process to process. A process may put anything
/// into it (`PR_SET_MM_MAP` in prctl(2)), so that the size of its words is what the kernel's core says.
fn expect_same(target: &mut dyn Target, auxv: &[(u64, u64)], word: u64) -> Result<()> {
    let process = target.facts()?.process;
    let own = process.file("auxv");
    if own.is_some_and(|bytes| auxv::entries(bytes, word) == auxv) {
        return Ok(());
    }
    let what = format!("process {} is another one by now", target.key());
    Err(Error::new(ErrorKind::TargetDied, what))
}

/// The exception with its printed name. abort(3) is called for a C++ exception that nobody caught:
/// then that exception gives the name and the message.
fn named(adopted: &Adopted) -> Exception {
    let (target, mut fault) = (&adopted.target, adopted.exception.clone());
    if OS == OperatingSystem::Windows {
        let memory = target.memory();
        analysis::name_exception(&mut fault, OS, ARCHITECTURE, &*memory);
        return fault;
    }
    fault.name = analysis::exception_name(&fault, OS, ARCHITECTURE, &NoMemory);
    let registers = adopted.registers.filter(|_| fault.code == SIGABRT);
    let memory = target.memory();
    let thrown = registers.and_then(|registers| thrown::uncaught(&fault, &registers, &*memory));
    match thrown {
        Some(thrown) => Exception {
            name: thrown.name,
            bases: thrown.bases,
            message: thrown.message,
            signal: fault.name,
            ..fault
        },
        None => fault,
    }
}

/// The build-id of the program in hexadecimal digits; empty if it has none.
fn build(snapshot: &Snapshot, memory: &dyn Memory) -> String {
    let exe = &snapshot.process.exe;
    let program = snapshot.modules.iter().find(|module| module.path == *exe);
    let identity = program.and_then(|program| image::in_memory(memory, program.range.start));
    let id = identity
        .map(|identity| identity.build_id)
        .unwrap_or_default();
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The crash signature, and the build-id of the program.
fn signature(target: &mut dyn Target, fault: &Exception) -> Result<(String, String)> {
    let files = ImageFiles::of(target.key());
    let mut capture = target.capture(&CaptureOptions::default())?;
    let memory = capture.memory();
    let snapshot = std::mem::take(&mut capture.snapshot);
    let image = |module: &Module| files.as_ref()?.open(module);
    let stacks = Stacks::new(&snapshot, &*memory, &image);
    let thread = snapshot.threads.iter().find(|t| t.id == fault.thread);
    let frames = thread.map(|t| stacks.of(t).frames).unwrap_or_default();
    let signature = cause::signature(fault, OS, &frames);
    Ok((signature, build(&snapshot, &*memory)))
}
