//! XSAVE areas as processors of several kinds write them, made from the layouts that their CPUID
//! leaf 0xD tells.
//!
//! Sources: Intel SDM volume 1, §13.4 and §13.5 with the offsets that `gdbsupport/x86-xstate.h` of
//! gdb and dmesg ("x86/fpu: xstate_offset") have of Intel's processors; AMD APM volume 2, §11.5.2,
//! with the sizes by which gdb's `i387_guess_xsave_layout` knows AMD's.

use super::*;
use snapshot::xsave::{self, Component};

/// A kind of processor.
pub(crate) struct Processor {
    pub(crate) name: &'static str,
    /// The components that Linux turns on for programs.
    pub(crate) xcr0: u64,
    /// Number, offset and size of the components behind the header.
    layout: &'static [(u32, u32, u32)],
    /// The length of an area, in bytes.
    pub(crate) size: usize,
    /// The length that gdb 13 to 16 want `NT_X86_XSTATE` to have.
    pub(crate) size_for_gdb: usize,
}

const AVX: (u32, u32, u32) = (2, 576, 256);
const INTEL_K: (u32, u32, u32) = (5, 1088, 64);
const INTEL_ZMM_LOW: (u32, u32, u32) = (6, 1152, 512);
const INTEL_ZMM_HIGH: (u32, u32, u32) = (7, 1664, 1024);
const INTEL_PKRU: (u32, u32, u32) = (9, 2688, 8);
const AMD_K: (u32, u32, u32) = (5, 832, 64);
const AMD_ZMM_LOW: (u32, u32, u32) = (6, 896, 512);
const AMD_ZMM_HIGH: (u32, u32, u32) = (7, 1408, 1024);

#[rustfmt::skip]
pub(crate) const PROCESSORS: [Processor; 11] = [
    Processor {
        name: "Intel Atom x6425RE: SSE only",
        xcr0: 0x3, layout: &[], size: 576, size_for_gdb: 576,
    },
    Processor {
        name: "Intel Sandy Bridge, AMD Zen: AVX",
        xcr0: 0x7, layout: &[AVX], size: 832, size_for_gdb: 832,
    },
    Processor {
        name: "Intel Skylake, client: AVX and MPX",
        xcr0: 0x1f, layout: &[AVX, (3, 960, 64), (4, 1024, 64)], size: 1088, size_for_gdb: 1088,
    },
    Processor {
        name: "Intel Knights Landing: AVX-512",
        xcr0: 0xe7, layout: &[AVX, INTEL_K, INTEL_ZMM_LOW, INTEL_ZMM_HIGH],
        size: 2688, size_for_gdb: 2688,
    },
    Processor {
        name: "Intel Skylake, server: AVX-512, MPX and PKRU",
        xcr0: 0x2ff,
        layout: &[AVX, (3, 960, 64), (4, 1024, 64), INTEL_K, INTEL_ZMM_LOW, INTEL_ZMM_HIGH, INTEL_PKRU],
        size: 2696, size_for_gdb: 2696,
    },
    Processor {
        name: "Intel Alder Lake: AVX and PKRU",
        xcr0: 0x207, layout: &[AVX, INTEL_PKRU], size: 2696, size_for_gdb: 2696,
    },
    Processor {
        name: "AMD Zen 3: AVX and PKRU",
        xcr0: 0x207, layout: &[AVX, (9, 832, 8)], size: 840, size_for_gdb: 2696,
    },
    Processor {
        name: "AMD Zen 4 without PKRU (virtual machine): AVX-512",
        xcr0: 0xe7, layout: &[AVX, AMD_K, AMD_ZMM_LOW, AMD_ZMM_HIGH],
        size: 2432, size_for_gdb: 2688,
    },
    Processor {
        name: "AMD Zen 4, Zen 5: AVX-512 and PKRU",
        xcr0: 0x2e7, layout: &[AVX, AMD_K, AMD_ZMM_LOW, AMD_ZMM_HIGH, (9, 2432, 8)],
        size: 2440, size_for_gdb: 2696,
    },
    Processor {
        name: "Intel Sapphire Rapids: AVX-512, PKRU and AMX",
        xcr0: 0x6_02e7,
        layout: &[AVX, INTEL_K, INTEL_ZMM_LOW, INTEL_ZMM_HIGH, INTEL_PKRU, (17, 2752, 64), (18, 2816, 8192)],
        size: 11_008, size_for_gdb: 2696,
    },
    Processor {
        name: "Intel Diamond Rapids: the same and APX",
        xcr0: 0xe_02e7,
        layout: &[AVX, (19, 960, 128), INTEL_K, INTEL_ZMM_LOW, INTEL_ZMM_HIGH, INTEL_PKRU, (17, 2752, 64), (18, 2816, 8192)],
        size: 11_008, size_for_gdb: 2696,
    },
];

