//! Memory that a process has mapped several times, as Java's ZGC its heap: it is in a core once, and the segments of all
//! mappings refer to it.

use super::PAGE;
use snapshot::{ObjectKey, Range, Region};
use std::collections::{BTreeMap, HashMap};

/// What a segment has in common with others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Shown {
    /// Nothing.
    #[default]
    Alone,
    /// Others refer to its memory. Such segments are numbered in the order in which they are found.
    First,
    /// Its memory is that of the first segment of this number, from `skip` bytes on.
    Again {
        first: u32,
        skip: u64,
        copied_from: u64,
    },
}

/// The most parts that are shown again because mappings of one object overlap: two large ones with holes would else have a
/// segment for each page.
const MOST_PARTS: usize = 1 << 16;

/// The memory of objects that are mapped several times.
pub(super) struct ShownObjects<'s> {
    /// By where they begin in their object.
    objects: HashMap<ObjectKey<'s>, BTreeMap<u64, First>>,
    count: u32,
    parts_left: usize,
}

/// A part of an object that is in the file.
struct First {
    end: u64,
    number: u32,
    /// Where it is copied from.
    address: u64,
}

impl<'s> ShownObjects<'s> {
    /// Looks for objects that are mapped several times.
    pub(super) fn of(regions: &'s [Region]) -> Self {
        let mut mappings: HashMap<ObjectKey<'_>, u32> = HashMap::new();
        for object in regions.iter().filter_map(Region::object) {
            *mappings.entry(object).or_default() += 1;
        }
        let several = mappings.into_iter().filter(|(_, count)| *count > 1);
        Self {
            objects: several
                .map(|(object, _)| (object, BTreeMap::new()))
                .collect(),
            count: 0,
            parts_left: MOST_PARTS,
        }
    }

    /// Cuts a run of memory of a region into what is in the file already and what is not; ascending. Returns `None` if it has
    /// nothing in common with others.
    pub(super) fn parts(&mut self, region: &'s Region, run: Range) -> Option<Vec<(Range, Shown)>> {
        let is_of_pages = run.start.is_multiple_of(PAGE) && run.end.is_multiple_of(PAGE);
        let key = region.object().filter(|_| is_of_pages)?;
        let object = self.objects.get_mut(&key)?;
        let wanted = region.in_file(run);
        let found = overlapping(object, wanted, self.parts_left);
        let is_whole = found.first().is_some_and(|(part, _)| *part == wanted);
        if !is_whole {
            self.parts_left = self.parts_left.checked_sub(found.len())?;
        }
        let known: Vec<Range> = found.iter().map(|(part, _)| *part).collect();
        let address = |part: Range| {
            let start = run.start + (part.start - wanted.start);
            Range::new(start, start + part.len())
        };
        let mut parts: Vec<_> = found
            .into_iter()
            .map(|(part, shown)| (address(part), shown))
            .collect();
        for part in snapshot::without(&[wanted], &known) {
            let first = First {
                end: part.end,
                number: self.count,
                address: address(part).start,
            };
            self.count += 1;
            object.insert(part.start, first);
            parts.push((address(part), Shown::First));
        }
        parts.sort_unstable_by_key(|(part, _)| part.start);
        Some(parts)
    }
}

/// What is known of this part of an object, ascending: more than `most` parts are not looked for.
fn overlapping(object: &BTreeMap<u64, First>, wanted: Range, most: usize) -> Vec<(Range, Shown)> {
    let before = object.range(..wanted.start).next_back();
    let from = before.map_or(wanted.start, |(start, _)| *start);
    let near = object.range(from..wanted.end);
    let parts = near.filter_map(|(start, first)| {
        let part = Range::new(*start, first.end).intersect(wanted)?;
        let skip = part.start - start;
        let shown = Shown::Again {
            first: first.number,
            skip,
            copied_from: first.address + skip,
        };
        Some((part, shown))
    });
    parts.take(most.saturating_add(1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(start: u64, pages: u64, first_page: u64) -> Region {
        Region {
            range: Range::new(start, start + pages * PAGE),
            shared: true,
            name: "/memfd:x".to_owned(),
            offset: first_page * PAGE,
            inode: 3,
            ..Region::default()
        }
    }

    fn again(first: u32, skip: u64, copied_from: u64) -> Shown {
        Shown::Again {
            first,
            skip,
            copied_from,
        }
    }

    #[test]
    fn s3_what_is_known_of_an_object_is_referred_to_and_the_rest_is_new() {
        let regions = [
            view(0x10000, 4, 0),
            view(0x20000, 6, 2),
            view(0x30000, 2, 1),
        ];
        let mut objects = ShownObjects::of(&regions);
        let mut parts = |region| objects.parts(region, region.range).expect("parts");
        assert_eq!(parts(&regions[0]), [(regions[0].range, Shown::First)]);
        let (low, high) = (Range::new(0x20000, 0x22000), Range::new(0x22000, 0x26000));
        let wanted = [(low, again(0, 0x2000, 0x12000)), (high, Shown::First)];
        assert_eq!(parts(&regions[1]), wanted);
        let whole = [(regions[2].range, again(0, 0x1000, 0x11000))];
        assert_eq!(parts(&regions[2]), whole);
    }

    #[test]
    fn s3_what_is_mapped_once_and_parts_of_pages_stand_alone() {
        let regions = [view(0x10000, 4, 0)];
        let mut objects = ShownObjects::of(&regions);
        let range = regions[0].range;
        assert_eq!(objects.parts(&regions[0], range), None);
        let regions = [view(0x10000, 4, 0), view(0x20000, 4, 0)];
        let mut objects = ShownObjects::of(&regions);
        let odd = Range::new(0x10000, 0x10800);
        assert_eq!(objects.parts(&regions[0], odd), None);
    }

    #[test]
    fn s3_the_number_of_segments_has_a_bound() {
        let pages = 2 * MOST_PARTS as u64 + 2;
        let regions = [view(1 << 32, pages, 0), view(1 << 40, pages, 0)];
        let mut objects = ShownObjects::of(&regions);
        for page in (0..pages).step_by(2) {
            let start = regions[0].range.start + page * PAGE;
            objects.parts(&regions[0], Range::new(start, start + PAGE));
        }
        let range = regions[1].range;
        assert_eq!(objects.parts(&regions[1], range), None);
    }
}
