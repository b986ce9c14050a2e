//! Lines by PDB, the debug information of Windows.

use super::{Line, Place, Trouble, shown};
use pdb_addr2line::pdb::{PDB, Source, SourceSlice, SourceView};
use pdb_addr2line::{ContextPdbData, FunctionFrames};
use snapshot::{CodeView, FileBytes};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::{fmt, io};

/// How every PDB begins.
const MAGIC: &[u8] = b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0";

/// Whether a file is the PDB with this identity.
///
/// The age in the image is that of the last link. What is in the PDB may be older: some tools write to it without a link.
pub(super) fn is_of(file: &FileBytes, codeview: Option<&CodeView>) -> bool {
    let Some(codeview) = codeview else {
        return false;
    };
    is_pdb(file) && guid(file) == Some(codeview.guid)
}

fn is_pdb(file: &FileBytes) -> bool {
    let mut start = [0; MAGIC.len()];
    file.read_at(0, &mut start) == start.len() && start == MAGIC
}

fn guid(file: &FileBytes) -> Option<[u8; 16]> {
    let read = || {
        let mut pdb = PDB::open(Content(file.clone())).ok()?;
        Some(pdb.pdb_information().ok()?.guid.to_bytes_le())
    };
    contained(read).flatten()
}

/// Runs the reader; `None` if it panicked: it asserts in some places what a damaged PDB does not keep (seen in pdb2's
/// `DebugLinesBlockIterator`). Nothing that it leaves behind is used after that.
fn contained<T>(read: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(read)).ok()
}

/// The places of addresses relative to the module's base, in their order.
///
/// # Errors
/// If the file cannot be read.
pub(super) fn places(file: &FileBytes, wanted: &[u64]) -> Result<Vec<Option<Place>>, Trouble> {
    let failed = || Trouble::Damaged("it contradicts itself".to_owned());
    contained(|| read(file, wanted)).unwrap_or_else(|| Err(failed()))
}

fn read(file: &FileBytes, wanted: &[u64]) -> Result<Vec<Option<Place>>, Trouble> {
    let damaged = |error: &dyn fmt::Display| Trouble::Damaged(error.to_string());
    let pdb = PDB::open(Content(file.clone())).map_err(|e| damaged(&e))?;
    let data = ContextPdbData::try_from_pdb(pdb).map_err(|e| damaged(&e))?;
    let context = data.make_context().map_err(|e| damaged(&e))?;
    let place = |&address: &u64| {
        let frames = context.find_frames(u32::try_from(address).ok()?);
        // One function that is damaged leaves the others as they are.
        place(frames.ok()??)
    };
    Ok(wanted.iter().map(place).collect())
}

fn place(found: FunctionFrames) -> Option<Place> {
    let line = |frame: pdb_addr2line::Frame| Line {
        function: frame.function.map(|name| shown(&name)),
        file: frame.file.map(|file| file.into_owned()),
        line: frame.line,
    };
    let lines = found.frames.into_iter().map(line).collect();
    Place::of(lines, Some(found.start_rva.into()))
}

/// The file, for the reader.
struct Content(FileBytes);

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a PDB of {} bytes", (*self.0).as_ref().len())
    }
}

/// Parts of the file, put together.
struct Parts(Vec<u8>);

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl<'s> Source<'s> for Content {
    fn view(
        &mut self,
        slices: &[SourceSlice],
    ) -> io::Result<Box<dyn SourceView<'s> + Send + Sync>> {
        let file = (*self.0).as_ref();
        let size = slices
            .iter()
            .fold(0, |sum: usize, part| sum.saturating_add(part.size));
        // No page belongs to two streams, nor twice to one.
        if size > file.len() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut bytes = Vec::with_capacity(size);
        for part in slices {
            let start = usize::try_from(part.offset).unwrap_or(usize::MAX);
            let end = start.checked_add(part.size);
            let part = end.and_then(|end| file.get(start..end));
            bytes.extend_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        }
        Ok(Box::new(Parts(bytes)))
    }
}

impl SourceView<'_> for Parts {
    fn as_slice(&self) -> &[u8] {
        &self.0
    }
}
