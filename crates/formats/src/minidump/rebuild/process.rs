//! The process, from `MINIDUMP_MISC_INFO` and Breakpad's Linux streams.

use crate::minidump::{file::File, process_streams};
use minidump::MinidumpMiscInfo;
use snapshot::{Architecture, Module, Process, ProcessKey, WallTime, auxv};
use std::time::Duration;

pub(super) fn process(
    minidump: &File<'_>,
    program: Option<&Module>,
    architecture: Architecture,
) -> Process {
    let files = files(minidump);
    let mut process = Process {
        state: ' ',
        files,
        ..Process::default()
    };
    if let Some(program) = program {
        program.name().clone_into(&mut process.name);
        process.exe.clone_from(&program.path);
    }
    process.command_line = texts(process.file("cmdline"));
    process.environment = texts(process.file("environ"));
    let auxv = process.file("auxv").unwrap_or_default();
    process.auxv = auxv::entries(auxv, architecture.pointer_size());
    from_status(&mut process);
    from_misc_info(minidump, &mut process);
    process
}

fn files(minidump: &File<'_>) -> Vec<(String, Vec<u8>)> {
    let there = |(stream, name): (_, &str)| {
        let bytes = minidump.get_raw_stream(stream as u32).ok()?;
        Some((name.to_owned(), bytes.to_vec()))
    };
    process_streams::files().filter_map(there).collect()
}

fn texts(file: Option<&[u8]>) -> Vec<String> {
    let file = file.unwrap_or_default();
    let texts = file
        .split(|&byte| byte == 0)
        .filter(|text| !text.is_empty());
    texts
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .collect()
}

/// `/proc/PID/status` (proc(5)).
fn from_status(process: &mut Process) {
    let status = String::from_utf8_lossy(process.file("status").unwrap_or_default()).into_owned();
    for line in status.lines() {
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        let mut words = value.split_whitespace();
        let mut number = || words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        match key {
            "Name" => value.trim().clone_into(&mut process.comm),
            "Pid" => process.key.pid = number(),
            "PPid" => process.parent = number(),
            "Uid" => {
                (process.user.uid, process.user.euid) = (number(), number());
                process.user.name = process.user.uid.to_string();
            }
            "Gid" => (process.user.gid, process.user.egid) = (number(), number()),
            _ => {}
        }
    }
}

fn from_misc_info(minidump: &File<'_>, process: &mut Process) {
    let Ok(info) = minidump.get_stream::<MinidumpMiscInfo>() else {
        return;
    };
    if let Some(&pid) = info.raw.process_id() {
        process.key = ProcessKey { pid, start: 0 };
    }
    let seconds = |seconds: Option<&u32>| Duration::from_secs(seconds.copied().unwrap_or(0).into());
    process.user_time = seconds(info.raw.process_user_time());
    process.kernel_time = seconds(info.raw.process_kernel_time());
    if let Some(&created) = info.raw.process_create_time() {
        process.started = WallTime(i64::from(created) * 1_000_000_000);
    }
}
