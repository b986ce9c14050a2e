//! Threads as the runtimes of languages know them: goroutines, the functions that interpreters run, threads of Java, and who waits for
//! their locks.

mod goroutines;
mod monitors;

use crate::languages::{Gil, Java, JavaThread, LanguageFrame, Python};
use crate::stack::{Frame, Stack, Stacks};
use crate::waits::{Lock, LockKind, Wait, wait_for_gil};
use snapshot::{Snapshot, Thread};
use std::collections::HashMap;

pub use goroutines::{Creator, Go, Goroutine};

/// The loop of Python's interpreter.
const LOOP: &str = "_PyEval_EvalFrameDefault";

/// What the runtimes tell of these threads, whose stacks are walked. Functions of an interpreter are put into the frames of `threads` in
/// which its loop runs them.
pub fn languages(stacks: &Stacks, threads: &mut [(&Thread, Stack)]) -> Languages {
    let python = stacks.python();
    let parts = python.iter().flat_map(|python| &python.threads);
    let mut parts: HashMap<u32, &[Vec<LanguageFrame>]> = parts
        .filter_map(|thread| Some((thread.thread?, &thread.parts[..])))
        .collect();
    for (thread, stack) in threads.iter_mut() {
        if let Some(parts) = parts.remove(&thread.id) {
            merge(stack, parts);
        }
    }
    let go = stacks.go_program();
    Languages {
        go: go.map(|(module, memory)| goroutines::read(module, stacks, threads, &memory)),
        python,
        java: stacks.java(),
    }
}

/// What the runtimes of a process tell; `None` for those that it has not.
#[derive(Clone, Debug, Default)]
pub struct Languages {
    /// Go's goroutines.
    pub go: Option<Go>,
    /// The threads of Python's interpreter.
    pub python: Option<Python>,
    /// The threads of Java.
    pub java: Option<Java>,
}

impl Languages {
    /// What Java knows of a thread.
    pub fn java_thread(&self, id: u32) -> Option<&JavaThread> {
        let java = self.java.iter();
        let mut threads = java.flat_map(|java| &java.threads);
        threads.find(|thread| thread.thread == Some(id))
    }

    /// The classes of the objects that threads wait for, by their addresses.
    pub(crate) fn objects(&self) -> impl Iterator<Item = (u64, String)> {
        let threads = self.java.iter().flat_map(|java| &java.threads);
        let objects = threads.filter_map(|thread| thread.blocked.as_ref());
        objects.map(|blocked| (blocked.object().address, blocked.object().class.clone()))
    }

    /// Adds the waits that only the runtimes know of, in place of what was known of these threads, whose stacks are `threads`.
    pub fn add_waits(
        &self,
        snapshot: &Snapshot,
        threads: &[(&Thread, Stack)],
        waits: &mut Vec<Wait>,
    ) {
        self.add_waits_for_gils(snapshot, waits);
        if let Some(java) = &self.java {
            replace(waits, monitors::waits(java, threads));
        }
    }

    /// Those for the lock of an interpreter.
    fn add_waits_for_gils(&self, snapshot: &Snapshot, waits: &mut Vec<Wait>) {
        let gils: Vec<Gil> = self
            .python
            .iter()
            .flat_map(|python| python.gils.clone())
            .collect();
        if gils.is_empty() {
            return;
        }
        let lock = |address: u64| {
            let gil = gils.iter().find(|gil| gil.holds(address))?;
            Some(Lock {
                kind: LockKind::Gil,
                address: gil.address,
                owner: gil.owner,
            })
        };
        let found = snapshot
            .threads
            .iter()
            .filter_map(|t| wait_for_gil(snapshot, t, lock));
        replace(waits, found.map(|wait| (wait.thread, wait)).collect());
    }

    /// What could not be had, in sentences.
    pub fn notes(&self) -> impl Iterator<Item = &String> {
        let go = self.go.iter().flat_map(|go| &go.notes);
        go.chain(self.python.iter().flat_map(|python| &python.notes))
            .chain(self.java.iter().flat_map(|java| &java.notes))
    }
}

fn replace(waits: &mut Vec<Wait>, found: HashMap<u32, Wait>) {
    waits.retain(|wait| !found.contains_key(&wait.thread));
    waits.extend(found.into_values());
    waits.sort_by_key(|wait| wait.thread);
}

/// Puts the functions of a thread into the frames of the interpreter's loop, each part into the one that runs it. Where their numbers
/// differ, because the stack was not walked well, all stand in the innermost one.
fn merge(stack: &mut Stack, parts: &[Vec<LanguageFrame>]) {
    let is_loop = |frame: &Frame| {
        let symbol = frame.symbol.as_ref();
        symbol.is_some_and(|symbol| symbol.name.starts_with(LOOP))
    };
    let count = stack.frames.iter().filter(|frame| is_loop(frame)).count();
    if count == parts.len() {
        let loops = stack.frames.iter_mut().filter(|frame| is_loop(frame));
        for (frame, part) in loops.zip(parts) {
            frame.language.clone_from(part);
        }
        return;
    }
    let innermost = stack.frames.iter().position(is_loop).unwrap_or(0);
    if let Some(frame) = stack.frames.get_mut(innermost) {
        frame.language = parts.concat();
    }
}
