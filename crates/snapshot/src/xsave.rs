//! The extended registers of x86 processors, in memory as the XSAVE instruction writes them.
//!
//! An XSAVE area has 512 bytes that FXSAVE would write, a header of 64 bytes, and then the
//! *components*: AVX, AVX-512, protection keys and so on, each with a number (Intel SDM volume 1,
//! §13.1 and §13.4; AMD APM volume 2, §11.5).
//! Where a component lies is not fixed: CPUID leaf 0xD tells it. Intel's processors leave room for
//! MPX, so that AVX-512 begins at 1088. AMD's have no MPX, and there it begins at 832.
//!
//! A [`Snapshot`](crate::Snapshot) only has areas in one layout, the *standard* one, which is
//! Intel's. gdb 13 knows no other, and newer ones guess the layout by the size of the area.
//! [`XsaveLayout::to_standard`] converts, and is called where an area is read: from a thread, by
//! the layout of this processor, or from a file, by the layout that the file tells.

/// What FXSAVE writes: the x87 and SSE registers.
pub const LEGACY: usize = 512;
/// Where the components begin: behind [`LEGACY`] and the header.
pub const COMPONENTS: usize = 576;
/// Where the kernel puts XCR0, the mask of the components that the area has room for
/// (`sw_reserved`, arch/x86/include/uapi/asm/sigcontext.h).
pub const XCR0_AT: usize = 464;
/// Where the header has XSTATE_BV, the mask of the components that are not in their initial state.
pub const XSTATE_BV_AT: usize = 512;
/// The number of the component with the shadow stack's registers: IA32_U_CET and IA32_PL3_SSP.
pub const SHADOW_STACK: u32 = 11;

/// The bits of x87 and SSE, which every area has, in masks of components.
const ALWAYS: u64 = 3;
/// No area is larger, in bytes. Today's largest is 11,008.
const LARGEST: u32 = 64 << 10;

/// Where a component lies in an XSAVE area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Component {
    /// Its bit in XCR0.
    pub number: u32,
    /// Where it begins, in bytes from the start of the area.
    pub offset: u32,
    /// Its length in bytes.
    pub size: u32,
}

const fn at(number: u32, offset: u32, size: u32) -> Component {
    Component {
        number,
        offset,
        size,
    }
}

/// The standard layout, as CPUID leaf 0xD of Intel's processors tells it.
///
/// APX has the place of MPX: no processor has both. The registers of the shadow stack are a
/// supervisor component, which has no offset in an area of a program; here they have one of our
/// own, behind everything else.
pub const STANDARD: [Component; 11] = [
    at(2, 576, 256),              // the upper halves of YMM0 to YMM15
    at(3, 960, 64),               // MPX: BND0 to BND3
    at(4, 1024, 64),              // MPX: BNDCFGU, BNDSTATUS
    at(5, 1088, 64),              // AVX-512: K0 to K7
    at(6, 1152, 512),             // AVX-512: the upper halves of ZMM0 to ZMM15
    at(7, 1664, 1024),            // AVX-512: ZMM16 to ZMM31
    at(9, 2688, 8),               // PKRU
    at(17, 2752, 64),             // AMX: TILECFG
    at(18, 2816, 8192),           // AMX: the eight tiles
    at(19, 960, 128),             // APX: R16 to R31
    at(SHADOW_STACK, 11_008, 16), // IA32_U_CET, IA32_PL3_SSP
];

/// Where an area has its components.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct XsaveLayout(Vec<Component>);

impl XsaveLayout {
    /// The layout with these components. Those that cannot be right, and those that have no place
    /// in the standard layout, are left out.
    pub fn new(components: impl IntoIterator<Item = Component>) -> Self {
        let is_sane = |c: &Component| {
            let end = c.offset.saturating_add(c.size);
            standard(c.number).is_some() && c.offset as usize >= COMPONENTS && end <= LARGEST
        };
        Self(components.into_iter().filter(is_sane).collect())
    }

    /// The standard layout, with all components.
    pub fn standard() -> Self {
        Self(STANDARD.to_vec())
    }

    /// The layout that an area of a file most likely has, by its size and its mask of components:
    /// AMD's, whose components follow each other without room between them, if that gives exactly
    /// this size; else the standard one.
    pub fn guess(xcr0: u64, size: usize) -> Self {
        let mut end = COMPONENTS as u32;
        let mut packed = Vec::new();
        for component in components(xcr0).filter(|c| c.number != SHADOW_STACK) {
            packed.push(at(component.number, end, component.size));
            end += component.size;
        }
        if end as usize == size {
            Self(packed)
        } else {
            Self::standard()
        }
    }

