//! The kernel's tracepoints, as tracefs describes them (Documentation/trace/events.rst).

use rustix::{
    fd::OwnedFd,
    fs::{CWD, Mode, OFlags, openat},
    mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen},
};
use std::{
    fs::File,
    io::{self, Read as _},
};

/// A tracepoint of the kernel, as tracefs describes it.
pub(crate) struct Point {
    /// The id by which perf_event_open(2) knows it.
    pub(crate) id: u64,
    /// The description of its record.
    pub(crate) format: String,
}

/// Looks a tracepoint up by its group and name, as in `signal/signal_generate`.
///
/// # Errors
/// If there is no such tracepoint, or we may not read tracefs.
pub(crate) fn point(name: &str) -> io::Result<Point> {
    let root = root()?;
    let text = |file: &str| -> io::Result<String> {
        let path = format!("events/{name}/{file}");
        let file = openat(&root, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut text = String::new();
        File::from(file).read_to_string(&mut text)?;
        Ok(text)
    };
    let id = text("id")?.trim().parse();
    Ok(Point {
        id: id.map_err(|_| io::Error::other("the kernel tells no id for the tracepoint"))?,
        format: text("format")?,
    })
}

/// Opens the root of tracefs: where it is mounted, else a mount of our own that nobody else sees
/// and that goes with the descriptor.
fn root() -> io::Result<OwnedFd> {
    let folder = OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC;
    let mounted = openat(CWD, "/sys/kernel/tracing", folder, Mode::empty());
    if let Ok(mounted) = mounted
        && openat(&mounted, "events", folder, Mode::empty()).is_ok()
    {
        return Ok(mounted);
    }
    let system = fsopen("tracefs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&system)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NOSUID;
    Ok(fsmount(&system, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}
