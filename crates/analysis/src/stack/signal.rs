//! The step out of a signal handler, for C libraries without unwinding rules for it.
//!
//! A handler returns to a few instructions that call `rt_sigreturn`. musl and Go give them no
//! unwinding rules; they are recognised by their bytes, as gdb does. glibc and the vdso have rules,
//! and come here only if those are not in the dump.

use super::Stacks;
use crate::unwind::{Cpu, Step};

/// The frame that a signal interrupted; `None` if `cpu` is not in that code.
pub(super) fn step(stacks: &Stacks, cpu: &Cpu) -> Option<Step> {
    let processor = cpu.processor;
    let mut code = [0; 16];
    let code = &mut code[..processor.signal_return.len()];
    if !stacks.code(cpu.ip, code) || code != processor.signal_return {
        return None;
    }
    let word = |offset| stacks.word(cpu.sp().wrapping_add(offset), processor.pointer as u8);
    let mut caller = cpu.clone();
    caller.ip = word(processor.signal_ip)?;
    for &(register, offset) in processor.signal_registers {
        caller.set(register, word(offset)?);
    }
    Some(Step::Caller {
        cpu: caller,
        is_signal_frame: true,
    })
}
