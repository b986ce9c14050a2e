//! Minidumps (Microsoft's `minidumpapiset.h`, with Breakpad's Linux streams).

use crate::{Dump, FileBytes, ReadError, RecordSpace, plan::Pieces};
use snapshot::{Selection, Snapshot};

pub(crate) fn pieces(_: &Snapshot, _: &Selection, _: RecordSpace) -> Pieces {
    Pieces::default()
}

pub(crate) fn read(_: FileBytes) -> Result<Dump, ReadError> {
    Err(ReadError::Unknown)
}
