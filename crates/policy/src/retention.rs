//! How much is kept in a folder of dumps, and which dumps have to be deleted for that.

use snapshot::WallTime;
use std::time::Duration;

/// How much is kept in one folder. A limit that is `None` does not apply.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Retention {
    /// The number of dumps that are kept at most (LocalDumps' `DumpCount`).
    pub max_count: Option<u32>,
    /// The bytes that all dumps together may take.
    pub max_bytes: Option<u64>,
    /// Dumps older than this are deleted.
    pub max_age: Option<Duration>,
    /// The space that stays free on the disk.
    pub keep_free: Option<Free>,
}

/// Space on a disk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Free {
    /// A percentage of the whole disk, from 0 to 100.
    Percent(f64),
    /// A number of bytes.
    Bytes(u64),
}

impl std::str::FromStr for Free {
    type Err = String;

    /// Reads `5%` or `10GiB`. Fails with a sentence for the user.
    fn from_str(text: &str) -> Result<Self, String> {
        let Some(percent) = text.strip_suffix('%') else {
            return crate::parse_size(text).map(Free::Bytes);
        };
        let digits = crate::units::split_number(percent).1.is_empty();
        let percent = percent
            .parse()
            .ok()
            .filter(|p| digits && (0.0..=100.0).contains(p));
        percent
            .map(Free::Percent)
            .ok_or_else(|| format!("`{text}` is no part of a disk, such as 5%"))
    }
}

/// A file in a folder of dumps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDump<Id> {
    /// The caller's name for the file.
    pub id: Id,
    /// The bytes that it takes on the disk.
    pub bytes: u64,
    /// When the dump was taken.
    pub taken: WallTime,
    /// Whether firstchance wrote and finished it. Other files do not count, and are never deleted.
    pub ours: bool,
}

/// What has to be done so that a folder stays within its [`Retention`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict<Id> {
    /// The dumps to delete, oldest first.
    pub delete: Vec<Id>,
    /// The bytes that are still missing for the new dump when all of these are deleted; 0 if it fits.
    pub missing: u64,
}

/// The disk of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// The size of the disk, in bytes.
    pub size: u64,
    /// The free space, in bytes.
    pub free: u64,
}

impl Retention {
    /// Decides which dumps have to be deleted so that a new dump of `coming` bytes fits. If `coming` is 0,
    /// there is no new dump, and the folder is only brought back within its limits.
    ///
    /// The newest dump of firstchance is never deleted: the last incident can always be looked at.
    pub fn judge<Id: Clone>(
        &self,
        dumps: &[StoredDump<Id>],
        coming: u64,
        disk: Disk,
        now: WallTime,
    ) -> Verdict<Id> {
        let mut oldest: Vec<_> = dumps.iter().filter(|dump| dump.ours).collect();
        oldest.sort_by_key(|dump| dump.taken);
        let mut left = Left {
            count: oldest.len() as u64 + u64::from(coming > 0),
            bytes: oldest
                .iter()
                .map(|d| d.bytes)
                .fold(coming, u64::saturating_add),
            free: disk.free,
        };
        let spare = oldest.len().saturating_sub(1);
        let mut delete = Vec::new();
        for dump in &oldest[..spare] {
            if !self.is_too_old(dump.taken, now) && self.fits(&left, coming, disk) {
                break;
            }
            left.remove(dump.bytes);
            delete.push(dump.id.clone());
        }
        let missing = self.missing(&left, coming, disk);
        Verdict { delete, missing }
    }

    fn is_too_old(&self, taken: WallTime, now: WallTime) -> bool {
        let age = now.0.saturating_sub(taken.0).max(0) as u128;
        self.max_age.is_some_and(|max| age > max.as_nanos())
    }

    fn fits(&self, left: &Left, coming: u64, disk: Disk) -> bool {
        let count = self
            .max_count
            .is_none_or(|max| left.count <= u64::from(max));
        let bytes = self.max_bytes.is_none_or(|max| left.bytes <= max);
        count && bytes && self.missing_on_disk(left, coming, disk) == 0
    }

    fn missing(&self, left: &Left, coming: u64, disk: Disk) -> u64 {
        // Without a new dump nothing is missing: what exists may stay.
        if coming == 0 {
            return 0;
        }
        let over = self
            .max_bytes
            .map_or(0, |max| left.bytes.saturating_sub(max));
        over.max(self.missing_on_disk(left, coming, disk))
    }

