//! One step out of a frame of Java (`frame::sender` of `runtime/frame.inline.hpp`).

use super::code::Blob;
use super::place::{Place, interpreted};
use super::view::View;
use super::vm::Vm;
use crate::unwind::{Cpu, Step};
use snapshot::Memory;

/// The largest frame of the interpreter, in bytes.
const LARGEST: u64 = 1 << 20;

/// A part of the name of the code to which the frames of a continuation return that are not on the stack yet.
const CONTINUATION: &str = "continuation";

/// The frame that called the one with these registers, which is in `place`; `None` if the virtual machine does not tell. `is_code` tells
/// whether there is code at an address.
pub(crate) fn step(
    vm: &Vm,
    memory: &dyn Memory,
    place: &Place,
    cpu: &Cpu,
    is_exact: bool,
    is_code: &dyn Fn(u64) -> bool,
) -> Option<Step> {
    let (view, blob) = (vm.view(memory), &place.blob);
    let caller = if blob.is_interpreter() {
        interpreted(view, cpu, is_exact)?;
        of_interpreter(view, cpu)
    } else if blob.frame_size > 0 {
        of_fixed_size(view, blob, cpu, is_exact, is_code)
    } else if blob.name.contains(CONTINUATION) && !is_exact {
        of_continuation(vm, memory, cpu)
    } else {
        // The code by which C calls Java has a frame pointer.
        (!is_exact).then(|| by_frame_pointer(view, cpu))?
    }?;
    Some(Step::Caller {
        cpu: in_place_of_deoptimized(vm, memory, caller),
        is_signal_frame: false,
    })
}

fn by_frame_pointer(view: View, cpu: &Cpu) -> Option<Cpu> {
    let fp = cpu.fp();
    let is_sane = fp.is_multiple_of(8) && fp >= cpu.sp();
    let (caller, ip) =
        is_sane.then(|| Some((view.word(fp)?, view.word(fp.wrapping_add(8))?)))??;
    Some(cpu.caller(ip & cpu.processor.address_mask, fp.wrapping_add(16), caller))
}

/// A frame of the interpreter keeps the stack pointer that its caller had: a compiled one has its frame from there on.
fn of_interpreter(view: View, cpu: &Cpu) -> Option<Cpu> {
    let caller = by_frame_pointer(view, cpu)?;
    let kept = view.word(cpu.fp().wrapping_sub(8))?;
    let is_sane = kept >= caller.sp() && kept - caller.sp() < LARGEST;
    let sp = if is_sane { kept } else { caller.sp() };
    Some(caller.caller(caller.ip, sp, caller.fp()))
}

/// At the end of a frame are the caller's frame pointer and the return address. Where the thread may be before the frame is made, or
/// has left it, the return address is the first or the second word of the stack.
fn of_fixed_size(
    view: View,
    blob: &Blob,
    cpu: &Cpu,
    is_exact: bool,
    is_code: &dyn Fn(u64) -> bool,
) -> Option<Cpu> {
    let caller = |size: u64| {
        let sp = cpu.sp().wrapping_add(size);
        let ip = view.word(sp.wrapping_sub(8))? & cpu.processor.address_mask;
        let fp = match size {
            8 => cpu.fp(),
            _ => view.word(sp.wrapping_sub(16))?,
        };
        is_code(ip.wrapping_sub(1)).then(|| cpu.caller(ip, sp, fp))
    };
    let is_before = is_exact && cpu.ip.wrapping_sub(blob.code) < blob.frame_complete;
    let sizes = match (is_exact, is_before) {
        (false, _) => vec![blob.frame_size],
        (true, false) => vec![blob.frame_size, 8, 16],
        (true, true) => vec![8, 16, blob.frame_size],
    };
    sizes.into_iter().find_map(caller)
}

/// The rest of a continuation's frames is not on the stack; what entered it is.
fn of_continuation(vm: &Vm, memory: &dyn Memory, cpu: &Cpu) -> Option<Cpu> {
    let view = vm.view(memory);
    let thread = vm.threads(memory).with_stack_at(cpu.sp())?;
    let entry = view
        .pointer(thread, "JavaThread._cont_entry")
        .filter(|at| *at != 0)?;
    let ip = view.static_word("ContinuationEntry._return_pc")?;
    let fp = view.word(entry.wrapping_add(view.size("ContinuationEntry")?))?;
    Some(cpu.caller(ip, entry, fp))
}

/// Where compiled code was found wrong while it is called, it will return to a handler, and its frame keeps where that was.
fn in_place_of_deoptimized(vm: &Vm, memory: &dyn Memory, cpu: Cpu) -> Cpu {
    let view = vm.view(memory);
    let original = || {
        let place = vm.place(cpu.ip, memory)?;
        let blob = place.blob.at;
        let is_handler = handlers(view, blob).contains(&Some(cpu.ip));
        let kept = is_handler.then(|| view.number(blob, "nmethod._orig_pc_offset"))??;
        view.word(cpu.sp().wrapping_add(kept as u64))
    };
    match original() {
        Some(ip) => cpu.caller(ip, cpu.sp(), cpu.fp()),
        None => cpu,
    }
}

fn handlers(view: View, blob: u64) -> [Option<u64>; 2] {
    ["deopt_handler", "deopt_mh_handler"].map(|name| {
        view.pointer(blob, &format!("CompiledMethod._{name}_begin"))
            .or_else(|| {
                let offset = view.number(blob, &format!("nmethod._{name}_offset"))?;
                Some(blob.wrapping_add(offset as u64))
            })
    })
}
