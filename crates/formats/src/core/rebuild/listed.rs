//! The modules by the list of the dynamic loader, for cores without `NT_FILE`: those of kernels before Linux 3.7.

use crate::image::{self, Listed};
use snapshot::auxv::{AT_EXECFN, AT_PHDR, AT_SYSINFO_EHDR};
use snapshot::{Architecture, Memory, Module, Process, Range, Region};

/// The longest path, in bytes.
const MOST_PATH: usize = 4096;
const PAGE: u64 = 4096;

/// The program and its libraries, ascending; also sets the path of the program if it is not known.
pub(super) fn modules(
    process: &mut Process,
    regions: &[Region],
    memory: &dyn Memory,
    architecture: Architecture,
) -> Vec<Module> {
    if process.exe.is_empty() {
        process.exe = program(process, memory).unwrap_or_default();
    }
    let base = process.aux(AT_PHDR).map(|table| table & !(PAGE - 1));
    let program = base.map(|base| Listed {
        base,
        dynamic: base,
        path: process.exe.clone(),
    });
    let vdso = process.aux(AT_SYSINFO_EHDR);
    let libraries = image::listed(process, memory, architecture);
    let libraries = libraries
        .into_iter()
        .filter(|library| !library.path.is_empty() && Some(library.base) != vdso);
    let all = program.into_iter().chain(libraries);
    let mut modules: Vec<Module> = all.filter_map(|l| module(&l, regions, memory)).collect();
    modules.sort_by_key(|module| module.range.start);
    modules.dedup_by_key(|module| module.range.start);
    modules
}

/// The path by which the program was executed.
fn program(process: &Process, memory: &dyn Memory) -> Option<String> {
    let text = memory.read_c_string(process.aux(AT_EXECFN)?, MOST_PATH)?;
    String::from_utf8(text).ok()
}

/// Where an image begins whose headers are not in the core. A file that is linked to an address has its bias in the list,
/// which is 0 or far away.
fn likely_start(base: u64, region_with_dynamic: u64) -> u64 {
    const LARGEST: u64 = 1 << 30;
    let distance = region_with_dynamic.checked_sub(base);
    match base {
        0 => region_with_dynamic,
        _ if distance.is_some_and(|distance| distance < LARGEST) => base,
        _ => region_with_dynamic,
    }
}

fn module(listed: &Listed, regions: &[Region], memory: &dyn Memory) -> Option<Module> {
    let identity = image::in_memory(memory, listed.base);
    let holds = |region: &&Region| region.range.contains(listed.dynamic);
    let with_dynamic = regions.iter().find(holds).map(|region| region.range);
    let start = match &identity {
        Some(_) => listed.base,
        None => likely_start(listed.base, with_dynamic?.start),
    };
    let size = identity.as_ref().map(|identity| identity.size);
    let end = match size {
        Some(size) => start.checked_add(size)?.next_multiple_of(PAGE),
        None => with_dynamic?.end,
    };
    let identity = identity.unwrap_or_default();
    Some(Module {
        range: Range::new(start, end),
        path: listed.path.clone(),
        build_id: identity.build_id,
        version: identity.version,
        soname: identity.soname,
        ..Module::default()
    })
}
