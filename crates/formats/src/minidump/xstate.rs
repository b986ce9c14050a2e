//! The registers beyond `CONTEXT`. Windows writes behind it a `CONTEXT_EX`, which says where things
//! lie, and an XSAVE area without its first 512 bytes, as those are in `CONTEXT` already.
//!
//! Only AVX goes there: it is the one component that lies at the same place on every processor.
//! All the others are in the stream of our own snapshot.

use super::body::put;
use crate::bytes::{Put, Take};
use minidump_common::format::{XSTATE_CONFIG_FEATURE_MSC_INFO, XSTATE_FEATURE};
use snapshot::xsave;

/// `CONTEXT` of 64-bit x86, and its `CONTEXT_EX` with padding.
const CONTEXT: usize = 1232;
const CONTEXT_EX: usize = 32;
/// Behind them, at a multiple of 64 as XSAVE wants it.
const START: usize = (CONTEXT + CONTEXT_EX).next_multiple_of(64);
/// The header of an XSAVE area, and the upper halves of the YMM registers behind it.
const HEADER: usize = xsave::COMPONENTS - xsave::LEGACY;
const AVX: u32 = 2;
const AVX_SIZE: usize = 256;
/// Of the XSAVE area behind the context: all but what FXSAVE writes.
const SIZE: usize = HEADER + AVX_SIZE;
/// x87, SSE and AVX in the mask of components.
const MASK: u64 = 7;

/// The AVX registers of an XSAVE area in the standard layout, if it has them.
pub(super) fn avx(area: &[u8]) -> Option<&[u8]> {
    xsave::get(area, AVX)
}

/// Appends the AVX registers of `area` to a context.
pub(super) fn append(context: &mut Vec<u8>, area: &[u8], avx: &[u8]) {
    // Where all, the plain context, and the rest lie, as seen from here; and how long they are.
    let whole = START + SIZE;
    for (offset, size) in [
        (-(CONTEXT as i32), whole),
        (-(CONTEXT as i32), CONTEXT),
        ((START - CONTEXT) as i32, SIZE),
    ] {
        context.u32(offset as u32);
        context.u32(size as u32);
    }
    context.resize(START, 0);
    context.u64(xsave::mask_at(area, xsave::XSTATE_BV_AT) & MASK);
    context.resize(START + HEADER, 0);
    context.put(avx);
}

/// The XSAVE area of a context, in the standard layout, with what FXSAVE writes and AVX. `None` if
/// the context has no XSAVE area.
pub(super) fn read(context: &[u8], fxsave: &[u8; xsave::LEGACY]) -> Option<Vec<u8>> {
    let mut place = Take(context.get(CONTEXT + 16..)?);
    let (offset, size) = (place.u32()? as i32, place.u32()? as usize);
    let start = usize::try_from(CONTEXT as i64 + i64::from(offset)).ok()?;
    let rest = context.get(start..start.checked_add(size)?)?;
    // AVX in use comes first in the compact form of an area, too.
    let avx = rest.get(HEADER..SIZE)?;
    let mut area = xsave::from_fxsave(fxsave);
    xsave::make_room(&mut area, 1 << AVX);
    if xsave::mask_at(rest, 0) & 1 << AVX != 0 {
        xsave::set(&mut area, AVX, avx);
    }
    Some(area)
}

/// What `MINIDUMP_MISC_INFO_5` says of it.
pub(super) fn description() -> Vec<u8> {
    let mut config = XSTATE_CONFIG_FEATURE_MSC_INFO {
        context_size: (START + SIZE) as u32,
        enabled_features: MASK,
        ..XSTATE_CONFIG_FEATURE_MSC_INFO::default()
    };
    let places = [(0, 160), (160, 256), (576, AVX_SIZE as u32)];
    for (feature, (offset, size)) in config.features.iter_mut().zip(places) {
        *feature = XSTATE_FEATURE { offset, size };
    }
    let mut out = Vec::new();
    put(&mut out, config);
    out
}
