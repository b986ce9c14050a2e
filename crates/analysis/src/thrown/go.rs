//! Go: the values that panics carry, which are interfaces (`internal/abi/type.go`,
//! `runtime/error.go`); since Go 1.17.

use super::{Thrown, counted_text, words};
use snapshot::{Memory, Registers};

/// The panic of `panic(x)`, by the addresses of x's type and of its data.
pub(super) fn panic(type_: u64, object: u64, memory: &dyn Memory) -> Thrown {
    Thrown::of(
        "GO.panic",
        message(type_, object, memory).unwrap_or_default(),
    )
}

/// A panic that was not recovered, by the address of its `_panic`, whose second field is the
/// interface (`runtime/runtime2.go`). The runtime has by then replaced an error by what `Error()`
/// or `String()` returned.
pub(super) fn uncaught(panic: u64, memory: &dyn Memory) -> Thrown {
    let interface = words(panic.wrapping_add(8), memory);
    let message = interface.and_then(|[type_, object]| message(type_, object, memory));
    Thrown::of("GO.panic", message.unwrap_or_default())
}

/// The panic of the goroutine that the thread with these registers executes, or did before it changed to the stack of the
/// scheduler; `None` if there is none.
pub(crate) fn of_goroutine(registers: &Registers, memory: &dyn Memory) -> Option<Thrown> {
    const PANIC: u64 = 32;
    let current = goroutine(registers, memory)?;
    let panic = memory.read_u64(current.wrapping_add(PANIC));
    let panic = panic.filter(|panic| *panic != 0)?;
    Some(uncaught(panic, memory))
}

/// The fatal error in which that goroutine is: its text is the first one on the goroutine's own stack.
pub(crate) fn fatal_of_goroutine(registers: &Registers, memory: &dyn Memory) -> Thrown {
    const STACK_POINTER: u64 = 56;
    const WORDS: u64 = 64;
    let current = goroutine(registers, memory);
    let sp = current.and_then(|current| memory.read_u64(current.wrapping_add(STACK_POINTER)));
    let slots = sp.map(|sp| (0..WORDS).map(move |n| sp.wrapping_add(8 * n)));
    let text = |slot| string(slot, memory).filter(|text| text.len() > 3 && text.len() < 256);
    let text = slots.and_then(|mut slots| slots.find_map(text));
    Thrown::of("GO.fatal", text.unwrap_or_default())
}

/// The goroutine that the thread with these registers executes. A goroutine has the address of the scheduler's data (`m`), and that
/// has the current goroutine (`runtime/runtime2.go`; the offsets are those of Go 1.5 to 1.24).
fn goroutine(registers: &Registers, memory: &dyn Memory) -> Option<u64> {
    const SCHEDULER: u64 = 48;
    const CURRENT: u64 = 192;
    let own = match registers {
        Registers::X86_64(cpu) => memory.read_u64(cpu.fs_base.wrapping_sub(8))?,
        Registers::Aarch64(cpu) => cpu.x[28],
        _ => return None,
    };
    let word = |at: u64, offset| memory.read_u64(at.wrapping_add(offset));
    let scheduler = word(own, SCHEDULER)?;
    let current = word(scheduler, CURRENT)?;
    let is_one = word(current, SCHEDULER)? == scheduler;
    is_one.then_some(current)
}

/// A fatal error, by the address and the length of its text.
pub(super) fn fatal(text: u64, length: u64, memory: &dyn Memory) -> Thrown {
    let text = counted_text(text, length, memory);
    Thrown::of("GO.fatal", text.unwrap_or_default())
}

/// The message of a value, which must be told without a call of its methods: that of a text, an
/// integer, or an error that begins with its text (of `errors.New`, `fmt.Errorf`, and most of the
/// runtime's). `None` for others.
fn message(type_: u64, object: u64, memory: &dyn Memory) -> Option<String> {
    const KIND: u64 = 23;
    const STRING: u8 = 24;
    const POINTER: u8 = 22;
    const STRUCT: u8 = 25;
    let mut byte = [0];
    let is_read = memory.read_all(type_.wrapping_add(KIND), &mut byte);
    let size = memory.read_u64(type_)?;
    match byte[0] & 31 {
        _ if !is_read => None,
        kind @ 2..=11 => number(kind, object, size, memory),
        STRING | POINTER => string(object, memory),
        STRUCT => string(object, memory).or_else(|| out_of_range(object, size, memory)),
        _ => None,
    }
}

fn string(at: u64, memory: &dyn Memory) -> Option<String> {
    let [address, length] = words(at, memory)?;
    counted_text(address, length, memory)
}

fn number(kind: u8, object: u64, size: u64, memory: &dyn Memory) -> Option<String> {
    const LAST_SIGNED: u8 = 6;
    let [word] = words(object, memory)?;
    let unused = 64 - 8 * size.clamp(1, 8);
    Some(match kind {
        ..=LAST_SIGNED => (((word << unused) as i64) >> unused).to_string(),
        _ => ((word << unused) >> unused).to_string(),
    })
}

/// The message of `boundsError{x, y, signed, code}`, if it is about an index.
fn out_of_range(object: u64, size: u64, memory: &dyn Memory) -> Option<String> {
    let [index, length, rest] = words(object, memory)?;
    let is_index = size == 24 && rest & 0xfffe == 0;
    let index = index as i64;
    is_index.then(|| format!("index out of range [{index}] with length {length}"))
}
