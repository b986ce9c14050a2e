//! One step out of a Go function: the table of lines has the size of its frame at each address (`runtime/traceback.go`).

use super::module::Place;
use crate::unwind::{Cpu, Step};

/// Functions that a signal's handler makes the interrupted code seem to call: their return address is where that was interrupted.
const INJECTED: [&str; 3] = [
    "runtime.sigpanic",
    "runtime.asyncPreempt",
    "runtime.debugCallV2",
];

/// Functions that go on on another stack, that of the thread. What called them stands on the stack of a goroutine.
const SWITCHES: [&str; 4] = [
    "runtime.asmcgocall",
    "runtime.mcall",
    "runtime.morestack",
    "runtime.systemstack",
];

/// The handler of signals, with which Go's tables end a stack. It was called by the kernel, which returns by the second of these:
/// what was interrupted is below.
const HANDLER: &str = "runtime.sigtramp";
const RETURNS: &str = "runtime.sigreturn";

/// Whether the stack ends here because the rest of it is that of a goroutine.
pub(crate) fn is_switch(function: &str) -> bool {
    SWITCHES.contains(&function)
}

/// The frame that called the one with these registers, which is in the function of `place`; `None` if the table does not tell. `word`
/// reads a word of the process.
pub(crate) fn step(
    place: &Place,
    cpu: &Cpu,
    word: &dyn Fn(u64, u8) -> Option<u64>,
) -> Option<Step> {
    // What the kernel has put there is read by its own rules.
    if place.name.starts_with(RETURNS) {
        return None;
    }
    let is_outermost = place.is_outermost && place.name != HANDLER;
    if is_outermost || place.name == "runtime.goexit" || is_switch(&place.name) {
        return Some(Step::Root);
    }
    let size = place.frame_size?;
    let is_x86 = !cpu.processor.has_link_register;
    // A frame of ARM begins with the return address; one of x86 has it behind its end, where the call put it.
    let at = cpu.sp().wrapping_add(if is_x86 { size } else { 0 });
    let ip = match (is_x86, size) {
        (false, 0) => cpu.get(cpu.processor.ra)?,
        _ => word(at, 8)?,
    };
    let sp = cpu
        .sp()
        .wrapping_add(size)
        .wrapping_add(if is_x86 { 8 } else { 0 });
    // The caller's frame pointer is the word below the frame's end, if it is one at all.
    let saved = if is_x86 {
        at.wrapping_sub(8)
    } else {
        cpu.sp().wrapping_sub(8)
    };
    let fp = word(saved, 8).filter(|fp| size >= 8 && *fp > saved);
    Some(Step::Caller {
        cpu: cpu.caller(ip, sp, fp.unwrap_or(cpu.fp())),
        is_signal_frame: INJECTED.contains(&&place.name[..]),
    })
}
