//! The walk from frame to frame: which way of unwinding is tried when, and when the walk ends.

use super::frame::{LeftOut, OUTERMOST};
use super::{End, FRAME_LIMIT, Frame, How, Stack, Stacks, guess, signal};
use crate::languages::go;
use crate::unwind::{Callee, Cpu, Step, lookup_address};
use snapshot::{Architecture, OperatingSystem, Thread};
use std::collections::{HashSet, VecDeque};

/// A frame before its module and symbol are looked up.
struct Position {
    cpu: Cpu,
    how: How,
    /// Whether the instruction pointer is where the thread is; otherwise it is where a call will
    /// return to.
    is_exact: bool,
}

impl Position {
    fn lookup(&self) -> u64 {
        lookup_address(self.cpu.ip, self.is_exact)
    }
}

/// Walks at most `most` frames.
pub(super) fn walk(stacks: &Stacks, thread: &Thread, most: usize) -> Stack {
    match &thread.registers {
        Some(registers) => from(stacks, Cpu::new(registers), true, most),
        None => Stack::whole(vec![], End::NoRegisters),
    }
}

/// The stack from these registers on, of at most `most` frames. `is_exact` is whether the instruction pointer is where the code goes
/// on; otherwise it is where a call will return to.
pub(super) fn from(stacks: &Stacks, cpu: Cpu, is_exact: bool, most: usize) -> Stack {
    let mut position = Position {
        cpu,
        how: How::Context,
        is_exact,
    };
    let mut kept = Kept::default();
    let mut seen = HashSet::new();
    let mut is_guessed = false;
    let end = loop {
        if seen.len() == most {
            break End::Limit(most);
        }
        if !seen.insert((position.cpu.ip, position.cpu.sp())) {
            kept.drop_last();
            break End::Cycle;
        }
        let (step, how) = match step(stacks, &position) {
            Ok(found) => found,
            Err(end) => {
                kept.add(stacks, position, false);
                break end;
            }
        };
        let Step::Caller {
            cpu,
            is_signal_frame,
        } = step
        else {
            kept.add(stacks, position, false);
            break match is_guessed || is_guess(stacks, how) {
                true => End::Guessed,
                false => End::Root,
            };
        };
        is_guessed |= is_guess(stacks, how);
        kept.add(stacks, position, is_signal_frame);
        position = Position {
            cpu,
            how,
            is_exact: is_signal_frame,
        };
    };
    kept.stack(stacks, end)
}

/// The frames of a walk that are kept: the innermost and the outermost ones.
#[derive(Default)]
struct Kept {
    innermost: Vec<Frame>,
    /// The last frames that were found, and whether each is one of a signal.
    outermost: VecDeque<(Position, bool)>,
    left_out: usize,
}

impl Kept {
    fn add(&mut self, stacks: &Stacks, position: Position, is_signal_frame: bool) {
        if self.innermost.len() < FRAME_LIMIT - OUTERMOST {
            self.innermost
                .push(frame(stacks, &position, is_signal_frame));
            return;
        }
        self.outermost.push_back((position, is_signal_frame));
        if self.outermost.len() > OUTERMOST {
            self.outermost.pop_front();
            self.left_out += 1;
        }
    }

    fn drop_last(&mut self) {
        if self.outermost.pop_back().is_none() {
            self.innermost.pop();
        }
    }

    fn stack(self, stacks: &Stacks, end: End) -> Stack {
        let left_out = LeftOut {
            behind: self.innermost.len(),
            frames: self.left_out,
        };
        let outermost = self.outermost.iter();
        let outermost = outermost.map(|(position, is_signal)| frame(stacks, position, *is_signal));
        Stack {
            frames: self.innermost.into_iter().chain(outermost).collect(),
            end,
            left_out: (left_out.frames > 0).then_some(left_out),
        }
    }
}

fn frame(stacks: &Stacks, position: &Position, is_signal_frame: bool) -> Frame {
    Frame {
        is_signal_frame,
        ..stacks.frame(&position.cpu, position.lookup(), position.how)
    }
}

/// Whether a step by this way may lead anywhere. 64-bit code of Windows keeps no frame pointer, so that its register has
/// any value (x64 software conventions).
fn is_guess(stacks: &Stacks, how: How) -> bool {
    let system = &stacks.snapshot.system;
    let has_chain =
        system.os != OperatingSystem::Windows || system.architecture != Architecture::X86_64;
    how == How::Scan || (how == How::FramePointer && !has_chain)
}

/// Tries the ways of unwinding, best first. A way that leads to an address without code is taken
/// for wrong.
fn step(stacks: &Stacks, position: &Position) -> Result<(Step, How), End> {
    let cpu = &position.cpu;
    if !stacks.is_code(position.lookup()) {
        return from_bad_pointer(stacks, position);
    }
    if let Some(found) = by_go(stacks, position).and_then(|s| plausible(stacks, s, position)) {
        return Ok((found, How::Cfi));
    }
    if let Some(found) = by_java(stacks, position) {
        return Ok((found, How::Cfi));
    }
    if let Some(found) = by_tables(stacks, position).and_then(|s| plausible(stacks, s, position)) {
        return Ok((found, How::Cfi));
    }
    if let Some(found) = signal::step(stacks, cpu).and_then(|s| plausible(stacks, s, position)) {
        return Ok((found, How::SignalFrame));
    }
    if let Some(found) = by_link_register(stacks, position) {
        return Ok((found, How::LinkRegister));
    }
    match guess::by_frame_pointer(stacks, cpu) {
        Some(Step::Root) if !position.is_exact && may_begin(stacks, position) => {
            return Ok((Step::Root, How::FramePointer));
        }
        Some(found @ Step::Caller { .. }) => return Ok((found, How::FramePointer)),
        _ => {}
    }
    scan(stacks, position)
}

