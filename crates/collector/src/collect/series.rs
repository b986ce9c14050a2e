//! Dumps of one process, one after the other: what has not changed since the dump before is not written again. The new file
//! shares it with the earlier one, where the file system can do that (btrfs, XFS), and each of them can be deleted or changed
//! without the other.
//!
//! All memory is read, and each block of it hashed. Nothing else tells for certain that it is the same: a page that was
//! written to and one that was replaced look alike in its page tables, and the kernel's marks of written pages (soft-dirty)
//! belong to whoever has cleared them last.

use super::{
    blocks::{Block, Blocks, Hash},
    jobs::Job,
};
use formats::{Piece, Plan};
use platform::{FileIdentity, OutFile, is_unchanged, lock, open_unchanged};
use snapshot::{Range, Warning, without};
use std::{
    fs::File,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// What the next dump of a process needs to know of the one before. Copies of it are the same series.
#[derive(Clone, Debug, Default)]
pub struct Series(Arc<Mutex<Option<Last>>>);

/// The last whole dump.
#[derive(Clone, Debug)]
struct Last {
    path: PathBuf,
    identity: FileIdentity,
    blocks: Arc<Blocks>,
}

/// A dump that is being written, and the one before it.
pub(super) struct Sharing {
    series: Series,
    earlier: Option<Earlier>,
    now: Arc<Blocks>,
    /// Whether the file system turned out not to be able to share.
    is_off: AtomicBool,
    /// How many bytes are shared.
    bytes: AtomicU64,
}

/// The dump before.
struct Earlier {
    file: File,
    identity: FileIdentity,
    blocks: Arc<Blocks>,
}

impl Series {
    /// Begins a dump. Returns `None` if its file system cannot share blocks.
    pub(super) fn begin(&self, file: &OutFile, plan: &Plan) -> Option<Sharing> {
        if !file.may_share() {
            return None;
        }
        let last = lock(&self.0).clone();
        // Of one that was deleted or changed meanwhile nothing is shared.
        let earlier = last.and_then(|last| {
            Some(Earlier {
                file: open_unchanged(&last.path, &last.identity).ok()?,
                identity: last.identity,
                blocks: last.blocks,
            })
        });
        Some(Sharing {
            series: self.clone(),
            earlier,
            now: Arc::new(Blocks::of(plan)),
            is_off: AtomicBool::new(false),
            bytes: AtomicU64::new(0),
        })
    }
}

impl Sharing {
    /// Shares what it can of a job of this plan, whose content is `bytes`. Returns the parts of the file that have still to be
    /// written.
    pub(super) fn share(&self, file: &OutFile, plan: &Plan, job: &Job, bytes: &[u8]) -> Vec<Range> {
        let known = self.hashed(plan, job, bytes);
        let runs = self.runs(&known).into_iter();
        let shared = runs.filter(|run| self.share_run(file, run));
        let shared: Vec<Range> = shared
            .map(|run| Range::new(run.offset, run.offset + run.len))
            .collect();
        self.now.set(&known);
        let all = Range::new(job.offset, job.offset + bytes.len() as u64);
        without(&[all], &shared)
    }

    /// Notes that the dump is whole, and where it is: the next one shares blocks of it.
    pub(super) fn ended(&self, path: PathBuf, identity: FileIdentity) {
        *lock(&self.series.0) = Some(Last {
            path,
            identity,
            blocks: self.now.clone(),
        });
    }

    /// Whether there is one before it.
    pub(super) fn has_earlier(&self) -> bool {
        self.earlier.is_some()
    }

    /// Returns a warning if somebody changed the dump before while blocks of it were shared.
    pub(super) fn trouble(&self) -> Option<Warning> {
        let earlier = self.earlier.as_ref().filter(|_| self.bytes() > 0)?;
        let is_same = is_unchanged(&earlier.file, &earlier.identity);
        (!is_same).then(|| {
            "somebody changed the dump before while this one was written: what it shares with that may be wrong".to_owned()
        })
    }

    /// The bytes that it shares with the dump before.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The whole blocks of a job, and what is in them.
    fn hashed(&self, plan: &Plan, job: &Job, bytes: &[u8]) -> Vec<(Block, Hash)> {
        let mut blocks = Vec::new();
        for range in memory_of(plan, job) {
            blocks.extend(self.now.within(range));
        }
        let content = |block: &Block| {
            let at = (block.offset - job.offset) as usize;
            &bytes[at..at + block.range.len() as usize]
        };
        let hashes = blocks.iter().map(|block| hash(content(block)));
        blocks.iter().copied().zip(hashes).collect()
    }

    /// The blocks that the dump before has too, those joined that stand one behind the other in both files.
    fn runs(&self, known: &[(Block, Hash)]) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        let Some(earlier) = self.earlier.as_ref().filter(|_| !self.is_off()) else {
            return runs;
        };
        for (block, hash) in known {
            let Some(from) = earlier.blocks.find(*block, *hash) else {
                continue;
            };
            let (offset, len) = (block.offset, block.range.len());
            match runs.last_mut() {
                Some(run) if run.offset + run.len == offset && run.from + run.len == from => {
                    run.len += len;
                }
                _ => runs.push(Run { offset, from, len }),
            }
        }
        runs
    }

    /// Returns whether it is shared. If that fails once it is not tried again: it is written.
    fn share_run(&self, file: &OutFile, run: &Run) -> bool {
        let Some(earlier) = self.earlier.as_ref().filter(|_| !self.is_off()) else {
            return false;
        };
        let shared = file.share(run.offset, &earlier.file, run.from, run.len);
        match &shared {
            Ok(()) => drop(self.bytes.fetch_add(run.len, Ordering::Relaxed)),
            Err(error) => {
                log::debug!("no blocks are shared with the dump before: {error}");
                self.is_off.store(true, Ordering::Relaxed);
            }
        }
        shared.is_ok()
    }

    fn is_off(&self) -> bool {
        self.is_off.load(Ordering::Relaxed)
    }
}

/// Bytes that two files have in common.
struct Run {
    /// Where they are in the new file.
    offset: u64,
    /// Where they are in the earlier one.
    from: u64,
    len: u64,
}

/// The memory in a job.
fn memory_of<'p>(plan: &'p Plan, job: &'p Job) -> impl Iterator<Item = Range> + 'p {
    job.parts
        .iter()
        .filter_map(|part| match plan.pieces[part.piece] {
            Piece::Memory(range) | Piece::Mapped(range) => Some(part.of(range)),
            _ => None,
        })
}

fn hash(content: &[u8]) -> Hash {
    let mut hash = Hash::default();
    let mut output = blake3::Hasher::new().update(content).finalize_xof();
    output.fill(&mut hash);
    hash
}
