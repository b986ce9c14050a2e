//! What a frame in code of a virtual machine is: the methods that it runs (`code/nmethod.hpp`, `code/scopeDesc.cpp`,
//! `runtime/frame_x86.hpp`, `runtime/frame_aarch64.hpp`).

use super::code::Blob;
use super::compressed::Numbers;
use super::methods::Method;
use super::view::View;
use crate::image::Symbol;
use crate::languages::LanguageFrame;
use crate::unwind::Cpu;
use snapshot::Range;

/// The most methods that are inlined in each other.
const MOST_INLINED: usize = 256;

/// The most places of a method that its compiled code has.
const MOST_PLACES: u64 = 1 << 24;

/// The longest description of a place, in bytes: three numbers.
const LONGEST_SCOPE: u64 = 15;

/// Words below the frame pointer, of a frame of the interpreter: where its method is (the second one since Java 21 on ARM), and where the
/// bytecode that it runs is. None of the tables has these.
const METHOD: [u64; 2] = [3, 4];
const BYTECODE: [u64; 3] = [8, 9, 7];

/// The register of the bytecode (DWARF's number): R13 of x86-64, X22 of ARM.
const REGISTERS: [usize; 2] = [13, 22];

/// A place in code that the virtual machine has made.
pub(crate) struct Place {
    pub(super) blob: Blob,
    /// The methods that are compiled in it, innermost first.
    pub(super) spots: Vec<LanguageFrame>,
}

impl Place {
    /// An address in a piece of code.
    pub(super) fn of(view: View, blob: Blob, address: u64) -> Self {
        let spots = blob.is_method().then(|| compiled(view, &blob, address));
        Self {
            spots: spots.flatten().unwrap_or_default(),
            blob,
        }
    }

    /// The methods that a frame there runs, innermost first. `is_exact` is whether it is the innermost frame.
    pub(crate) fn methods(&self, view: View, cpu: &Cpu, is_exact: bool) -> Vec<LanguageFrame> {
        match self.blob.is_interpreter() {
            true => interpreted(view, cpu, is_exact).into_iter().collect(),
            false => self.spots.clone(),
        }
    }

    /// What the code is, if it is none of a method.
    pub(crate) fn symbol(&self, ip: u64) -> Symbol {
        Symbol {
            name: self.blob.name.clone(),
            offset: ip.wrapping_sub(self.blob.code),
        }
    }
}

/// The method of a frame of the interpreter.
pub(super) fn interpreted(view: View, cpu: &Cpu, is_exact: bool) -> Option<LanguageFrame> {
    let slot = |number: u64| view.word(cpu.fp().wrapping_sub(8 * number));
    let method = METHOD
        .into_iter()
        .find_map(|number| Method::at(view, slot(number)?))?;
    let code = method.code()?;
    let register = REGISTERS[usize::from(cpu.processor.has_link_register)];
    let live = cpu.get(register).filter(|_| is_exact);
    let saved = BYTECODE.into_iter().filter_map(slot);
    let mut places = live.into_iter().chain(saved);
    let place = places.find(|place| code.contains(*place));
    method.spot(place.map_or(-1, |place| (place - code.start) as i64))
}

/// The methods that are compiled in a place of code, innermost first.
fn compiled(view: View, blob: &Blob, address: u64) -> Option<Vec<LanguageFrame>> {
    let method = || view.pointer_of(blob.at, &["CompiledMethod._method", "nmethod._method"]);
    let scopes =
        Scopes::of(view, blob).and_then(|scopes| scopes.at(address.wrapping_sub(blob.code)));
    match scopes {
        Some(scopes) if !scopes.is_empty() => Some(scopes),
        _ => Some(vec![Method::at(view, method()?)?.spot(-1)?]),
    }
}

/// What may be behind the places of a compiled method: the first of these that is.
const ENDS: [&str; 3] = [
    "_scopes_data_offset",
    "_immutable_data_size",
    "_dependencies_offset",
];

/// The descriptions of a compiled method.
struct Scopes<'a> {
    view: View<'a>,
    /// The places in the code that are described (`PcDesc`), ascending.
    places: Range,
    /// The descriptions.
    data: u64,
    /// The methods that these refer to, by number.
    methods: u64,
}

impl<'a> Scopes<'a> {
    fn of(view: View<'a>, blob: &Blob) -> Option<Self> {
        // Since Java 23, what does not change is outside of the code.
        let fixed = view.pointer(blob.at, "nmethod._immutable_data");
        let base = fixed.unwrap_or(blob.at);
        let at = |field: &str| {
            let offset = view.number(blob.at, &format!("nmethod.{field}"))?;
            Some(base.wrapping_add(offset as u64))
        };
        let start = at("_scopes_pcs_offset")?;
        let mut ends = ENDS.into_iter().filter_map(at);
        let data = view.pointer(blob.at, "CompiledMethod._scopes_data_begin");
        Some(Self {
            view,
            places: Range::new(start, ends.find(|end| *end > start)?),
            data: data.or_else(|| at("_scopes_data_offset"))?,
            methods: methods(view, blob.at, fixed.is_some())?,
        })
    }

    /// The methods at an offset in the code, innermost first.
    fn at(&self, offset: u64) -> Option<Vec<LanguageFrame>> {
        let mut scope = self.scope(offset)?;
        let mut found = Vec::new();
        // A description refers to the one of the caller, which has been written before it.
        while scope != 0 && found.len() < MOST_INLINED {
            let start = self.data.wrapping_add(scope);
            let mut numbers = Numbers::new(self.view, start, start.wrapping_add(LONGEST_SCOPE));
            let caller = u64::from(numbers.unsigned()?);
            let method = u64::from(numbers.unsigned()?.checked_sub(1)?);
            // The number of the bytecode is one higher; -1 is the start of a method.
            let bytecode = i64::from(numbers.unsigned()? as i32) - 1;
            let method = self.view.word(self.methods.wrapping_add(8 * method))?;
            found.push(Method::at(self.view, method)?.spot(bytecode)?);
            scope = caller;
        }
        Some(found)
    }

    /// Where the description of an offset in the code is: that of the first place which is not before it. 0 is none.
    fn scope(&self, offset: u64) -> Option<u64> {
        let size = self.view.size("PcDesc").filter(|size| *size > 0)?;
        let number = |place: u64, field| {
            let at = self.places.start.wrapping_add(place * size);
            self.view.number(at, field)
        };
        let offset = i64::try_from(offset).ok()?;
        let (mut low, mut high) = (0, (self.places.len() / size).min(MOST_PLACES));
        while low < high {
            let middle = low.midpoint(high);
            match number(middle, "PcDesc._pc_offset")? < offset {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        u64::try_from(number(low, "PcDesc._scope_decode_offset")?).ok()
    }
}

/// The methods that a compiled one refers to.
fn methods(view: View, blob: u64, is_split: bool) -> Option<u64> {
    let number = |field| Some(view.number(blob, field)? as u64);
    let data = view.pointer(blob, "CodeBlob._mutable_data");
    if let Some(data) = data.filter(|_| is_split) {
        return Some(data.wrapping_add(number("CodeBlob._relocation_size")?));
    }
    let base = match is_split {
        true => blob.wrapping_add(number("CodeBlob._data_offset")?),
        false => blob,
    };
    Some(base.wrapping_add(number("nmethod._metadata_offset")?))
}
