//! The C++ exception that a program dies of which nobody caught.

use super::{Thrown, cxx};
use snapshot::{Memory, Registers};

/// `GNUCC++\0`, the class that libstdc++ gives its exceptions (unwind-cxx.h), and that of those
/// which share an object with another (`std::rethrow_exception`).
const CLASSES: [u64; 2] = [0x474E_5543_432B_2B00, 0x474E_5543_432B_2B01];

/// In bytes from the unwinder's header of an exception (Itanium C++ ABI, exception handling, §2.2;
/// libstdc++'s unwind-cxx.h): the object, its type, and how many handlers it is in.
const OBJECT: u64 = 32;
const TYPE: u64 = 80;
const HANDLERS: u64 = 40;

/// How much of the stack is looked through, in bytes: from abort() to the throw lie the handlers of
/// `std::terminate`.
const DEPTH: usize = 64 << 10;

/// Names the C++ exception that the thread is in, which ends in `std::terminate` and abort(3);
/// `None` when it is in none. The stack holds pointers to the exception nearest its end.
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

fn in_flight(header: u64, memory: &dyn Memory) -> Option<Thrown> {
    let class = memory.read_u64(header)?;
    if !CLASSES.contains(&class) || memory.read_u32(header.wrapping_sub(HANDLERS))? == 0 {
        return None;
    }
    let type_info = memory.read_u64(header.wrapping_sub(TYPE))?;
    cxx(type_info, header.wrapping_add(OBJECT), memory)
}
