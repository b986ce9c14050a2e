//! The arguments and the environment of a process that is gone, from its memory.

use super::proc::{ProcDir, bounds, own_texts};
use std::{io, ops::Range, os::unix::fs::FileExt};

/// Where a process has its arguments, for when it is gone, and its memory is kept.
pub(crate) struct OwnTexts {
    stat: Vec<u8>,
}

impl OwnTexts {
    /// Of a process that lives.
    ///
    /// # Errors
    /// If it is gone.
    pub(crate) fn of(proc: &ProcDir) -> io::Result<Self> {
        let stat = proc.read("stat")?;
        Ok(Self { stat })
    }

    /// Returns `cmdline` or `environ` of a process whose memory is kept.
    ///
    /// # Errors
    /// If the text is not in pages of its own, or the memory is not kept.
    pub(crate) fn text(&self, proc: &ProcDir, name: &str) -> io::Result<Vec<u8>> {
        match name {
            "cmdline" => self.arguments(proc),
            _ => self.read(proc, name, self.place(name)),
        }
    }

    /// Returns how many bytes `cmdline` or `environ` has, at least.
    pub(crate) fn len(&self, name: &str) -> u64 {
        let place = self.place(name);
        place.end.saturating_sub(place.start)
    }

    fn place(&self, name: &str) -> Range<u64> {
        let [start, end, env_start, env_end] = own_texts::places(&self.stat).unwrap_or_default();
        match name {
            "cmdline" => start..end,
            _ => env_start..env_end,
        }
    }

    /// Returns the arguments of a process whose memory is kept, as `cmdline` tells them of a living one: if they were
    /// overwritten to their last byte, up to the first NUL, in the environment if need be (`get_mm_cmdline` in
    /// fs/proc/base.c).
    fn arguments(&self, proc: &ProcDir) -> io::Result<Vec<u8>> {
        let [start, end, _, env_end] = own_texts::places(&self.stat).unwrap_or_default();
        let arguments = self.read(proc, "cmdline", start..end)?;
        if arguments.last().is_none_or(|last| *last == 0) {
            return Ok(arguments);
        }
        let mut title = self.read(proc, "cmdline", start..end.max(env_end))?;
        title.truncate(
            title
                .iter()
                .position(|byte| *byte == 0)
                .unwrap_or(title.len()),
        );
        Ok(title)
    }

    fn read(&self, proc: &ProcDir, name: &str, place: Range<u64>) -> io::Result<Vec<u8>> {
        let most = bounds::most(name);
        own_texts::expect_own(&proc.open_kept("pagemap")?, &self.stat, name, most)?;
        let len = place.end.saturating_sub(place.start).min(most);
        let mut text = vec![0; len as usize];
        let memory = proc.open_kept("mem")?;
        memory.read_exact_at(&mut text, place.start)?;
        Ok(text)
    }
}
