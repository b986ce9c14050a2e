//! The x87 state as 32-bit programs know it: `NT_FPREGSET` of a core, the kernel's `struct
//! user_i387_struct` (`arch/x86/include/asm/user_32.h`), and `FLOATING_SAVE_AREA` of a minidump
//! (`winnt.h`): FXSAVE unpacked to what FSAVE stores. Layout of both: Intel SDM volume 1, §8.1 and
//! §10.5.

use crate::bytes::Put;

/// How long it is, in bytes.
pub(crate) const FSAVE_SIZE: usize = 108;

/// What FSAVE would have stored, from the 512 bytes that FXSAVE stored.
pub(crate) fn to_fsave(fxsave: &[u8; 512]) -> [u8; FSAVE_SIZE] {
    let half = |at: usize| u16::from_le_bytes([fxsave[at], fxsave[at + 1]]);
    let mut out = Vec::with_capacity(FSAVE_SIZE);
    // The upper halves of these words are reserved and read as ones.
    out.u32(0xffff_0000 | u32::from(half(0)));
    out.u32(0xffff_0000 | u32::from(half(2)));
    out.u32(0xffff_0000 | u32::from(full_tag(fxsave)));
    out.put(&fxsave[8..12]);
    out.u32(u32::from(half(12)) | u32::from(half(6)) << 16);
    out.put(&fxsave[16..20]);
    out.u32(0xffff_0000 | u32::from(half(20)));
    (0..8).for_each(|n| out.put(&register(fxsave, n)));
    let mut fixed = [0; FSAVE_SIZE];
    fixed.copy_from_slice(&out);
    fixed
}

/// `ST(n)`: 80 bits in a slot of 128.
fn register(fxsave: &[u8; 512], n: usize) -> [u8; 10] {
    let mut bytes = [0; 10];
    bytes.copy_from_slice(&fxsave[32 + 16 * n..][..10]);
    bytes
}

/// Two bits for each physical register (valid 0, zero 1, special 2, empty 3) from the one bit
/// (in use) that FXSAVE keeps.
fn full_tag(fxsave: &[u8; 512]) -> u16 {
    let top = usize::from(fxsave[3] >> 3 & 7);
    (0..8).fold(0, |tag, physical| {
        let in_use = fxsave[4] & (1 << physical) != 0;
        let stacked = (physical + 8 - top) % 8;
        let class = if in_use {
            class(register(fxsave, stacked))
        } else {
            3
        };
        tag | class << (2 * physical)
    })
}

fn class(register: [u8; 10]) -> u16 {
    let exponent = u16::from_le_bytes([register[8], register[9]]) & 0x7fff;
    let whole = register[7] & 0x80 != 0;
    let zero = register[..8].iter().all(|&byte| byte == 0);
    match exponent {
        0 if zero => 1,
        0 | 0x7fff => 2,
        _ if whole => 0,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_follow_the_values() {
        let mut fxsave = [0u8; 512];
        fxsave[0..2].copy_from_slice(&0x037fu16.to_le_bytes());
        // TOP = 6: ST(0) is physical register 6 and holds 1.0, ST(1) is 7 and holds 0.
        fxsave[2..4].copy_from_slice(&(6u16 << 11).to_le_bytes());
        fxsave[4] = 0b1100_0000;
        fxsave[32 + 7] = 0x80;
        fxsave[32 + 8..32 + 10].copy_from_slice(&0x3fffu16.to_le_bytes());
        let fsave = to_fsave(&fxsave);
        assert_eq!(fsave[0..4], 0xffff_037fu32.to_le_bytes());
        assert_eq!(fsave[8..10], 0b01_00_11_11_11_11_11_11u16.to_le_bytes());
        assert_eq!(fsave[28 + 7..28 + 10], [0x80, 0xff, 0x3f]);
    }
}
