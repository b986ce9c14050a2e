//! Places in Windows' images: breakpoints by name or address.

use super::Arm;
use analysis::places;
use policy::{ExceptionFilter, Match, Place, WakeFor};
use snapshot::{Memory, Module, Registers};

/// What there is to say of .NET's runtime if a filter means a type of exception.
pub(super) const DOTNET: &str =
    "exceptions of .NET by their type are not built yet: all are seen as E0434352.CLR";

/// Whether a filter selects exceptions by something that .NET's exceptions may have, but do not show:
/// a name of a type, or a text that is neither a code nor in `E0434352.CLR`.
pub(super) fn means_types(filter: &ExceptionFilter) -> bool {
    let is_code = |text: &str| text.chars().all(|c| c.is_ascii_hexdigit());
    filter.include.iter().any(|wanted| match wanted {
        Match::Text(text) => !is_code(text.text()) && !text.is_in("E0434352.CLR"),
        Match::Name(name) => name != "CLR",
        Match::Code(_) => false,
    })
}

/// What one image has of what is wanted, each with how far from its base it lies.
pub(super) fn look(
    module: &Module,
    file: Option<&[u8]>,
    memory: &dyn Memory,
    wake: &WakeFor,
) -> Vec<(Arm, u64)> {
    let found = wake.breakpoints.iter().filter_map(|(number, place)| {
        let offset = spot(module, file, memory, place)?;
        Some((Arm::Place(*number), offset))
    });
    found.collect()
}

fn spot(module: &Module, file: Option<&[u8]>, memory: &dyn Memory, place: &Place) -> Option<u64> {
    let base = module.range.start;
    match place {
        Place::Symbol {
            module: wanted,
            symbol,
            offset,
        } => {
            let name = module.name();
            let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
            let is_it = [name, stem].iter().any(|n| n.eq_ignore_ascii_case(wanted));
            is_it.then(|| places::windows_spot(base, file, memory, symbol, *offset))?
        }
        Place::Address(address) => {
            let inside = module.range.contains(*address);
            inside.then(|| address - base)
        }
        Place::Exit => None,
    }
}

/// Whom a thread at `NtTerminateProcess` ends, as its handle says.
pub(in crate::run) fn ended(place: &Place, registers: &Registers) -> Option<Ended> {
    const ENDS: [&str; 2] = ["NtTerminateProcess", "ZwTerminateProcess"];
    let Place::Symbol {
        symbol, offset: 0, ..
    } = place
    else {
        return None;
    };
    let Registers::X86_64(registers) = registers else {
        return None;
    };
    ENDS.contains(&symbol.as_str())
        .then_some(match registers.rcx {
            0 | u64::MAX => Ended::Itself,
            handle => Ended::Process(handle),
        })
}

/// Who is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::run) enum Ended {
    /// `ExitProcess` calls it twice: first without a handle, for all other threads, then with the one
    /// that means oneself.
    Itself,
    /// The process of this handle.
    Process(u64),
}
