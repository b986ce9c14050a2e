//! The data of images: pages of programs and libraries that differ from their files.

use super::{MINI_DATA, safe_pages, within};
use crate::{Range, Region, RegionKind, Snapshot};

/// The pages of images that the process has written to, and the zeroed data behind them, up to [`MINI_DATA`] in all:
/// those of the program first, then the others by ascending address.
pub(super) fn image_data(snapshot: &Snapshot) -> Vec<Range> {
    let (own, others): (Vec<Range>, Vec<Range>) = (
        data_of(snapshot, |name| name == snapshot.process.exe),
        data_of(snapshot, |name| name != snapshot.process.exe),
    );
    let mut left = MINI_DATA;
    let fits = |range: &Range| {
        let fits = range.len() <= left;
        left -= if fits { range.len() } else { 0 };
        fits
    };
    own.into_iter().chain(others).filter(fits).collect()
}

fn data_of(snapshot: &Snapshot, is_wanted: impl Fn(&str) -> bool) -> Vec<Range> {
    let mut ranges = Vec::new();
    let mut before: Option<&Region> = None;
    for region in &snapshot.regions {
        let is_image = region.kind == RegionKind::Image && !region.shared;
        // What a file has no content for is mapped as anonymous memory behind its data.
        let is_anonymous = region.inode == 0 && region.protection.write;
        let is_behind = |image: &&Region| is_anonymous && image.range.end == region.range.start;
        let image = match is_image {
            true => Some(region),
            false => before.filter(is_behind),
        };
        before = image.filter(|_| is_image);
        let is_wanted = image.is_some_and(|image| is_wanted(&image.name));
        if is_wanted && !region.protection.execute {
            ranges.extend(within(safe_pages(region), &region.private_pages));
        }
    }
    ranges
}
