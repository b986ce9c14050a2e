//! ELF cores (elf(5), core(5)) as the kernel's `fs/binfmt_elf.c` and gdb's `gcore` write them.

use crate::{Dump, FileBytes, ReadError, RecordSpace, plan::Pieces};
use snapshot::{Selection, Snapshot};

pub(crate) fn pieces(_: &Snapshot, _: &Selection, _: RecordSpace) -> Pieces {
    Pieces::default()
}

pub(crate) fn read(_: FileBytes) -> Result<Dump, ReadError> {
    Err(ReadError::Unknown)
}
