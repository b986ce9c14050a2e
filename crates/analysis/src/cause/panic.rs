//! The panic of Rust or Go by which a program has ended, from what it has left on the stack.

use crate::stack::Stack;
use crate::thrown::{Thrown, go, rust};
use snapshot::{Memory, Registers};

/// The panic of the thread with that stack; `None` if there is none.
pub(super) fn panic(stack: &Stack, registers: &Registers, memory: &dyn Memory) -> Option<Thrown> {
    let named = |part: &str| {
        let mut frames = stack.frames.iter();
        frames.find(|frame| {
            frame
                .symbol
                .as_ref()
                .is_some_and(|symbol| symbol.name.contains(part))
        })
    };
    if let Some(frame) = named("panic_with_hook") {
        return Some(rust::left(frame.sp, memory));
    }
    if named("runtime.fatalthrow").is_some() {
        return Some(go::fatal_of_goroutine(registers, memory));
    }
    let is_go = named("runtime.").is_some();
    is_go.then(|| go::of_goroutine(registers, memory))?
}
