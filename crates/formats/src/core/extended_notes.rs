//! The notes with the extended registers of one thread.
//!
//! `NT_X86_XSTATE` has the length and the layout that gdb's own `gcore` writes. gdb 13 knows only
//! that layout, newer ones guess the layout by the length, and both take no other length: see
//! `gdb/i387-tdep.c`, `i387_guess_xsave_layout`. The kernel's own cores have what the processor
//! has, and gdb 13 cannot read the AVX registers of an AMD processor with AVX-512 from them.
//! `NT_X86_XSAVE_LAYOUT` tells what is in the area, for readers that need not guess.
//!
//! What gdb has no place for, AMX and shadow stacks, is in a note of our own,
//! [`NT_MORE_REGISTERS`]:
//!
//! ```text
//! note      = mask of all components that the thread has (8 bytes), component...
//! component = its number (4 bytes), its length in bytes (4 bytes), its bytes
//! ```
//!
//! It has those components that are not in their initial state. The shadow stack's pointer is in
//! the kernel's `NT_X86_SHSTK` as well.

use super::notes::put_note;
use super::{NT_MORE_REGISTERS, OWNER};
use crate::bytes::{Put, Take};
use crate::fxsave;
use object::elf;
use snapshot::{Architecture, SparseBytes, XsaveLayout, xsave};

/// `NT_X86_SHSTK` (include/uapi/linux/elf.h): the shadow stack's pointer, IA32_PL3_SSP.
pub(super) const NT_X86_SHSTK: u32 = 0x204;
/// `NT_X86_XSAVE_LAYOUT` (include/uapi/linux/elf.h), of the process: an array of
/// `struct x86_xfeat_component` (arch/x86/include/uapi/asm/elf.h): type, size, offset and flags.
pub(super) const NT_X86_XSAVE_LAYOUT: u32 = 0x205;

/// The notes with the extended registers of a thread.
pub(super) fn extended_notes(extended: &SparseBytes, architecture: Architecture) -> Vec<u8> {
    let extended = &extended.to_vec()[..];
    let mut out = Vec::new();
    match architecture {
        Architecture::X86_64 | Architecture::X32 => {
            if let Some(fxsave) = extended.first_chunk::<{ xsave::LEGACY }>() {
                put_note(&mut out, "CORE", elf::NT_FPREGSET.0, fxsave);
            }
            xsave_notes(&mut out, extended);
        }
        Architecture::X86 => {
            if let Some(fxsave) = extended.first_chunk::<{ xsave::LEGACY }>() {
                let fsave = fxsave::to_fsave(fxsave);
                put_note(&mut out, "CORE", elf::NT_FPREGSET.0, &fsave);
                put_note(&mut out, "LINUX", elf::NT_PRXFPREG.0, fxsave);
            }
            xsave_notes(&mut out, extended);
        }
        _ if extended.is_empty() => {}
        Architecture::Aarch64 | Architecture::Arm | Architecture::RiscV64 => {
            put_note(&mut out, "CORE", elf::NT_FPREGSET.0, extended)
        }
    }
    out
}

/// The descriptor of `NT_X86_XSAVE_LAYOUT` for areas with the components of `area`; `None` if it
/// has none.
pub(super) fn layout(area: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for component in xsave::components(components_in_note(area)) {
        for word in [component.number, component.size, component.offset, 0] {
            out.u32(word);
        }
    }
    (!out.is_empty()).then_some(out)
}

/// The layout that a `NT_X86_XSAVE_LAYOUT` tells.
pub(super) fn read_layout(descriptor: &[u8]) -> XsaveLayout {
    let words = |entry: &[u8; 16]| {
        let mut words = Take(entry);
        let (number, size, offset) = (words.u32()?, words.u32()?, words.u32()?);
        Some(xsave::Component {
            number,
            offset,
            size,
        })
    };
    XsaveLayout::new(descriptor.as_chunks().0.iter().filter_map(words))
}

