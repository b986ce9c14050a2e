//! An access to memory that failed, in words.

use crate::ui::console;
use analysis::cause::{Fault, Mapping, Place, Verb};
use policy::print_count;

/// What was done where: `read 4 bytes at 0x8 in app!pay+0x4: a null pointer plus 8`. `inside` is empty, or begins with a space.
pub(super) fn sentence(fault: &Fault, inside: &str) -> String {
    let inside = match fault.verb {
        Some(Verb::Execute) => "",
        _ => inside,
    };
    let (done, address, place) = (done(fault), fault.address, place(fault));
    format!("{done} {address:#x}{inside}: {place}")
}

fn done(fault: &Fault) -> String {
    let size = fault.access.as_ref().map_or(0, |access| access.size);
    let bytes = print_count(size, "byte");
    match fault.verb {
        Some(Verb::Execute) => "jumped to".to_owned(),
        Some(Verb::Read) if size > 0 => format!("read {bytes} at"),
        Some(Verb::Write) if size > 0 => format!("wrote {bytes} to"),
        Some(Verb::Read) => "read at".to_owned(),
        Some(Verb::Write) => "wrote to".to_owned(),
        None => "accessed memory at".to_owned(),
    }
}

fn place(fault: &Fault) -> String {
    match &fault.place {
        Place::Null(0) => "the null pointer".to_owned(),
        Place::Null(offset @ 1..) => {
            format!(
                "a null pointer plus {offset}, a field or an element of an object that is not there"
            )
        }
        Place::Null(offset) => format!(
            "a pointer that is {offset} or near it: numbers of errors, such as MAP_FAILED, are often taken for pointers"
        ),
        Place::NonCanonical => {
            "an address that no memory can have (it is not canonical)".to_owned()
        }
        Place::Kernel => "an address of the kernel's memory".to_owned(),
        Place::Unmapped { above: None } => "no memory is mapped there".to_owned(),
        Place::Unmapped {
            above: Some((mapping, distance)),
        } => format!(
            "no memory is mapped there, {} behind the end of {mapping}",
            console::size(*distance)
        ),
        Place::Protected(mapping) => format!("in {mapping}, {}", allowed(mapping)),
        Place::NotInFile(mapping) => format!(
            "in the mapping of {mapping}, at a place that the file does not have or that could not be read: it was truncated, or its file \
             system is full or failed"
        ),
        Place::Accessible(mapping) => format!(
            "in {mapping}, {}; the dump does not tell why that failed (a protection key, or memory that was mapped only then)",
            allowed(mapping)
        ),
        Place::Unknown => "the dump does not tell what is there".to_owned(),
    }
}

/// What may be done with memory: `which may be read, not written to or executed (r--)`.
fn allowed(mapping: &Mapping) -> String {
    let protection = mapping.protection;
    let all = [
        (protection.read, "read"),
        (protection.write, "written to"),
        (protection.execute, "executed"),
    ];
    let words = |wanted: bool| {
        let words = all.iter().filter(|(allowed, _)| *allowed == wanted);
        words.map(|(_, word)| *word).collect::<Vec<_>>()
    };
    let text = match (&words(true)[..], &words(false)[..]) {
        ([], _) => {
            "which nobody may access (a guard page, or memory that is only reserved)".to_owned()
        }
        (may, []) => format!("which may be {}", may.join(" and ")),
        (may, not) => format!(
            "which may be {} and not {}",
            may.join(" and "),
            not.join(" or ")
        ),
    };
    format!("{text} ({protection})")
}

/// The facts behind it.
pub(super) fn facts(fault: &Fault) -> Vec<String> {
    let mut facts = Vec::new();
    if !fault.is_reported {
        facts.push(
            "The system tells no address for this; it was computed from the registers.".to_owned(),
        );
    }
    if let Some(suspicion) = &fault.suspicion {
        facts.push(format!("Perhaps {suspicion}."));
    }
    facts
}

/// What to look at next, if the frame that called is `caller`.
pub(super) fn next(fault: &Fault, caller: Option<String>) -> String {
    let caller = caller.unwrap_or_else(|| "the callers".to_owned());
    match fault.place {
        _ if fault.verb == Some(Verb::Execute) => {
            format!("which pointer to a function {caller} has called, and who has set it")
        }
        Place::Null(_) => format!("where the pointer comes from: this function, and {caller}"),
        Place::NotInFile(_) => {
            "who has truncated or replaced that file, and whether its file system is full"
                .to_owned()
        }
        Place::Protected(_) => {
            "who has made that memory read-only, or why the pointer leads there".to_owned()
        }
        _ => format!(
            "what has overwritten or freed the pointer: this function, {caller}, and the memory around the pointer"
        ),
    }
}
