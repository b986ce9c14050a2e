//! What blocks begin with.

use super::chunks::word;
use super::{OfSize, Sum};
use snapshot::{Range, RegionKind, Snapshot, coalesce};
use std::collections::HashMap;

/// The sizes that are told apart, at most.
const MOST_SIZES: usize = 1 << 16;
/// What blocks of one size begin with is told apart, so many at most.
const MOST_BEGINS: usize = 64;
/// How many of these are told.
const TOLD: usize = 3;
/// A text has so many characters at least.
const SHORTEST: usize = 4;

/// What a block begins with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Begin {
    /// A text, up to its first digit.
    Text(String),
    /// A pointer into a program or library: in C++ to the table of virtual functions of its class.
    Pointer(u64),
}

/// The blocks by their sizes.
pub(super) struct Tally {
    images: Vec<Range>,
    sizes: HashMap<u64, (Sum, HashMap<Begin, u64>)>,
}

impl Tally {
    pub(super) fn new(snapshot: &Snapshot) -> Self {
        let images = snapshot
            .regions
            .iter()
            .filter(|region| region.kind == RegionKind::Image);
        Self {
            images: coalesce(images.map(|region| region.range).collect(), 0),
            sizes: HashMap::new(),
        }
    }

    pub(super) fn add(&mut self, size: u64, content: &[u8]) {
        let begin = self.begin(content);
        let is_full = self.sizes.len() >= MOST_SIZES && !self.sizes.contains_key(&size);
        if is_full {
            return;
        }
        let (sum, begins) = self.sizes.entry(size).or_default();
        sum.add(size);
        let Some(begin) = begin else {
            return;
        };
        if begins.len() < MOST_BEGINS || begins.contains_key(&begin) {
            *begins.entry(begin).or_default() += 1;
        }
    }

    /// Takes a block away that turned out to be free.
    pub(super) fn take(&mut self, size: u64) {
        if let Some((sum, _)) = self.sizes.get_mut(&size) {
            sum.take(size);
        }
    }

    /// All sizes, those first that take most.
    pub(super) fn sizes(self) -> Vec<OfSize> {
        let mut sizes: Vec<OfSize> = self.sizes.into_iter().map(of_size).collect();
        sizes.sort_by_key(|of| std::cmp::Reverse((of.sum.bytes, of.usable)));
        sizes
    }

    fn begin(&self, content: &[u8]) -> Option<Begin> {
        let text = text(content);
        if text.len() >= SHORTEST {
            return Some(Begin::Text(text));
        }
        let pointer = word(content, 0);
        let at = self.images.partition_point(|image| image.end <= pointer);
        let is_in_image = self
            .images
            .get(at)
            .is_some_and(|image| image.contains(pointer));
        is_in_image.then_some(Begin::Pointer(pointer))
    }
}

fn of_size((size, (sum, begins)): (u64, (Sum, HashMap<Begin, u64>))) -> OfSize {
    let mut begins: Vec<(Begin, u64)> = begins.into_iter().collect();
    begins.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
    begins.truncate(TOLD);
    OfSize {
        usable: size.saturating_sub(8),
        sum,
        begins,
    }
}

/// The text that bytes begin with, up to its first digit: objects of one kind are often numbered.
fn text(content: &[u8]) -> String {
    let is_text = |byte: &u8| (0x20..0x7f).contains(byte) && !byte.is_ascii_digit();
    let text = content.iter().copied().take_while(is_text);
    text.map(char::from).collect()
}
