//! What the process that [catches](super::catcher) tells us of a process that dies.

use crate::linux::{
    facts::PLAIN_FILES,
    handles,
    kept_space::KeptSpace,
    proc::{FromStart, KeptFile, ProcDir, ProcDirParts},
    sys::{channel, pin::Pin},
};
use rustix::fs::{MemfdFlags, memfd_create};
use snapshot::ProcessKey;
use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

/// A message.
pub(super) enum Message {
    /// Whoever catches is ready.
    Ready,
    /// The process with this pid is not kept: it dies as without us.
    Lost(u32),
    Kept(Box<Kept>),
}

/// A process whose address space is kept.
pub(super) struct Kept {
    /// The number by which its thread is held.
    pub(super) thread: u64,
    pub(super) key: ProcessKey,
    /// How many descriptors the process had open, if that is known.
    pub(super) descriptors: Option<u64>,
    /// Whether all has been read. Else its thread is held yet, and the mappings, their flags and the facts are missing.
    pub(super) is_whole: bool,
    pub(super) proc: ProcDir,
    pub(super) space: KeptSpace,
}

/// The files of a process that can be kept, as [`ProcDir`] knows them.
const NAMES: [&str; 15] = [
    "auxv",
    "environ",
    "mem",
    "pagemap",
    "mountinfo",
    "stat",
    "cmdline",
    "exe",
    "maps",
    "smaps",
    handles::KEPT,
    PLAIN_FILES[0],
    PLAIN_FILES[1],
    PLAIN_FILES[2],
    PLAIN_FILES[3],
];

/// The descriptors that come before those of kept files: the last has the kept texts.
const FIRST: usize = 7;

/// The numbers at the beginning of a message: the thread, the start of the process, how many descriptors it had, what kind of
/// message it is.
const WORDS: usize = 4;
const READY: u64 = 0;
const LOST: u64 = 1;
const UNREAD: u64 = 2;
const WHOLE: u64 = 3;

/// How much of the warning of those who share the memory has room.
const MOST_WARNING: usize = 1024;

impl Message {
    /// Sends it, without waiting.
    ///
    /// # Errors
    /// If there is no room for it, or nobody to read it.
    pub(super) fn send(self, to: BorrowedFd<'_>) -> io::Result<()> {
        match self {
            Self::Ready => channel::send(to, &[], &words([0, 0, 0, READY])),
            Self::Lost(pid) => channel::send(to, &[], &words([u64::from(pid) << 32, 0, 0, LOST])),
            Self::Kept(kept) => kept.send(to),
        }
    }

