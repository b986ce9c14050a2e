//! What a thread is about to throw: its type, the base classes, and the message.

mod cxx;
pub(crate) mod go;
pub(crate) mod java;
pub(crate) mod python;
pub(crate) mod rust;
mod uncaught;

use crate::places::{Register, ThrowPlace, Thrower};
use snapshot::{Memory, Registers};

pub use cxx::{CxxType, cxx, is_of_terminate};
pub use uncaught::uncaught;

/// The longest name of a type, in bytes; longer ones are cut.
const LONGEST_NAME: usize = 4096;

/// The longest message, in bytes; longer ones are cut.
const LONGEST_MESSAGE: usize = 1024;

/// The longest text that a program may have, in bytes; what claims to be longer is not a text.
const LONGEST_TEXT: u64 = 1 << 24;

/// What is thrown. All texts come from the target: they are bounded, but not escaped, and may be
/// false.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thrown {
    /// Language and type: `CXX.std::runtime_error`.
    pub name: String,
    /// The names of its base classes, nearest first, without the language; at most 64.
    pub bases: Vec<String>,
    /// Its message; empty if that is not known.
    pub message: String,
    /// Whether another throw of the same type may have another message. Then a filter must be asked
    /// for each throw, and not once for the type.
    pub message_varies: bool,
}

/// What a thread that is stopped at `place` is about to throw; `None` if it cannot be read.
/// `type_key` is the value of [`ThrowPlace::type_key`].
///
/// C++: see [`cxx()`]. Rust: `RUST.panic`, with message and source line if they can be read. Go:
/// `GO.panic` and `GO.fatal`. Python: `PYTHON.ValueError`. Node: `NODE.uncaught`, no more. Java:
/// `JAVA.java.io.IOException`.
pub fn thrown(
    place: &ThrowPlace,
    type_key: Option<u64>,
    registers: &Registers,
    memory: &dyn Memory,
) -> Option<Thrown> {
    let value = |register: Option<Register>| register?.value(registers);
    let object = value(place.object).unwrap_or(0);
    let bias = registers.ip().wrapping_sub(place.spot.address);
    match place.thrower {
        Thrower::Cxx => cxx(type_key?, object, memory),
        Thrower::CxxRethrow => cxx::rethrown(type_key?, object, memory),
        Thrower::Rust => Some(rust::panic(object, type_key?, registers.sp(), memory)),
        Thrower::GoPanic => Some(go::panic(type_key?, object, memory)),
        Thrower::GoUncaught => Some(go::uncaught(object, memory)),
        Thrower::GoFatal => {
            let length = value(Register::of_go(registers.architecture(), 1))?;
            Some(go::fatal(object, length, memory))
        }
        Thrower::PythonRaise => python::raised(type_key?, object, memory),
        Thrower::PythonUncaught => python::uncaught(object, memory),
        Thrower::NodeUncaught => Some(Thrown::of("NODE.uncaught", String::new())),
        Thrower::JavaMade(layout) => {
            java::Machine::new(&layout, bias, memory)?.made(type_key? as u32, object)
        }
        Thrower::JavaUncaught(layout) => {
            java::Machine::new(&layout, bias, memory)?.uncaught(object)
        }
    }
}

impl Thrown {
    /// Something without base classes, whose message varies.
    pub(crate) fn of(name: &str, message: String) -> Self {
        Thrown {
            name: name.to_owned(),
            bases: Vec::new(),
            message,
            message_varies: true,
        }
    }
}

/// The text at an address, up to its NUL and at most `limit` bytes of it. `None` if it cannot be
/// read.
fn text(address: u64, limit: usize, memory: &dyn Memory) -> Option<String> {
    let bytes = memory.read_c_string(address, limit)?;
    // The text has grown if bytes that are not UTF-8 were replaced.
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    text.truncate(text.floor_char_boundary(limit));
    Some(text)
}

/// The text of that many bytes at an address. `None` if it is empty, cannot be read, or is not
/// UTF-8 without NULs; so this can be tried on memory that may not be a text.
fn counted_text(address: u64, length: u64, memory: &dyn Memory) -> Option<String> {
    let is_real = (1..=LONGEST_TEXT).contains(&length);
    let mut bytes = vec![0; (length as usize).min(LONGEST_MESSAGE)];
    if !is_real || !memory.read_all(address, &mut bytes) || bytes.contains(&0) {
        return None;
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => Some(text.to_owned()),
        // Cut inside a letter.
        Err(e) if e.error_len().is_none() && e.valid_up_to() > 0 => {
            bytes.truncate(e.valid_up_to());
            String::from_utf8(bytes).ok()
        }
        Err(_) => None,
    }
}

/// The 64-bit words at an address; `None` if one cannot be read.
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
    use crate::places::{HotSpot, Spot, TypeKey};

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
    fn memory_made_to_do_harm_gives_short_texts() {
        let registers = Registers::X86_64(snapshot::X86_64 {
            rdi: 8,
            rsi: 16,
            rsp: 32,
            ..Default::default()
        });
        let [object, type_] = ["rdi", "rsi"].map(Register::named);
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
                    type_key: type_.map(TypeKey::of),
                };
                let told = thrown(&place, Some(word), &registers, &Everywhere(word));
                let told = told.unwrap_or_default();
                // Rust's ends in a source line.
                assert!(told.bases.len() <= 64 && told.message.len() <= 3 * LONGEST_MESSAGE);
            }
        }
    }
}
