//! What a thread is about to throw: its type, what that derives from, and what it says.

mod cxx;

use crate::places::{ThrowPlace, Thrower};
use snapshot::{Memory, Registers};

pub use cxx::cxx;

/// Longer names of types are cut, in bytes.
const LONGEST_NAME: usize = 4096;

/// Longer messages are cut, in bytes.
const LONGEST_MESSAGE: usize = 1024;

/// Something thrown. All texts are the target's own: bounded, but neither escaped nor true.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thrown {
    /// Language and type: `CXX.std::runtime_error`.
    pub name: String,
    /// The readable names of what the type derives from, nearest first, without the language;
    /// at most 64.
    pub bases: Vec<String>,
    /// What it says; empty where that is not known.
    pub message: String,
    /// Whether another throw of this type may say something else, so that one look at the type
    /// does not decide for all.
    pub message_varies: bool,
}

/// Names what a thread that stands at `place` is about to throw; `None` where it cannot be told.
pub fn thrown(place: &ThrowPlace, registers: &Registers, memory: &dyn Memory) -> Option<Thrown> {
    let value = |register: Option<crate::places::Register>| register?.value(registers);
    let object = value(place.object).unwrap_or(0);
    match place.thrower {
        Thrower::Cxx => cxx(value(place.kind)?, object, memory),
        Thrower::CxxRethrow => cxx::rethrown(value(place.kind)?, object, memory),
    }
}

/// Text of a target, cut at `limit` bytes.
fn text(address: u64, limit: usize, memory: &dyn Memory) -> Option<String> {
    let bytes = memory.read_c_string(address, limit)?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
