//! The uncaught C++ exception by which a program ends.

use super::{Thrown, cxx};
use snapshot::{Memory, Registers};

/// The classes of libstdc++'s exceptions (unwind-cxx.h): `GNUCC++\0`, and that of exceptions which
/// refer to another one's object (`std::rethrow_exception`).
const CLASSES: [u64; 2] = [0x474E_5543_432B_2B00, 0x474E_5543_432B_2B01];

/// Distances from the unwinder's header of an exception, in bytes: forward to the object, back to
/// its type and to the number of handlers that it is in (Itanium C++ ABI, exception handling, §2.2;
/// libstdc++'s unwind-cxx.h).
const OBJECT: u64 = 32;
const TYPE: u64 = 80;
const HANDLERS: u64 = 40;

/// How much of the stack is searched, in bytes: between abort(3) and the throw are the frames of
/// `std::terminate` and its handlers.
const DEPTH: usize = 64 << 10;

/// The C++ exception of a thread that has called `std::terminate`, and by it abort(3); `None` if
/// there is none. Pointers to the exception are near the end of the stack.
pub fn uncaught(registers: &Registers, memory: &dyn Memory) -> Option<Thrown> {
    let mut stack = vec![0; DEPTH];
    let got = memory.read(registers.sp() & !7, &mut stack);
    let words = stack[..got].chunks_exact(8);
    let words = words.map(|word| u64::from_le_bytes(word.try_into().unwrap_or_default()));
    let pointers = words.filter(|word| word.is_multiple_of(8) && *word > 0x1000);
    pointers
        .flat_map(|word| [word.wrapping_sub(OBJECT), word])
        .find_map(|header| in_flight(header, memory))
}

/// The exception with that header; `None` if there is none, or it is in no
/// handler (`std::terminate` counts as one).
fn in_flight(header: u64, memory: &dyn Memory) -> Option<Thrown> {
    let class = memory.read_u64(header)?;
    if !CLASSES.contains(&class) || memory.read_u32(header.wrapping_sub(HANDLERS))? == 0 {
        return None;
    }
    let type_info = memory.read_u64(header.wrapping_sub(TYPE))?;
    cxx(type_info, header.wrapping_add(OBJECT), memory)
}
