//! RISC-V ABIs Specification, chapter "DWARF Register Numbers". A frame pointer leads to no chain as on other processors:
//! it points behind the saved registers.

use super::{MOST_REGISTERS, Processor};
use snapshot::RiscV64;

pub(super) const PROCESSOR: Processor = Processor {
    pointer: 8,
    sp: 2,
    fp: 8,
    ra: 1,
    has_link_register: true,
    has_frame_chain: false,
    address_mask: u64::MAX,
    longest_call: 4,
    ends_with_call,
    // li a7, 139; ecall (rt_sigreturn)
    signal_return: &[0x93, 0x08, 0xb0, 0x08, 0x73, 0, 0, 0],
    signal_registers: &SIGNAL_REGISTERS,
    signal_ip: REGISTERS,
};

/// The 128-byte `siginfo`, then `ucontext`, whose `mcontext` begins at 176: pc, then x1 … x31
/// (arch/riscv/include/uapi/asm/ucontext.h).
const REGISTERS: u64 = 128 + 176;

const SIGNAL_REGISTERS: [(usize, u64); 31] = {
    let mut places = [(0, 0); 31];
    let mut at = 0;
    while at < 31 {
        places[at] = (at + 1, REGISTERS + 8 * (at as u64 + 1));
        at += 1;
    }
    places
};

pub(super) fn numbered(r: &RiscV64) -> [u64; MOST_REGISTERS] {
    let mut all = [0; MOST_REGISTERS];
    all[1..32].copy_from_slice(&r.x);
    all
}

/// `jal ra` and `jalr ra`, and `c.jalr` with two bytes (RISC-V Instruction Set Manual, volume I, 2.5 and 26.4).
fn ends_with_call(bytes: &[u8]) -> bool {
    let Some(word) = bytes.last_chunk::<4>() else {
        return false;
    };
    let word = u32::from_le_bytes(*word);
    let half = word >> 16;
    let is_compressed = half & 0xf07f == 0x9002 && half & 0x0f80 != 0;
    word & 0xfff == 0x0ef || word & 0x7fff == 0x00e7 || is_compressed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_from_jumps() {
        for (word, is_call) in [
            (0x0100_00efu32, true), // jal ra, .+16
            (0x0007_80e7, true),    // jalr ra, a5
            (0x9782_0001, true),    // c.jalr a5
            (0x0100_006f, false),   // j
            (0x0000_8067, false),   // ret
            (0x8782_0001, false),   // c.jr a5
            (0x9002_0001, false),   // c.ebreak
        ] {
            assert_eq!(ends_with_call(&word.to_le_bytes()), is_call, "{word:x}");
        }
    }
}
