//! Where pages are kept that are put aside: a few in our own memory, more in a file without a name, which is set up while the
//! target runs, so that it need not wait for the file system.

use super::{
    clone::Reason, memory_left, object_views::ObjectViews, pauses, space, sys::room::Room,
    unnamed_file::unnamed_file,
};
use crate::CaptureOptions;
use rustix::fs::{FallocateFlags, fallocate};
use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    time::{Duration, Instant},
};

/// The most that is kept in our own memory, in bytes.
pub(super) const MOST_IN_MEMORY: u64 = 16 << 20;
/// The bytes that are read and written at once.
pub(super) const CHUNK: usize = 1 << 20;
/// The most that is kept, in bytes: at the speed of memory, and at that of a disk (about a second).
const MOST: u64 = 4 << 30;
const MOST_ON_DISK: u64 = 1 << 30;
/// The part of the memory that is available of which pages of the file may be; the copying of the dump and what the target
/// writes meanwhile need some, too.
const PART: u64 = 4;
/// What stays free where the file is, in bytes.
const LEFT_FREE: u64 = 256 << 20;
/// How long it is set up, at most: what has no memory by then gets it while the target stands. (On a virtual machine whose
/// host has to find that memory first, a GiB was seen to take 3 s.)
const WITHIN: Duration = Duration::from_secs(5);
/// The same where a thread stands at an event meanwhile, which is held for a second at most.
const WITHIN_AT_EVENT: Duration = Duration::from_millis(200);
/// How much longer than expected it may take to put pages aside: this many times, and this.
const TIMES: u32 = 4;
const BESIDES: Duration = Duration::from_secs(1);

/// How much can be kept, and the file for it.
pub(super) struct Place {
    /// How many bytes of the file can be in memory.
    in_memory: u64,
    /// `None` for little.
    file: Option<AsideFile>,
    /// When the capture is given up.
    deadline: Option<Instant>,
}

/// A file without a name.
pub(super) struct AsideFile {
    pub(super) file: File,
    /// The beginning of it, whole chunks, once it has been set up.
    pub(super) room: Option<Room>,
    reserved: u64,
}

impl Place {
    /// Makes a place for so many bytes; `available` is the memory that the machine has left, in bytes.
    ///
    /// # Errors
    /// The reason why there is none.
    pub(super) fn of(bytes: u64, available: u64) -> Result<Self, Reason> {
        let group = memory_left::of_own_groups();
        let mut place = Self {
            in_memory: available.min(group.unwrap_or(u64::MAX)) / PART,
            file: None,
            deadline: None,
        };
        place.make_room(bytes)?;
        Ok(place)
    }

    /// How long a target stands while so many bytes are put aside, of which so many are in objects that we have mapped.
    pub(super) fn pause(&self, bytes: u64, mapped: u64) -> Duration {
        let fast = bytes.min(self.in_memory);
        let mapped = mapped.min(fast);
        let in_memory = pauses::to_keep(fast - mapped) + pauses::to_keep_mapped(mapped);
        in_memory + pauses::to_write(bytes - fast)
    }

    /// How long it may take to put so many bytes aside: several times as long as is expected.
    pub(super) fn patience(&self, bytes: u64) -> Duration {
        let patience = TIMES * self.pause(bytes, 0) + BESIDES;
        let left = |end: Instant| end.saturating_duration_since(Instant::now());
        patience.min(self.deadline.map_or(Duration::MAX, left))
    }

    /// Has the file ready in memory, and what is copied from `views`. What they cannot be set up for takes longer then.
    /// `is_held` says whether a thread of the target stands already.
    pub(super) fn set_up(&mut self, views: &ObjectViews, options: &CaptureOptions, is_held: bool) {
        self.deadline = options.deadline;
        let within = if is_held { WITHIN_AT_EVENT } else { WITHIN };
        let end = Instant::now() + within;
        let end = options.deadline.map_or(end, |deadline| deadline.min(end));
        if let Some(file) = &mut self.file {
            let most = self.in_memory.min(file.reserved);
            let goes_on = || Instant::now() < end && !options.cancel.is_asked();
            file.room = file.mapped(most / CHUNK as u64, goes_on).ok();
            views.set_up(goes_on);
        }
    }

    /// The file for so many bytes; `None` if they are kept in memory.
    ///
    /// # Errors
    /// If there is no room for them any more.
    pub(super) fn file_for(mut self, bytes: u64) -> Result<Option<AsideFile>, Reason> {
        self.make_room(bytes)?;
        Ok(self.file.filter(|_| bytes > MOST_IN_MEMORY))
    }

    fn make_room(&mut self, bytes: u64) -> Result<(), Reason> {
        let mib = bytes >> 20;
        if bytes > self.in_memory.clamp(MOST_ON_DISK, MOST) {
            return Err(format!("{mib} MiB of its memory would not be in a clone"));
        }
        let is_there = self
            .file
            .as_ref()
            .is_some_and(|file| bytes <= file.reserved);
        if bytes > MOST_IN_MEMORY && !is_there {
            self.file = Some(AsideFile::of(bytes)?);
        }
        Ok(())
    }
}

impl AsideFile {
    /// A file for so many bytes, and for some that the target adds before it stands.
    fn of(bytes: u64) -> Result<Self, Reason> {
        let mib = bytes >> 20;
        let failed = |error: io::Error| {
            format!("there is no file for {mib} MiB of its memory that a clone lacks: {error}")
        };
        let (file, folder) = unnamed_file().map_err(failed)?;
        let reserved = (bytes + bytes / 8).next_multiple_of(CHUNK as u64);
        let free = space::of(&file).map_err(failed)?.free;
        let no_room = || {
            format!(
                "there is no room in {} for {mib} MiB of its memory that a clone lacks",
                folder.display()
            )
        };
        if free < reserved + LEFT_FREE {
            return Err(no_room());
        }
        // Where the file system cannot set it aside, it is written block by block.
        match fallocate(&file, FallocateFlags::empty(), 0, reserved) {
            Err(rustix::io::Errno::NOSPC | rustix::io::Errno::DQUOT) => Err(no_room()),
            _ => Ok(Self {
                file,
                reserved,
                room: None,
            }),
        }
    }

    /// Writes zeros into so many chunks, as long as it `goes_on`, and maps them. (To make pages of a file by touching a mapping takes ten times as long.)
    fn mapped(&self, chunks: u64, goes_on: impl Fn() -> bool) -> io::Result<Room> {
        let zeros = vec![0; CHUNK];
        let mut at = 0;
        while at < chunks * CHUNK as u64 && goes_on() {
            self.file.write_all_at(&zeros, at)?;
            at += CHUNK as u64;
        }
        Room::of(&self.file, at as usize)
    }
}
