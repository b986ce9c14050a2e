//! Unwinding without tables: by the chain of frame pointers, and by a search for return addresses.

use super::Stacks;
use crate::unwind::{Cpu, Step};

/// The largest frame, in bytes; a chain with a larger one is taken for broken.
const LARGEST_FRAME: u64 = 8 << 20;

/// How many words are searched for a return address.
const SCAN_WORDS: u64 = 1024;

/// The caller by the chain of frame pointers; `None` if the chain is broken.
///
/// At the frame pointer lie the caller's frame pointer and the return address. JIT-compiled code
/// (Node) and Go keep to that, and so does code built with `-fno-omit-frame-pointer`.
pub(super) fn by_frame_pointer(stacks: &Stacks, cpu: &Cpu) -> Option<Step> {
    let pointer = cpu.processor.pointer;
    let fp = cpu.fp();
    if !cpu.processor.has_frame_chain {
        return None;
    }
    if fp == 0 {
        return Some(Step::Root);
    }
    let is_sane = fp.is_multiple_of(pointer) && fp >= cpu.sp() && fp - cpu.sp() < LARGEST_FRAME;
    if !is_sane {
        return None;
    }
    let next = stacks.word(fp, pointer as u8)?;
    let ip = stacks.word(fp.wrapping_add(pointer), pointer as u8)?;
    if ip == 0 && next == 0 {
        return Some(Step::Root);
    }
    let ip = ip & cpu.processor.address_mask;
    let climbs = next == 0 || next > fp;
    // The outermost frame need not have been called: Go pushes the address of `goexit` as its
    // return address.
    let is_outermost = next == 0 && stacks.is_code(ip);
    let caller = cpu.caller(ip, fp.wrapping_add(2 * pointer), next);
    let is_return =
        is_outermost || returns_from_call(stacks, cpu, ip) || is_compiled_at_run_time(stacks, ip);
    (climbs && is_return).then_some(Step::Caller {
        cpu: caller,
        is_signal_frame: false,
    })
}

/// Whether `ip` is in code that belongs to no module. Java's interpreter pushes return addresses
/// itself, so that no call instruction stands before them; its chain is sound nevertheless.
fn is_compiled_at_run_time(stacks: &Stacks, ip: u64) -> bool {
    stacks.is_code(ip) && stacks.module_at(ip).is_none()
}

/// The caller by a search up the stack for the first word that is an address right behind a call;
/// `None` if there is none within [`SCAN_WORDS`].
pub(super) fn by_scan(stacks: &Stacks, cpu: &Cpu) -> Option<Step> {
    let pointer = cpu.processor.pointer;
    let start = cpu.sp().checked_next_multiple_of(pointer)?;
    let mut below = 0;
    for at in (0..SCAN_WORDS).map(|n| start.wrapping_add(n * pointer)) {
        let word = stacks.word(at, pointer as u8)?;
        if returns_from_call(stacks, cpu, word) {
            let word = word & cpu.processor.address_mask;
            let sp = at.wrapping_add(pointer);
            let fp = likely_frame_pointer(cpu, below, sp);
            let caller = cpu.caller(word, sp, fp);
            return Some(Step::Caller {
                cpu: caller,
                is_signal_frame: false,
            });
        }
        below = word;
    }
    None
}

/// The word below the return address, if it can be a frame pointer: that is where a function saves
/// its caller's.
fn likely_frame_pointer(cpu: &Cpu, below: u64, sp: u64) -> u64 {
    let is_frame = |fp: u64| fp >= sp && fp - sp < LARGEST_FRAME;
    if is_frame(below) { below } else { cpu.fp() }
}

/// Whether the instruction before `address` is a call. If the code cannot be read, it is enough
/// that `address` is in a module's code.
fn returns_from_call(stacks: &Stacks, cpu: &Cpu, address: u64) -> bool {
    let processor = cpu.processor;
    let address = address & processor.address_mask;
    if address < 0x1000 || !stacks.is_code(address.wrapping_sub(1)) {
        return false;
    }
    ends_with_call(stacks, cpu, address).unwrap_or_else(|| stacks.module_at(address).is_some())
}

/// Whether the register of return addresses may lead to the caller: not if no call stands before the address.
pub(super) fn may_be_link(stacks: &Stacks, cpu: &Cpu, address: u64) -> bool {
    stacks.is_code(address.wrapping_sub(1)) && ends_with_call(stacks, cpu, address) != Some(false)
}

/// Whether the instruction before `address` is a call; `None` if the code cannot be read.
fn ends_with_call(stacks: &Stacks, cpu: &Cpu, address: u64) -> Option<bool> {
    let processor = cpu.processor;
    let mut code = [0; 8];
    let code = &mut code[..processor.longest_call];
    let start = address.wrapping_sub(processor.longest_call as u64);
    stacks
        .code(start, code)
        .then(|| (processor.ends_with_call)(code))
}
