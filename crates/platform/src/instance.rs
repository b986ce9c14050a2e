//! Names of processes as instances of the counter object `Process`.

use snapshot::fold_case;

/// Returns a name as PDH compares it: without case and without `.exe`.
pub(crate) fn bare(name: &str) -> String {
    let name = fold_case(name);
    name.strip_suffix(".exe").unwrap_or(&name).to_owned()
}
