//! What a thread is about to throw: its type, what that derives from, and what it says.

mod cxx;
mod go;
mod java;
mod python;
mod rust;
mod uncaught;

use crate::places::{Register, ThrowPlace, Thrower};
use snapshot::{Memory, Registers};

pub use cxx::cxx;
pub use uncaught::uncaught;

/// Longer names of types are cut, in bytes.
const LONGEST_NAME: usize = 4096;

/// Longer messages are cut, in bytes.
const LONGEST_MESSAGE: usize = 1024;

/// What is said to be longer is no text, in bytes.
const LONGEST_TEXT: u64 = 1 << 24;

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
/// `kind` is the value of [`ThrowPlace::kind`].
///
/// C++: see [`cxx()`]. Rust: `RUST.panic`, with message and place where they can be read. Go:
/// `GO.panic` and `GO.fatal`. Python: `PYTHON.ValueError`. Node: `NODE.uncaught`, no more. Java:
/// `JAVA.java.io.IOException`.
pub fn thrown(
    place: &ThrowPlace,
    kind: Option<u64>,
    registers: &Registers,
    memory: &dyn Memory,
) -> Option<Thrown> {
    let value = |register: Option<Register>| register?.value(registers);
    let object = value(place.object).unwrap_or(0);
    let bias = registers.ip().wrapping_sub(place.spot.address);
    match place.thrower {
        Thrower::Cxx => cxx(kind?, object, memory),
        Thrower::CxxRethrow => cxx::rethrown(kind?, object, memory),
        Thrower::Rust => Some(rust::panic(object, kind?, registers.sp(), memory)),
        Thrower::GoPanic => Some(go::panic(kind?, object, memory)),
        Thrower::GoUncaught => Some(go::uncaught(object, memory)),
        Thrower::GoFatal => {
            let length = value(Register::of_go(registers.architecture(), 1))?;
            Some(go::fatal(object, length, memory))
        }
        Thrower::PythonRaise => python::raised(kind?, object, memory),
        Thrower::PythonUncaught => python::uncaught(object, memory),
        Thrower::NodeUncaught => Some(Thrown::of("NODE.uncaught", String::new())),
        Thrower::JavaMade(layout) => {
            java::Machine::new(&layout, bias, memory)?.made(kind? as u32, object)
        }
        Thrower::JavaUncaught(layout) => {
            java::Machine::new(&layout, bias, memory)?.uncaught(object)
        }
    }
}

impl Thrown {
    /// What says something else each time and derives from nothing.
    fn of(name: &str, message: String) -> Self {
        Thrown {
            name: name.to_owned(),
            bases: Vec::new(),
            message,
            message_varies: true,
        }
    }
}

/// Text of a target, cut at `limit` bytes.
fn text(address: u64, limit: usize, memory: &dyn Memory) -> Option<String> {
    let bytes = memory.read_c_string(address, limit)?;
    // What is not UTF-8 grows when it is replaced.
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    text.truncate(text.floor_char_boundary(limit));
    Some(text)
}

/// Text of a known length, in bytes. `None` where there is none: it is empty, cannot be read, or
/// is not UTF-8 that a person could read; so it can be tried on what may be no text at all.
fn counted_text(address: u64, length: u64, memory: &dyn Memory) -> Option<String> {
    let is_real = (1..=LONGEST_TEXT).contains(&length);
    let mut bytes = vec![0; (length as usize).min(LONGEST_MESSAGE)];
    if !is_real || !memory.read_all(address, &mut bytes) || bytes.contains(&0) {
        return None;
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => Some(text.to_owned()),
        // Cut within a letter.
        Err(e) if e.error_len().is_none() && e.valid_up_to() > 0 => {
            bytes.truncate(e.valid_up_to());
            String::from_utf8(bytes).ok()
        }
        Err(_) => None,
    }
}

/// The words at an address.
fn words<const N: usize>(address: u64, memory: &dyn Memory) -> Option<[u64; N]> {
    let mut words = [0; N];
    for (word, at) in words.iter_mut().zip((0..).step_by(8)) {
        *word = memory.read_u64(address.wrapping_add(at))?;
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::places::{HotSpot, Kind, Spot};

    /// The same word everywhere.
    struct Everywhere(u64);

    impl Memory for Everywhere {
        fn read(&self, address: u64, buf: &mut [u8]) -> usize {
            for (at, byte) in buf.iter_mut().enumerate() {
                *byte = self.0.to_le_bytes()[(address as usize % 8 + at) % 8];
            }
            buf.len()
        }
    }

    #[test]
    fn memory_made_to_hurt_is_told_in_few_words() {
        let registers = Registers::X86_64(snapshot::X86_64 {
            rdi: 8,
            rsi: 16,
            rsp: 32,
            ..Default::default()
        });
        let [object, kind] = ["rdi", "rsi"].map(Register::named);
        let spot = Spot {
            offset: 0,
            address: 0,
        };
        for thrower in [
            Thrower::Cxx,
            Thrower::CxxRethrow,
            Thrower::Rust,
            Thrower::GoPanic,
            Thrower::GoUncaught,
            Thrower::GoFatal,
            Thrower::PythonRaise,
            Thrower::PythonUncaught,
            Thrower::NodeUncaught,
            Thrower::JavaMade(HotSpot::default()),
            Thrower::JavaUncaught(HotSpot::default()),
        ] {
            for word in [
                0,
                1,
                8,
                24,
                0x6161_6161_6161_6161,
                u64::MAX,
                0x1900_0000_0000_0018,
            ] {
                let place = ThrowPlace {
                    thrower,
                    spot,
                    object,
                    kind: kind.map(Kind::of),
                };
                let told = thrown(&place, Some(word), &registers, &Everywhere(word));
                let told = told.unwrap_or_default();
                // Rust's has a place behind it.
                assert!(told.bases.len() <= 64 && told.message.len() <= 3 * LONGEST_MESSAGE);
            }
        }
    }
}
