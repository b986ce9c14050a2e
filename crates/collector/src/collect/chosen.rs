//! What goes into a dump: by its kind, or as the callback routine of a user's DLL chooses.

use super::WindowsOptions;
use platform::{Capture, Result};
use snapshot::{
    DumpKind, Memory, Selection, Snapshot, added_in_vain, select, select_chosen, without_stack,
};
use std::borrow::Cow;

/// What goes into a dump.
pub(super) struct Chosen<'c> {
    /// The process as the dump shows it.
    pub(super) snapshot: Cow<'c, Snapshot>,
    /// Its memory.
    pub(super) selection: Selection,
    /// What was chosen and cannot be had.
    pub(super) warning: Option<String>,
}

/// Chooses for a dump of this kind.
///
/// # Errors
/// If a callback routine cancels the dump.
pub(super) fn choose<'c>(
    kind: DumpKind,
    options: &WindowsOptions,
    capture: &'c Capture,
    memory: &dyn Memory,
) -> Result<Chosen<'c>> {
    let snapshot = &capture.snapshot;
    let extra = formats::image::loader_ranges(snapshot, memory, kind.detail());
    let (DumpKind::Callback, Some(callback)) = (kind, &options.callback) else {
        let selection = select(kind, snapshot, memory, &extra);
        return Ok(Chosen {
            snapshot: Cow::Borrowed(snapshot),
            warning: lacks_stacks(&without_stack(snapshot, &selection)),
            selection,
        });
    };
    let choice = callback.choose(snapshot.process.key, &formats::offer(snapshot, memory))?;
    let missing = added_in_vain(&choice, snapshot);
    let mut restricted = snapshot.clone();
    choice.restrict(&mut restricted);
    Ok(Chosen {
        snapshot: Cow::Owned(restricted),
        selection: select_chosen(&choice, snapshot, memory, &extra),
        warning: (missing > 0).then(|| {
            format!("the callback routine added {missing} bytes that the process does not have")
        }),
    })
}

/// Returns a sentence about threads whose stack is not in the dump.
fn lacks_stacks(threads: &[u32]) -> Option<String> {
    let first = threads.first()?;
    Some(format!(
        "the stacks of {} threads are not in this dump, first that of thread {first}: their stack pointer points to no \
         memory of theirs",
        threads.len()
    ))
}
