//! Why a process died, from a snapshot of it and its memory: what the signal or exception says, what the instruction at the fault did,
//! what is at the address that it accessed, and what the libraries of the program have kept of their last words.

mod abort;
mod event;
mod fast_fail;
mod fault;
mod instruction;
mod overflow;
mod panic;
mod place;
mod signature;
mod suspicion;
mod windows;

use crate::stack::{End, Frame, Stack, Stacks};
use crate::thrown::Thrown;
use event::{Event, SI_KERNEL, SI_QUEUE, SI_TKILL};
use fault::Told;
use instruction::{LONGEST, Operation};
use snapshot::{Exception, Memory, OperatingSystem, Registers, Snapshot};

pub use abort::{Abort, Complaint};
pub use fault::Fault;
pub use instruction::{Access, Instruction, Verb};
pub use overflow::Overflow;
pub use place::{Mapping, Place};
pub use signature::{is_of_runtime, signature};
pub use suspicion::Suspicion;
pub use windows::{LastError, last_error};

/// Why a process died, or what an exception was about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The thread that it was in.
    pub thread: u32,
    /// Why.
    pub kind: Kind,
    /// The number of the signal that the kernel sent first, if the program's handler then sent another one or the same again.
    pub handled: Option<i32>,
    /// The frame of the thread's stack that did it. Those before are of a handler, or end the program.
    pub frame: usize,
    /// The instruction there, if it is one of a fault and can be read.
    pub instruction: Option<Instruction>,
    /// The crash signature.
    pub signature: String,
}

/// Why a process died.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Memory could not be accessed.
    Access(Fault),
    /// The stack was full.
    StackOverflow(Overflow),
    /// An access is not at a multiple of its size, which that instruction demands.
    Misaligned(Access),
    /// The program has an instruction to end it there.
    Trap,
    /// An instruction that the processor does not have, or that is none.
    IllegalInstruction,
    /// An instruction that only the kernel may execute.
    PrivilegedInstruction,
    /// A breakpoint, and no debugger.
    Breakpoint,
    /// A division whose result does not exist: by 0, or (`false`) larger than its register; `None` if it is not known which.
    Division(Option<bool>),
    /// Another error of arithmetic.
    Arithmetic,
    /// A system call that the filter of the process does not allow.
    ForbiddenCall {
        /// Its number.
        number: u32,
        /// Its name, if it has one.
        name: Option<&'static str>,
    },
    /// The program called abort(3).
    Abort(Abort),
    /// A signal that somebody sent.
    Sent(Origin),
    /// Windows: `__fastfail` with this code.
    FastFail {
        /// The code.
        code: u64,
        /// Its name, without `FAST_FAIL_`.
        name: Option<&'static str>,
    },
    /// Windows: the heap found itself damaged.
    HeapCorruption,
    /// An exception of a language.
    Thrown(Thrown),
    /// What the name of the signal or exception says, and no more.
    Other,
}

/// Who sent a signal, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The pid and the user id of the process that sent it; `None` if the kernel did, or it is not known.
    pub sender: Option<(u32, u32)>,
    /// Whether the process sent it to itself.
    pub is_own: bool,
    /// The call by which it was sent: `kill`, `tgkill`; `None` if it is not known.
    pub call: Option<&'static str>,
    /// Whether the kernel sent it.
    pub is_kernel: bool,
}

/// What a cause is found by.
struct Case<'a> {
    snapshot: &'a Snapshot,
    stacks: &'a Stacks<'a>,
    memory: &'a dyn Memory,
    exception: &'a Exception,
    stack: &'a Stack,
}

/// Why the process died; `None` if the dump has no exception, or one that only asked for the dump. `stack` is the one of the exception's thread.
pub fn cause(snapshot: &Snapshot, stacks: &Stacks, stack: &Stack) -> Option<Cause> {
    let exception = snapshot.exception.as_ref()?;
    let is_empty = exception.code == 0 && exception.name.is_empty();
    if is_empty || exception.is_dump_request() {
        return None;
    }
    // Cores of the kernel do not have what is in files: names of types, and code.
    let memory = &stacks.with_files();
    let case = Case {
        snapshot,
        stacks,
        memory,
        exception,
        stack,
    };
    let found = match snapshot.system.os {
        _ if exception.code == 0 => Found::of(Kind::Thrown(thrown_of(exception))),
        OperatingSystem::Linux => case.on_linux(),
        OperatingSystem::Windows => case.on_windows(),
        OperatingSystem::Foreign(_) => Found::of(Kind::Other),
    };
    let frame = match &found.kind {
        Kind::Abort(_) | Kind::FastFail { .. } | Kind::HeapCorruption | Kind::Thrown(_) => {
            frame_of_end(exception.code, &stack.frames)
        }
        Kind::Sent(origin) if origin.is_own => first_of_program(&stack.frames),
        _ => found.frame,
    };
    Some(Cause {
        thread: exception.thread,
        signature: signature(exception, snapshot.system.os, &stack.frames),
        kind: found.kind,
        handled: found.handled,
        instruction: found.instruction,
        frame,
    })
}

