//! The uncaught C++ exception by which a program ends.

use super::{Thrown, cxx, words};
use snapshot::{Exception, Memory, Registers};

/// The class of libstdc++'s exceptions (unwind-cxx.h), `GNUCC++\0`, and that of exceptions which
/// refer to another one's object (`std::rethrow_exception`).
const CLASS: u64 = 0x474E_5543_432B_2B00;
const DEPENDENT_CLASS: u64 = 0x474E_5543_432B_2B01;

/// Distances from the unwinder's header of an exception, in bytes: forward to the object, back to
/// the runtime's header (in one that refers to an object, the first word is the object's address)
/// and to the number of handlers that it is in (Itanium C++ ABI, exception handling, §2.2;
/// libstdc++'s unwind-cxx.h).
const OBJECT: u64 = 32;
const HEADER: u64 = 80;
const HANDLERS: u64 = 40;

/// Distances back from the object, in bytes: to its type, and to the number of those who hold it.
const TYPE: u64 = 112;
const HOLDERS: u64 = 128;

/// How much of the stack is searched, in bytes: between abort(3) and the throw are the frames of
/// `std::terminate` and its handlers.
const DEPTH: usize = 64 << 10;

/// The `si_code` of kill(2). abort(3) sends its signal to the own thread, which has another one.
const SI_USER: u32 = 0;

/// The C++ exception of a thread that has called `std::terminate`, and by it abort(3), which sent
/// this SIGABRT; `None` if there is none. Pointers to the exception are near the end of the stack.
///
/// Pointers to exceptions that are over are there, too, and their memory may be as it was.
pub fn uncaught(signal: &Exception, registers: &Registers, memory: &dyn Memory) -> Option<Thrown> {
    if signal.flags == SI_USER {
        return None;
    }
    addresses(registers.sp() & !7, DEPTH, memory)
        .into_iter()
        .flat_map(|word| [word.wrapping_sub(OBJECT), word])
        .find_map(|header| in_flight(header, registers, memory))
}

/// The words of that memory that may be addresses.
fn addresses(at: u64, size: usize, memory: &dyn Memory) -> Vec<u64> {
    let mut bytes = vec![0; size];
    let got = memory.read(at, &mut bytes);
    let words = bytes[..got].as_chunks().0.iter();
    let words = words.map(|word| u64::from_le_bytes(*word));
    words
        .filter(|word| word.is_multiple_of(8) && *word > 0x1000)
        .collect()
}

/// The exception with that header; `None` if there is none, or it is in no
/// handler of the thread (`std::terminate` counts as one).
fn in_flight(header: u64, registers: &Registers, memory: &dyn Memory) -> Option<Thrown> {
    let object = object(header, memory)?;
    let handlers = memory.read_u32(header.wrapping_sub(HANDLERS))?;
    let is_in_flight = handlers != 0
        && is_held(object, memory)
        && is_handled(header.wrapping_sub(HEADER), registers, memory);
    let type_info = memory.read_u64(object.wrapping_sub(TYPE))?;
    is_in_flight.then(|| cxx(type_info, object, memory))?
}

/// The address of the object that was thrown with that header.
fn object(header: u64, memory: &dyn Memory) -> Option<u64> {
    match memory.read_u64(header)? {
        CLASS => Some(header.wrapping_add(OBJECT)),
        DEPENDENT_CLASS => memory.read_u64(header.wrapping_sub(HEADER)),
        _ => None,
    }
}

/// Whether somebody holds an object, so that it was not freed. Behind the number of holders are 12
/// bytes of zeros, which allocators use for themselves once the memory is free.
fn is_held(object: u64, memory: &dyn Memory) -> bool {
    let words = words(object.wrapping_sub(HOLDERS), memory);
    words.is_some_and(|[holders, unused]| (1..1 << 32).contains(&holders) && unused == 0)
}

/// Whether the exception is the last that the thread handles, by what the runtime keeps in the
/// thread's own memory (`__cxa_eh_globals`). One that is over may be held (`std::exception_ptr`),
/// and its number of handlers stays 1. True where it is not known which memory that is.
fn is_handled(exception: u64, registers: &Registers, memory: &dyn Memory) -> bool {
    match registers {
        Registers::X86_64(cpu) if memory.read_u64(cpu.fs_base) == Some(cpu.fs_base) => {
            of_thread(cpu.fs_base, memory).any(|word| word == exception)
        }
        _ => true,
    }
}

/// How much of a thread's own memory is searched: pages of variables of libraries that the program
/// began with, and bytes of the list of those that came later and of the variables of each.
const PAGE: usize = 4 << 10;
const OWN: u64 = 64;
const LATER: usize = 4 << 10;
const OF_LATER: usize = 1 << 10;

/// The addresses in a thread's own memory (ELF Handling For Thread-Local Storage, §3.4.6): right
/// below the thread pointer, and where the list behind the pointer's second word leads to.
fn of_thread(pointer: u64, memory: &dyn Memory) -> impl Iterator<Item = u64> {
    let first = pointer & !(PAGE as u64 - 1);
    let pages = (0..OWN).map(move |page| first.wrapping_sub(page * PAGE as u64));
    let own = pages.flat_map(|page| addresses(page, PAGE, memory));
    let list = memory.read_u64(pointer.wrapping_add(8)).unwrap_or(0);
    let later = addresses(list, LATER, memory).into_iter();
    own.chain(later.flat_map(|at| addresses(at, OF_LATER, memory)))
}
