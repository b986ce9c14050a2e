//! Reading a file from its start, wherever others who have the same descriptor have read to: what is kept of a process is
//! read by several threads.

use std::{fs::File, io, os::unix::fs::FileExt, time::Instant};

/// A file, and how far it was read.
pub(crate) struct FromStart<'f> {
    file: &'f File,
    at: u64,
    until: Option<Instant>,
}

impl io::Read for FromStart<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.until.is_some_and(|until| Instant::now() >= until) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let got = self.file.read_at(buf, self.at)?;
        self.at += got as u64;
        Ok(got)
    }
}

impl<'f> FromStart<'f> {
    pub(crate) fn of(file: &'f File) -> Self {
        Self {
            file,
            at: 0,
            until: None,
        }
    }

    /// Fails when it is read after this moment.
    pub(crate) fn until(self, until: Option<Instant>) -> Self {
        Self { until, ..self }
    }
}
