//! Why a program ended itself by abort(3): what it has said before, by what the libraries keep of it.

use super::event::Event;
use crate::stack::{Stack, Stacks};
use crate::thrown::{self, Thrown};
use snapshot::{Exception, Memory};

/// Why a program called abort(3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Abort {
    /// The C library found something wrong, and said this.
    Message(Complaint, String),
    /// A C++ exception that nobody caught, a panic of Rust or of Go.
    Uncaught(Thrown),
    /// `std::terminate` was called, and no exception is in flight.
    Terminate,
    /// An assertion did not hold; which one is not kept by this C library.
    Assertion,
    /// It called abort(3) itself.
    Called,
}

/// What the C library complained of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Complaint {
    /// An assertion that does not hold.
    Assertion,
    /// The heap is damaged, or is used wrongly: freed twice, written to behind the end of a block.
    Heap,
    /// The return address of a function was about to be used after the bytes before it were overwritten.
    StackSmashing,
    /// A copy would have been larger than the object that it goes to (`_FORTIFY_SOURCE`).
    Overflow,
    /// Anything else.
    Other,
}

/// The variable in which glibc keeps its last words (assert/assert.c, sysdeps/posix/libc_fatal.c): the address of a length, and a
/// text.
const MESSAGE: &str = "__abort_msg";
/// The longest message, in bytes.
const LONGEST: usize = 1024;

/// Why the thread of that stack called abort(3).
pub(super) fn abort(
    exception: &Exception,
    event: &Event,
    stack: &Stack,
    stacks: &Stacks,
    memory: &dyn Memory,
) -> Abort {
    let is_in = |name: &str| calls(stack, name);
    if let Some(thrown) = thrown_earlier(exception) {
        return Abort::Uncaught(thrown);
    }
    if let Some(thrown) = thrown::uncaught(exception, &event.registers, memory) {
        return Abort::Uncaught(thrown);
    }
    if let Some(text) = message(stacks, memory) {
        return Abort::Message(complaint(&text), text);
    }
    if let Some(panic) = super::panic::panic(stack, &event.registers, memory) {
        return Abort::Uncaught(panic);
    }
    match () {
        () if is_in("std::terminate") => Abort::Terminate,
        () if is_in("__assert_fail") => Abort::Assertion,
        () => Abort::Called,
    }
}

/// What the dump's writer has found out.
fn thrown_earlier(exception: &Exception) -> Option<Thrown> {
    (!exception.signal.is_empty()).then(|| Thrown {
        name: exception.name.clone(),
        bases: exception.bases.clone(),
        message: exception.message.clone(),
        message_varies: true,
    })
}

/// Whether a function whose name contains this is among those of a stack that lead to its end.
pub(super) fn calls(stack: &Stack, name: &str) -> bool {
    const FRAMES: usize = 16;
    let frames = stack.frames.iter().take(FRAMES);
    let mut symbols = frames.filter_map(|frame| frame.symbol.as_ref());
    symbols.any(|symbol| symbol.name.contains(name))
}

fn message(stacks: &Stacks, memory: &dyn Memory) -> Option<String> {
    let variable = stacks.variable(MESSAGE)?;
    let kept = memory.read_u64(variable).filter(|kept| *kept != 0)?;
    let text = memory.read_c_string(kept.wrapping_add(4), LONGEST)?;
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

fn complaint(text: &str) -> Complaint {
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    match () {
        () if has(&["stack smashing"]) => Complaint::StackSmashing,
        () if has(&["buffer overflow detected"]) => Complaint::Overflow,
        // malloc has assertions of its own; they are about the heap.
        () if has(&["malloc.c:", "malloc assertion"]) => Complaint::Heap,
        () if has(&["Assertion "]) => Complaint::Assertion,
        () if has(HEAP) => Complaint::Heap,
        () => Complaint::Other,
    }
}

/// How the complaints of glibc's malloc begin (malloc/malloc.c, `malloc_printerr`).
const HEAP: &[&str] = &[
    "free()",
    "malloc",
    "realloc()",
    "double free",
    "corrupted",
    "munmap_chunk",
    "mremap_chunk",
    "invalid",
    "sysmalloc",
    "tcache",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_of_glibc_are_told_apart() {
        for (text, kind) in [
            (
                "app: app.c:7: pay: Assertion `total > 0' failed.",
                Complaint::Assertion,
            ),
            ("double free or corruption (fasttop)", Complaint::Heap),
            ("free(): invalid pointer", Complaint::Heap),
            (
                "Fatal glibc error: malloc.c:2594 (sysmalloc): assertion failed: x",
                Complaint::Heap,
            ),
            (
                "*** stack smashing detected ***: terminated",
                Complaint::StackSmashing,
            ),
            (
                "*** buffer overflow detected ***: terminated",
                Complaint::Overflow,
            ),
            (
                "The futex facility returned an unexpected error code.",
                Complaint::Other,
            ),
        ] {
            assert_eq!(complaint(text), kind, "{text}");
        }
    }
}
