//! The code that signal handlers return to, known by its bytes.
//!
//! Situation: musl and Go give their `rt_sigreturn` no unwinding rules; gdb knows it by its bytes,
//! too. glibc and the vdso have rules, and come here only when those are not in the dump.

use super::Stacks;
use super::cpu::Cpu;
use super::walk::Step;

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
