use super::*;
use snapshot::{Protection, Region, RegionKind};

const START: u64 = 0x10000;

/// A heap of brk(2).
struct Fake(Vec<u8>);

impl Memory for Fake {
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
        let from = address.checked_sub(START).map(|from| from as usize);
        let rest = from.and_then(|from| self.0.get(from..)).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        count
    }
}

impl Fake {
    fn block(&mut self, size: u64, previous_in_use: bool, content: &[u8]) {
        let from = self.0.len();
        self.0.extend([0; 8]);
        self.0
            .extend((size | u64::from(previous_in_use)).to_le_bytes());
        self.0.extend(content);
        self.0.resize(from + size as usize, 0);
    }

    fn of(blocks: &[(u64, bool, &[u8])]) -> Self {
        let mut fake = Self(Vec::new());
        for (size, previous_in_use, content) in blocks {
            fake.block(*size, *previous_in_use, content);
        }
        fake
    }

    fn snapshot(&self) -> Snapshot {
        let region = Region {
            range: Range::new(START, START + self.0.len() as u64),
            kind: RegionKind::Heap,
            protection: Protection {
                read: true,
                write: true,
                ..Protection::default()
            },
            ..Region::default()
        };
        Snapshot {
            regions: vec![region],
            ..Snapshot::default()
        }
    }

    fn heap(&self) -> Option<Blocks> {
        match heap(&self.snapshot(), self) {
            Heap::Glibc(blocks) => Some(blocks),
            _ => None,
        }
    }
}

#[test]
fn blocks_are_counted_by_size_and_by_what_they_begin_with() {
    let fake = Fake::of(&[
        (48, true, b"session 1"),
        (48, true, b"session 2"),
        (64, true, b""),
        (48, false, b"order"),
        (4096, true, b""),
    ]);
    let blocks = fake.heap().expect("a heap");
    let arena = &blocks.arenas[0];
    assert_eq!(
        arena.in_use,
        Sum {
            count: 3,
            bytes: 144
        }
    );
    assert_eq!(
        arena.free,
        Sum {
            count: 1,
            bytes: 64
        }
    );
    assert_eq!(arena.top, 4096);
    assert_eq!(blocks.sizes[0].usable, 40);
    let text = |text: &str| Begin::Text(text.to_owned());
    let begins = [(text("session "), 2), (text("order"), 1)];
    assert_eq!(blocks.sizes[0].begins, begins);
    assert!(blocks.doubts.is_empty());
}

/// A size that was overwritten ends the walk, and is told.
#[test]
fn what_is_no_block_is_told_and_ends_the_walk() {
    for size in [0, 8, 24, 40, 1 << 40, u64::MAX - 15] {
        let mut fake = Fake::of(&[(48, true, b"one"), (48, true, b"two"), (4096, true, b"")]);
        fake.0[48 + 8..48 + 16].copy_from_slice(&(size | 1).to_le_bytes());
        let blocks = fake.heap().expect("a heap");
        assert_eq!(blocks.in_use().count, 1, "{size:#x}");
        assert_eq!(blocks.doubts.len(), 1, "{size:#x}");
        assert!(
            blocks.doubts[0].contains("followed for 48 of"),
            "{:?}",
            blocks.doubts
        );
    }
}

/// Any bytes are read without harm, and in bounded time.
#[test]
fn any_bytes_are_read() {
    let mut seed = 1u64;
    for _ in 0..200 {
        let bytes = (0..8192).map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 56) as u8
        });
        let mut fake = Fake(bytes.collect());
        // Small sizes, which lead on.
        for at in (8..8192).step_by(32) {
            fake.0[at + 1..at + 8].fill(0);
        }
        let _ = fake.heap();
    }
}
