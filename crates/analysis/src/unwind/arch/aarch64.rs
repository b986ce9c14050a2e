//! DWARF for the Arm 64-bit Architecture, table "DWARF register names".

use super::{MOST_REGISTERS, Processor};
use snapshot::Aarch64;

pub(super) const PROCESSOR: Processor = Processor {
    pointer: 8,
    sp: 31,
    fp: 29,
    ra: 30,
    has_link_register: true,
    has_frame_chain: true,
    // User addresses have 48 bits unless a program asks for more (arm64/memory.rst).
    address_mask: (1 << 48) - 1,
    longest_call: 4,
    ends_with_call,
    // mov x8, #139; svc #0 (rt_sigreturn)
    signal_return: &[0x68, 0x11, 0x80, 0xd2, 0x01, 0, 0, 0xd4],
    signal_registers: &SIGNAL_REGISTERS,
    signal_ip: REGISTERS + 32 * 8,
};

/// The 128-byte `siginfo`, then `ucontext`, whose `mcontext` begins at 176 with the fault's
/// address; then x0 … x30, sp, pc (arch/arm64/include/uapi/asm/sigcontext.h).
const REGISTERS: u64 = 128 + 176 + 8;

const SIGNAL_REGISTERS: [(usize, u64); 32] = {
    let mut places = [(0, 0); 32];
    let mut at = 0;
    while at < 32 {
        places[at] = (at, REGISTERS + 8 * at as u64);
        at += 1;
    }
    places
};

pub(super) fn numbered(r: &Aarch64) -> [u64; MOST_REGISTERS] {
    let mut all = [0; MOST_REGISTERS];
    all[..31].copy_from_slice(&r.x);
    all[31] = r.sp;
    all[32] = r.pc;
    all
}

/// `BL`, `BLR` and the authenticating `BLRAA` … (Arm Architecture Reference Manual, C6.2).
fn ends_with_call(bytes: &[u8]) -> bool {
    let Some(word) = bytes.last_chunk::<4>() else {
        return false;
    };
    let word = u32::from_le_bytes(*word);
    word & 0xfc00_0000 == 0x9400_0000 || word & 0xfeff_f000 == 0xd63f_0000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_from_jumps() {
        for (word, is_call) in [
            (0x9400_0010u32, true), // bl
            (0xd63f_0100, true),    // blr x8
            (0xd73f_0910, true),    // blraa x8, x16
            (0x1400_0010, false),   // b
            (0xd65f_03c0, false),   // ret
        ] {
            assert_eq!(ends_with_call(&word.to_le_bytes()), is_call, "{word:x}");
        }
    }
}