/// Adds what the notes of a thread tell of its shadow stack to its area, which is in the standard
/// layout.
pub(super) fn add_shadow_stack(area: &mut Vec<u8>, pointer: &[u8]) {
    /// The bit of IA32_U_CET that turns shadow stacks on. The kernel tells the pointer of a thread
    /// only if that is set, and tells nothing of the other bits.
    const ON: u64 = 1;
    if let Some(pointer) = Take(pointer).u64() {
        let registers = [ON, pointer].map(u64::to_le_bytes);
        xsave::set(area, xsave::SHADOW_STACK, registers.as_flattened());
    }
}

/// Adds what a note [`NT_MORE_REGISTERS`] tells of a thread to its area.
pub(super) fn add_more(area: &mut Vec<u8>, descriptor: &[u8]) {
    let mut rest = Take(descriptor);
    let Some(mask) = rest.u64() else {
        return;
    };
    xsave::make_room(area, mask);
    while let (Some(number), Some(size)) = (rest.u32(), rest.u32()) {
        let Some(bytes) = rest.bytes(size as usize) else {
            return;
        };
        xsave::set(area, number, bytes);
    }
}

fn xsave_notes(out: &mut Vec<u8>, area: &[u8]) {
    if area.len() < xsave::COMPONENTS {
        return;
    }
    let here = components_in_note(area);
    put_note(out, "LINUX", elf::NT_X86_XSTATE.0, &note_area(area, here));
    let shadow_stack = xsave::get(area, xsave::SHADOW_STACK).and_then(|r| r.last_chunk::<8>());
    let is_on = xsave::mask_at(area, xsave::XSTATE_BV_AT) & 1 << xsave::SHADOW_STACK != 0;
    if let Some(pointer) = shadow_stack.filter(|_| is_on) {
        put_note(out, "LINUX", NT_X86_SHSTK, pointer);
    }
    let all = xsave::mask_at(area, xsave::XCR0_AT);
    if all & !here & !LEGACY_BITS != 0 {
        put_note(out, OWNER, NT_MORE_REGISTERS, &more(area, all, here));
    }
}

/// x87 and SSE in masks of components.
const LEGACY_BITS: u64 = 3;
/// Those by which gdb computes the length of the area: AVX, MPX, AVX-512 and PKRU
/// (`gdbsupport/x86-xstate.h`, `X86_XSTATE_SIZE`).
const KNOWN_TO_GDB: u64 = 0b10_1111_1100;

/// The length of the area that gdb expects for these components.
fn note_length(mask: u64) -> usize {
    xsave::components(mask & KNOWN_TO_GDB)
        .map(|component| (component.offset + component.size) as usize)
        .fold(xsave::COMPONENTS, usize::max)
}

/// The components of `area` that lie within the length that gdb expects.
fn components_in_note(area: &[u8]) -> u64 {
    let mask = xsave::mask_at(area, xsave::XCR0_AT);
    let length = note_length(mask);
    xsave::components(mask)
        .filter(|component| (component.offset + component.size) as usize <= length)
        .fold(0, |mask, component| mask | 1 << component.number)
}

/// The area with only the components of `mask`.
fn note_area(area: &[u8], mask: u64) -> Vec<u8> {
    let mut out = area.to_vec();
    out.resize(note_length(mask), 0);
    for at in [xsave::XCR0_AT, xsave::XSTATE_BV_AT] {
        let mask = xsave::mask_at(area, at) & (mask | LEGACY_BITS);
        out[at..][..8].copy_from_slice(&mask.to_le_bytes());
    }
    out
}

/// The descriptor of [`NT_MORE_REGISTERS`]: the components in use that are not in `here`.
fn more(area: &[u8], all: u64, here: u64) -> Vec<u8> {
    let mut out = all.to_le_bytes().to_vec();
    let in_use = xsave::mask_at(area, xsave::XSTATE_BV_AT);
    for component in xsave::components(in_use & !here) {
        if let Some(bytes) = xsave::get(area, component.number) {
            out.u32(component.number);
            out.u32(component.size);
            out.put(bytes);
        }
    }
    out
}
