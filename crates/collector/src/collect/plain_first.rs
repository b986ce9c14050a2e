//! A compressed dump of a process that stands until it is copied: it is copied as it is first, and compressed when the
//! process goes on. Compressing takes longer than writing, and on a busy machine much longer.

use super::{
    copy::compressors,
    jobs::{Job, Part},
    pack::{Packed, Packer},
    sink::Sink,
};
use crate::store::{keep, record::padded};
use formats::{Piece, Plan};
use platform::{Cancel, Error, OutFile, Result, failpoint};
use policy::Retention;
use snapshot::Compression;
use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

/// The time between two looks whether the compressing has to end early.
const CHECK_EVERY: Duration = Duration::from_millis(50);

/// What is taken beside the memory of the threads, in bytes.
const SPARE: usize = 4 << 20;

/// The dump as it is, in a file of its own until it is compressed.
pub(super) struct PlainFirst {
    file: Arc<OutFile>,
    plan: Arc<Plan>,
    until: Until,
}

/// What decides when a dump is compressed.
pub(crate) struct When<'w> {
    /// Whether the process stands until it is copied.
    pub(super) stands: bool,
    /// What is kept free of the disk.
    pub(super) keep: &'w Retention,
    pub(super) until: Until,
}

/// When compressing has to end even if it is not done.
pub(crate) struct Until {
    pub(super) cancel: Cancel,
    pub(super) deadline: Option<Instant>,
}

impl PlainFirst {
    /// Makes the file, beside the compressed one that is to be at `packed`.
    ///
    /// # Errors
    /// If there is no room for both.
    pub(super) fn make(packed: &Path, plan: &Arc<Plan>, when: When<'_>) -> Result<Self> {
        let file = OutFile::create_aside(&Compression::plain_path(packed))?;
        let path = file.path();
        let folder = path.parent().unwrap_or(&path);
        keep::expect_free(folder, when.keep, plan.stored_bytes())
            .and_then(|()| file.reserve(&plan.stored_parts()))
            .map_err(|error| Error::of_file("reserving room for it as it is", &error))?;
        Ok(Self {
            file: Arc::new(file),
            plan: plan.clone(),
            until: when.until,
        })
    }

    /// What it is copied to while the process stands.
    pub(super) fn sink(&self) -> Sink {
        Sink::File(self.file.clone())
    }

    /// Writes the record to its places, which are offsets and lengths in bytes: from now on this is a dump that only lacks its name.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn seal(&self, places: &[(u64, u32)], record: &[u8]) -> io::Result<()> {
        self.file.set_len(self.plan.size())?;
        let mut places = places.iter();
        places.try_for_each(|&(offset, len)| self.file.write_at(offset, &padded(record, len)))
    }

    /// Compresses it into `sink`, by threads that run after everybody else. `record` is the text of the record.
    ///
    /// # Errors
    /// If it has to end early, or a file cannot be read or written.
    pub(super) fn pack(
        &self,
        compression: Compression,
        sink: &Sink,
        record: &[u8],
    ) -> io::Result<Packed> {
        let packer = Packer::new(&self.plan, compression, sink);
        expect_memory(packer.memory_of_a_thread())?;
        self.pack_all(&packer, record)?;
        packer.finish(record)
    }

    fn pack_all(&self, packer: &Packer, record: &[u8]) -> io::Result<()> {
        let stop = AtomicBool::new(false);
        let (tell, ends) = mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..compressors(packer.memory_of_a_thread()) {
                let (tell, stop) = (tell.clone(), &stop);
                scope.spawn(move || {
                    platform::run_last();
                    let _ = tell.send(self.pack_frames(packer, record, stop));
                });
            }
            drop(tell);
            let ended = self.until.wait(&ends);
            stop.store(true, Ordering::Relaxed);
            ended
        })
    }

    fn pack_frames(&self, packer: &Packer, record: &[u8], stop: &AtomicBool) -> io::Result<()> {
        let mut writer = packer.writer()?;
        let mut buffer = vec![0; Part::Frames.most()];
        while let Some((number, job)) = packer.take(stop) {
            failpoint("pack")?;
            let content = &mut buffer[..job.len()];
            self.read(&job, content, record)?;
            packer.put(number, packer.frame(&job, content, &mut writer)?)?;
        }
        Ok(())
    }

    /// Reads what a frame is to have. The compressed file is not done yet, and its record says so.
    fn read(&self, job: &Job, content: &mut [u8], record: &[u8]) -> io::Result<()> {
        match job.parts.first().map(|part| &self.plan.pieces[part.piece]) {
            Some(Piece::Record(len)) => content.copy_from_slice(&padded(record, *len)),
            _ => self.file.read_at(job.offset, content)?,
        }
        Ok(())
    }
}

/// Fails if one thread that compresses would take more than half of what is left to us: in a container that is the target's, and
/// the kernel would kill it.
fn expect_memory(of_a_thread: usize) -> io::Result<()> {
    let wanted = 2 * (of_a_thread + SPARE) as u64;
    match platform::memory_left() {
        Some(left) if left < wanted => Err(io::Error::other("too little memory is left")),
        _ => Ok(()),
    }
}

impl Until {
    /// Waits until all threads have told how they ended.
    ///
    /// # Errors
    /// That of the first one that failed, or the reason to end early.
    fn wait(&self, ends: &mpsc::Receiver<io::Result<()>>) -> io::Result<()> {
        loop {
            match ends.recv_timeout(CHECK_EVERY) {
                Ok(ended) => ended?,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => self.expect_time()?,
            }
        }
    }

    fn expect_time(&self) -> io::Result<()> {
        if self.cancel.is_asked() {
            return Err(io::Error::other("it was cancelled"));
        }
        match self.deadline.is_some_and(|end| Instant::now() > end) {
            true => Err(io::Error::other("the time for the dump was over")),
            false => Ok(()),
        }
    }
}
