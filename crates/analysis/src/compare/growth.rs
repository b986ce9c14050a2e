//! The memory of a series.

use super::Moment;
use crate::{Class, memory_summary};
use snapshot::{Range, Region, RegionKind, total_bytes};
use std::collections::BTreeMap;

/// How much there was of something when each dump was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Growth<T> {
    /// Of what.
    pub of: T,
    /// How much, in bytes; 0 where it was not there.
    pub bytes: Vec<u64>,
}

/// A region, as it is found again in other dumps: everything of one name that overlaps in any of them. It may have grown at
/// both ends, as the kernel joins neighbours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// All of its addresses.
    pub range: Range,
    /// Its name; empty for most anonymous memory.
    pub name: String,
}

impl<T> Growth<T> {
    /// How much more there is in the last dump than in the first, in bytes; negative if there is less.
    pub fn grown(&self) -> i64 {
        let first = self.bytes.first().copied().unwrap_or_default();
        let last = self.bytes.last().copied().unwrap_or_default();
        i64::try_from(i128::from(last) - i128::from(first)).unwrap_or(i64::MAX)
    }
}

pub(super) fn classes(moments: &[Moment]) -> Vec<Growth<Class>> {
    collect(moments, |moment| {
        let sizes = memory_summary(moment.snapshot, &[]);
        let sizes = sizes.into_iter();
        sizes
            .map(|size| (size.class, size.resident_bytes))
            .collect()
    })
}

pub(super) fn modules(moments: &[Moment]) -> Vec<Growth<String>> {
    collect(moments, |moment| {
        let is_image =
            |region: &&Region| region.kind == RegionKind::Image && !region.name.is_empty();
        let images = moment.snapshot.regions.iter().filter(is_image);
        let written = |region: &Region| total_bytes(&region.private_pages);
        images
            .map(|region| (region.name.clone(), written(region)))
            .collect()
    })
}

pub(super) fn regions(moments: &[Moment]) -> Vec<Growth<Place>> {
    let places = places(moments);
    collect(moments, |moment| {
        let regions = moment.snapshot.regions.iter();
        let sizes = regions.map(|region| (place_of(&places, region), region.resident_bytes()));
        sizes.collect()
    })
}

fn place_of(places: &BTreeMap<&str, Vec<Range>>, region: &Region) -> Place {
    let ranges = places
        .get(region.name.as_str())
        .map_or(&[][..], Vec::as_slice);
    let at = ranges.partition_point(|range| range.end <= region.range.start);
    Place {
        range: ranges.get(at).copied().unwrap_or(region.range),
        name: region.name.clone(),
    }
}

/// The regions of all dumps by name, those joined that overlap.
fn places<'m>(moments: &'m [Moment]) -> BTreeMap<&'m str, Vec<Range>> {
    let mut places: BTreeMap<&str, Vec<Range>> = BTreeMap::new();
    let regions = moments.iter().flat_map(|moment| &moment.snapshot.regions);
    for region in regions {
        places.entry(&region.name).or_default().push(region.range);
    }
    places.values_mut().for_each(join);
    places
}

fn join(ranges: &mut Vec<Range>) {
    ranges.sort_unstable_by_key(|range| range.start);
    ranges.dedup_by(|next, range| {
        let overlaps = next.start < range.end;
        if overlaps {
            range.end = range.end.max(next.end);
        }
        overlaps
    });
}

/// Brings together what was there of each thing in each dump.
fn collect<'m, T: Ord>(
    moments: &'m [Moment],
    sizes: impl Fn(&'m Moment) -> Vec<(T, u64)>,
) -> Vec<Growth<T>> {
    let mut all: BTreeMap<T, Vec<u64>> = BTreeMap::new();
    for (at, moment) in moments.iter().enumerate() {
        for (of, bytes) in sizes(moment) {
            let there = all.entry(of).or_insert_with(|| vec![0; moments.len()]);
            there[at] = there[at].saturating_add(bytes);
        }
    }
    let growth = |(of, bytes)| Growth { of, bytes };
    all.into_iter().map(growth).collect()
}
