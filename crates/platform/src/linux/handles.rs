//! The open descriptors of a process.

use super::proc::{ProcDir, bounds, link, map_text, numbers_in, status};
use snapshot::{Handle, Warning};
use std::io;

/// The name under which the descriptors are [kept](ProcDir::keep_text).
pub(crate) const KEPT: &str = "descriptors";

/// Returns the open descriptors, ascending, without those that we may not see.
pub(crate) fn handles(proc: &ProcDir) -> Vec<Handle> {
    match proc.is_gone {
        true => from_text(&proc.read(KEPT).unwrap_or_default()),
        false => listed(proc).collect(),
    }
}

/// Keeps what is known of each descriptor, for when the process is gone.
///
/// # Errors
/// If there is no room for it.
pub(crate) fn keep(proc: &mut ProcDir) -> io::Result<()> {
    let handles: Vec<Handle> = listed(proc).collect();
    keep_these(proc, &handles)
}

/// Keeps what is known of these descriptors.
///
/// # Errors
/// If there is no room for it.
pub(crate) fn keep_these(proc: &mut ProcDir, handles: &[Handle]) -> io::Result<()> {
    let text: Vec<u8> = handles.iter().flat_map(to_text).collect();
    proc.keep_text(KEPT, &text)
}

/// Returns a sentence about names that were cut.
pub(crate) fn cut_names(handles: &[Handle]) -> Option<Warning> {
    let cut = handles
        .iter()
        .filter(|handle| handle.name.starts_with(map_text::CUT));
    match cut.count() {
        0 => None,
        count => Some(format!(
            "the names of {count} descriptors are cut: all names together are too long"
        )),
    }
}

/// The descriptors. Names are cut once all of them together are too long: a path may have 4 KiB, and a process a million of
/// them.
fn listed(proc: &ProcDir) -> impl Iterator<Item = Handle> {
    let numbers = numbers_in(proc.fd(), "fd").unwrap_or_default();
    let some = numbers.into_iter().take(bounds::DESCRIPTORS);
    let all = some.filter_map(|number| handle(proc, number));
    all.scan(0, |taken, mut handle| {
        *taken += handle.name.len();
        if *taken > bounds::DESCRIPTOR_NAMES {
            handle.name =
                String::from_utf8_lossy(&map_text::cut(handle.name.as_bytes())).into_owned();
        }
        Some(handle)
    })
}

/// Writes a descriptor as lines that end with NUL, which no name has: number, flags, position or nothing, name.
fn to_text(handle: &Handle) -> Vec<u8> {
    let position = handle.position.map(|at| at.to_string()).unwrap_or_default();
    let Handle {
        number,
        flags,
        name,
        ..
    } = handle;
    format!("{number}\0{flags}\0{position}\0{name}\0").into_bytes()
}

fn from_text(text: &[u8]) -> Vec<Handle> {
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> = text.split('\0').collect();
    let four = lines.chunks_exact(4);
    four.filter_map(|lines| {
        let [number, flags, position, name] = lines.try_into().ok()?;
        Some(Handle {
            number: number.parse().ok()?,
            flags: flags.parse().ok()?,
            position: position.parse().ok(),
            kind: kind_of(name).to_owned(),
            name: name.to_owned(),
            ..Handle::default()
        })
    })
    .collect()
}

fn handle(proc: &ProcDir, number: i32) -> Option<Handle> {
    let name = link(proc.fd(), &format!("fd/{number}")).ok()?;
    let is_listing = LISTINGS.contains(&&name[..]);
    let info = match is_listing {
        true => Vec::new(),
        false => proc.read(&format!("fdinfo/{number}")).unwrap_or_default(),
    };
    let flags = status::field(&info, "flags").and_then(|text| u32::from_str_radix(text, 8).ok());
    Some(Handle {
        number: number as u64,
        kind: kind_of(&name).to_owned(),
        position: status::number(&info, "pos"),
        flags: flags.unwrap_or(0),
        name,
        ..Handle::default()
    })
}

/// Descriptors of which `fdinfo` lists everything that they watch, which the kernel puts together as a whole, be it a
/// million lines.
const LISTINGS: [&str; 4] = [
    "anon_inode:[eventpoll]",
    "anon_inode:inotify",
    "anon_inode:[fanotify]",
    "anon_inode:[io_uring]",
];

fn kind_of(name: &str) -> &str {
    match name.split_once(':') {
        _ if name.starts_with('/') => "file",
        Some((kind, _)) => kind,
        None => "file",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n23_descriptors_that_are_kept_are_those_that_are_open() {
        let me = std::process::id();
        let mut proc = ProcDir::open_pid(me).expect("ourselves");
        keep(&mut proc).expect("a copy");
        let open = handles(&proc);
        proc.is_gone = true;
        let kept = handles(&proc);
        let of_stdin = |all: &[Handle]| all.iter().find(|handle| handle.number == 0).cloned();
        assert!(open.len() > 2 && kept.len() > 2, "{open:?} {kept:?}");
        assert_eq!(of_stdin(&kept), of_stdin(&open));
    }
}
