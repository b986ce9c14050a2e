//! DWARF for the Arm Architecture, table "DWARF register names". Most code has no such tables, but those of the exception
//! handling ABI, which are not read: behind the first frame, callers are found by the link register and by a search.

use super::{MOST_REGISTERS, Processor};
use snapshot::Arm;

pub(super) const PROCESSOR: Processor = Processor {
    pointer: 4,
    sp: 13,
    fp: 11,
    ra: 14,
    has_link_register: true,
    has_frame_chain: false,
    // Bit 0 of a return address says that the caller is Thumb code.
    address_mask: u32::MAX as u64 & !1,
    longest_call: 4,
    ends_with_call,
    // mov r7, #173; svc #0 (rt_sigreturn)
    signal_return: &[0xad, 0x70, 0xa0, 0xe3, 0, 0, 0, 0xef],
    signal_registers: &SIGNAL_REGISTERS,
    signal_ip: REGISTERS + 15 * 4,
};

/// The 128-byte `siginfo`, then `ucontext`, whose `mcontext` begins at 20: three words, then r0 … r15
/// (arch/arm/include/uapi/asm/sigcontext.h).
const REGISTERS: u64 = 128 + 20 + 3 * 4;

const SIGNAL_REGISTERS: [(usize, u64); 15] = {
    let mut places = [(0, 0); 15];
    let mut at = 0;
    while at < 15 {
        places[at] = (at, REGISTERS + 4 * at as u64);
        at += 1;
    }
    places
};

pub(super) fn numbered(r: &Arm) -> [u64; MOST_REGISTERS] {
    let mut all = [0; MOST_REGISTERS];
    for (place, value) in all.iter_mut().zip(r.r) {
        *place = u64::from(value);
    }
    all
}

/// `BL` and `BLX` of ARM, and those of Thumb, which take two or four bytes (Arm Architecture Reference Manual for ARMv7-A,
/// A8.8.25 and A8.8.26).
fn ends_with_call(bytes: &[u8]) -> bool {
    let Some(word) = bytes.last_chunk::<4>() else {
        return false;
    };
    let (arm, [low, high]) = (u32::from_le_bytes(*word), halves(*word));
    let is_arm = arm & 0x0f00_0000 == 0x0b00_0000
        || arm & 0xfe00_0000 == 0xfa00_0000
        || arm & 0x0fff_fff0 == 0x012f_ff30;
    let is_thumb = (low & 0xf800 == 0xf000 && high & 0xc000 == 0xc000) || high & 0xff87 == 0x4780;
    is_arm || is_thumb
}

fn halves([a, b, c, d]: [u8; 4]) -> [u16; 2] {
    [u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_from_jumps() {
        for (word, is_call) in [
            (0xeb00_0010u32, true), // bl
            (0xfa00_0010, true),    // blx (to Thumb)
            (0xe12f_ff33, true),    // blx r3
            (0xea00_0010, false),   // b
            (0xe12f_ff1e, false),   // bx lr
            (0xf801_f000, true),    // Thumb: bl
            (0x4798_0000, true),    // Thumb: blx r3
            (0x4770_bd10, false),   // Thumb: pop {r4, pc}; bx lr
        ] {
            assert_eq!(ends_with_call(&word.to_le_bytes()), is_call, "{word:x}");
        }
    }
}
