//! A crash of which Windows tells us as the debugger that AeDebug names
//! (<https://learn.microsoft.com/windows/win32/debug/configuring-automatic-debugging>).
//!
//! The process waits in its own filter of unhandled exceptions until we end or signal an event.
//! `JIT_DEBUG_INFO` (winnt.h) tells the addresses of the exception and of the registers in it, so
//! that nothing has to be waited for. If there is none, as under Wine 8, we attach, signal the
//! event, and wait for the exception as a debugger.

use super::{
    context::{self, AlignedContext},
    fault::Fault,
    follow::WindowsFollow,
    memory::LiveMemory,
    process::Process,
    target::WindowsTarget,
    threads,
};
use crate::{Adopted, JustInTime, Result};
use snapshot::{Exception, Memory, Registers, SparseBytes};
use std::{mem::zeroed, sync::Arc, time::Duration};
use windows_sys::Win32::{
    Foundation::HANDLE,
    System::{
        Diagnostics::Debug::{
            CONTEXT_ALL_AMD64, CONTEXT_CONTROL_AMD64, WOW64_CONTEXT, WOW64_CONTEXT_CONTROL,
        },
        SystemInformation::{PROCESSOR_ARCHITECTURE_AMD64, PROCESSOR_ARCHITECTURE_INTEL},
        Threading::{PROCESS_QUERY_INFORMATION, PROCESS_VM_READ, SetEvent},
    },
};

/// How long the exception may take once the event is signalled.
const LIMIT: Duration = Duration::from_secs(10);
/// The size of `JIT_DEBUG_INFO` in bytes, also in 32-bit programs.
const INFORMATION: usize = 40;
/// How many parameters an exception can have (`EXCEPTION_MAXIMUM_PARAMETERS`).
const PARAMETERS: usize = 15;

/// Opens the process that crashed.
///
/// # Errors
/// If it is gone, or its exception cannot be found.
pub(crate) fn adopt(call: &JustInTime) -> Result<Adopted> {
    let process = Process::open_for(call.pid, PROCESS_QUERY_INFORMATION | PROCESS_VM_READ)?;
    let (key, narrow) = (process.key, process.is_narrow());
    let memory = LiveMemory::new(Arc::new(process));
    let threads = threads::ids(call.pid).unwrap_or_default();
    let told = told(&memory, call.information, narrow);
    match told.filter(|fault| threads.contains(&fault.exception.thread)) {
        Some(fault) => Ok(Adopted {
            exception: fault.exception.clone(),
            registers: Some(fault.registers),
            target: Box::new(WindowsTarget::crashed(key, fault)?),
        }),
        None => {
            let go = || signal(call.event);
            let (follow, exception, registers) = WindowsFollow::crashing(key, go, LIMIT)?;
            Ok(Adopted {
                target: Box::new(follow),
                exception,
                registers,
            })
        }
    }
}

/// Signals the event, which lets the process go on with its exception.
fn signal(event: u64) {
    let event: HANDLE = std::ptr::without_provenance_mut(event as usize);
    // SAFETY: the handle is the event that Windows gave us with our command line. If it is not
    // open, the call fails.
    unsafe { SetEvent(event) };
}

/// Reads the crash that `JIT_DEBUG_INFO` at address `at` describes: size, processor, thread, a
/// reserved word, then the addresses of the instruction, of the exception record and of the
/// registers. Returns `None` if no such structure is there.
fn told(memory: &dyn Memory, at: u64, narrow: bool) -> Option<Fault> {
    let word = |n: u64| memory.read_u32(at + 4 * n);
    let address = |n: u64| memory.read_u64(at + 8 * n);
    let processor = match narrow {
        false => PROCESSOR_ARCHITECTURE_AMD64,
        true => PROCESSOR_ARCHITECTURE_INTEL,
    };
    if word(0)? as usize != INFORMATION || word(1)? != u32::from(processor) {
        return None;
    }
    let (thread, record, context) = (word(2)?, address(3)?, address(4)?);
    let (registers, extended) = match narrow {
        false => wide_registers(memory, context)?,
        true => narrow_registers(memory, context)?,
    };
    Some(Fault {
        exception: exception(memory, record, thread, narrow)?,
        registers,
        extended,
    })
}

/// Reads an `EXCEPTION_RECORD`: code and flags, the next record, the address, the number of
/// parameters, and the parameters. Code, flags and number have 32 bits, the others the word size of
/// the process.
fn exception(memory: &dyn Memory, at: u64, thread: u32, narrow: bool) -> Option<Exception> {
    let size = if narrow { 4 } else { 8 };
    let word = |offset: u64| match narrow {
        true => memory.read_u32(at + offset).map(u64::from),
        false => memory.read_u64(at + offset),
    };
    let count = memory.read_u32(at + 8 + 2 * size)? as usize;
    let first = 8 + 3 * size;
    let parameters = (0..count.min(PARAMETERS) as u64).map(|n| word(first + n * size));
    Some(Exception {
        thread,
        code: memory.read_u32(at)?,
        flags: memory.read_u32(at + 4)?,
        address: word(8 + size)?,
        parameters: parameters.collect::<Option<_>>()?,
        ..Exception::default()
    })
}

