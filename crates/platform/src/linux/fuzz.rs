//! The parsers of `/proc` files, for fuzzing: a process can write much of its own choice into them,
//! such as its name and the paths of what it maps.

use super::proc::{machine, mounts, smaps, stat, status, values};
use snapshot::maps;

/// Feeds every parser with the same bytes.
///
/// # Panics
/// If a parser does, or returns a region without bytes.
pub fn parse_proc(bytes: &[u8]) {
    let (regions, _) = maps::parse(bytes);
    assert!(regions.iter().all(|region| !region.range.is_empty()));
    let _ = super::facts::modules(&regions);
    let _ = smaps::read(bytes);
    let _ = stat::parse(bytes);
    let _ = (
        status::ids(bytes, "Uid"),
        status::private(bytes),
        status::mask(bytes, "SigBlk"),
    );
    let _ = mounts::remote_devices(bytes);
    let _ = machine::belonging(bytes);
    super::cgroup::parse(&String::from_utf8_lossy(bytes));
    let _ = super::facts::strings(bytes);
    let _ = values::find(&String::from_utf8_lossy(bytes), "some.avg10");
}
