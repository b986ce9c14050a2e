//! How much is kept in a folder of dumps, and which dumps have to be deleted for that.

use snapshot::WallTime;
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

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

impl Free {
    /// Whether it is the whole disk, of this size in bytes if that is known.
    fn is_all(self, disk: Option<u64>) -> bool {
        match self {
            Self::Percent(percent) => percent >= 100.0,
            Self::Bytes(bytes) => disk.is_some_and(|size| bytes >= size),
        }
    }
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
    /// Who may decide about it.
    pub state: Stored,
    /// The number of the user whose process it is of; `None` where that is not known.
    pub user: Option<u32>,
}

/// Whether a file may be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// firstchance wrote it, and does not write to it any more: a whole dump, or a part that was kept.
    Ours,
    /// firstchance is writing it. It counts, and stays.
    Writing,
    /// Another program's. It does not count, and stays.
    Foreign,
}

/// A dump that is about to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coming {
    /// The bytes that it will take.
    pub bytes: u64,
    /// The number of the user whose process it is of; `None` where that is not known.
    pub user: Option<u32>,
}

/// The number of the user to whom nobody's dumps give way but their own.
const ROOT: Option<u32> = Some(0);

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
    /// Whether a dump can stay at all: `disk` is the size of the disk in bytes, where that is known.
    ///
    /// # Errors
    /// Fails with a sentence for the user about a limit that leaves room for no dump.
    pub fn expect_room(&self, disk: Option<u64>) -> Result<(), String> {
        let nothing = |what: &str| Err(format!("{what} keeps no dump"));
        match self {
            Self {
                max_count: Some(0), ..
            } => nothing("a count of 0"),
            Self {
                max_bytes: Some(0), ..
            } => nothing("a size of 0 bytes for all dumps together"),
            Self {
                max_age: Some(Duration::ZERO),
                ..
            } => nothing("an age of 0"),
            Self {
                keep_free: Some(free),
                ..
            } if free.is_all(disk) => nothing("a disk that stays free as a whole"),
            _ => Ok(()),
        }
    }

    /// Decides which dumps have to be deleted so that a new one fits. If none is coming, the folder is only brought back
    /// within its limits.
    ///
    /// The user who has the most gives way, first of all the one whose dump is coming; so nobody can take another's by
    /// crashing often. Root's dumps never go for another's. Of a user's dumps the oldest goes first.
    ///
    /// The newest dump of all is deleted only for a new one that finds no room else: the last incident can always be
    /// looked at.
    pub fn judge<Id: Clone>(
        &self,
        dumps: &[StoredDump<Id>],
        coming: Option<Coming>,
        disk: Disk,
        now: WallTime,
    ) -> Verdict<Id> {
        let mut folder = Folder::new(self, dumps, coming, disk);
        folder.delete_old(now);
        folder.delete_until_it_fits();
        if folder.missing() > 0
            && let Some(newest) = folder.newest.take()
        {
            folder
                .shares
                .entry(newest.user)
                .or_default()
                .may_go
                .push_back(newest);
            folder.delete_until_it_fits();
        }
        Verdict {
            missing: folder.missing(),
            delete: folder.delete,
        }
    }
}

/// A folder as it is when some dumps were deleted, and the new one is there.
struct Folder<'d, Id> {
    keep: &'d Retention,
    coming: Option<Coming>,
    /// With the space that was freed.
    disk: Disk,
    count: u64,
    bytes: u64,
    shares: BTreeMap<Option<u32>, Share<'d, Id>>,
    /// The newest of all that could be deleted; it is in nobody's `may_go`.
    newest: Option<&'d StoredDump<Id>>,
    delete: Vec<Id>,
}

/// What one user has in a folder.
struct Share<'d, Id> {
    count: u64,
    bytes: u64,
    /// Oldest first.
    may_go: VecDeque<&'d StoredDump<Id>>,
}

impl<Id> Default for Share<'_, Id> {
    fn default() -> Self {
        Self {
            count: 0,
            bytes: 0,
            may_go: VecDeque::new(),
        }
    }
}

impl<'d, Id: Clone> Folder<'d, Id> {
    fn new(
        keep: &'d Retention,
        dumps: &'d [StoredDump<Id>],
        coming: Option<Coming>,
        disk: Disk,
    ) -> Self {
        let mut folder = Self {
            keep,
            coming,
            disk,
            count: 0,
            bytes: 0,
            shares: BTreeMap::new(),
            newest: None,
            delete: Vec::new(),
        };
        coming
            .into_iter()
            .for_each(|new| folder.add(new.user, new.bytes));
        let theirs = dumps.iter().filter(|d| d.state != Stored::Foreign);
        theirs.for_each(|dump| folder.add(dump.user, dump.bytes));
        let mut ours: Vec<_> = dumps.iter().filter(|d| d.state == Stored::Ours).collect();
        ours.sort_by_key(|dump| dump.taken);
        folder.newest = ours.pop();
        for dump in ours {
            folder
                .shares
                .entry(dump.user)
                .or_default()
                .may_go
                .push_back(dump);
        }
        folder
    }

