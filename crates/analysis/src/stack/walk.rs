//! The walk from frame to frame: which way of unwinding is tried when, and when the walk ends.

use super::{End, FRAME_LIMIT, Frame, How, Stack, Stacks, guess, signal};
use crate::unwind::{Callee, Cpu, Step, lookup_address};
use snapshot::Thread;
use std::collections::HashSet;

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

pub(super) fn walk(stacks: &Stacks, thread: &Thread) -> Stack {
    let Some(registers) = &thread.registers else {
        return Stack {
            frames: vec![],
            end: End::NoRegisters,
        };
    };
    let mut position = Position {
        cpu: Cpu::new(registers),
        how: How::Context,
        is_exact: true,
    };
    let mut frames: Vec<Frame> = Vec::new();
    let mut seen = HashSet::new();
    let end = loop {
        if frames.len() == FRAME_LIMIT {
            break End::Limit;
        }
        if !seen.insert((position.cpu.ip, position.cpu.sp())) {
            frames.pop();
            break End::Cycle;
        }
        frames.push(stacks.frame(&position.cpu, position.lookup(), position.how));
        let (step, how) = match step(stacks, &position) {
            Ok(found) => found,
            Err(end) => break end,
        };
        let Step::Caller {
            cpu,
            is_signal_frame,
        } = step
        else {
            break End::Root;
        };
        if let Some(frame) = frames.last_mut() {
            frame.is_signal_frame = is_signal_frame;
        }
        position = Position {
            cpu,
            how,
            is_exact: is_signal_frame,
        };
    };
    Stack { frames, end }
}

/// Tries the ways of unwinding, best first. A way that leads to an address without code is taken
/// for wrong.
fn step(stacks: &Stacks, position: &Position) -> Result<(Step, How), End> {
    let cpu = &position.cpu;
    if !stacks.is_code(position.lookup()) {
        return from_bad_pointer(stacks, position);
    }
    if let Some(found) = by_tables(stacks, position).and_then(|s| plausible(stacks, s, position)) {
        return Ok((found, How::Cfi));
    }
    if let Some(found) = signal::step(stacks, cpu).and_then(|s| plausible(stacks, s, position)) {
        return Ok((found, How::SignalFrame));
    }
    match guess::by_frame_pointer(stacks, cpu) {
        Some(Step::Root) if !position.is_exact => return Ok((Step::Root, How::FramePointer)),
        Some(found @ Step::Caller { .. }) => return Ok((found, How::FramePointer)),
        _ => {}
    }
    scan(stacks, position)
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
