//! The registers beyond `CONTEXT`. Windows writes behind it a `CONTEXT_EX`, which says where things
//! lie, and an XSAVE area without its first 512 bytes, as those are in `CONTEXT` already.
//!
//! Only AVX goes there: it is the one feature that lies at the same place on every processor.
//! All the others are in the stream of our own snapshot.

use super::body::put;
use crate::bytes::{Put, Take};
use minidump_common::format::{XSTATE_CONFIG_FEATURE_MSC_INFO, XSTATE_FEATURE};

/// `CONTEXT` of 64-bit x86, and its `CONTEXT_EX` with padding.
const CONTEXT: usize = 1232;
const CONTEXT_EX: usize = 32;
/// Behind them, at a multiple of 64 as XSAVE wants it.
const START: usize = (CONTEXT + CONTEXT_EX).next_multiple_of(64);
/// An XSAVE area: what FXSAVE writes, a header, the upper halves of the YMM registers.
const LEGACY: usize = 512;
const HEADER: usize = 64;
const AVX: usize = LEGACY + HEADER;
const AVX_SIZE: usize = 256;
/// Of the XSAVE area behind the context: all but what FXSAVE writes.
const SIZE: usize = HEADER + AVX_SIZE;
/// x87, SSE and AVX in the mask of features.
const MASK: u64 = 7;

/// Whether this XSAVE area holds AVX.
pub(super) fn is_in(area: &[u8]) -> bool {
    area.len() >= AVX + AVX_SIZE
}

/// Appends what the area holds of AVX to a context.
pub(super) fn append(context: &mut Vec<u8>, area: &[u8]) {
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
    let present = u64::from_le_bytes(area[LEGACY..LEGACY + 8].try_into().unwrap_or_default());
    context.u64(present & MASK);
    context.resize(START + HEADER, 0);
    context.put(&area[AVX..AVX + AVX_SIZE]);
}

/// The XSAVE area of a context: what FXSAVE writes is known, the rest lies where the context says.
pub(super) fn read(context: &[u8], legacy: &[u8; LEGACY]) -> Option<Vec<u8>> {
    let mut place = Take(context.get(CONTEXT + 16..)?);
    let (offset, size) = (place.u32()? as i32, place.u32()? as usize);
    let start = usize::try_from(CONTEXT as i64 + i64::from(offset)).ok()?;
    let rest = context.get(start..start.checked_add(size)?)?;
    // The compact form has other places for what follows the header; AVX comes first in both.
    let rest = rest.get(..SIZE)?;
    Some([&legacy[..], rest].concat())
}

/// What `MINIDUMP_MISC_INFO_5` says of it.
pub(super) fn description() -> Vec<u8> {
    let mut config = XSTATE_CONFIG_FEATURE_MSC_INFO {
        context_size: (START + SIZE) as u32,
        enabled_features: MASK,
        ..XSTATE_CONFIG_FEATURE_MSC_INFO::default()
    };
    let places = [(0, 160), (160, 256), (AVX as u32, AVX_SIZE as u32)];
    for (feature, (offset, size)) in config.features.iter_mut().zip(places) {
        *feature = XSTATE_FEATURE { offset, size };
    }
    let mut out = Vec::new();
    put(&mut out, config);
    out
}
