//! Debug information: DWARF, `.gnu_debugdata`, PDBs and Breakpad's symbol files, of an image that stands at a fixed address.
//!
//! The first 16 bytes are the identity of the image, the rest is the file.
#![no_main]

use analysis::{Candidates, FileBytes, Files, Stacks};
use snapshot::{CodeView, Module, NoMemory, Range, Snapshot};
use std::sync::{Arc, Once};

const BASE: u64 = 0x40_0000;

/// One file for everything.
struct Only(FileBytes);

impl Files for Only {
    fn images<'a>(&'a self, _: &'a Module) -> Candidates<'a> {
        Box::new(std::iter::once(self.0.clone()))
    }

    fn tables<'a>(&'a self, _: &'a Module) -> Candidates<'a> {
        Box::new(std::iter::once(self.0.clone()))
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // libfuzzer's own hook aborts at once, also where a panic of the reader of PDBs is caught. One that is not caught is still found.
    static QUIET: Once = Once::new();
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    let Some((guid, file)) = data.split_first_chunk::<16>() else {
        return;
    };
    let module = Module {
        range: Range::new(BASE, BASE + 0x10_0000),
        path: "/app".to_owned(),
        codeview: Some(CodeView {
            guid: *guid,
            age: 1,
            file: "app.pdb".to_owned(),
        }),
        ..Module::default()
    };
    let snapshot = Snapshot {
        modules: vec![module],
        ..Snapshot::default()
    };
    let files = Only(Arc::new(file.to_vec()));
    let stacks = Stacks::new(&snapshot, &NoMemory, &files);
    let addresses: Vec<u64> = (0..0x4000).step_by(0x41).map(|at| BASE + at).collect();
    for address in &addresses {
        stacks.symbol(*address);
    }
    for lookup in stacks.lookups(&addresses) {
        let _ = lookup.run();
    }
});
