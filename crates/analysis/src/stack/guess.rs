//! What is tried where no tables tell: the chain of frame pointers, and looking for return
//! addresses.

use super::Stacks;
use super::cpu::Cpu;
use super::walk::Step;

/// How far a frame may reach before the chain is taken for broken, in bytes.
const LARGEST_FRAME: u64 = 8 << 20;

/// How many words are looked at for a return address.
const SCAN_WORDS: u64 = 1024;

/// By the chain of frame pointers: at the frame pointer lie the caller's and the return address.
/// JIT-compiled code (Node) and Go keep it, as does code built with `-fno-omit-frame-pointer`.
pub(super) fn by_frame_pointer(stacks: &Stacks, cpu: &Cpu) -> Option<Step> {
    let pointer = cpu.processor.pointer;
    let fp = cpu.fp();
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
    // The outermost frame may be returned from without having been called: Go pushes the address
    // of `goexit` for it.
    let is_outermost = next == 0 && stacks.is_code(ip);
    let caller = cpu.caller(ip, fp.wrapping_add(2 * pointer), next);
    let is_return =
        is_outermost || returns_from_call(stacks, cpu, ip) || is_compiled_at_run_time(stacks, ip);
    (climbs && is_return).then_some(Step::Caller {
        cpu: caller,
        is_signal_frame: false,
    })
}

/// Code in no module. Java's interpreter pushes where to go on by itself, so that no call stands
/// before it; its chain is sound nevertheless.
fn is_compiled_at_run_time(stacks: &Stacks, ip: u64) -> bool {
    stacks.is_code(ip) && stacks.module_at(ip).is_none()
}

/// By looking: the first word up the stack that is the address right behind a call.
pub(super) fn by_scan(stacks: &Stacks, cpu: &Cpu) -> Option<Step> {
    let pointer = cpu.processor.pointer;
    let start = cpu.sp().checked_next_multiple_of(pointer)?;
    let mut below = 0;
    for at in (0..SCAN_WORDS).map(|n| start.wrapping_add(n * pointer)) {
        let word = stacks.word(at, pointer as u8)?;
        if returns_from_call(stacks, cpu, word) {
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

/// Where a function keeps its caller's frame pointer, it lies right below the return address.
fn likely_frame_pointer(cpu: &Cpu, below: u64, sp: u64) -> u64 {
    let is_frame = |fp: u64| fp >= sp && fp - sp < LARGEST_FRAME;
    if is_frame(below) { below } else { cpu.fp() }
}

/// Whether the instruction before `address` is a call. Where the code itself cannot be had, being
/// in a module's code is enough.
fn returns_from_call(stacks: &Stacks, cpu: &Cpu, address: u64) -> bool {
    let processor = cpu.processor;
    if address < 0x1000 || !stacks.is_code(address.wrapping_sub(1)) {
        return false;
    }
    let mut code = [0; 8];
    let code = &mut code[..processor.longest_call];
    let start = address.wrapping_sub(processor.longest_call as u64);
    match stacks.code(start, code) {
        true => (processor.ends_with_call)(code),
        false => stacks.module_at(address).is_some(),
    }
}
