//! Stacks of a process that stands, as lines for the log.

use analysis::{DebugFile, FileBytes, Files, Stack, Stacks};
use platform::{CaptureOptions, ImageFiles, Target};
use snapshot::{Module, ProcessKey, Snapshot, Thread};
use std::path::Path;

/// Frames of a stack that are shown.
const FRAMES: usize = 64;

/// The stack of one thread, or of all.
pub(super) fn lines(target: &mut dyn Target, key: ProcessKey, thread: Option<u32>) -> Vec<String> {
    let files = ImageFiles::of(key);
    let mut capture = match target.capture(&CaptureOptions::default()) {
        Ok(capture) => capture,
        Err(error) => return vec![error.to_string()],
    };
    let memory = capture.memory();
    let snapshot = std::mem::take(&mut capture.snapshot);
    let image = |module: &Module| files.as_ref()?.open(module);
    let stacks = Stacks::new(
        &snapshot,
        &*memory,
        Files {
            image: &image,
            debug: &debug,
        },
    );
    let wanted = chosen(&snapshot, thread);
    let stacks: Vec<(&Thread, Stack)> = wanted.map(|t| (t, stacks.of(t))).collect();
    capture.release();
    stacks
        .iter()
        .flat_map(|(t, stack)| shown(t, stack))
        .collect()
}

fn chosen(snapshot: &Snapshot, wanted: Option<u32>) -> impl Iterator<Item = &Thread> {
    let threads = snapshot.threads.iter();
    threads.filter(move |thread| wanted.is_none_or(|id| id == thread.id))
}

fn debug(wanted: &DebugFile) -> Option<FileBytes> {
    let paths = wanted.paths();
    let mut files = paths.iter().map(|path| platform::map_file(Path::new(path)));
    files.find_map(Result::ok)
}

fn shown(thread: &Thread, stack: &Stack) -> Vec<String> {
    let title = format!("Thread {} \"{}\"", thread.id, thread.name);
    let frames = stack.frames.iter().take(FRAMES).enumerate();
    let frames = frames.map(|(at, frame)| format!("{at:>4}  {frame}"));
    std::iter::once(title).chain(frames).collect()
}