impl Processor {
    pub(crate) fn layout(&self) -> XsaveLayout {
        let components = self.layout.iter();
        XsaveLayout::new(components.map(|&(number, offset, size)| Component {
            number,
            offset,
            size,
        }))
    }

    /// The numbers of the components that it has, but for x87 and SSE.
    pub(crate) fn components(&self) -> impl Iterator<Item = u32> {
        self.layout.iter().map(|component| component.0)
    }

    /// The area of a thread that uses every register that there is.
    pub(crate) fn area(&self) -> Vec<u8> {
        let mut area = vec![0; self.size];
        area[0..2].copy_from_slice(&0x037fu16.to_le_bytes());
        area[24..28].copy_from_slice(&0x1f80u32.to_le_bytes());
        area[160..416].copy_from_slice(&contents(1, 256));
        area[464..472].copy_from_slice(&self.xcr0.to_le_bytes());
        area[512..520].copy_from_slice(&self.xcr0.to_le_bytes());
        for &(number, offset, size) in self.layout {
            area[offset as usize..][..size as usize].copy_from_slice(&contents(number, size));
        }
        area
    }
}

/// What a component holds in these areas: bytes of which none is zero. Component 1 is XMM0 to XMM15.
pub(crate) fn contents(number: u32, size: u32) -> Vec<u8> {
    (0..size)
        .map(|at| (number * 41 + at * 7 + at / 64) as u8 | 1)
        .collect()
}

/// The bytes of register `zmmN`, or of as much of it as the processor has: 16 bytes from SSE, the
/// upper half of those 32 from AVX, the upper half of those 64 from AVX-512.
pub(crate) fn vector(processor: &Processor, n: usize) -> Vec<u8> {
    let has = |number| processor.components().any(|component| component == number);
    if n >= 16 {
        return contents(7, 1024)[(n - 16) * 64..][..64].to_vec();
    }
    let mut bytes = contents(1, 256)[n * 16..][..16].to_vec();
    if has(2) {
        bytes.extend(&contents(2, 256)[n * 16..][..16]);
    }
    if has(6) {
        bytes.extend(&contents(6, 512)[n * 32..][..32]);
    }
    bytes
}

/// A process of which each thread has every register in use, and a shadow stack with these registers.
pub(crate) fn snapshot_of(processor: &Processor, shadow_stack: Option<[u64; 2]>) -> Snapshot {
    let mut area = processor.layout().to_standard(&processor.area());
    if let Some(registers) = shadow_stack {
        let registers = registers.map(u64::to_le_bytes);
        xsave::set(&mut area, xsave::SHADOW_STACK, registers.as_flattened());
    }
    with_extended(&area)
}

pub(crate) fn with_extended(area: &[u8]) -> Snapshot {
    let mut snapshot = two_threads();
    for thread in &mut snapshot.threads {
        thread.extended = SparseBytes::new(area);
    }
    snapshot
}

pub(crate) fn core_of(processor: &Processor, shadow_stack: Option<[u64; 2]>) -> Vec<u8> {
    let snapshot = snapshot_of(processor, shadow_stack);
    write(DumpFormat::Core, &snapshot, &everything(&snapshot))
}

pub(crate) fn core_of_area(area: &[u8]) -> Vec<u8> {
    let snapshot = with_extended(area);
    write(DumpFormat::Core, &snapshot, &everything(&snapshot))
}

/// The 64-bit word at `at`.
pub(crate) fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}