/// The pid and the user id of the process that sent the signal of the dump's exception, as the process sees them; `None` if no process
/// did, or it is not known.
pub fn sender(snapshot: &Snapshot) -> Option<(u32, u32)> {
    let exception = snapshot.exception.as_ref()?;
    let mut threads = snapshot.threads.iter();
    let thread = threads.find(|thread| thread.id == exception.thread)?;
    Event::of(exception, thread)?.sender()
}

fn thrown_of(exception: &Exception) -> Thrown {
    Thrown {
        name: exception.name.clone(),
        bases: exception.bases.clone(),
        message: exception.message.clone(),
        message_varies: true,
    }
}

/// The first frame that is not in the libraries by which a program sends itself a signal.
fn first_of_program(frames: &[Frame]) -> usize {
    let first = frames
        .iter()
        .position(|frame| !signature::is_of_runtime(frame));
    first.unwrap_or(0)
}

/// The first frame that is not of those that end a program.
fn frame_of_end(code: u32, frames: &[Frame]) -> usize {
    frames.len() - signature::meaningful(code, frames).len()
}

/// What was found out.
struct Found {
    kind: Kind,
    handled: Option<i32>,
    frame: usize,
    instruction: Option<Instruction>,
}

impl Found {
    fn of(kind: Kind) -> Self {
        Self {
            kind,
            handled: None,
            frame: 0,
            instruction: None,
        }
    }
}

const SIGILL: i32 = 4;
const SIGTRAP: i32 = 5;
const SIGABRT: i32 = 6;
const SIGBUS: i32 = 7;
const SIGFPE: i32 = 8;
const SIGSYS: i32 = 31;
/// `BUS_ADRALN`, `FPE_INTDIV` and `SYS_SECCOMP` of sigaction(2).
const BUS_ADRALN: i32 = 1;
const FPE_INTDIV: i32 = 1;
const SYS_SECCOMP: i32 = 1;

