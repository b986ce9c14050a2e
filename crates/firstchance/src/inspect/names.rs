//! How threads are called.

/// `thread 4711 "main"`, or `thread 4711` if it has no name.
pub(super) fn called(id: u32, name: &str) -> String {
    format!("thread {id}{}", quoted(name))
}

/// A name to stand behind a number: ` "main"`, or nothing if there is none.
pub(super) fn quoted(name: &str) -> String {
    match name {
        "" => String::new(),
        name => format!(" \"{name}\""),
    }
}
