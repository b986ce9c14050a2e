//! The signal that ended a process, or the one before it.
//!
//! A program may handle a fault, write a report, and send itself the signal again, so that the dump's signal tells nothing. Then
//! the kernel's own words of the fault are still on the stack of the handler, with the registers.

use crate::stack::Stack;
use snapshot::{Aarch64, Exception, Memory, Registers, Thread, Told, X86_64};

/// A signal and what the kernel tells of it.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) signal: i32,
    /// `si_code`; `None` if the dump does not tell it.
    pub(super) code: Option<i32>,
    /// What `si_addr` is if the signal is of a fault.
    pub(super) address: u64,
    /// Whether that is known.
    pub(super) is_address_told: bool,
    /// The registers of the thread at that time.
    pub(super) registers: Registers,
    /// The frame of the thread's stack that was the innermost one then.
    pub(super) frame: usize,
    /// The words of `siginfo_t` behind the three numbers; empty if they are not in the dump.
    rest: Vec<u8>,
}

/// `SI_USER`, `SI_KERNEL` and `SI_TKILL` of sigaction(2).
pub(super) const SI_USER: i32 = 0;
pub(super) const SI_KERNEL: i32 = 128;
pub(super) const SI_TKILL: i32 = -6;
pub(super) const SI_QUEUE: i32 = -1;

/// SIGILL, SIGTRAP, SIGBUS, SIGFPE and SIGSEGV, which the kernel sends for what an instruction does.
const FAULTS: [i32; 5] = [4, 5, 7, 8, 11];

impl Event {
    /// That of the dump.
    pub(super) fn of(exception: &Exception, thread: &Thread) -> Option<Self> {
        let registers = thread.registers?;
        let signal = exception.code as i32;
        let info = thread.siginfo.as_deref().unwrap_or_default();
        let is_told = word(info, 0) == Some(exception.code) && info.len() >= 16;
        let code = (exception.told == Told::All).then_some(exception.flags as i32);
        let rest = if is_told {
            info[rest_at(&registers)..].to_vec()
        } else {
            Vec::new()
        };
        Some(Self {
            signal,
            code,
            address: exception.address,
            is_address_told: exception.told != Told::OnlySignal,
            registers,
            frame: 0,
            rest,
        })
    }

    /// The fault that a handler was called for, in which the thread sent itself this signal; else the event itself. `is_likely` says
    /// whether the registers fit to a fault.
    pub(super) fn original(
        self,
        stack: &Stack,
        memory: &dyn Memory,
        is_likely: &dyn Fn(&Event) -> bool,
    ) -> Self {
        if self.is_raised_by_processor() {
            return self;
        }
        let handlers = stack.frames.iter().enumerate();
        let handlers = handlers.filter(|(_, frame)| frame.is_signal_frame);
        let mut found = handlers.filter_map(|(at, frame)| {
            let event = saved(frame.sp, at + 1, &self.registers, memory)?;
            (event.is_raised_by_processor() && is_likely(&event)).then_some(event)
        });
        found.next().unwrap_or(self)
    }

    /// Whether it is a signal for what an instruction has done, whoever sent it.
    pub(super) fn is_of_processor(&self) -> bool {
        FAULTS.contains(&self.signal)
    }

    /// Whether the kernel sent it for what an instruction has done.
    pub(super) fn is_raised_by_processor(&self) -> bool {
        self.is_of_processor() && self.code.is_none_or(|code| code > 0)
    }

    /// The pid and the user id of the process that sent it, if one did.
    pub(super) fn sender(&self) -> Option<(u32, u32)> {
        let is_sent = matches!(self.code?, SI_USER | SI_TKILL | SI_QUEUE);
        is_sent.then(|| Some((word(&self.rest, 0)?, word(&self.rest, 4)?)))?
    }

    /// The number of the system call that a filter forbade, and the kernel's number of the machine (`AUDIT_ARCH_…`).
    pub(super) fn forbidden_call(&self) -> Option<(u32, u32)> {
        // _call_addr, _syscall, _arch (include/uapi/asm-generic/siginfo.h).
        let pointer = self.registers.architecture().pointer_size() as usize;
        Some((word(&self.rest, pointer)?, word(&self.rest, pointer + 4)?))
    }
}