    fn add(&mut self, user: Option<u32>, bytes: u64) {
        let share = self.shares.entry(user).or_default();
        share.count += 1;
        share.bytes = share.bytes.saturating_add(bytes);
        self.count += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }

    fn delete_old(&mut self, now: WallTime) {
        let Some(max) = self.keep.max_age else { return };
        let is_old = |dump: &&StoredDump<Id>| {
            let age = now.0.saturating_sub(dump.taken.0).max(0) as u128;
            age > max.as_nanos()
        };
        for user in self.shares.keys().copied().collect::<Vec<_>>() {
            while self.shares[&user].may_go.front().is_some_and(is_old) {
                self.delete_of(user);
            }
        }
    }

    fn delete_until_it_fits(&mut self) {
        while !self.fits() {
            let Some(user) = self.who_gives_way() else {
                return;
            };
            self.delete_of(user);
        }
    }

    /// Deletes the oldest dump of a user.
    fn delete_of(&mut self, user: Option<u32>) {
        let share = self.shares.get_mut(&user);
        let Some((share, dump)) = share.and_then(|s| s.may_go.pop_front().map(|dump| (s, dump)))
        else {
            return;
        };
        share.count -= 1;
        share.bytes = share.bytes.saturating_sub(dump.bytes);
        self.count -= 1;
        self.bytes = self.bytes.saturating_sub(dump.bytes);
        self.disk.free = self.disk.free.saturating_add(dump.bytes);
        self.delete.push(dump.id.clone());
    }

    /// The user whose oldest dump goes next: who has the most, of what there is too much of. `None` if nobody has to.
    fn who_gives_way(&self) -> Option<Option<u32>> {
        let counts = self.has_room();
        let comes_for = self.coming.map(|coming| coming.user);
        let spares_root = comes_for.map_or_else(|| self.others_may_go(), |user| user != ROOT);
        let has = |share: &Share<Id>| if counts { share.count } else { share.bytes };
        let may = |user: Option<u32>, share: &Share<Id>| {
            !share.may_go.is_empty() && (user != ROOT || !spares_root)
        };
        // Whoever has the most takes nobody else's: the dump that is coming is refused then.
        let shares = self.shares.iter();
        let candidates =
            shares.filter(|(user, share)| may(**user, share) || Some(**user) == comes_for);
        let most = candidates.max_by_key(|(user, share)| (has(share), Some(**user) == comes_for));
        most.filter(|(user, share)| may(**user, share))
            .map(|(user, _)| *user)
    }

    fn others_may_go(&self) -> bool {
        let mut shares = self.shares.iter();
        shares.any(|(user, share)| *user != ROOT && !share.may_go.is_empty())
    }

    fn fits(&self) -> bool {
        let max = self.keep.max_count.map_or(u64::MAX, u64::from);
        self.count <= max && self.has_room()
    }

    /// Whether the limits of bytes are kept.
    fn has_room(&self) -> bool {
        self.too_many_bytes() == 0 && self.missing_on_disk() == 0
    }

    fn too_many_bytes(&self) -> u64 {
        let max = self.keep.max_bytes;
        max.map_or(0, |max| self.bytes.saturating_sub(max))
    }

    /// The bytes that a coming dump lacks. Without one nothing is missing: what exists may stay.
    fn missing(&self) -> u64 {
        let missing = self.too_many_bytes().max(self.missing_on_disk());
        self.coming.map_or(0, |_| missing)
    }

