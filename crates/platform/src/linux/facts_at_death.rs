//! What a process that has died still tells of itself: by its folder until its parent has waited for it, and by its memory
//! if that is kept. What was known of it before may be old: servers change their user and their title once they run.

use super::{
    facts, facts_aside,
    own_texts_at_death::OwnTexts,
    proc::{ProcDir, machine},
};
use crate::Facts;

/// Takes in what is to be had. Returns what is older, in words.
pub(crate) fn renew(facts: &mut Facts, proc: &ProcDir, texts: &OwnTexts) -> Vec<&'static str> {
    let mut older = vec!["descriptors"];
    for (name, words) in [("cmdline", "arguments"), ("environ", "environment")] {
        if facts_aside::renew_text(facts, proc, texts, name).is_err() {
            older.push(words);
        }
    }
    if renew_by_folder(facts, proc).is_none() {
        older.extend(["name", "user", "times"]);
    }
    older
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
