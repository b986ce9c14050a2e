//! The functions that languages throw with.

use super::elf::Elf;
use super::register::Register;
use super::{ThrowPlace, Thrower, TypeKey, go, java, sdt};
use snapshot::Architecture;
use std::collections::HashMap;

/// A function that is called to throw, and the meaning of its arguments.
struct Site {
    thrower: Thrower,
    /// Its symbol; a `*` at the start or the end stands for any text.
    symbol: &'static str,
    /// A symbol that the image must define as well.
    beside: Option<&'static str>,
    /// Number of the argument that is the address of what is thrown.
    object: Option<usize>,
    /// Number of the argument that identifies its type.
    type_key: Option<usize>,
}

/// Interceptors, such as AddressSanitizer's, define `__cxa_throw` as well and call the real one.
/// The library with the real one also allocates the exceptions.
const CXX_RUNTIME: Option<&str> = Some("__cxa_allocate_exception");

/// Of each row, the first function that an image has is used. (Older Rust does not mangle
/// `rust_panic`.)
const SITES: &[&[Site]] = &[
    &[site(Thrower::Cxx, "__cxa_throw", Some(0), Some(1)).beside(CXX_RUNTIME)],
    &[site(Thrower::CxxRethrow, "__cxa_rethrow", None, None).beside(CXX_RUNTIME)],
    &[
        site(Thrower::Rust, "*7___rustc10rust_panic", Some(0), Some(1)),
        site(Thrower::Rust, "rust_panic", Some(0), Some(1)),
    ],
    &[site(Thrower::GoPanic, go::PANIC, Some(1), Some(0))],
    &[site(
        Thrower::GoUncaught,
        "runtime.fatalpanic",
        Some(0),
        None,
    )],
    &[site(Thrower::GoFatal, "runtime.throw", Some(0), None)],
    &[site(Thrower::GoFatal, "runtime.fatal", Some(0), None)],
    &[
        site(Thrower::PythonRaise, "_PyErr_SetObject", Some(2), Some(1)),
        site(Thrower::PythonRaise, "PyErr_SetObject", Some(1), Some(0)),
    ],
    &[
        site(Thrower::PythonUncaught, "_PyErr_Display", Some(2), None),
        site(Thrower::PythonUncaught, "PyErr_Display", Some(1), None),
    ],
    &[site(Thrower::NodeUncaught, NODE, None, None)],
];

/// `TriggerUncaughtException(Isolate*, Local<Value>, …)`, which the other function of that name
/// calls.
const NODE: &str = "_ZN4node6errors24TriggerUncaughtExceptionEPN2v87IsolateENS1_5LocalI*";

const fn site(
    thrower: Thrower,
    symbol: &'static str,
    object: Option<usize>,
    type_key: Option<usize>,
) -> Site {
    Site {
        thrower,
        symbol,
        beside: None,
        object,
        type_key,
    }
}

/// All places where an image throws.
pub(super) fn all(elf: &Elf) -> Vec<ThrowPlace> {
    let probes = probes(elf);
    let addresses = addresses(elf);
    let is_met = |row: &&&[Site]| probes.iter().any(|probe| probe.thrower == row[0].thrower);
    let rows = SITES.iter().filter(|row| !is_met(row));
    let functions = rows.filter_map(|row| row.iter().find_map(|site| site.place(elf, &addresses)));
    let own = probes.iter().copied().chain(functions);
    own.chain(java::places(elf)).collect()
}

/// The places of libstdc++'s probes whose arguments, object and type, are in registers.
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
            type_key: Some(TypeKey::of(probe.register(1)?)),
        })
    };
    probes.iter().filter_map(place).collect()
}

/// The addresses of those functions of [`SITES`] that the image defines.
fn addresses(elf: &Elf) -> HashMap<&'static str, u64> {
    let sites = SITES.iter().copied().flatten();
    let wanted: Vec<&str> = sites
        .flat_map(|site| [Some(site.symbol), site.beside])
        .flatten()
        .collect();
    let known = |name: &[u8]| wanted.iter().find(|known| is_named(name, known.as_bytes()));
    let named: HashMap<&str, u64> = elf
        .functions()
        .filter_map(|(name, address)| Some((*known(name)?, address)))
        .collect();
    match named.contains_key(go::PANIC) {
        true => named,
        false => named
            .into_iter()
            .chain(go::functions(elf, &wanted))
            .collect(),
    }
}

fn is_named(name: &[u8], wanted: &[u8]) -> bool {
    match wanted {
        [b'*', end @ ..] => name.ends_with(end),
        [start @ .., b'*'] => name.starts_with(start),
        _ => name == wanted,
    }
}

impl Site {
    const fn beside(mut self, symbol: Option<&'static str>) -> Self {
        self.beside = symbol;
        self
    }

    fn place(&self, elf: &Elf, addresses: &HashMap<&str, u64>) -> Option<ThrowPlace> {
        addresses.get(self.beside.unwrap_or(self.symbol))?;
        let spot = elf.spot(*addresses.get(self.symbol)?)?;
        let register = |argument| self.register(elf.machine, argument);
        Some(ThrowPlace {
            thrower: self.thrower,
            spot: match self.symbol {
                go::PANIC => go::behind_stack_check(elf, spot),
                _ => elf.behind_landing_pad(spot),
            },
            object: self.object.and_then(register),
            type_key: self.type_key.and_then(register).map(TypeKey::of),
        })
    }

    fn register(&self, machine: Architecture, argument: usize) -> Option<Register> {
        match self.thrower {
            Thrower::GoPanic | Thrower::GoUncaught | Thrower::GoFatal => {
                Register::of_go(machine, argument)
            }
            _ => Register::of_c(machine, argument),
        }
    }
}
