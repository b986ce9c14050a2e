//! Threads of 32-bit programs as the kernel tells them to a 64-bit one: what is told by `/proc`, by a BPF program, or as a
//! `siginfo_t` has 64 bits, and a core of such a program has 32.

use super::{arch, facts, sys::ptrace::SignalInfo};
use crate::Facts;
use snapshot::Thread;

/// Returns the threads of a process as its own program has them.
pub(super) fn as_its_own(facts: &Facts, mut threads: Vec<Thread>) -> Vec<Thread> {
    let auxv = facts.process.file("auxv").unwrap_or_default();
    if !auxv.is_empty() && facts::word_size(auxv) == 4 {
        for thread in &mut threads {
            thread.registers = thread.registers.map(arch::narrowed);
            let info = thread.siginfo.as_deref();
            let info = info.and_then(<[u8]>::first_chunk);
            thread.siginfo = info.map(|info| siginfo(info).to_vec());
        }
    }
    threads
}

/// Returns a `siginfo_t` of 32 bits (`struct compat_siginfo` of the kernel's include/linux/compat.h): behind three numbers
/// there is no gap, and an address has four bytes.
fn siginfo(wide: &[u8; 128]) -> [u8; 128] {
    let mut narrow = [0; 128];
    let rest = match SignalInfo::read(wide).address {
        // What follows an address of eight bytes: si_addr_lsb and others.
        address if address != 0 => {
            narrow[12..16].copy_from_slice(&(address as u32).to_le_bytes());
            (16, &wide[24..])
        }
        _ => (12, &wide[16..]),
    };
    let (at, bytes) = rest;
    narrow[..12].copy_from_slice(&wide[..12]);
    narrow[at..at + bytes.len()].copy_from_slice(bytes);
    narrow
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(info: &[u8; 128]) -> Vec<u32> {
        let words = info.chunks_exact(4).take(8);
        let word = |bytes: &[u8]| bytes.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
        words.filter_map(word).collect()
    }

    fn info(words: [u32; 8]) -> [u8; 128] {
        let mut info = [0; 128];
        let bytes = words.iter().flat_map(|word| word.to_le_bytes());
        info.iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte);
        info
    }

    #[test]
    fn b16_the_information_of_a_signal_has_32_bits() {
        let fault = info([11, 0, 1, 0, 0x1234, 0, 7, 0]);
        assert_eq!(words(&siginfo(&fault)), [11, 0, 1, 0x1234, 7, 0, 0, 0]);
        // Sent by process 99 of user 1000, with the value 5.
        let sent = info([10, 0, u32::MAX, 0, 99, 1000, 5, 0]);
        assert_eq!(words(&siginfo(&sent)), [10, 0, u32::MAX, 99, 1000, 5, 0, 0]);
    }
}
