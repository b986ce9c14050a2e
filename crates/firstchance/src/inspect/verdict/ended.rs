//! How a program ended itself or was ended, in words.

use super::super::names::quoted;
use analysis::cause::{Abort, Complaint, Origin};
use analysis::thrown::Thrown;

/// Why a program called abort(3), at the end of "It ended itself: …".
pub(super) fn abort(abort: &Abort) -> String {
    match abort {
        Abort::Message(complaint, text) => format!("{}: \"{text}\"", complained(*complaint)),
        Abort::Uncaught(thrown) => match thrown.name.ends_with(".fatal") {
            true => format!("a fatal error of its runtime, {}", self::thrown(thrown)),
            false => format!("nobody caught {}", self::thrown(thrown)),
        },
        Abort::Terminate => {
            "std::terminate was called, and no exception is in flight (a std::thread that was neither joined nor detached, for example)".to_owned()
        }
        Abort::Assertion => "an assertion does not hold; its text is not kept by this C library".to_owned(),
        Abort::Called => "it called abort(3)".to_owned(),
    }
}

fn complained(complaint: Complaint) -> &'static str {
    match complaint {
        Complaint::Assertion => "an assertion does not hold",
        Complaint::Heap => "the C library found its heap damaged or used wrongly",
        Complaint::StackSmashing => "the stack of a function was overwritten (stack smashing)",
        Complaint::Overflow => "a copy would have been larger than its target (buffer overflow)",
        Complaint::Other => "the C library found something wrong",
    }
}

/// `CXX.std::runtime_error ("no such order")`.
pub(super) fn thrown(thrown: &Thrown) -> String {
    match &thrown.message[..] {
        "" => thrown.name.clone(),
        message => format!("{} (\"{message}\")", thrown.name),
    }
}

/// What to look at next.
pub(super) fn next(abort: &Abort, place: &str) -> String {
    match abort {
        Abort::Message(Complaint::Heap, _) => format!(
            "{place} is where it was noticed; the damage was done before, by whoever wrote to, or freed, that block (valgrind or -fsanitize=address finds them)"
        ),
        Abort::Message(Complaint::StackSmashing | Complaint::Overflow, _) => {
            format!("the arrays in {place} that are written to")
        }
        Abort::Uncaught(_) => format!("{place} has thrown it, or is where it could not go on"),
        _ => format!("{place}, which ended the program"),
    }
}

/// Who sent a signal: `was sent by process 4711 "kill" of user 0, by kill(2)`.
pub(super) fn origin(origin: &Origin, sender: Option<&str>) -> String {
    let call = origin
        .call
        .map_or(String::new(), |call| format!(", by {call}(2)"));
    match origin.sender {
        _ if origin.is_own => format!("the process sent it to itself{call}"),
        Some((0, _)) => format!("it was sent by a process of another pid namespace{call}"),
        Some((pid, user)) => {
            let name = sender.map_or(String::new(), quoted);
            format!("it was sent by process {pid}{name} of user {user}{call}")
        }
        None if origin.is_kernel => "the kernel sent it".to_owned(),
        None => format!("the dump does not tell who sent it{call}"),
    }
}