impl Case<'_> {
    fn on_linux(&self) -> Found {
        let thread = self
            .snapshot
            .threads
            .iter()
            .find(|thread| thread.id == self.exception.thread);
        let Some(event) = thread.and_then(|thread| Event::of(self.exception, thread)) else {
            return Found::of(Kind::Other);
        };
        let event = event.original(self.stack, self.memory, &|event| self.is_likely(event));
        let read = self.instruction(&event.registers);
        let instruction = read.filter(|_| event.is_of_processor());
        let again = self.sent_again(&event, instruction.as_ref());
        let handled = (event.frame > 0 || again.is_some()).then_some(event.signal);
        let kind = again.unwrap_or_else(|| self.kind(&event, instruction.as_ref()));
        // What lies where a jump to data leads was never executed.
        let is_sent = matches!(kind, Kind::Sent(_));
        let is_code = !matches!(&kind, Kind::Access(fault) if fault.is_at(event.registers.ip()));
        Found {
            kind,
            handled,
            frame: event.frame,
            instruction: instruction.filter(|_| is_code && !is_sent),
        }
    }

    /// Whether the instruction at these registers can have caused the signal.
    fn is_likely(&self, event: &Event) -> bool {
        let instruction = self.instruction(&event.registers);
        match self.kind(event, instruction.as_ref()) {
            Kind::Access(fault) => fault.access.is_some() || fault.is_at(event.registers.ip()),
            Kind::Other | Kind::Division(None) => false,
            _ => true,
        }
    }

    /// The fault, where a handler has sent the signal of it again: while a handler runs, that waits until the handler has returned, so
    /// that the thread is at the fault again.
    fn sent_again(&self, event: &Event, instruction: Option<&Instruction>) -> Option<Kind> {
        if event.is_raised_by_processor() || !event.is_of_processor() || !self.origin(event).is_own
        {
            return None;
        }
        let ip = event.registers.ip();
        let told = Told {
            address: None,
            verb: None,
            ip,
        };
        let kind = self.fault(&told, event.registers.sp(), instruction);
        matches!(kind, Kind::Access(_) | Kind::StackOverflow(_)).then_some(kind)
    }

    /// The instruction at the instruction pointer.
    fn instruction(&self, registers: &Registers) -> Option<Instruction> {
        let code = self.stacks.code_at(registers.ip(), LONGEST);
        Instruction::decode(&code, registers, self.memory)
    }

    fn kind(&self, event: &Event, instruction: Option<&Instruction>) -> Kind {
        let operation = instruction.map(|instruction| instruction.operation);
        match (event.signal, event.code) {
            (SIGSYS, Some(SYS_SECCOMP)) => self.forbidden_call(event),
            _ if !event.is_raised_by_processor() => self.sent(event),
            (SIGBUS, Some(BUS_ADRALN)) => {
                let access = instruction.and_then(|instruction| instruction.accesses.first());
                access.map_or(Kind::Other, |access| Kind::Misaligned(access.clone()))
            }
            (SIGILL, _) if operation == Some(Operation::Trap) => Kind::Trap,
            (SIGILL, _) => Kind::IllegalInstruction,
            (SIGTRAP, _) => Kind::Breakpoint,
            (SIGFPE, Some(FPE_INTDIV) | None) => division(operation),
            (SIGFPE, _) => Kind::Arithmetic,
            _ => self.access(&Told::by_linux(event), event, instruction),
        }
    }

    fn access(&self, told: &Told, event: &Event, instruction: Option<&Instruction>) -> Kind {
        match self.fault(told, event.registers.sp(), instruction) {
            Kind::Access(fault) if event.signal == SIGBUS => Kind::Access(fault.not_in_file()),
            kind => kind,
        }
    }

    /// What failed, where the system speaks of an access to memory.
    fn fault(&self, told: &Told, sp: u64, instruction: Option<&Instruction>) -> Kind {
        if let Some(fault) = fault::fault(self.snapshot, told, instruction) {
            let stack = overflow::full_stack(self.snapshot, fault.address, sp);
            return match stack.filter(|_| fault.verb != Some(Verb::Execute)) {
                Some(stack) => Kind::StackOverflow(Overflow {
                    stack,
                    frames: self.stack.depth(),
                    is_whole: self.stack.end == End::Root,
                }),
                None => Kind::Access(fault),
            };
        }
        let accesses = instruction.map_or(&[][..], |instruction| &instruction.accesses);
        let is_misaligned = |access: &&Access| {
            access.size >= 16
                && access.size.is_power_of_two()
                && !access.address.is_multiple_of(access.size)
        };
        match (
            accesses.iter().find(is_misaligned),
            instruction.map(|instruction| instruction.operation),
        ) {
            (_, Some(Operation::Privileged)) => Kind::PrivilegedInstruction,
            (Some(access), _) => Kind::Misaligned(access.clone()),
            _ => Kind::Other,
        }
    }

    fn forbidden_call(&self, event: &Event) -> Kind {
        let Some((number, machine)) = event.forbidden_call() else {
            return Kind::Other;
        };
        Kind::ForbiddenCall {
            number,
            name: call_name(number, machine),
        }
    }

    fn sent(&self, event: &Event) -> Kind {
        let origin = self.origin(event);
        match event.signal {
            SIGABRT if origin.is_own || event.code.is_none() => Kind::Abort(abort::abort(
                self.exception,
                event,
                self.stack,
                self.stacks,
                self.memory,
            )),
            _ => Kind::Sent(origin),
        }
    }

    fn origin(&self, event: &Event) -> Origin {
        let process = &self.snapshot.process;
        let own = process.inner_pid.unwrap_or(process.key.pid);
        let sender = event.sender();
        let call = event.code.and_then(|code| match code {
            event::SI_USER => Some("kill"),
            SI_TKILL => Some("tgkill"),
            SI_QUEUE => Some("sigqueue"),
            _ => None,
        });
        Origin {
            sender,
            is_own: sender.map_or(event.code == Some(SI_TKILL), |(pid, _)| pid == own),
            call,
            is_kernel: event.code.is_some_and(|code| code >= SI_KERNEL || code > 0),
        }
    }
}

fn division(operation: Option<Operation>) -> Kind {
    Kind::Division(match operation {
        Some(Operation::Division(divisor)) => divisor.map(|divisor| divisor == 0),
        _ => None,
    })
}

/// The name of a system call on the machine with that number (`AUDIT_ARCH_…` of include/uapi/linux/audit.h).
fn call_name(number: u32, machine: u32) -> Option<&'static str> {
    let number = number as usize;
    match machine {
        0xC000_003E => syscalls::x86_64::Sysno::new(number).map(|call| call.name()),
        0x4000_0003 => syscalls::x86::Sysno::new(number).map(|call| call.name()),
        0xC000_00B7 => syscalls::aarch64::Sysno::new(number).map(|call| call.name()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
