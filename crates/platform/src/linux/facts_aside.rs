//! What a process has made large of the facts about it, and what all processes have in common, put aside until its dump is
//! taken: hundreds of processes may be followed, or may have died and wait for their dumps.

use super::{
    facts::{files_of_machine, strings},
    handles::{handles, keep_these},
    own_texts_at_death::OwnTexts,
    proc::{
        ProcDir,
        large::{Large, Of},
        status,
    },
};
use crate::Facts;
use std::io;

/// Up to how many bytes a text, and up to how many descriptors, stay where they are.
const SMALL_TEXT: usize = 16 << 10;
const FEW: usize = 256;

/// The texts of a process.
const TEXTS: [&str; 2] = ["cmdline", "environ"];

/// Files that are the same for all processes: `/proc/cpuinfo` has a kilobyte for each processor.
const OF_MACHINE: [&str; 2] = ["cpuinfo", "lsb-release"];

/// Returns the right to read the facts of a process and to put them aside, for which those that are large wait. It is held
/// until that is done.
pub(crate) fn turn(proc: &ProcDir) -> Option<Large> {
    is_large(proc).then(|| proc.turn(Of::Facts))
}

/// Returns whether the facts of a process are large.
pub(crate) fn is_large(proc: &ProcDir) -> bool {
    let texts = OwnTexts::of(proc);
    let is_long = |name| {
        texts
            .as_ref()
            .is_ok_and(|texts| texts.len(name) > SMALL_TEXT as u64)
    };
    has_many_descriptors(proc) || TEXTS.into_iter().any(is_long)
}

fn has_many_descriptors(proc: &ProcDir) -> bool {
    // For so many it has room (proc_pid_status(5)).
    let status = proc.read("status").unwrap_or_default();
    status::number(&status, "FDSize").is_some_and(|room| room > FEW as u64)
}

/// Takes the large parts out of the facts of a process. Texts are in its memory, which is kept; descriptors are written to
/// a file without a name.
pub(crate) fn put(proc: &mut ProcDir, facts: &mut Facts) {
    for name in TEXTS {
        let text = facts.process.file(name);
        if text.is_some_and(|text| text.len() > SMALL_TEXT) {
            set_text(facts, name, Vec::new());
        }
    }
    let files = &mut facts.process.files;
    files.retain(|(name, _)| !OF_MACHINE.contains(&name.as_str()));
    files.shrink_to_fit();
    let many = match facts.handles.len() > FEW {
        true => std::mem::take(&mut facts.handles),
        false => Vec::new(),
    };
    // Without room for them they are not told.
    let _ = keep_these(proc, &many);
}

/// Puts back what can be had of a process that is gone.
pub(crate) fn put_back(proc: &ProcDir, facts: &mut Facts) {
    let files = &mut facts.process.files;
    if !files
        .iter()
        .any(|(name, _)| OF_MACHINE.contains(&name.as_str()))
    {
        files.extend(files_of_machine());
    }
    for name in TEXTS {
        if facts.process.file(name).is_some_and(<[u8]>::is_empty) {
            // Where its places in memory are not known, the text is empty.
            let in_memory = OwnTexts::of(proc).and_then(|texts| texts.text(proc, name));
            let in_memory = in_memory.ok().filter(|text| !text.is_empty());
            let text = in_memory.or_else(|| proc.read_living(name).ok());
            set_text(facts, name, text.unwrap_or_default());
        }
    }
    if facts.handles.is_empty() {
        facts.handles = handles(proc);
    }
}

/// Sets a text to what it was at the death of the process, or puts it aside.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn renew_text(
    facts: &mut Facts,
    proc: &ProcDir,
    texts: &OwnTexts,
    name: &str,
) -> io::Result<()> {
    let text = match texts.len(name) > SMALL_TEXT as u64 {
        true => Vec::new(),
        false => texts.text(proc, name)?,
    };
    set_text(facts, name, text);
    Ok(())
}

/// Sets the text of `cmdline` or `environ`.
fn set_text(facts: &mut Facts, name: &str, text: Vec<u8>) {
    let process = &mut facts.process;
    match name {
        "cmdline" => process.command_line = strings(&text),
        _ => process.environment = strings(&text),
    }
    let mut files = process.files.iter_mut();
    if let Some((_, file)) = files.find(|(of, _)| of == name) {
        *file = text;
    }
}
