//! Symbols of a Windows image, by their addresses relative to its base.

use super::is_path;
use object::read::pe::{ExportTable, ExportTarget, PeFile64};
use object::{Object as _, ObjectSymbol as _};
use snapshot::{Architecture, Memory};

/// The address of an export of the image at `base`; `None` if there is none of that name, or it is
/// forwarded to another image.
pub(super) fn exported(base: u64, name: &str, memory: &dyn Memory) -> Option<u64> {
    let (at, bytes) = crate::image::export_table(base, Architecture::X86_64, memory)?;
    let exports = ExportTable::parse(&bytes, at).ok()?.exports().ok()?;
    let named = exports.iter().find(|e| e.name == Some(name.as_bytes()));
    match named?.target {
        ExportTarget::Address(address) => Some(address.into()),
        _ => None,
    }
}

/// The address of a symbol in the file's own symbol table, which mingw's linker writes and
/// Microsoft's does not.
pub(super) fn named(file: &[u8], name: &str) -> Option<u64> {
    let file = PeFile64::parse(file).ok()?;
    let base = file.relative_address_base();
    let symbols = || file.symbols().filter(|symbol| symbol.is_definition());
    let exact = symbols().find(|symbol| symbol.name() == Ok(name));
    let reads_so = |symbol: &str| symbol.starts_with(['_', '?']) && is_path(symbol, name);
    let found = exact.or_else(|| symbols().find(|symbol| symbol.name().is_ok_and(reads_so)));
    found?.address().checked_sub(base)
}
