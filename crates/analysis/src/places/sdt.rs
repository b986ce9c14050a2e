//! Static probes (SystemTap's `sys/sdt.h`): notes that give the address of a `nop` and the
//! registers that hold the probe's arguments. They stay in stripped and in static programs.

use super::elf::Elf;
use super::register::Register;

/// A probe.
pub(super) struct Probe<'a> {
    pub(super) name: &'a str,
    /// The address of the `nop`, as the file states it.
    pub(super) address: u64,
    /// `8@%rdi 8@%rsi`; see [`Probe::register`].
    arguments: &'a str,
}

impl Probe<'_> {
    /// The register that holds an argument of eight bytes, from 0 on; `None` if it is in memory, as
    /// in libraries built without optimization.
    pub(super) fn register(&self, argument: usize) -> Option<Register> {
        let text = self.arguments.split_ascii_whitespace().nth(argument)?;
        let (size, operand) = text.split_once('@')?;
        if !matches!(size, "8" | "-8") {
            return None;
        }
        Register::named(operand.strip_prefix('%').unwrap_or(operand))
    }
}

/// The probes of a provider.
pub(super) fn probes<'a>(elf: &Elf<'a>, provider: &str) -> Vec<Probe<'a>> {
    let base = elf.section(".stapsdt.base").map(|(address, _)| address);
    let notes = elf.notes(".note.stapsdt").into_iter();
    notes
        .filter(|(owner, _)| *owner == b"stapsdt")
        .filter_map(|(_, note)| probe(note, provider, base))
        .collect()
}

/// Reads a note: three words (address of the `nop`, address of `.stapsdt.base`, semaphore) and
/// three texts (provider, name, arguments). prelink moves the code without changing the notes; the
/// address where `.stapsdt.base` is now tells by how much.
fn probe<'a>(note: &'a [u8], provider: &str, base: Option<u64>) -> Option<Probe<'a>> {
    let (words, texts) = note.split_at_checked(24)?;
    let word = |at: usize| u64::from_le_bytes(words.as_chunks().0[at]);
    let mut texts = texts.split(|&b| b == 0).map(std::str::from_utf8);
    if texts.next()?.ok()? != provider {
        return None;
    }
    Some(Probe {
        name: texts.next()?.ok()?,
        address: word(0).wrapping_add(base.unwrap_or(word(1)).wrapping_sub(word(1))),
        arguments: texts.next()?.ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_tells_where_and_in_which_registers() {
        let mut note = Vec::new();
        for word in [0x1234u64, 0x8000, 0] {
            note.extend_from_slice(&word.to_le_bytes());
        }
        note.extend_from_slice(b"libstdcxx\0throw\x008@%rdi 8@-80(%rbx) 8@x1 4@%eax\0");
        let found = probe(&note, "libstdcxx", Some(0x9000)).unwrap();
        assert_eq!((found.name, found.address), ("throw", 0x2234));
        let registers = [0, 1, 2, 3, 4].map(|n| found.register(n));
        let [rdi, x1] = ["rdi", "x1"].map(Register::named);
        assert_eq!(registers, [rdi, None, x1, None, None]);
        assert!(probe(&note, "libc", None).is_none());
        assert!(probe(&note[..30], "libstdcxx", None).is_none());
    }
}
