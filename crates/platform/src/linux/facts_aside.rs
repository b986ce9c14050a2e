//! What a process has made large of the facts about it, put aside until its dump is taken: hundreds of processes may be
//! followed, or may have died and wait for their dumps.

use super::{
    facts::strings,
    handles::{handles, keep_these},
    own_texts_at_death::OwnTexts,
    proc::ProcDir,
};
use crate::Facts;

/// Up to how many bytes a text, and up to how many descriptors, stay where they are.
const SMALL_TEXT: usize = 16 << 10;
const FEW: usize = 256;

/// Takes the large parts out of the facts of a process. Texts are in its memory, which is kept; descriptors are written to
/// a file without a name.
pub(crate) fn put(proc: &mut ProcDir, facts: &mut Facts) {
    for name in ["cmdline", "environ"] {
        let text = facts.process.file(name);
        if text.is_some_and(|text| text.len() > SMALL_TEXT) {
            set_text(facts, name, Vec::new());
        }
    }
    let many = match facts.handles.len() > FEW {
        true => std::mem::take(&mut facts.handles),
        false => Vec::new(),
    };
    // Without room for them they are not told.
    let _ = keep_these(proc, &many);
}

/// Puts back what can be had of a process that is gone.
pub(crate) fn put_back(proc: &ProcDir, facts: &mut Facts) {
    for name in ["cmdline", "environ"] {
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

/// Sets the text of `cmdline` or `environ`.
pub(crate) fn set_text(facts: &mut Facts, name: &str, text: Vec<u8>) {
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
