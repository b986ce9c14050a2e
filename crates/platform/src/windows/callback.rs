//! Asks the callback routine of a user's DLL, as MiniDumpWriteDump does for a dump without full memory (Microsoft's
//! `MINIDUMP_CALLBACK_TYPE`, `MINIDUMP_CALLBACK_INPUT` and `MINIDUMP_CALLBACK_OUTPUT`).
//!
//! What belongs to other dumps is not asked: regions of full memory, snapshots as targets, and kernel dumps. Nor is the
//! routine asked to write the file, which is our own.

mod input;

use super::{
    process::Process,
    sys::{export_of, raw, wide},
    threads,
};
use crate::{Error, ErrorKind, Result};
use input::{Input, Output};
use snapshot::{
    ProcessKey, Range,
    choice::{Choice, Offer, OfferedModule, OfferedThread, WHOLE_THREAD},
};
use std::path::Path;
use windows_sys::Win32::System::{
    Diagnostics::Debug::{
        CancelCallback, IncludeModuleCallback, IncludeThreadCallback, MINIDUMP_CALLBACK_TYPE,
        MemoryCallback, ModuleCallback, RemoveMemoryCallback, ThreadCallback,
    },
    Threading::{PROCESS_QUERY_INFORMATION, PROCESS_VM_READ},
};

/// How many ranges of memory are asked for at most: a routine that never ends would hold the process for ever.
const MOST_RANGES: usize = 1 << 20;

/// The type of the routine: `MINIDUMP_CALLBACK_ROUTINE`.
type Callback = unsafe extern "system" fn(*mut core::ffi::c_void, *const Input, *mut Output) -> i32;

/// The routine of a DLL, which stays loaded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Routine(Callback);

/// Loads the DLL and finds its routine. The libraries that it needs are looked for beside it and in System32.
///
/// # Errors
/// If it cannot be loaded, or has no such routine.
pub(crate) fn load(path: &Path) -> Result<Routine> {
    let shown = path.display();
    let failed = |what: String| Error::new(ErrorKind::Other, what);
    let full = std::path::absolute(path).map_err(|e| failed(format!("{shown}: {e}")))?;
    // SAFETY: the type is that of the documented routine.
    let routine = unsafe { export_of(&full, c"MiniDumpCallbackRoutine") };
    match routine {
        Ok(Some(routine)) => Ok(Routine(routine)),
        Ok(None) => Err(failed(format!(
            "{shown} does not export MiniDumpCallbackRoutine"
        ))),
        Err(error) => Err(failed(format!("{shown} cannot be loaded: {error}"))),
    }
}

impl Routine {
    /// Asks the routine about all of `offer`.
    pub(crate) fn choose(&self, key: ProcessKey, offer: &Offer) -> Result<Choice> {
        let process = Process::open(key, PROCESS_QUERY_INFORMATION | PROCESS_VM_READ)?;
        let mut asker = Asker {
            routine: self.0,
            process: &process,
            may_cancel: true,
        };
        asker.choose(offer)
    }
}

/// Asks the routine about one process.
struct Asker<'p> {
    routine: Callback,
    process: &'p Process,
    /// Whether the routine wants to be asked whether the dump is cancelled.
    may_cancel: bool,
}

impl Asker<'_> {
    fn choose(&mut self, offer: &Offer) -> Result<Choice> {
        let mut choice = Choice::default();
        self.expect_not_cancelled()?;
        for thread in &offer.threads {
            let input = self.about(IncludeThreadCallback).thread_id(thread.id);
            let flags = self.flags(&input, WHOLE_THREAD)?;
            choice.threads.extend(flags.map(|flags| (thread.id, flags)));
        }
        for module in &offer.modules {
            let input = self.about(IncludeModuleCallback).base(module.range.start);
            let flags = self.flags(&input, module.flags)?;
            let base = module.range.start;
            choice.modules.extend(flags.map(|flags| (base, flags)));
        }
        for thread in &offer.threads {
            self.judge_thread(thread, &mut choice)?;
        }
        for module in &offer.modules {
            self.judge_module(module, &mut choice)?;
        }
        choice.added = self.ranges(MemoryCallback)?;
        choice.removed = self.ranges(RemoveMemoryCallback)?;
        Ok(choice)
    }

    fn judge_thread(&mut self, thread: &OfferedThread, choice: &mut Choice) -> Result<()> {
        let Some(flags) = choice.threads.remove(&thread.id) else {
            return Ok(());
        };
        let handle = threads::open(thread.id).ok();
        let handle = handle
            .as_ref()
            .map_or(0, |handle| raw(handle).expose_provenance());
        let input = self.about(ThreadCallback).thread(thread, handle);
        let flags = self.flags(&input, flags)?;
        choice.threads.extend(flags.map(|flags| (thread.id, flags)));
        Ok(())
    }

    fn judge_module(&mut self, module: &OfferedModule, choice: &mut Choice) -> Result<()> {
        let base = module.range.start;
        let Some(flags) = choice.modules.remove(&base) else {
            return Ok(());
        };
        let path = wide(&module.path);
        let input = self.about(ModuleCallback).module(module, &path);
        let flags = self.flags(&input, flags)?;
        choice.modules.extend(flags.map(|flags| (base, flags)));
        Ok(())
    }

    /// Asks for ranges of memory until there are no more.
    fn ranges(&mut self, kind: MINIDUMP_CALLBACK_TYPE) -> Result<Vec<Range>> {
        let mut ranges = Vec::new();
        while ranges.len() < MOST_RANGES {
            let mut output = Output::with_flags(0);
            let answered = self.ask(&self.about(kind), &mut output);
            let range = output.memory();
            if !answered || range.is_empty() {
                break;
            }
            ranges.push(range);
            self.expect_not_cancelled()?;
        }
        Ok(ranges)
    }

    /// The flags that the routine leaves of these; `None` if it leaves the subject out.
    fn flags(&mut self, input: &Input, usual: u32) -> Result<Option<u32>> {
        let mut output = Output::with_flags(usual);
        let answered = self.ask(input, &mut output);
        self.expect_not_cancelled()?;
        Ok(answered.then(|| output.flags()))
    }

    fn expect_not_cancelled(&mut self) -> Result<()> {
        if !self.may_cancel {
            return Ok(());
        }
        let mut output = Output::with_flags(0);
        let answered = self.ask(&self.about(CancelCallback), &mut output);
        let (again, is_cancelled) = output.cancel();
        self.may_cancel = answered && again;
        match answered && is_cancelled {
            true => Err(Error::new(
                ErrorKind::Cancelled,
                "the callback routine cancelled the dump",
            )),
            false => Ok(()),
        }
    }

    fn about(&self, kind: MINIDUMP_CALLBACK_TYPE) -> Input {
        let handle = self.process.raw().expose_provenance();
        Input::new(self.process.key.pid, handle, kind)
    }

    /// Calls the routine. Returns whether it returned TRUE.
    fn ask(&self, input: &Input, output: &mut Output) -> bool {
        // SAFETY: the DLL stays loaded; the question is laid out as the header says, and what it points to lives until the
        // call returns; the answer has room for all of the structure. That the routine does no harm is up to whoever names
        // the DLL.
        unsafe { (self.routine)(std::ptr::null_mut(), input, output) != 0 }
    }
}
