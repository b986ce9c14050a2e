//! The functions that languages throw with.

use super::elf::{Elf, Machine};
use super::register::Register;
use super::{Spot, ThrowPlace, Thrower, sdt};
use std::collections::HashMap;

/// A function that is called to throw, and which of its arguments are what.
struct Site {
    thrower: Thrower,
    symbol: &'static str,
    /// The image must define this too.
    beside: &'static str,
    object: Option<usize>,
    kind: Option<usize>,
}

/// Interceptors (AddressSanitizer's) define `__cxa_throw` as well and call the real one; what
/// throws by itself also makes the exceptions.
const CXX_RUNTIME: &str = "__cxa_allocate_exception";

const THROW: Site = Site {
    thrower: Thrower::Cxx,
    symbol: "__cxa_throw",
    beside: CXX_RUNTIME,
    object: Some(0),
    kind: Some(1),
};

const RETHROW: Site = Site {
    thrower: Thrower::CxxRethrow,
    symbol: "__cxa_rethrow",
    beside: CXX_RUNTIME,
    object: None,
    kind: None,
};

/// Of each row the first that an image has.
const SITES: &[&[Site]] = &[&[THROW], &[RETHROW]];

pub(super) fn all(elf: &Elf) -> Vec<ThrowPlace> {
    let mut places = probes(elf);
    let addresses = addresses(elf);
    for row in SITES {
        let is_met = |site: &&Site| places.iter().any(|place| place.thrower == site.thrower);
        if row.iter().any(|site| is_met(&site)) {
            continue;
        }
        let place = row.iter().find_map(|site| site.place(elf, &addresses));
        places.extend(place);
    }
    places
}

/// libstdc++'s own probes, where their arguments are in registers; both give object and type.
fn probes(elf: &Elf) -> Vec<ThrowPlace> {
    let probes = sdt::probes(elf, "libstdcxx");
    let place = |probe: &sdt::Probe| {
        Some(ThrowPlace {
            thrower: match probe.name {
                "throw" => Thrower::Cxx,
                "rethrow" => Thrower::CxxRethrow,
                _ => return None,
            },
            spot: elf.spot(probe.address)?,
            object: Some(probe.register(0)?),
            kind: Some(probe.register(1)?),
        })
    };
    probes.iter().filter_map(place).collect()
}

/// Where the functions of [`SITES`] are, of those that the image defines.
fn addresses(elf: &Elf) -> HashMap<&'static str, u64> {
    let sites = || SITES.iter().copied().flatten();
    let wanted: Vec<&str> = sites()
        .flat_map(|site| [site.symbol, site.beside])
        .collect();
    let known = |name: &[u8]| wanted.iter().find(|known| known.as_bytes() == name);
    elf.functions()
        .filter_map(|(name, address)| Some((*known(name)?, address)))
        .collect()
}

impl Site {
    fn place(&self, elf: &Elf, addresses: &HashMap<&str, u64>) -> Option<ThrowPlace> {
        addresses.get(self.beside)?;
        let spot = elf.spot(*addresses.get(self.symbol)?)?;
        Some(ThrowPlace {
            thrower: self.thrower,
            spot: behind_landing_pad(elf, spot),
            object: self.object.and_then(|n| argument(elf.machine, n)),
            kind: self.kind.and_then(|n| argument(elf.machine, n)),
        })
    }
}

/// A uprobe on `endbr64` costs a single step, 18 µs a hit; on the push behind it a tenth.
fn behind_landing_pad(elf: &Elf, spot: Spot) -> Spot {
    const ENDBR64: &[u8] = &[0xf3, 0x0f, 0x1e, 0xfa];
    let is_pad = elf.machine == Machine::X86_64 && elf.code(spot).starts_with(ENDBR64);
    spot.plus(if is_pad { ENDBR64.len() } else { 0 })
}

/// The register of a C function's argument (System V ABI of x86-64, AAPCS64).
fn argument(machine: Machine, number: usize) -> Option<Register> {
    match machine {
        Machine::X86_64 => Register::named(["rdi", "rsi", "rdx", "rcx"].get(number)?),
        Machine::Aarch64 => Some(Register::Aarch64(number as u8)),
    }
}