/// Reads the registers of a 64-bit `CONTEXT`. What lies beyond it may be elsewhere, and is left
/// out.
fn wide_registers(memory: &dyn Memory, at: u64) -> Option<(Registers, SparseBytes)> {
    let mut context = AlignedContext::wanting(0);
    // SAFETY: a structure of integers, of which any bytes are valid.
    unsafe { read_plain(memory, at, &mut context.0) }?;
    let is_whole = context.0.ContextFlags & CONTEXT_CONTROL_AMD64 == CONTEXT_CONTROL_AMD64;
    context.0.ContextFlags &= CONTEXT_ALL_AMD64;
    // SAFETY: its flags say that it contains nothing beyond itself.
    is_whole.then(|| unsafe { context::of_record(&context.0) })
}

/// Reads the registers of a 32-bit `CONTEXT`.
fn narrow_registers(memory: &dyn Memory, at: u64) -> Option<(Registers, SparseBytes)> {
    // SAFETY: a structure of integers, for which zeros are valid.
    let mut context: WOW64_CONTEXT = unsafe { zeroed() };
    // SAFETY: a structure of integers, of which any bytes are valid.
    unsafe { read_plain(memory, at, &mut context) }?;
    let is_whole = context.ContextFlags & WOW64_CONTEXT_CONTROL == WOW64_CONTEXT_CONTROL;
    is_whole.then(|| context::of_narrow_record(&context))
}

/// Fills `to` from the memory of the process at address `at`. Returns `None`, and leaves `to` partly
/// filled, if not all of it can be read.
///
/// # Safety
/// Bytes of any value must be a valid `T`.
unsafe fn read_plain<T: Copy>(memory: &dyn Memory, at: u64, to: &mut T) -> Option<()> {
    let size = size_of::<T>();
    // SAFETY: the slice is exactly the memory of `to`, which is borrowed mutably meanwhile; the
    // caller vouches that any bytes are valid there.
    let bytes = unsafe { std::slice::from_raw_parts_mut((&raw mut *to).cast::<u8>(), size) };
    (memory.read(at, bytes) == size).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use windows_sys::Win32::System::Diagnostics::Debug::CONTEXT;

    /// Memory that has these bytes at an address, and nothing else.
    struct At(u64, Vec<u8>);

    impl Memory for At {
        fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
            let from = address.checked_sub(self.0).map(|at| at as usize);
            let bytes = from.and_then(|from| self.1.get(from..)).unwrap_or(&[]);
            let got = bytes.len().min(buffer.len());
            buffer[..got].copy_from_slice(&bytes[..got]);
            got
        }
    }

    const BASE: u64 = 0x1000;
    const RECORD: u64 = BASE + 0x100;
    const CONTEXT_AT: u64 = BASE + 0x200;

    fn put(bytes: &mut [u8], at: u64, value: &[u8]) {
        let at = (at - BASE) as usize;
        bytes[at..at + value.len()].copy_from_slice(value);
    }

    /// Returns the memory of a process that wrote to 0x10, whose words have `size` bytes.
    fn memory(processor: u16, size: usize) -> At {
        let mut bytes = vec![0; 0x1000];
        let words = [40, u32::from(processor), 77, 0].map(u32::to_le_bytes);
        put(&mut bytes, BASE, words.as_flattened());
        let addresses = [0x4444, RECORD, CONTEXT_AT].map(u64::to_le_bytes);
        put(&mut bytes, BASE + 16, addresses.as_flattened());
        put(&mut bytes, RECORD, &0xC000_0005_u32.to_le_bytes());
        let mut word = |n: usize, value: u64| {
            let at = RECORD + 8 + (n * size) as u64;
            put(&mut bytes, at, &value.to_le_bytes()[..size]);
        };
        word(1, 0x4444);
        word(2, 2);
        word(3, 1);
        word(4, 0x10);
        At(BASE, bytes)
    }

    #[test]
    fn a_crash_is_read_as_windows_tells_it() {
        let mut wide = memory(PROCESSOR_ARCHITECTURE_AMD64, 8);
        let flags = std::mem::offset_of!(CONTEXT, ContextFlags) as u64;
        let all = (CONTEXT_ALL_AMD64 | 0x40).to_le_bytes();
        put(&mut wide.1, CONTEXT_AT + flags, &all);
        let rip = std::mem::offset_of!(CONTEXT, Rip) as u64;
        put(&mut wide.1, CONTEXT_AT + rip, &0x4444_u64.to_le_bytes());
        let mut narrow = memory(PROCESSOR_ARCHITECTURE_INTEL, 4);
        put(
            &mut narrow.1,
            CONTEXT_AT,
            &WOW64_CONTEXT_CONTROL.to_le_bytes(),
        );
        let eip = std::mem::offset_of!(WOW64_CONTEXT, Eip) as u64;
        put(&mut narrow.1, CONTEXT_AT + eip, &0x4444_u32.to_le_bytes());
        for (memory, is_narrow) in [(wide, false), (narrow, true)] {
            let fault = told(&memory, BASE, is_narrow).expect("a crash");
            let Exception {
                thread,
                code,
                address,
                parameters,
                ..
            } = fault.exception;
            assert_eq!((thread, code, address), (77, 0xC000_0005, 0x4444));
            assert_eq!(parameters, [1, 0x10]);
            assert_eq!(fault.registers.ip(), 0x4444);
            assert!(told(&memory, BASE, !is_narrow).is_none());
        }
    }

    #[test]
    fn what_is_no_information_is_not_taken_for_one() {
        assert!(told(&At(BASE, vec![0x68; 200]), BASE, false).is_none());
        assert!(told(&At(BASE, vec![]), BASE, false).is_none());
        // There are no registers at the address that it tells.
        let without = memory(PROCESSOR_ARCHITECTURE_AMD64, 8);
        assert!(told(&without, BASE, false).is_none());
    }
}
