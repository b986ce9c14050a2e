//! One dump, from request to file: capture → select → plan → reserve → copy → release → name.

mod container;
mod copy;
mod crash;
mod finish;
mod images;
mod names;
mod request;
mod session;
mod stream;

pub use crash::{CoreHead, Crash};
pub use names::{Destination, Names, output_folder};
pub use request::Request;
pub use stream::store_stream;

use platform::{Error, Host};
use snapshot::{DumpFormat, DumpKind, ProcessKey, WallTime};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// What happens meanwhile; for lines and progress bars.
#[derive(Clone, Debug)]
pub enum Step {
    /// An old dump of ours was deleted, to make room.
    Deleted {
        /// Which.
        path: PathBuf,
    },
    /// The file was made; nothing is written yet.
    Initiated {
        /// Number of the dump.
        number: u32,
        /// Where it will be; `None` for standard output.
        path: Option<PathBuf>,
    },
    /// The size is known.
    Writing {
        /// Number of the dump.
        number: u32,
        /// Exact size of the file to be, in bytes.
        bytes: u64,
    },
    /// So much was copied.
    Copied {
        /// Number of the dump.
        number: u32,
        /// Bytes of memory so far.
        done: u64,
        /// Bytes of memory in all.
        total: u64,
    },
    /// The target runs again.
    Released {
        /// How long it stood.
        pause: Option<Duration>,
    },
    /// The file is whole, or is all that can be had.
    Complete(Box<Written>),
}

/// A dump that was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// Its number.
    pub number: u32,
    /// Where it is; `None` for standard output.
    pub path: Option<PathBuf>,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// What it holds.
    pub kind: DumpKind,
    /// Its shape.
    pub format: DumpFormat,
    /// When the target was stopped.
    pub taken: WallTime,
    /// What the dump says of itself.
    pub record: crate::Record,
    /// From the request to the file.
    pub took: Duration,
}

/// What came of a request.
#[derive(Debug, Default)]
pub struct Collected {
    /// The dumps that were written, whole or labelled as partial.
    pub dumps: Vec<Written>,
    /// What went wrong, if anything; dumps may have been written all the same.
    pub error: Option<Error>,
}

/// Takes the dumps of `request` from process `key`.
///
/// The target is held by an OS thread of its own, so that whatever could not be released in an
/// orderly way goes free when that thread ends.
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

/// Takes the dumps from a target that this thread holds. Where one of its threads stands for an
/// event, that goes on with the others if `lets_go` says so.
pub(crate) fn collect_attached(
    target: &mut dyn platform::Target,
    request: &Request,
    lets_go: bool,
    observer: &mut (dyn FnMut(Step) + Send),
) -> Collected {
    session::run_attached(target, request, lets_go, Instant::now(), observer)
}
