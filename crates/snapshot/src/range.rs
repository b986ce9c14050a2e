/// A half-open range of addresses, `start..end`, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Range {
    /// The first address.
    pub start: u64,
    /// The first address behind it.
    pub end: u64,
}

impl Range {
    /// The range `start..end`; it is empty if `end` is not after `start`.
    pub const fn new(start: u64, end: u64) -> Self {
        Self { start, end }
    }

    /// Its length in bytes.
    pub const fn len(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether it has no addresses.
    pub const fn is_empty(&self) -> bool {
        self.end <= self.start
    }

    /// Whether it contains `address`.
    pub const fn contains(&self, address: u64) -> bool {
        self.start <= address && address < self.end
    }

    /// The addresses that are in both; `None` if there are none.
    pub fn intersect(&self, other: Range) -> Option<Range> {
        let both = Range::new(self.start.max(other.start), self.end.min(other.end));
        (!both.is_empty()).then_some(both)
    }

    /// The smallest range of whole pages that contains it; a page has `page` bytes, a power of two.
    pub const fn page_aligned(&self, page: u64) -> Range {
        let mask = page - 1;
        Range::new(self.start & !mask, self.end.saturating_add(mask) & !mask)
    }
}

/// Sorts ranges, joins those that overlap or are at most `gap` bytes apart, and drops empty ones.
pub fn coalesce(mut ranges: Vec<Range>, gap: u64) -> Vec<Range> {
    ranges.retain(|r| !r.is_empty());
    ranges.sort_unstable();
    let mut joined: Vec<Range> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(gap) => {
                last.end = last.end.max(range.end);
            }
            _ => joined.push(range),
        }
    }
    joined
}

/// The part of `ranges` that is in none of `others`. Both are ascending and without overlaps.
pub fn without(ranges: &[Range], others: &[Range]) -> Vec<Range> {
    let mut rest = Vec::new();
    for range in ranges {
        let mut start = range.start;
        let first = others.partition_point(|other| other.end <= start);
        for other in others[first..]
            .iter()
            .take_while(|other| other.start < range.end)
        {
            if other.start > start {
                rest.push(Range::new(start, other.start));
            }
            start = start.max(other.end);
        }
        if start < range.end {
            rest.push(Range::new(start, range.end));
        }
    }
    rest
}

/// The sum of the lengths of all ranges, in bytes.
pub fn total_bytes(ranges: &[Range]) -> u64 {
    ranges.iter().map(Range::len).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coalesce_joins_touching_and_near_ranges() {
        let ranges = vec![
            Range::new(8, 9),
            Range::new(0, 4),
            Range::new(4, 6),
            Range::new(20, 20),
        ];
        assert_eq!(
            coalesce(ranges.clone(), 0),
            [Range::new(0, 6), Range::new(8, 9)]
        );
        assert_eq!(coalesce(ranges, 2), [Range::new(0, 9)]);
    }

    #[test]
    fn page_alignment_does_not_overflow() {
        let top = Range::new(u64::MAX - 10, u64::MAX - 1).page_aligned(4096);
        assert_eq!(top.start, u64::MAX - 4095);
    }

    #[test]
    fn what_is_in_one_alone_is_what_the_other_lacks() {
        let range = |start, end| Range::new(start, end);
        let cases: [(&[Range], &[Range], &[Range]); 4] = [
            (&[range(0, 8)], &[], &[range(0, 8)]),
            (&[range(0, 8)], &[range(0, 8)], &[]),
            (
                &[range(2, 8)],
                &[range(0, 3), range(4, 5)],
                &[range(3, 4), range(5, 8)],
            ),
            (
                &[range(0, 2), range(6, 8)],
                &[range(1, 7)],
                &[range(0, 1), range(7, 8)],
            ),
        ];
        for (ranges, others, rest) in cases {
            assert_eq!(without(ranges, others), rest);
        }
    }
}
