//! Stacks of a process that stands, as lines for the log.

use crate::collect::LocalFiles;
use analysis::{Frame, LanguageFrame, Runtime, Stack, Stacks};
use platform::{CaptureOptions, Target};
use snapshot::{Memory, Snapshot, Thread};

/// Frames of a stack that are shown.
const FRAMES: usize = 64;

/// Frames that tell where an exception came from.
const FIRST_FRAMES: usize = 8;

/// The stack of one thread, or of all.
pub(super) fn lines(target: &mut dyn Target, thread: Option<u32>) -> Vec<String> {
    let files = LocalFiles {
        images: target.image_files(),
        user: None,
    };
    let mut capture = match target.capture(&CaptureOptions::default()) {
        Ok(capture) => capture,
        Err(error) => return vec![error.to_string()],
    };
    let memory = capture.memory();
    let snapshot = std::mem::take(&mut capture.snapshot);
    let wanted = chosen(&snapshot, thread);
    let stacks = walked(&snapshot, &*memory, &files, wanted);
    capture.release();
    stacks
        .iter()
        .flat_map(|(t, stack)| shown(t, stack))
        .collect()
}

/// The innermost frames of the only thread of a snapshot.
pub(super) fn frames(snapshot: &Snapshot, memory: &dyn Memory, files: &LocalFiles) -> Vec<String> {
    let stacks = walked(snapshot, memory, files, snapshot.threads.iter());
    let frames = stacks.iter().flat_map(|(_, stack)| &stack.frames);
    let frames = frames.skip_while(|frame| makes_exception(frame));
    frames.flat_map(told).take(FIRST_FRAMES).collect()
}

/// Whether a frame is of the making of an exception of Java, of which each has many, and not of the code that threw it.
fn makes_exception(frame: &Frame) -> bool {
    let name = frame.symbol.as_ref().map_or("", |symbol| &symbol.name[..]);
    name.ends_with("illInStackTrace") || name.ends_with(".<init>")
}

/// A frame: what it is to the runtime of its language, innermost first, or else its address with names.
fn told(frame: &Frame) -> Vec<String> {
    let place = |function: &LanguageFrame| match (&function.file, function.line) {
        (Some(file), Some(line)) => format!("{}  ({file}:{line})", function.function),
        _ => function.function.clone(),
    };
    match &frame.language[..] {
        [.., last] if last.language == Runtime::Jvm => frame.language.iter().map(place).collect(),
        _ => vec![frame.to_string()],
    }
}

fn walked<'s>(
    snapshot: &'s Snapshot,
    memory: &dyn Memory,
    files: &LocalFiles,
    threads: impl Iterator<Item = &'s Thread>,
) -> Vec<(&'s Thread, Stack)> {
    let stacks = Stacks::new(snapshot, memory, files);
    threads.map(|thread| (thread, stacks.of(thread))).collect()
}

fn chosen(snapshot: &Snapshot, wanted: Option<u32>) -> impl Iterator<Item = &Thread> {
    let threads = snapshot.threads.iter();
    threads.filter(move |thread| wanted.is_none_or(|id| id == thread.id))
}

fn shown(thread: &Thread, stack: &Stack) -> Vec<String> {
    let title = format!("Thread {} \"{}\"", thread.id, thread.name);
    let frames = stack.frames.iter().take(FRAMES).enumerate();
    let frames = frames.flat_map(|(at, frame)| {
        told(frame)
            .into_iter()
            .map(move |text| format!("{at:>4}  {text}"))
    });
    std::iter::once(title).chain(frames).collect()
}
