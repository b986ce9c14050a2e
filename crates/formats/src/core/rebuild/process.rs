//! The process, from `NT_PRPSINFO` and `NT_AUXV`.

use super::space::MappedFile;
use crate::bytes::{Take, Width, c_text};
use snapshot::auxv::{AT_EGID, AT_EUID, AT_GID, AT_PHDR, AT_UID};
use snapshot::{Architecture, Process, ProcessKey, User};

pub(in crate::core) fn process(
    prpsinfo: &[u8],
    auxv: Vec<(u64, u64)>,
    files: &[MappedFile],
    architecture: Architecture,
) -> Process {
    let known = from_prpsinfo(prpsinfo, architecture);
    let has_user = known.is_some();
    let mut process = known.unwrap_or(Process {
        state: ' ',
        ..Process::default()
    });
    process.auxv = auxv;
    let program = process.aux(AT_PHDR);
    let program = program.and_then(|at| files.iter().find(|f| f.range.contains(at)));
    if let Some(file) = program {
        process.exe.clone_from(&file.path);
        process.exe_deleted = file.deleted;
    }
    let id = |entry, known: u32| process.aux(entry).map_or(known, |id| id as u32);
    let (uid, gid) = (process.user.uid, process.user.gid);
    process.user = User {
        uid: id(AT_UID, uid),
        gid: id(AT_GID, gid),
        euid: id(AT_EUID, uid),
        egid: id(AT_EGID, gid),
        name: match has_user || process.aux(AT_UID).is_some() {
            true => id(AT_UID, uid).to_string(),
            false => String::new(),
        },
    };
    process.name = match process.exe.rsplit('/').next() {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => process.comm.clone(),
    };
    process
}

/// The size of `struct elf_prpsinfo` of 32 bits with ids of users that have four bytes; in bytes.
const LONG_PRPSINFO: usize = 128;

/// `struct elf_prpsinfo` (`include/linux/elfcore.h`).
fn from_prpsinfo(bytes: &[u8], architecture: Architecture) -> Option<Process> {
    let width = Width::of(architecture);
    let mut fields = Take(bytes);
    let [_, state, _, nice] = fields.array()?;
    // Padding, pr_flag.
    fields.bytes(2 * width.bytes() - 4)?;
    // Where the ids of users have two bytes (`__kernel_uid_t`), the whole has 124.
    let is_short = architecture.pointer_size() == 4 && bytes.len() < LONG_PRPSINFO;
    let (uid, gid) = match is_short {
        true => (fields.u16()?.into(), fields.u16()?.into()),
        false => (fields.u32()?, fields.u32()?),
    };
    let (pid, parent, group, session) =
        (fields.u32()?, fields.u32()?, fields.u32()?, fields.u32()?);
    let comm = c_text(fields.bytes(16)?);
    let arguments = c_text(fields.0);
    Some(Process {
        key: ProcessKey { pid, start: 0 },
        parent,
        group,
        session,
        comm,
        command_line: arguments.split_whitespace().map(str::to_owned).collect(),
        user: User {
            uid,
            gid,
            ..User::default()
        },
        state: if state == 0 { ' ' } else { state.into() },
        nice: i32::from(nice as i8),
        ..Process::default()
    })
}
