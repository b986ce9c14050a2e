//! C++ exceptions of programs that mingw built: GCC raises them as exceptions of Windows
//! (`STATUS_GCC_THROW` of `unwind-seh.c`), whose first parameter is the `_Unwind_Exception`.

use crate::thrown::{Thrown, cxx};
use snapshot::{Exception, Memory};

const THROW: u32 = 0x2047_4343;
/// `GNUCC++\0`; a copy that `std::rethrow_exception` makes says 1 at its end.
const PRIMARY: u64 = 0x474e_5543_432b_2b00;
const DEPENDENT: u64 = PRIMARY + 1;
/// Size of an `_Unwind_Exception`, behind which the object lies.
const HEADER: u64 = 0x40;
/// From the start of a `__cxa_exception` to its `_Unwind_Exception` (`unwind-cxx.h`).
const BEFORE: u64 = 0x50;

/// The object that is thrown, as its own `type_info` tells.
pub(super) fn thrown(exception: &Exception, memory: &dyn Memory) -> Option<Thrown> {
    let header = *exception.parameters.first()?;
    if exception.code != THROW {
        return None;
    }
    let kind = memory.read_u64(header.wrapping_sub(BEFORE))?;
    match memory.read_u64(header)? {
        PRIMARY => cxx(kind, header.wrapping_add(HEADER), memory),
        // It begins with the address of the true object.
        DEPENDENT => cxx(
            memory.read_u64(kind.wrapping_sub(BEFORE + HEADER))?,
            kind,
            memory,
        ),
        _ => None,
    }
}