/// Where a `siginfo_t` has more than its three numbers.
fn rest_at(registers: &Registers) -> usize {
    match registers {
        Registers::X86(_) | Registers::Arm(_) => 12,
        Registers::X86_64(_) | Registers::Aarch64(_) | Registers::RiscV64(_) => 16,
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The size of what the kernel saves for a handler: `siginfo_t`, and what is read of a `ucontext`.
const SIGINFO: usize = 128;

/// What the kernel has saved for a handler whose return has this stack pointer: on x86-64 a `ucontext` of 304 bytes, with registers
/// from 40 on, and a `siginfo_t`; on 64-bit ARM a `siginfo_t`, and a `ucontext` whose registers begin at 184 (`struct
/// rt_sigframe` of the kernel's arch/x86/include/asm/sigframe.h and arch/arm64/kernel/signal.c).
fn saved(sp: u64, frame: usize, like: &Registers, memory: &dyn Memory) -> Option<Event> {
    let (info_at, words_at) = match like {
        Registers::X86_64(_) => (304, 40),
        Registers::Aarch64(_) => (0, 128 + 184),
        _ => return None,
    };
    let mut info = [0; SIGINFO];
    let mut words = [0; 33 * 8];
    let is_read = memory.read_all(sp.wrapping_add(info_at), &mut info)
        && memory.read_all(sp.wrapping_add(words_at), &mut words);
    let words: Vec<u64> = words
        .as_chunks()
        .0
        .iter()
        .map(|word| u64::from_le_bytes(*word))
        .collect();
    let number = |at| word(&info, at).map(|number| number as i32);
    let (signal, code, address) = match number(0)? {
        0 => trapped(&words, like)?,
        signal => (
            signal,
            number(8)?,
            u64::from_le_bytes(*info.get(16..)?.first_chunk()?),
        ),
    };
    is_read.then_some(Event {
        signal,
        code: Some(code),
        address,
        is_address_told: true,
        registers: interrupted(&words, like)?,
        frame,
        rest: info[16..].to_vec(),
    })
}

/// The signal, its reason and its address by the number of the processor's exception, which lies behind the registers, as does the
/// address of a page fault (`struct sigcontext_64` of arch/x86/include/uapi/asm/sigcontext.h). The kernel fills `siginfo_t` in only
/// for handlers that want it (`SA_SIGINFO`). The number may be one of an earlier fault.
fn trapped(words: &[u64], like: &Registers) -> Option<(i32, i32, u64)> {
    const EXCEPTION: usize = 20;
    const ADDRESS: usize = 22;
    let number = words
        .get(EXCEPTION)
        .filter(|_| matches!(like, Registers::X86_64(_)))?;
    // The numbers of exceptions are those of Intel SDM volume 3, 6.3.1.
    Some(match number {
        0 => (8, 1, 0),
        6 => (4, 2, 0),
        13 => (11, SI_KERNEL, 0),
        14 => (11, 1, *words.get(ADDRESS)?),
        _ => return None,
    })
}

fn interrupted(words: &[u64], like: &Registers) -> Option<Registers> {
    Some(match like {
        Registers::X86_64(now) => {
            let [
                r8,
                r9,
                r10,
                r11,
                r12,
                r13,
                r14,
                r15,
                rdi,
                rsi,
                rbp,
                rbx,
                rdx,
                rax,
                rcx,
                rsp,
                rip,
                rflags,
            ] = *words.first_chunk()?;
            Registers::X86_64(X86_64 {
                r8,
                r9,
                r10,
                r11,
                r12,
                r13,
                r14,
                r15,
                rdi,
                rsi,
                rbp,
                rbx,
                rdx,
                rax,
                rcx,
                rsp,
                rip,
                rflags,
                ..*now
            })
        }
        Registers::Aarch64(now) => Registers::Aarch64(Aarch64 {
            x: *words.first_chunk()?,
            sp: *words.get(31)?,
            pc: *words.get(32)?,
            ..*now
        }),
        _ => return None,
    })
}
