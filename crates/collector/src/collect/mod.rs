//! Dumps of one process, from request to file: capture, select the memory, plan the file, reserve
//! room, copy, release the target, publish the file.

mod begun;
mod blocks;
mod busiest;
mod chosen;
mod container;
mod copy;
mod core_head;
mod crash;
mod destination;
mod draft;
mod images;
mod jobs;
mod kernel;
mod local_files;
mod names;
mod opened;
mod pack;
mod plain_first;
mod readers;
mod report;
mod request;
mod series;
mod session;
mod sink;
mod stream;
mod unfinished;
mod watch_copy;
mod way;
mod windows_options;
mod zeros;

pub use core_head::CoreHead;
pub use crash::Crash;
pub use destination::{Destination, output_folder};
pub use names::expect_file_name;
pub use opened::Opened;
pub use request::Request;
pub use series::Series;
pub use stream::store_stream;
pub use windows_options::WindowsOptions;

pub(crate) use local_files::LocalFiles;
pub(crate) use session::{begin_attached, copy_begun};
pub(crate) use unfinished::Unfinished;

use platform::{Error, Host};
use snapshot::{DumpFormat, DumpKind, ProcessKey, WallTime};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// What happens while dumps are taken; for lines and progress bars.
#[derive(Clone, Debug)]
pub enum Step {
    /// An old dump of ours was deleted to make room.
    Deleted {
        /// The path that it had.
        path: PathBuf,
    },
    /// The file was created; nothing is written yet.
    Initiated {
        /// The number of the dump.
        number: u32,
        /// The path that the dump will have; `None` for standard output.
        path: Option<PathBuf>,
    },
    /// The dump is planned, and its memory is being copied.
    Writing {
        /// The number of the dump.
        number: u32,
        /// Which memory it will hold.
        kind: DumpKind,
        /// The bytes that the file will take on the disk, if it is not compressed.
        bytes: u64,
    },
    /// More memory was copied.
    Copied {
        /// The number of the dump.
        number: u32,
        /// Bytes of memory that were copied so far.
        done: u64,
        /// Bytes of memory to be copied in all.
        total: u64,
    },
    /// The target runs again.
    Released {
        /// How long it was stopped; `None` if it was not.
        pause: Option<Duration>,
    },
    /// A dump was written, whole or in part.
    Complete(Box<Written>),
}

/// A dump that was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// The number of the dump.
    pub number: u32,
    /// The path of the file; `None` for standard output.
    pub path: Option<PathBuf>,
    /// The size of the file in bytes.
    pub bytes: u64,
    /// How many of them were written: all but the holes of a file.
    pub stored: u64,
    /// Which memory it holds.
    pub kind: DumpKind,
    /// Core or minidump.
    pub format: DumpFormat,
    /// When the target was stopped.
    pub taken: WallTime,
    /// The record in the dump.
    pub record: crate::Record,
    /// The time from the request to the finished file.
    pub took: Duration,
}

/// The result of a request.
#[derive(Debug, Default)]
pub struct Collected {
    /// The dumps that were written. A part of a dump has `complete: false` in its record.
    pub dumps: Vec<Written>,
    /// What went wrong, if anything did; some dumps may have been written nevertheless.
    pub error: Option<Error>,
}

/// Takes the dumps of `request` from process `key`.
///
/// The target is held by an OS thread of its own: the kernel releases all that a thread traces when
/// the thread ends, so that the target goes free even after a panic.
pub fn collect(
    host: &dyn Host,
    key: ProcessKey,
    request: &Request,
    observer: &mut (dyn FnMut(Step) + Send),
) -> Collected {
    let start = Instant::now();
    std::thread::scope(|scope| {
        let session = scope.spawn(|| session::run(host, key, request, start, observer));
        session.join().unwrap_or_else(|_| Collected {
            dumps: Vec::new(),
            error: Some(Error::new(
                platform::ErrorKind::Other,
                format!("dumping process {key} failed within firstchance itself; the target was released"),
            )),
        })
    })
}

/// Takes the dumps of `request` from a target that this thread has attached. If one of the target's
/// threads is stopped at an event, `lets_go` says whether it goes on when the target is released. The
/// files have still to be finished.
pub(crate) fn collect_attached(
    target: &mut dyn platform::Target,
    request: &Request,
    lets_go: bool,
    observer: &mut (dyn FnMut(Step) + Send),
) -> Unfinished {
    session::run_attached(target, request, lets_go, Instant::now(), observer)
}
