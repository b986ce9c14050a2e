//! What is put aside while a target stands, and where it is kept: each page of an object once, however often the process has
//! it mapped.

use super::{pages, proc::ProcDir, sys::memory::page};
use snapshot::{ObjectKey, Range, Region};
use std::{collections::BTreeMap, fs::File};

/// Addresses, and where what they show is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) range: Range,
    pub(super) at: u64,
}

/// Which pages are put aside.
#[derive(Default)]
pub(super) struct Layout {
    /// Every address that shows what is kept; ascending.
    pub(super) views: Vec<Kept>,
    /// From where each page is read; ascending by where it is kept, without gaps.
    pub(super) sources: Vec<Kept>,
    /// How much is kept, in bytes.
    pub(super) bytes: u64,
}

/// Which mappings show the same pages.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Same<'r> {
    /// Those of one object.
    Object(ObjectKey<'r>),
    /// Only that at this address.
    Alone(u64),
}

impl Layout {
    /// Lays out the pages that exist of these regions: what one mapping of an object has in its page tables, another one may
    /// lack.
    pub(super) fn of(proc: &ProcDir, regions: &[Region]) -> Self {
        let pagemap = proc.open_living("pagemap").ok();
        Self::of_existing(regions, |range| existing(pagemap.as_ref(), range))
    }

    /// Leaves out what could not be read, by where it would be kept; ascending.
    pub(super) fn without(mut self, unread: &[Range]) -> Self {
        if unread.is_empty() {
            return self;
        }
        let parts = |view: &Kept| {
            let (start, at) = (view.range.start, view.at);
            let kept = Range::new(at, at + view.range.len());
            let read = snapshot::without(&[kept], unread).into_iter();
            read.map(move |part| Kept {
                range: Range::new(start + (part.start - at), start + (part.end - at)),
                at: part.start,
            })
        };
        self.views = self.views.iter().flat_map(parts).collect();
        self
    }

    fn of_existing(regions: &[Region], existing: impl Fn(Range) -> Vec<Range>) -> Self {
        let mut objects: BTreeMap<Same<'_>, Vec<&Region>> = BTreeMap::new();
        for region in regions {
            let same = region.object().map(Same::Object);
            let same = same.unwrap_or(Same::Alone(region.range.start));
            objects.entry(same).or_default().push(region);
        }
        let mut layout = Self::default();
        for regions in objects.values() {
            layout.add(regions, &existing);
        }
        layout.views.sort_unstable_by_key(|view| view.range.start);
        layout
    }

    /// Adds the pages of an object, which these regions show.
    fn add(&mut self, regions: &[&Region], existing: impl Fn(Range) -> Vec<Range>) {
        let mut runs = Vec::new();
        for region in regions {
            let existing = existing(region.range).into_iter();
            runs.extend(existing.map(|run| (region.in_file(run), run.start)));
        }
        runs.sort_unstable();
        let mut kept: Vec<Kept> = Vec::new();
        for (run, address) in runs {
            let known = kept.last().map_or(0, |last| last.range.end);
            let new = Range::new(run.start.max(known), run.end);
            if !new.is_empty() {
                self.add_source(address + (new.start - run.start), new.len());
                join(&mut kept, new, self.bytes - new.len());
            }
        }
        for region in regions {
            self.views.extend(views(region, &kept));
        }
    }

    fn add_source(&mut self, address: u64, len: u64) {
        self.sources.push(Kept {
            range: Range::new(address, address + len),
            at: self.bytes,
        });
        self.bytes += len;
    }
}

/// Adds a part of an object that is kept `at`, behind all others.
fn join(kept: &mut Vec<Kept>, range: Range, at: u64) {
    match kept.last_mut() {
        Some(last) if last.range.end == range.start => last.range.end = range.end,
        _ => kept.push(Kept { range, at }),
    }
}

/// Where a region shows these parts of its object.
fn views(region: &Region, kept: &[Kept]) -> impl Iterator<Item = Kept> {
    let first = region.in_file(region.range).start;
    let from = kept.partition_point(|part| part.range.end <= first);
    kept[from..].iter().map_while(move |part| {
        let range = region.addresses_of(part.range)?;
        let skip = region.in_file(range).start - part.range.start;
        Some(Kept {
            range,
            at: part.at + skip,
        })
    })
}

/// The pages that a process has in this range.
fn existing(pagemap: Option<&File>, range: Range) -> Vec<Range> {
    let Some(pagemap) = pagemap else {
        return vec![range];
    };
    let runs = pages::runs(pagemap, &[range], page::PRESENT | page::SWAPPED);
    runs.iter()
        .map(|run| Range::new(run.start, run.end))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(start: u64, len: u64, offset: u64) -> Region {
        Region {
            range: Range::new(start, start + len),
            shared: true,
            name: "/memfd:heap".to_owned(),
            offset,
            inode: 5,
            ..Region::default()
        }
    }

    fn kept(start: u64, end: u64, at: u64) -> Kept {
        Kept {
            range: Range::new(start, end),
            at,
        }
    }

    /// Of an object of four pages, the first view has touched the first, the second view the first and the third.
    fn layout() -> Layout {
        let regions = [view(0x10000, 0x4000, 0), view(0x20000, 0x3000, 0x1000)];
        Layout::of_existing(&regions, |range| match range.start {
            0x10000 => vec![Range::new(0x10000, 0x12000)],
            _ => vec![Range::new(0x20000, 0x21000), Range::new(0x22000, 0x23000)],
        })
    }

    #[test]
    fn s3_a_page_is_kept_once_and_shown_by_all_who_map_it() {
        let layout = layout();
        let sources = [kept(0x10000, 0x12000, 0), kept(0x22000, 0x23000, 0x2000)];
        assert_eq!(layout.sources, sources);
        let views = [
            kept(0x10000, 0x12000, 0),
            kept(0x13000, 0x14000, 0x2000),
            kept(0x20000, 0x21000, 0x1000),
            kept(0x22000, 0x23000, 0x2000),
        ];
        assert_eq!(layout.views, views);
        assert_eq!(layout.bytes, 0x3000);
    }

    #[test]
    fn s3_what_could_not_be_read_is_not_shown() {
        let layout = layout().without(&[Range::new(0x1000, 0x2000)]);
        let views = [
            kept(0x10000, 0x11000, 0),
            kept(0x13000, 0x14000, 0x2000),
            kept(0x22000, 0x23000, 0x2000),
        ];
        assert_eq!(layout.views, views);
    }

    #[test]
    fn s3_what_only_has_the_same_numbers_is_kept_for_itself() {
        let mut regions = [view(0x10000, 0x1000, 0), view(0x20000, 0x1000, 0)];
        regions[1].name = "/SYSV00000000".to_owned();
        let layout = Layout::of_existing(&regions, |range| vec![range]);
        assert_eq!(layout.bytes, 0x2000);
    }
}