    fn missing_on_disk(&self, left: &Left, coming: u64, disk: Disk) -> u64 {
        let kept = match self.keep_free {
            None => 0,
            Some(Free::Bytes(bytes)) => bytes,
            Some(Free::Percent(percent)) => (disk.size as f64 * percent / 100.0) as u64,
        };
        kept.saturating_add(coming).saturating_sub(left.free)
    }
}

/// What the folder and the disk have when some dumps were deleted. The new dump is counted, its bytes are
/// not yet taken from `free`.
struct Left {
    count: u64,
    bytes: u64,
    free: u64,
}

impl Left {
    fn remove(&mut self, bytes: u64) {
        self.count -= 1;
        self.bytes = self.bytes.saturating_sub(bytes);
        self.free = self.free.saturating_add(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: i64 = 86_400_000_000_000;

    fn ours(id: u32, bytes: u64, day: i64) -> StoredDump<u32> {
        let taken = WallTime(day * DAY);
        StoredDump {
            id,
            bytes,
            taken,
            ours: true,
        }
    }

    fn check(keep: &str, dumps: &[StoredDump<u32>], coming: u64, delete: &[u32], missing: u64) {
        let rule: crate::Rule = format!("on 1, when now, do none{keep}").parse().unwrap();
        let disk = Disk {
            size: 1000,
            free: 100,
        };
        let verdict = rule
            .limits
            .keep
            .judge(dumps, coming, disk, WallTime(10 * DAY));
        assert_eq!(
            (&verdict.delete[..], verdict.missing),
            (delete, missing),
            "{keep}"
        );
    }

    #[test]
    fn the_oldest_go_first_and_only_as_many_as_must() {
        let three = [ours(3, 30, 9), ours(1, 10, 1), ours(2, 20, 5)];
        check("", &three, 50, &[], 0);
        check("; keep at most 3 dumps", &three, 5, &[1], 0);
        check("; keep at most 2 dumps", &three, 0, &[1], 0);
        check("; keep at most 60B", &three, 5, &[1], 0);
        check("; keep at most 60B", &three, 25, &[1, 2], 0);
        check("; keep at most 7d", &three, 0, &[1], 0);
        check("; keep 90B free", &three, 20, &[1], 0);
        check("; keep 10% free", &three, 25, &[1, 2], 0);
    }

    #[test]
    fn the_newest_and_foreign_files_stay_and_the_lack_is_said() {
        let foreign = StoredDump {
            ours: false,
            ..ours(9, 500, 0)
        };
        let dumps = [ours(1, 10, 1), ours(2, 20, 2), foreign];
        check("; keep at most 1 dump", &dumps, 5, &[1], 0);
        check("; keep at most 1h", &dumps, 0, &[1], 0);
        check("; keep 200B free", &dumps, 5, &[1], 95);
        check("; keep at most 20B", &dumps, 5, &[1], 5);
        check("", &dumps, 150, &[1], 40);
    }

    proptest! {
        #[test]
        fn never_the_newest_never_a_foreign_file_never_more_than_needed(
            files in proptest::collection::vec((0u64..100, 0i64..20, any::<bool>()), 0..12),
            max_count in proptest::option::of(0u32..6),
            max_bytes in proptest::option::of(0u64..300),
            coming in 0u64..100,
        ) {
            let dumps: Vec<_> = files.iter().enumerate().map(|(i, &(bytes, day, ours_))| {
                StoredDump { ours: ours_, ..ours(i as u32, bytes, day) }
            }).collect();
            let keep = Retention { max_count, max_bytes, ..Retention::default() };
            let disk = Disk { size: 10_000, free: 10_000 };
            let verdict = keep.judge(&dumps, coming, disk, WallTime(30 * DAY));
            let newest = dumps.iter().filter(|d| d.ours).max_by_key(|d| d.taken);
            for id in &verdict.delete {
                prop_assert!(dumps[*id as usize].ours);
                prop_assert!(newest.is_some_and(|n| n.taken > dumps[*id as usize].taken || n.id != *id));
            }
            if let Some((_, fewer)) = verdict.delete.split_last() {
                let gone = |id: u32| fewer.contains(&id);
                let kept: Vec<_> = dumps.iter().filter(|d| d.ours && !gone(d.id)).collect();
                let count = kept.len() as u64 + u64::from(coming > 0);
                let bytes: u64 = kept.iter().map(|d| d.bytes).sum::<u64>() + coming;
                let over = max_count.is_some_and(|m| count > u64::from(m)) || max_bytes.is_some_and(|m| bytes > m);
                prop_assert!(over, "one less would have been enough");
            }
        }
    }
}
