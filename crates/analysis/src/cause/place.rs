//! What is at an address that could not be accessed.

use super::instruction::Verb;
use snapshot::{Architecture, Protection, Range, Region, Snapshot};

/// What is at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nothing: the address is so many bytes above (or, negative, below) that of no object.
    Null(i64),
    /// No processor can have anything there: the upper bits are not all the same.
    NonCanonical,
    /// Memory of the kernel.
    Kernel,
    /// Nothing.
    Unmapped {
        /// The memory that ends before the address, and how many bytes before, if that is less than 64 KiB.
        above: Option<(Mapping, u64)>,
    },
    /// Memory that may not be accessed in this way.
    Protected(Mapping),
    /// A part of a mapping of a file that is behind the end of the file, or that could not be read from it.
    NotInFile(Mapping),
    /// Memory that may be accessed, as far as the dump tells.
    Accessible(Mapping),
    /// The dump does not tell.
    Unknown,
}

/// A region of memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Its addresses.
    pub range: Range,
    /// What may be done with it.
    pub protection: Protection,
    /// The file, or `[heap]`, `[stack]`; empty for memory without a name.
    pub name: String,
}

impl Mapping {
    fn of(region: &Region, snapshot: &Snapshot) -> Self {
        let module = snapshot.module_at(region.range.start);
        let named = || module.map_or(String::new(), |module| module.path.clone());
        Self {
            range: region.range,
            protection: region.protection,
            name: if region.name.is_empty() {
                named()
            } else {
                region.name.clone()
            },
        }
    }

    fn allows(&self, verb: Option<Verb>) -> bool {
        match verb {
            Some(Verb::Read) => self.protection.read,
            Some(Verb::Write) => self.protection.write,
            Some(Verb::Execute) => self.protection.execute,
            None => self.protection.read && self.protection.write,
        }
    }
}

/// No program may map memory below this (`vm.mmap_min_addr` of Linux, the first 64 KiB of Windows).
const LOWEST: u64 = 64 << 10;
/// A small negative number, as functions return for an error, is taken for one up to this.
const NEGATIVE: u64 = 4096;
/// How far behind a mapping an address may be to be told as behind it.
const NEAR: u64 = 64 << 10;

/// What is at an address that was accessed in this way. `base` is the value of the register that the address was computed from: an
/// element far behind the begin of no array is still no element of it.
pub(super) fn place(
    snapshot: &Snapshot,
    address: u64,
    base: Option<u64>,
    verb: Option<Verb>,
) -> Place {
    let offset = address as i64;
    if address < LOWEST || address.wrapping_neg() <= NEGATIVE {
        return Place::Null(offset);
    }
    let x86 = snapshot.system.architecture == Architecture::X86_64;
    if x86 && !is_canonical(address) {
        return Place::NonCanonical;
    }
    if x86 && offset < 0 {
        return Place::Kernel;
    }
    let Some(region) = snapshot.region_at(address) else {
        return match base {
            Some(0) => Place::Null(offset),
            _ if snapshot.regions.is_empty() => Place::Unknown,
            _ => Place::Unmapped {
                above: before(snapshot, address),
            },
        };
    };
    let mapping = Mapping::of(region, snapshot);
    match mapping.allows(verb) {
        true => Place::Accessible(mapping),
        false => Place::Protected(mapping),
    }
}

/// Whether an address of x86-64 can exist: bits 47 to 63 are the same (Intel SDM volume 1, 3.3.7.1).
pub(super) fn is_canonical(address: u64) -> bool {
    let upper = address as i64 >> 47;
    upper == 0 || upper == -1
}

/// The mapping of that address.
pub(super) fn mapping_at(snapshot: &Snapshot, address: u64) -> Option<Mapping> {
    Some(Mapping::of(snapshot.region_at(address)?, snapshot))
}

fn before(snapshot: &Snapshot, address: u64) -> Option<(Mapping, u64)> {
    let after = snapshot
        .regions
        .partition_point(|region| region.range.start <= address);
    let region = snapshot.regions.get(after.checked_sub(1)?)?;
    let distance = address.checked_sub(region.range.end)?;
    (distance < NEAR).then(|| (Mapping::of(region, snapshot), distance))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot() -> Snapshot {
        let region = |start, protection: &str| Region {
            range: Range::new(start, start + 0x1000),
            protection: Protection {
                read: protection.contains('r'),
                write: protection.contains('w'),
                execute: protection.contains('x'),
            },
            ..Region::default()
        };
        Snapshot {
            regions: vec![
                region(0x40_0000, "rx"),
                region(0x50_0000, "rw"),
                region(0x50_1000, ""),
            ],
            ..Snapshot::default()
        }
    }

    fn told(address: u64, base: Option<u64>, verb: Verb) -> String {
        match place(&snapshot(), address, base, Some(verb)) {
            Place::Null(offset) => format!("null {offset}"),
            Place::NonCanonical => "not canonical".to_owned(),
            Place::Kernel => "kernel".to_owned(),
            Place::Unmapped { above } => {
                format!("unmapped {:?}", above.map(|(_, distance)| distance))
            }
            Place::Protected(mapping) => format!("protected {}", mapping.protection),
            Place::Accessible(mapping) => format!("accessible {}", mapping.protection),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn an_address_is_called_what_it_is() {
        for (address, base, verb, what) in [
            (0, Some(0), Verb::Read, "null 0"),
            (8, Some(0), Verb::Read, "null 8"),
            (u64::MAX, Some(u64::MAX), Verb::Read, "null -1"),
            (0x12_3456, Some(0), Verb::Read, "null 1193046"),
            (0x12_3456, Some(9), Verb::Read, "unmapped None"),
            (0x40_1010, None, Verb::Read, "unmapped Some(16)"),
            (0x40_0010, None, Verb::Write, "protected r-x"),
            (0x50_0010, None, Verb::Execute, "protected rw-"),
            (0x50_1010, None, Verb::Read, "protected ---"),
            (0x50_0010, None, Verb::Write, "accessible rw-"),
            (0xdead_0000_0000_0000, None, Verb::Read, "not canonical"),
            (0xffff_8880_0000_0000, None, Verb::Read, "kernel"),
        ] {
            assert_eq!(told(address, base, verb), what, "{address:x}");
        }
    }
}