    fn missing_on_disk(&self) -> u64 {
        let kept = match self.keep.keep_free {
            None => 0,
            Some(Free::Bytes(bytes)) => bytes,
            Some(Free::Percent(percent)) => (self.disk.size as f64 * percent / 100.0) as u64,
        };
        let coming = self.coming.map_or(0, |coming| coming.bytes);
        kept.saturating_add(coming).saturating_sub(self.disk.free)
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
            state: Stored::Ours,
            user: None,
        }
    }

    fn of(user: u32, id: u32, bytes: u64, day: i64) -> StoredDump<u32> {
        StoredDump {
            user: Some(user),
            ..ours(id, bytes, day)
        }
    }

    fn judged(keep: &str, dumps: &[StoredDump<u32>], coming: Option<Coming>) -> (Vec<u32>, u64) {
        let rule: crate::Rule = format!("on 1, when now, do none{keep}").parse().unwrap();
        let disk = Disk {
            size: 1000,
            free: 100,
        };
        let keep = rule.limits.keep;
        let verdict = keep.judge(dumps, coming, disk, WallTime(10 * DAY));
        (verdict.delete, verdict.missing)
    }

    fn check(keep: &str, dumps: &[StoredDump<u32>], coming: u64, delete: &[u32], missing: u64) {
        let coming = (coming > 0).then_some(Coming {
            bytes: coming,
            user: None,
        });
        let found = judged(keep, dumps, coming);
        assert_eq!(found, (delete.to_vec(), missing), "{keep}");
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
            state: Stored::Foreign,
            ..ours(9, 500, 0)
        };
        let dumps = [ours(1, 10, 1), ours(2, 20, 2), foreign];
        check("; keep at most 1 dump", &dumps, 5, &[1], 0);
        check("; keep at most 1h", &dumps, 0, &[1], 0);
        check("; keep at most 20B", &dumps, 0, &[1], 0);
        check("; keep 200B free", &dumps, 5, &[1, 2], 75);
        check("", &dumps, 150, &[1, 2], 20);
    }

    #[test]
    fn n33_no_dump_blocks_those_that_come_later() {
        let full = [ours(1, 300, 1)];
        check("; keep at most 300B", &full, 50, &[1], 0);
        check("; keep at most 100B", &full, 50, &[1], 0);
        check("; keep at most 300B", &full, 400, &[1], 100);
    }

    #[test]
    fn n33_what_is_being_written_counts_and_stays() {
        let writing = StoredDump {
            state: Stored::Writing,
            ..ours(1, 200, 1)
        };
        let dumps = [writing, ours(2, 50, 2), ours(3, 50, 3)];
        check("; keep at most 300B", &dumps, 40, &[2], 0);
        check("; keep at most 300B", &dumps, 90, &[2, 3], 0);
        check("; keep at most 300B", &dumps, 150, &[2, 3], 50);
        check("; keep at most 1 dump", &dumps, 0, &[2], 0);
    }

    const ANNA: u32 = 1000;
    const BOB: u32 = 1001;

    fn coming(user: u32, bytes: u64) -> Option<Coming> {
        let user = Some(user);
        Some(Coming { bytes, user })
    }

    #[test]
    fn n34_the_user_who_has_the_most_gives_way() {
        let anna = [of(ANNA, 1, 50, 1), of(ANNA, 2, 50, 2)];
        let bob = (3..8).map(|id| of(BOB, id, 40, i64::from(id)));
        let dumps: Vec<_> = anna.into_iter().chain(bob).collect();
        let keep = "; keep at most 300B";
        assert_eq!(judged(keep, &dumps, coming(BOB, 40)), (vec![3], 0));
        assert_eq!(judged(keep, &dumps, coming(ANNA, 50)), (vec![3, 4], 0));
        let count = "; keep at most 7 dumps";
        assert_eq!(judged(count, &dumps, coming(BOB, 1)), (vec![3], 0));
        assert_eq!(judged(count, &dumps, coming(ANNA, 1)), (vec![3], 0));
        let third = coming(1002, 30);
        assert_eq!(judged(count, &dumps, third), (vec![3], 0));
    }

    #[test]
    fn n34_nobody_takes_more_than_the_others_keep() {
        let dumps = [of(ANNA, 1, 100, 1), of(ANNA, 2, 100, 2)];
        let keep = "; keep at most 300B";
        assert_eq!(judged(keep, &dumps, coming(BOB, 150)), (vec![1], 0));
        assert_eq!(judged(keep, &dumps, coming(BOB, 250)), (vec![], 150));
    }

    #[test]
    fn n34_root_gives_way_to_root_alone() {
        let dumps = [of(0, 1, 150, 1), of(0, 2, 100, 2), of(BOB, 3, 40, 3)];
        let keep = "; keep at most 300B";
        assert_eq!(judged(keep, &dumps, coming(BOB, 45)), (vec![3], 0));
        assert_eq!(judged(keep, &dumps, coming(BOB, 60)).1, 10);
        assert_eq!(judged(keep, &dumps, coming(0, 60)), (vec![1], 0));
        assert_eq!(
            judged("; keep at most 2 dumps", &dumps[..2], None),
            (vec![], 0)
        );
        assert_eq!(
            judged("; keep at most 1 dump", &dumps[..2], None),
            (vec![1], 0)
        );
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
                let state = if ours_ { Stored::Ours } else { Stored::Foreign };
                StoredDump { state, ..ours(i as u32, bytes, day) }
            }).collect();
            let keep = Retention { max_count, max_bytes, ..Retention::default() };
            let disk = Disk { size: 10_000, free: 10_000 };
            let new = (coming > 0).then_some(Coming { bytes: coming, user: None });
            let verdict = keep.judge(&dumps, new, disk, WallTime(30 * DAY));
            let is_ours = |dump: &&StoredDump<u32>| dump.state == Stored::Ours;
            let newest = dumps.iter().filter(is_ours).max_by_key(|d| d.taken);
            for id in &verdict.delete {
                prop_assert_eq!(dumps[*id as usize].state, Stored::Ours);
                prop_assert!(coming > 0 || newest.is_some_and(|n| n.id != *id));
            }
            if let Some((_, fewer)) = verdict.delete.split_last() {
                let gone = |id: u32| fewer.contains(&id);
                let kept: Vec<_> = dumps.iter().filter(|d| is_ours(d) && !gone(d.id)).collect();
                let count = kept.len() as u64 + u64::from(coming > 0);
                let bytes: u64 = kept.iter().map(|d| d.bytes).sum::<u64>() + coming;
                let over = max_count.is_some_and(|m| count > u64::from(m)) || max_bytes.is_some_and(|m| bytes > m);
                prop_assert!(over, "one less would have been enough");
            }
        }
    }
}