    /// Its components.
    pub fn components(&self) -> &[Component] {
        &self.0
    }

    /// The same registers in the standard layout. The masks of the result name only what it holds.
    /// What is not larger than [`LEGACY`] is returned as it is.
    pub fn to_standard(&self, area: &[u8]) -> Vec<u8> {
        if area.len() < COMPONENTS {
            return area[..area.len().min(LEGACY)].to_vec();
        }
        let in_use = mask_at(area, XSTATE_BV_AT);
        let xcr0 = match mask_at(area, XCR0_AT) {
            0 => in_use,
            told => told,
        };
        let mut out = area[..COMPONENTS].to_vec();
        out[XCR0_AT..COMPONENTS].fill(0);
        let mut held = ALWAYS;
        for from in &self.0 {
            let bytes = area.get(from.offset as usize..(from.offset + from.size) as usize);
            if let Some(bytes) = bytes.filter(|_| xcr0 & 1 << from.number != 0) {
                put(&mut out, from.number, bytes);
                held |= 1 << from.number;
            }
        }
        out[XCR0_AT..][..8].copy_from_slice(&(xcr0 & held).to_le_bytes());
        out[XSTATE_BV_AT..][..8].copy_from_slice(&(in_use & held).to_le_bytes());
        out
    }
}

/// The place of a component in the standard layout; `None` if it has none there.
pub fn standard(number: u32) -> Option<Component> {
    STANDARD.into_iter().find(|c| c.number == number)
}

/// The components in the standard layout that a mask names.
pub fn components(mask: u64) -> impl Iterator<Item = Component> {
    STANDARD
        .into_iter()
        .filter(move |c| mask & 1 << c.number != 0)
}

/// The mask of components at `at` of an area; 0 if the area ends before it.
pub fn mask_at(area: &[u8], at: usize) -> u64 {
    let bytes = area.get(at..).and_then(|rest| rest.first_chunk());
    bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// An area with nothing but the x87 and SSE registers, in use.
pub fn from_fxsave(fxsave: &[u8; LEGACY]) -> Vec<u8> {
    let mut area = fxsave.to_vec();
    area.resize(COMPONENTS, 0);
    area[XCR0_AT..XSTATE_BV_AT].fill(0);
    add_to_mask(&mut area, XCR0_AT, ALWAYS);
    add_to_mask(&mut area, XSTATE_BV_AT, ALWAYS);
    area
}

/// Sets a component of an area in the standard layout, and its bits in both masks. The area grows
/// as far as needed. Does nothing if the component has no place there, or the area has no header.
pub fn set(area: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    make_room(area, components_of(number));
    if area.len() >= COMPONENTS && standard(number).is_some() {
        put(area, number, bytes);
        add_to_mask(area, XSTATE_BV_AT, 1 << number);
    }
}

/// Adds room for the components of `mask`, in their initial state, to an area in the standard
/// layout. Does nothing if the area has no header.
pub fn make_room(area: &mut Vec<u8>, mask: u64) {
    if area.len() < COMPONENTS {
        return;
    }
    for component in components(mask) {
        put(area, component.number, &[]);
        add_to_mask(area, XCR0_AT, 1 << component.number);
    }
}

/// The bytes of a component of an area in the standard layout, if it has the component.
pub fn get(area: &[u8], number: u32) -> Option<&[u8]> {
    let place = standard(number)?;
    let is_in = mask_at(area, XCR0_AT) & 1 << number != 0;
    area.get(place.offset as usize..(place.offset + place.size) as usize)
        .filter(|_| is_in)
}

fn add_to_mask(area: &mut [u8], at: usize, bits: u64) {
    let mask = mask_at(area, at) | bits;
    area[at..][..8].copy_from_slice(&mask.to_le_bytes());
}

fn components_of(number: u32) -> u64 {
    1u64.checked_shl(number).unwrap_or(0)
}

fn put(area: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    let Some(place) = standard(number) else {
        return;
    };
    let (start, size) = (place.offset as usize, place.size as usize);
    let bytes = &bytes[..bytes.len().min(size)];
    area.resize(area.len().max(start + size), 0);
    area[start..start + bytes.len()].copy_from_slice(bytes);
}
