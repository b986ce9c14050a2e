//! A thread that makes content for the handler of SIGSEGV (`lazy_file`), which may do nothing but system calls: it cannot
//! decompress. It asks the thread by one eventfd(2) and waits by another; both are read(2) and write(2), which a handler
//! may use (signal-safety(7)). The thread that waits there holds no lock that this one may need: it was interrupted where it
//! read a byte of a slice.

use crate::MakeContent;
use rustix::{
    event::{EventfdFlags, eventfd},
    io::{read, retry_on_intr, write},
};
use std::{
    io,
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
};

/// Content that is made when it is asked for.
pub(super) struct ContentMaker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    make: MakeContent,
    asked: OwnedFd,
    done: OwnedFd,
    /// What is wanted: an offset, and where the content goes, which waits for it.
    at: AtomicU64,
    into: AtomicPtr<u8>,
    len: AtomicUsize,
    ends: AtomicBool,
}

impl ContentMaker {
    pub(super) fn new(make: MakeContent) -> io::Result<Self> {
        let wake = || eventfd(0, EventfdFlags::CLOEXEC);
        let shared = Arc::new(Shared {
            make,
            asked: wake()?,
            done: wake()?,
            at: AtomicU64::new(0),
            into: AtomicPtr::default(),
            len: AtomicUsize::new(0),
            ends: AtomicBool::new(false),
        });
        let its = shared.clone();
        let thread = std::thread::Builder::new().name("content".to_owned());
        Ok(Self {
            shared,
            thread: Some(thread.spawn(move || its.serve())?),
        })
    }

    /// Has the thread fill a buffer, with zeros where there is no content, and waits for it. Makes system calls, nothing else. One
    /// at a time may ask.
    pub(super) fn fill(&self, at: u64, buf: &mut [u8]) {
        let shared = &self.shared;
        shared.at.store(at, Ordering::Relaxed);
        shared.len.store(buf.len(), Ordering::Relaxed);
        shared.into.store(buf.as_mut_ptr(), Ordering::Relaxed);
        signal(&shared.asked);
        wait(&shared.done);
    }

    /// Makes content in the calling thread, which is no handler of a signal.
    pub(super) fn read_at(&self, at: u64, buf: &mut [u8]) -> usize {
        (self.shared.make)(at, buf)
    }
}

impl Drop for ContentMaker {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Release);
        signal(&self.shared.asked);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Shared {
    fn serve(&self) {
        loop {
            wait(&self.asked);
            if self.ends.load(Ordering::Acquire) {
                return;
            }
            let into = self.into.load(Ordering::Relaxed);
            let len = self.len.load(Ordering::Relaxed);
            // SAFETY: `fill` has lent us this buffer, and waits until we are done with it.
            let buf = unsafe { std::slice::from_raw_parts_mut(into, len) };
            let at = self.at.load(Ordering::Relaxed);
            // Whoever waits must not wait for ever for a thread that panicked.
            let make = std::panic::AssertUnwindSafe(|| (self.make)(at, &mut *buf));
            let got = std::panic::catch_unwind(make).unwrap_or(0);
            buf[got..].fill(0);
            signal(&self.done);
        }
    }
}

/// The kernel orders what was stored before the write before what is loaded after the read.
fn signal(wake: &OwnedFd) {
    let _ = retry_on_intr(|| write(wake, &1u64.to_ne_bytes()));
}

fn wait(wake: &OwnedFd) {
    let _ = retry_on_intr(|| read(wake, &mut [0; 8]));
}