/// Whether a thread may begin in the function of this frame, whose frame pointer is 0. On Windows each begins in
/// `RtlUserThreadStart` of ntdll, and code without frame pointers may have any value in their register.
fn may_begin(stacks: &Stacks, position: &Position) -> bool {
    let is_windows = stacks.snapshot.system.os == OperatingSystem::Windows;
    let module = stacks.module_at(position.lookup());
    !is_windows || module.is_some_and(|module| module.name().eq_ignore_ascii_case("ntdll.dll"))
}

/// The caller of the innermost function by the register of return addresses: it is still there where the function has
/// called none itself. Where it has, the register leads back into the function, or to what the function has put into its own
/// frame already.
fn by_link_register(stacks: &Stacks, position: &Position) -> Option<Step> {
    let cpu = &position.cpu;
    if !position.is_exact || !cpu.processor.has_link_register {
        return None;
    }
    let link = cpu.get(cpu.processor.ra)? & cpu.processor.address_mask;
    let is_return = guess::may_be_link(stacks, cpu, link);
    let is_own = is_same_function(stacks, cpu.ip, link.wrapping_sub(1));
    let pointer = cpu.processor.pointer;
    let saved = stacks.word(cpu.fp().wrapping_add(pointer), pointer as u8);
    let is_saved = cpu.processor.has_frame_chain && saved == Some(link);
    (is_return && !is_own && !is_saved).then(|| Step::Caller {
        cpu: cpu.caller(link, cpu.sp(), cpu.fp()),
        is_signal_frame: false,
    })
}

/// Whether both addresses are in one function, as far as its symbols tell.
fn is_same_function(stacks: &Stacks, one: u64, other: u64) -> bool {
    let start = |at: u64| Some(at.wrapping_sub(stacks.symbol(at)?.offset));
    let (one, other) = (start(one), start(other));
    one.is_some() && one == other
}

/// The step out of an address without code: a call through a bad pointer. The call has just put its
/// return address on the stack, or in the link register.
fn from_bad_pointer(stacks: &Stacks, position: &Position) -> Result<(Step, How), End> {
    let cpu = &position.cpu;
    if !position.is_exact {
        return Err(End::Lost);
    }
    let link = cpu
        .get(cpu.processor.ra)
        .filter(|_| cpu.processor.has_link_register);
    if let Some(link) = link.filter(|&link| stacks.is_code(link)) {
        let caller = cpu.caller(link, cpu.sp(), cpu.fp());
        return Ok((
            Step::Caller {
                cpu: caller,
                is_signal_frame: false,
            },
            How::Scan,
        ));
    }
    scan(stacks, position)
}

fn scan(stacks: &Stacks, position: &Position) -> Result<(Step, How), End> {
    match guess::by_scan(stacks, &position.cpu) {
        Some(found) => Ok((found, How::Scan)),
        None if stacks.word(position.cpu.sp(), 1).is_none() => {
            Err(End::NoMemory(position.cpu.sp()))
        }
        None => Err(End::Lost),
    }
}

fn by_tables(stacks: &Stacks, position: &Position) -> Option<Step> {
    let image = stacks.image_at(position.lookup())?;
    let callee = Callee {
        cpu: &position.cpu,
        is_exact: position.is_exact,
        bias: image.bias,
        word: &|address, size| stacks.word(address, size),
    };
    image.step(&callee, stacks.memory)
}

/// By the tables that Go's own tracebacks use. They know where a stack ends, which its DWARF does not say.
fn by_go(stacks: &Stacks, position: &Position) -> Option<Step> {
    let place = stacks.go_place(position.lookup())?;
    go::step(&place, &position.cpu, &|address, size| {
        stacks.word(address, size)
    })
}

/// By what the virtual machine of Java keeps of the code that it has made. What enters a continuation has the stack pointer of the code
/// that returns to it.
fn by_java(stacks: &Stacks, position: &Position) -> Option<Step> {
    let step = stacks.step_of_java(&position.cpu, position.lookup(), position.is_exact)?;
    let leads_on = match &step {
        Step::Caller { cpu, .. } => {
            cpu.sp() >= position.cpu.sp() && stacks.is_code(cpu.ip.wrapping_sub(1))
        }
        Step::Root => true,
    };
    leads_on.then_some(step)
}

/// `step` if it leads to code, else `None`. A return address of 0 is the thread's end.
fn plausible(stacks: &Stacks, step: Step, from: &Position) -> Option<Step> {
    let Step::Caller {
        mut cpu,
        is_signal_frame,
    } = step
    else {
        return Some(Step::Root);
    };
    if cpu.ip == 0 && !is_signal_frame {
        return Some(Step::Root);
    }
    if !stacks.is_code(cpu.ip) && !is_signal_frame {
        cpu.ip &= cpu.processor.address_mask;
    }
    let has_moved = cpu.sp() > from.cpu.sp() || from.is_exact || is_signal_frame;
    // Behind a signal frame may stand what caused the signal: a jump to nowhere.
    let leads_on = is_signal_frame || stacks.is_code(cpu.ip.wrapping_sub(1));
    (has_moved && leads_on).then_some(Step::Caller {
        cpu,
        is_signal_frame,
    })
}
