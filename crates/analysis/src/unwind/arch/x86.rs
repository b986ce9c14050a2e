//! System V ABI, Intel386 supplement, table 2.14 (register numbers).

use super::{MOST_REGISTERS, Processor};
use snapshot::X86;

pub(super) const PROCESSOR: Processor = Processor {
    pointer: 4,
    sp: 4,
    fp: 5,
    ra: 8,
    has_link_register: false,
    has_frame_chain: true,
    address_mask: u32::MAX as u64,
    longest_call: 8,
    ends_with_call: super::x86_64::ends_with_call,
    // mov $173,%eax; int $0x80 (rt_sigreturn)
    signal_return: &[0xb8, 0xad, 0, 0, 0, 0xcd, 0x80],
    signal_registers: &SIGNAL_REGISTERS,
    signal_ip: GREGS + 14 * 4,
};

/// `signo`, two pointers and the 128-byte `siginfo` lie before the `ucontext`; its `gregs` begin
/// 20 bytes into it (sys/ucontext.h: GS FS ES DS EDI ESI EBP ESP EBX EDX ECX EAX TRAPNO ERR EIP).
/// The return address is popped already.
const GREGS: u64 = 12 + 128 + 20;

const SIGNAL_REGISTERS: [(usize, u64); 8] = [
    (7, GREGS + 4 * 4),
    (6, GREGS + 5 * 4),
    (5, GREGS + 6 * 4),
    (4, GREGS + 7 * 4),
    (3, GREGS + 8 * 4),
    (2, GREGS + 9 * 4),
    (1, GREGS + 10 * 4),
    (0, GREGS + 11 * 4),
];

pub(super) fn numbered(r: &X86) -> [u64; MOST_REGISTERS] {
    let mut all = [0; MOST_REGISTERS];
    let known = [
        r.eax, r.ecx, r.edx, r.ebx, r.esp, r.ebp, r.esi, r.edi, r.eip,
    ];
    for (place, value) in all.iter_mut().zip(known) {
        *place = u64::from(value);
    }
    all
}