    /// Waits for one.
    ///
    /// # Errors
    /// If the sender is gone.
    pub(super) fn receive(from: BorrowedFd<'_>) -> io::Result<Self> {
        let (files, bytes) = channel::receive(from)?;
        Self::decode(files, &bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn decode(files: Vec<OwnedFd>, bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_at_checked(WORDS * 8)?;
        let words: Vec<u64> = head
            .as_chunks()
            .0
            .iter()
            .copied()
            .map(u64::from_ne_bytes)
            .collect();
        let [thread, start, descriptors, kind] = words.try_into().ok()?;
        let pid = (thread >> 32) as u32;
        Some(match kind {
            READY => Self::Ready,
            LOST => Self::Lost(pid),
            UNREAD | WHOLE => {
                let key = ProcessKey { pid, start };
                let kept = Kept::decode(thread, key, files, rest).map(|kept| Kept {
                    descriptors: Some(descriptors),
                    is_whole: kind == WHOLE,
                    ..kept
                });
                // Where we have no room for more descriptors, some are missing.
                kept.map_or(Self::Lost(pid), |kept| Self::Kept(Box::new(kept)))
            }
            _ => return None,
        })
    }
}

impl Kept {
    fn send(self, to: BorrowedFd<'_>) -> io::Result<()> {
        let parts = self.proc.into_parts().ok_or(io::ErrorKind::ResourceBusy)?;
        let space = &self.space;
        let texts = texts_of(&parts.kept)?;
        let mut files: Vec<BorrowedFd<'_>> = vec![
            parts.dir.as_fd(),
            parts.task.as_fd(),
            space.process.as_fd(),
            space.pin.guard().ok_or(io::ErrorKind::InvalidInput)?,
            space.maps.as_fd(),
            space.smaps.as_fd(),
            texts.as_fd(),
        ];
        let kept = parts.kept.iter().filter_map(|(name, file)| match file {
            KeptFile::File(file) => Some((number_of(name), file.as_fd())),
            KeptFile::Text(_) => None,
        });
        let (numbers, kept): (Vec<u8>, Vec<_>) = kept.unzip();
        files.extend(kept);
        let kind = if self.is_whole { WHOLE } else { UNREAD };
        let mut bytes = words([
            self.thread,
            self.key.start,
            self.descriptors.unwrap_or(0),
            kind,
        ]);
        bytes.push(numbers.len() as u8);
        bytes.extend(numbers);
        let warning = space.sharers.as_deref().unwrap_or_default().as_bytes();
        bytes.extend(&warning[..warning.len().min(MOST_WARNING)]);
        channel::send(to, &files, &bytes)
    }

    fn decode(thread: u64, key: ProcessKey, files: Vec<OwnedFd>, rest: &[u8]) -> Option<Self> {
        let (count, rest) = rest.split_first()?;
        let (numbers, warning) = rest.split_at_checked(usize::from(*count))?;
        let is_complete = files.len() == FIRST + numbers.len();
        let mut files = files.into_iter().filter(|_| is_complete);
        let mut next = || files.next();
        let (dir, task, process) = (next()?, next()?, next()?);
        let (pin, maps, smaps) = (next()?, next()?, next()?);
        let texts = read_texts(next()?.into())?;
        let kept = numbers.iter().zip(files.map(File::from));
        let kept = kept.map(|(number, file)| Some((name_of(*number)?, KeptFile::File(file))));
        let kept: Option<Vec<_>> = kept.collect();
        let parts = ProcDirParts {
            dir,
            tid: thread as u32 as i32,
            task,
            kept: kept?.into_iter().chain(texts).collect(),
        };
        let proc = ProcDir::of_parts(key, parts);
        let warning = String::from_utf8_lossy(warning).into_owned();
        let space = KeptSpace {
            program: read_program(&proc)?,
            maps: maps.into(),
            smaps: smaps.into(),
            sharers: Some(warning).filter(|warning| !warning.is_empty()),
            process,
            pin: Pin::Guard(pin),
        };
        Some(Self {
            thread,
            key,
            descriptors: None,
            is_whole: false,
            proc,
            space,
        })
    }
}

/// The auxiliary vector is read from the kept file: the process may be gone.
fn read_program(proc: &ProcDir) -> Option<Vec<u8>> {
    let mut program = Vec::new();
    let mut file = proc.open_kept("auxv").ok()?;
    file.read_to_end(&mut program).ok()?;
    Some(program)
}

/// Writes the kept texts into one file: of each, the number of its name, its length and itself.
fn texts_of(kept: &[(&'static str, KeptFile)]) -> io::Result<File> {
    let mut all = Vec::new();
    for (name, file) in kept {
        if let KeptFile::Text(text) = file {
            all.push(number_of(name));
            all.extend((text.len() as u32).to_ne_bytes());
            all.extend(text);
        }
    }
    let mut file: File = memfd_create("texts", MemfdFlags::CLOEXEC)?.into();
    file.write_all(&all)?;
    Ok(file)
}

fn read_texts(file: File) -> Option<Vec<(&'static str, KeptFile)>> {
    let mut all = Vec::new();
    FromStart::of(&file).read_to_end(&mut all).ok()?;
    let (mut rest, mut texts) = (&all[..], Vec::new());
    while let Some((number, from)) = rest.split_first() {
        let (len, from) = from.split_first_chunk()?;
        let (text, from) = from.split_at_checked(u32::from_ne_bytes(*len) as usize)?;
        texts.push((name_of(*number)?, KeptFile::Text(text.to_vec())));
        rest = from;
    }
    Some(texts)
}

fn number_of(name: &str) -> u8 {
    let at = NAMES.iter().position(|known| *known == name);
    at.unwrap_or(NAMES.len()) as u8
}

fn name_of(number: u8) -> Option<&'static str> {
    NAMES.get(usize::from(number)).copied()
}

fn words(words: [u64; WORDS]) -> Vec<u8> {
    words.into_iter().flat_map(u64::to_ne_bytes).collect()
}
