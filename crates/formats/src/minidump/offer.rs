//! What a callback routine is told of the threads and modules of a process (`MINIDUMP_CALLBACK_INPUT` of Microsoft's
//! `minidumpapiset.h`): what the minidump would hold.

use super::{body::bytes_of, context, modules};
use snapshot::{
    Detail, Memory, Module, Range, Snapshot, Thread,
    choice::{MODULE_REFERENCED, Offer, OfferedModule, OfferedThread, USUAL_MODULE},
    modules_on_stacks,
};

/// What is offered of a process. A module that the stacks refer to is marked, as `MiniDumpScanMemory` has it.
pub fn offer(snapshot: &Snapshot, memory: &dyn Memory) -> Offer {
    let referenced = modules_on_stacks(snapshot, memory);
    let of_module = |module: &Module| {
        let marked = referenced.contains(&module.range.start);
        let mark = if marked { MODULE_REFERENCED } else { 0 };
        OfferedModule {
            range: module.range,
            path: module.path.clone(),
            checksum: module.checksum,
            timestamp: module.timestamp,
            version: bytes_of(modules::version_info(&module.version)),
            codeview: modules::codeview(module),
            flags: USUAL_MODULE | mark,
        }
    };
    Offer {
        threads: snapshot
            .threads
            .iter()
            .map(|thread| of_thread(snapshot, thread))
            .collect(),
        modules: snapshot.modules.iter().map(of_module).collect(),
    }
}

fn of_thread(snapshot: &Snapshot, thread: &Thread) -> OfferedThread {
    let sp = thread.registers.map(|registers| registers.sp());
    let region = sp.and_then(|sp| Some((sp, snapshot.region_at(sp)?)));
    OfferedThread {
        id: thread.id,
        context: context::write(thread, Detail::All).unwrap_or_default(),
        stack: region.map_or(Range::default(), |(sp, region)| {
            Range::new(sp, region.range.end)
        }),
    }
}
