//! An access to memory that failed.

use super::event::{Event, SI_KERNEL};
use super::instruction::{Access, Instruction, Verb};
use super::place::{Mapping, Place, mapping_at, place};
use super::suspicion::{Suspicion, suspicion};
use snapshot::Snapshot;

/// An access to memory that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The address that could not be accessed.
    pub address: u64,
    /// Whether the system told the address. Else it was computed from the registers.
    pub is_reported: bool,
    /// What was done there; `None` if neither the system nor the instruction tells.
    pub verb: Option<Verb>,
    /// The access of the instruction; `None` if it is not known, and if the instruction itself could not be read.
    pub access: Option<Access>,
    /// What is there.
    pub place: Place,
    /// What the pointer looks like.
    pub suspicion: Option<Suspicion>,
}

/// What the system tells of a failed access.
pub(super) struct Told {
    /// The address, if there is one.
    pub(super) address: Option<u64>,
    /// What was done, if that is told.
    pub(super) verb: Option<Verb>,
    /// The instruction pointer.
    pub(super) ip: u64,
}

impl Told {
    /// Linux tells no address for what the processor calls a general protection fault (`SI_KERNEL`): an address that is not
    /// canonical, above all.
    pub(super) fn by_linux(event: &Event) -> Self {
        let has_address = event.is_address_told && event.code != Some(SI_KERNEL);
        Self {
            address: has_address.then_some(event.address),
            verb: None,
            ip: event.registers.ip(),
        }
    }
}

/// The access that failed; `None` if no access of the instruction can have failed.
pub(super) fn fault(
    snapshot: &Snapshot,
    told: &Told,
    instruction: Option<&Instruction>,
) -> Option<Fault> {
    let accesses = instruction.map_or(&[][..], |instruction| &instruction.accesses);
    if let Some(address) = told.address {
        let is_jump = address == told.ip && told.verb.is_none_or(|verb| verb == Verb::Execute);
        let access = accesses.iter().filter(|_| !is_jump);
        let access = access
            .filter(|access| access.touches(address))
            .min_by_key(|access| access.verb == Verb::Execute);
        let verb = told
            .verb
            .or(is_jump.then_some(Verb::Execute))
            .or(access.map(|access| access.verb));
        return Some(at(snapshot, address, verb, access.cloned(), true));
    }
    if !is_code(snapshot, told.ip) && instruction.is_none() {
        return Some(at(snapshot, told.ip, Some(Verb::Execute), None, false));
    }
    let computed = accesses.iter().map(|access| {
        at(
            snapshot,
            access.address,
            Some(access.verb),
            Some(access.clone()),
            false,
        )
    });
    let bad = |fault: &Fault| !matches!(fault.place, Place::Accessible(_) | Place::Unknown);
    let mut found: Vec<Fault> = computed.filter(bad).collect();
    found.sort_by_key(|fault| fault.place != Place::NonCanonical);
    found.into_iter().next()
}

fn is_code(snapshot: &Snapshot, address: u64) -> bool {
    let region = mapping_at(snapshot, address);
    region.is_some_and(|region| region.protection.execute) || snapshot.module_at(address).is_some()
}

fn at(
    snapshot: &Snapshot,
    address: u64,
    verb: Option<Verb>,
    access: Option<Access>,
    is_reported: bool,
) -> Fault {
    let base = access.as_ref().and_then(|access| access.registers.first());
    let base = base.map(|(_, value)| *value);
    let place = place(snapshot, address, base, verb);
    let is_bad = matches!(place, Place::NonCanonical | Place::Unmapped { .. });
    let suspicion = is_bad.then(|| suspicion(snapshot, base.unwrap_or(address), address));
    Fault {
        address,
        is_reported,
        verb,
        access,
        place,
        suspicion: suspicion.flatten(),
    }
}

impl Fault {
    /// The same fault in a mapping of a file, which the file does not reach.
    pub(super) fn not_in_file(self) -> Self {
        let place = match self.place {
            Place::Accessible(mapping) | Place::Protected(mapping) => Place::NotInFile(mapping),
            other => other,
        };
        Self { place, ..self }
    }

    /// Whether the instruction pointer itself led to memory that cannot be executed.
    pub(super) fn is_at(&self, ip: u64) -> bool {
        self.verb == Some(Verb::Execute) && self.address == ip
    }

    /// The memory that is at the address.
    pub fn mapping(&self) -> Option<&Mapping> {
        match &self.place {
            Place::Protected(mapping) | Place::NotInFile(mapping) | Place::Accessible(mapping) => {
                Some(mapping)
            }
            _ => None,
        }
    }
}
