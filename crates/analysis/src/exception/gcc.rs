//! C++ exceptions of programs built with mingw. GCC raises them as Windows exceptions with the code
//! `STATUS_GCC_THROW` (libgcc's `unwind-seh.c`); the first parameter is the address of the
//! `_Unwind_Exception`.

use crate::thrown::{Thrown, cxx};
use snapshot::{Exception, Memory};

/// `STATUS_GCC_THROW`.
const THROW: u32 = 0x2047_4343;
/// The class of an exception, `GNUCC++\0`. It ends in 1 for one that `std::rethrow_exception`
/// makes.
const PRIMARY: u64 = 0x474e_5543_432b_2b00;
const DEPENDENT: u64 = PRIMARY + 1;
/// Size of an `_Unwind_Exception`, behind which the object lies.
const HEADER: u64 = 0x40;
/// From the start of a `__cxa_exception` to its `_Unwind_Exception` (`unwind-cxx.h`).
const BEFORE: u64 = 0x50;

/// The thrown object; `None` if it is not an exception of GCC.
pub(super) fn thrown(exception: &Exception, memory: &dyn Memory) -> Option<Thrown> {
    let header = *exception.parameters.first()?;
    if exception.code != THROW {
        return None;
    }
    let type_info = memory.read_u64(header.wrapping_sub(BEFORE))?;
    match memory.read_u64(header)? {
        PRIMARY => cxx(type_info, header.wrapping_add(HEADER), memory),
        // It begins with the address of the object that it refers to.
        DEPENDENT => cxx(
            memory.read_u64(type_info.wrapping_sub(BEFORE + HEADER))?,
            type_info,
            memory,
        ),
        _ => None,
    }
}
