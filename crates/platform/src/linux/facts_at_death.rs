//! What a process that has died still tells of itself: by its folder until its parent has waited for it, and by its memory
//! if that is kept. What was known of it before may be old: servers change their user and their title once they run.

use super::{
    facts,
    proc::{ProcDir, bounds, machine, own_texts},
};
use crate::Facts;
use std::{io, os::unix::fs::FileExt};

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

    /// Returns the arguments of a process whose memory is kept, as `cmdline` tells them of a living one: if they were
    /// overwritten to their last byte, up to the first NUL, in the environment if need be (`get_mm_cmdline` in
    /// fs/proc/base.c).
    ///
    /// # Errors
    /// If they are not in pages of its own, or the memory is not kept.
    pub(crate) fn arguments(&self, proc: &ProcDir) -> io::Result<Vec<u8>> {
        let most = bounds::most("cmdline");
        own_texts::expect_own(&proc.open_kept("pagemap")?, &self.stat, "cmdline", most)?;
        let [start, end, _, env_end] = own_texts::places(&self.stat).unwrap_or_default();
        let memory = proc.open_kept("mem")?;
        let read = |end: u64| {
            let mut text = vec![0; end.saturating_sub(start).min(most) as usize];
            memory.read_exact_at(&mut text, start).map(|()| text)
        };
        let arguments = read(end)?;
        if arguments.last().is_none_or(|last| *last == 0) {
            return Ok(arguments);
        }
        let mut title = read(end.max(env_end))?;
        title.truncate(
            title
                .iter()
                .position(|byte| *byte == 0)
                .unwrap_or(title.len()),
        );
        Ok(title)
    }
}

/// Takes in what is to be had. Returns what is older, in words.
pub(crate) fn renew(facts: &mut Facts, proc: &ProcDir, texts: &OwnTexts) -> Vec<&'static str> {
    let mut older = vec!["environment", "descriptors"];
    match texts.arguments(proc) {
        Ok(text) => take_arguments(facts, text),
        Err(_) => older.push("arguments"),
    }
    if renew_by_folder(facts, proc).is_none() {
        older.extend(["name", "user", "times"]);
    }
    older
}

fn take_arguments(facts: &mut Facts, text: Vec<u8>) {
    let process = &mut facts.process;
    process.command_line = facts::strings(&text);
    let mut files = process.files.iter_mut();
    if let Some((_, file)) = files.find(|(name, _)| name == "cmdline") {
        *file = text;
    }
}

/// `None` if the parent has waited for it.
fn renew_by_folder(facts: &mut Facts, proc: &ProcDir) -> Option<()> {
    let stat = proc.stat().ok()?;
    let status = proc.read("status").ok()?;
    let process = &mut facts.process;
    process.user = facts::user(&status);
    process.name = facts::name_of(&process.exe, &stat.comm, &process.command_line);
    process.comm = stat.comm;
    process.parent = stat.parent;
    process.group = stat.group;
    process.session = stat.session;
    process.user_time = machine::ticks_to_duration(stat.user_ticks);
    process.kernel_time = machine::ticks_to_duration(stat.kernel_ticks);
    process.children_user_time = machine::ticks_to_duration(stat.children_user_ticks);
    process.children_kernel_time = machine::ticks_to_duration(stat.children_kernel_ticks);
    process.nice = stat.nice;
    Some(())
}
