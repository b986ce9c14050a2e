//! Breakpad's streams with files of Linux: those of `/proc/PID`, and of the machine.

use crate::metadata::allowed;
use minidump_common::format::MINIDUMP_STREAM_TYPE as Stream;
use snapshot::{Detail, OperatingSystem, Process, Snapshot, auxv, maps};

/// The names in [`Process::files`] of the files that have a stream.
const FILES: [&str; 8] = [
    "cpuinfo",
    "status",
    "lsb-release",
    "cmdline",
    "environ",
    "auxv",
    "maps",
    "limits",
];

/// The streams of [`FILES`], in the same order.
const STREAMS: [Stream; 8] = [
    Stream::LinuxCpuInfo,
    Stream::LinuxProcStatus,
    Stream::LinuxLsbRelease,
    Stream::LinuxCmdLine,
    Stream::LinuxEnviron,
    Stream::LinuxAuxv,
    Stream::LinuxMaps,
    Stream::MozLinuxLimits,
];

/// The names of the files that have streams in a dump of a process of that system.
pub(super) fn names(os: OperatingSystem) -> &'static [&'static str] {
    match os {
        OperatingSystem::Linux => &FILES,
        OperatingSystem::Windows | OperatingSystem::Foreign(_) => &[],
    }
}

/// The streams that are not empty.
pub(super) fn wanted(snapshot: &Snapshot, detail: Detail) -> impl Iterator<Item = Stream> {
    let has = move |&stream: &Stream| match stream {
        // It may be megabytes, and is made up only to be written.
        Stream::LinuxMaps => has_maps(snapshot),
        _ => bytes(stream, snapshot, detail).is_some(),
    };
    STREAMS.into_iter().filter(has)
}

/// The contents of a stream; `None` if it is empty, or a limited dump must not contain it.
pub(super) fn bytes(stream: Stream, snapshot: &Snapshot, detail: Detail) -> Option<Vec<u8>> {
    let (_, name) = files().find(|(kind, _)| *kind == stream)?;
    let process = allowed(&snapshot.process, detail);
    let file = process.file(name).map(<[u8]>::to_vec);
    let bytes = file.or_else(|| made_up(stream, &process, snapshot));
    bytes.filter(|bytes| !bytes.is_empty())
}

/// Makes the file up from the snapshot, in the form of the kernel.
fn made_up(stream: Stream, process: &Process, snapshot: &Snapshot) -> Option<Vec<u8>> {
    let pointer_size = snapshot.system.architecture.pointer_size();
    match stream {
        Stream::LinuxMaps if has_maps(snapshot) => Some(maps::to_text(&snapshot.regions)),
        Stream::LinuxCmdLine => Some(nul_ended(&process.command_line)),
        Stream::LinuxEnviron => Some(nul_ended(&process.environment)),
        Stream::LinuxAuxv if !process.auxv.is_empty() => {
            Some(auxv::to_bytes(&process.auxv, pointer_size))
        }
        _ => None,
    }
}

fn has_maps(snapshot: &Snapshot) -> bool {
    let is_linux = snapshot.system.os == OperatingSystem::Linux;
    is_linux && !snapshot.regions.is_empty()
}

fn nul_ended(texts: &[String]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for text in texts {
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
    }
    bytes
}

/// Each stream, and the name of its file.
pub(super) fn files() -> impl Iterator<Item = (Stream, &'static str)> {
    STREAMS.into_iter().zip(FILES)
}
