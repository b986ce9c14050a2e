//! The notes of the process: `NT_PRPSINFO`, `NT_AUXV`, `NT_FILE` (core(5), `fs/binfmt_elf.c`).

use super::{PAGE, notes::Notes};
use crate::bytes::{Put, Width};
use object::elf;
use snapshot::{Architecture, Detail, Process, Region, RegionKind, Snapshot, auxv};
use std::collections::BTreeSet;

/// Adds all notes of the process, in the kernel's order. `unreadable` are the starts of regions that debuggers must not
/// read from their files.
pub(super) fn write(
    notes: &mut Notes,
    snapshot: &Snapshot,
    detail: Detail,
    unreadable: &BTreeSet<u64>,
) {
    let architecture = snapshot.system.architecture;
    let width = Width::of(architecture);
    notes.core(
        elf::NT_PRPSINFO,
        &prpsinfo(&snapshot.process, architecture, detail),
    );
    if !snapshot.process.auxv.is_empty() {
        notes.core(
            elf::NT_AUXV,
            &auxv::to_bytes(&snapshot.process.auxv, architecture.pointer_size()),
        );
    }
    let is_listed =
        |region: &&Region| is_of_file(region) && !unreadable.contains(&region.range.start);
    let files: Vec<&Region> = snapshot.regions.iter().filter(is_listed).collect();
    if !files.is_empty() {
        notes.core(elf::NT_FILE, &file_mappings(&files, width));
    }
}

/// `struct elf_prpsinfo`: ids, state and names of the process, and 80 bytes of its command line.
fn prpsinfo(process: &Process, architecture: Architecture, detail: Detail) -> Vec<u8> {
    let width = Width::of(architecture);
    let mut out = Vec::with_capacity(136);
    let state = "RSDTZW".find(process.state).unwrap_or(0) as u8;
    let zombie = u8::from(process.state == 'Z');
    out.put(&[state, process.state as u8, zombie, process.nice as u8]);
    out.resize(width.bytes(), 0);
    out.word(width, process.flags.into());
    let user = [process.user.uid, process.user.gid];
    match architecture {
        Architecture::X86 | Architecture::Arm => user.iter().for_each(|id| out.u16(*id as u16)),
        _ => user.iter().for_each(|id| out.u32(*id)),
    }
    let ids = [
        process.key.pid,
        process.parent,
        process.group,
        process.session,
    ];
    ids.into_iter().for_each(|id| out.u32(id));
    out.text(comm(process).as_bytes(), 16);
    out.text(arguments(process, detail).as_bytes(), 80);
    out
}

/// The short name that the kernel keeps.
fn comm(process: &Process) -> &str {
    match process.comm.as_str() {
        "" => &process.name,
        comm => comm,
    }
}

fn arguments(process: &Process, detail: Detail) -> String {
    match detail {
        Detail::All if !process.command_line.is_empty() => process.command_line.join(" "),
        _ => comm(process).to_owned(),
    }
}

/// Whether the kernel would list the region in `NT_FILE`, which it does with all mappings of files.
fn is_of_file(region: &Region) -> bool {
    matches!(region.kind, RegionKind::Image | RegionKind::Mapped)
        && region.name.starts_with(['/', '\\'])
}

/// The contents of `NT_FILE`: count and page size; start, end and offset in pages for each; the
/// paths.
fn file_mappings(files: &[&Region], width: Width) -> Vec<u8> {
    let mut out = Vec::new();
    out.word(width, files.len() as u64);
    out.word(width, PAGE);
    for region in files {
        out.word(width, region.range.start);
        out.word(width, region.range.end);
        out.word(width, region.offset / PAGE);
    }
    for region in files {
        out.put(region.name.as_bytes());
        // As the kernel prints it: keeps debuggers from taking a new file of that name for it.
        out.put(if region.deleted {
            b" (deleted)\0"
        } else {
            b"\0"
        });
    }
    out
}
