//! System V ABI, AMD64 supplement, figure 3.36 (register numbers).

use super::{MOST_REGISTERS, Processor};
use snapshot::X86_64;

pub(super) const PROCESSOR: Processor = Processor {
    pointer: 8,
    sp: 7,
    fp: 6,
    ra: 16,
    has_link_register: false,
    has_frame_chain: true,
    address_mask: u64::MAX,
    longest_call: 8,
    ends_with_call,
    // mov $15,%rax; syscall (rt_sigreturn)
    signal_return: &[0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05],
    signal_registers: &SIGNAL_REGISTERS,
    signal_ip: 40 + 16 * 8,
};

/// `ucontext` lies at the stack pointer; `uc_mcontext.gregs` begins 40 bytes into it
/// (sys/ucontext.h: R8 … R15, RDI, RSI, RBP, RBX, RDX, RAX, RCX, RSP, RIP).
const SIGNAL_REGISTERS: [(usize, u64); 16] = {
    let order = [8, 9, 10, 11, 12, 13, 14, 15, 5, 4, 6, 3, 1, 0, 2, 7];
    let mut places = [(0, 0); 16];
    let mut at = 0;
    while at < 16 {
        places[at] = (order[at], 40 + 8 * at as u64);
        at += 1;
    }
    places
};

pub(super) fn numbered(r: &X86_64) -> [u64; MOST_REGISTERS] {
    let mut all = [0; MOST_REGISTERS];
    let known = [
        r.rax, r.rdx, r.rcx, r.rbx, r.rsi, r.rdi, r.rbp, r.rsp, r.r8, r.r9, r.r10, r.r11, r.r12,
        r.r13, r.r14, r.r15, r.rip,
    ];
    all[..known.len()].copy_from_slice(&known);
    all
}

/// `E8 rel32`, or `FF /2` with its ModRM, SIB and displacement, with or without a REX prefix.
/// Intel SDM volume 2, CALL; also right for 32-bit code.
pub(super) fn ends_with_call(bytes: &[u8]) -> bool {
    let end = bytes.len();
    if end >= 5 && bytes[end - 5] == 0xe8 {
        return true;
    }
    (2..=7.min(end)).any(|length| {
        let call = &bytes[end - length..];
        call[0] == 0xff
            && call[1] & 0x38 == 0x10
            && operand_bytes(call[1], call.get(2)) == length - 2
    })
}

/// How many bytes follow a ModRM byte.
fn operand_bytes(modrm: u8, sib: Option<&u8>) -> usize {
    let (mode, register) = (modrm >> 6, modrm & 7);
    let sib_bytes = usize::from(mode != 3 && register == 4);
    let has_no_base = sib_bytes == 1 && sib.is_some_and(|sib| sib & 7 == 5);
    let displacement = match mode {
        0 if register == 5 || has_no_base => 4,
        1 => 1,
        2 => 4,
        _ => 0,
    };
    sib_bytes + displacement
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_from_what_only_looks_like_data() {
        for (bytes, is_call) in [
            (&[0xe8, 1, 2, 3, 4][..], true),
            (&[0xff, 0xd0], true),                   // call *%rax
            (&[0x41, 0xff, 0xd3], true),             // call *%r11
            (&[0xff, 0x50, 0x18], true),             // call *0x18(%rax)
            (&[0xff, 0x15, 1, 2, 3, 4], true),       // call *x(%rip)
            (&[0xff, 0x14, 0xc5, 1, 2, 3, 4], true), // call *x(,%rax,8)
            (&[0xff, 0x54, 0x24, 0x08], true),       // call *8(%rsp)
            (&[0xff, 0xe0], false),                  // jmp *%rax
            (&[0x48, 0x89, 0xe5], false),
            (&[0x90], false),
            (&[], false),
        ] {
            assert_eq!(ends_with_call(bytes), is_call, "{bytes:x?}");
        }
    }
}
