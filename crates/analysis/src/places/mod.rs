//! Where in an image file a thread can be met: at a symbol, or where a language throws.

mod elf;
mod go;
mod java;
mod kind;
mod pe;
mod register;
mod sdt;
mod sites;

use elf::Elf;
use snapshot::Memory;

pub use java::HotSpot;
pub use kind::Kind;
pub use register::Register;

impl Thrower {
    /// Whether the process is about to die of it.
    pub fn ends_process(self) -> bool {
        matches!(self, Thrower::GoUncaught | Thrower::GoFatal)
    }

    /// Whether the process may die of what is thrown there, by SIGABRT: Rust's `panic=abort`.
    pub fn may_abort(self) -> bool {
        self == Thrower::Rust
    }

    /// Whether nobody will handle what is thrown there.
    pub fn is_last(self) -> bool {
        matches!(
            self,
            Thrower::GoUncaught
                | Thrower::GoFatal
                | Thrower::PythonUncaught
                | Thrower::NodeUncaught
                | Thrower::JavaUncaught(_)
        )
    }
}

/// A place in an image file where a thread can be met, as a uprobe wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Spot {
    /// Of the instruction, in bytes from the file's start.
    pub offset: u64,
    /// Of the instruction, as the file is linked; an address of a process less the image's bias.
    pub address: u64,
}

impl Spot {
    /// That many bytes further.
    fn plus(self, bytes: usize) -> Spot {
        Spot {
            offset: self.offset.wrapping_add(bytes as u64),
            address: self.address.wrapping_add(bytes as u64),
        }
    }
}

/// What happens at a place where something is thrown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Thrower {
    /// C++: `throw x`.
    Cxx,
    /// C++: `throw` alone, within a handler.
    CxxRethrow,
    /// Rust: a panic, its message made and its hook run; `resume_unwind` as well.
    Rust,
    /// Go: `panic(x)`, and what the runtime panics of.
    GoPanic,
    /// Go: a panic that nobody recovered.
    GoUncaught,
    /// Go: an error that cannot be recovered, such as a deadlock.
    GoFatal,
    /// CPython: an exception is set, by `raise` or by C code.
    PythonRaise,
    /// CPython: an exception that ended a thread is printed; `SystemExit` is not.
    PythonUncaught,
    /// Node: an error that no JavaScript caught, before `process.on("uncaughtException")`.
    NodeUncaught,
    /// Java: an exception is made, and will be thrown as a rule.
    JavaMade(HotSpot),
    /// Java: a thread ends, perhaps of an exception that nobody caught.
    JavaUncaught(HotSpot),
}

/// A place where an image throws, and where a thread that stands there holds what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThrowPlace {
    /// What is thrown here.
    pub thrower: Thrower,
    /// Where; never a place that a thread passes twice for one throw.
    pub spot: Spot,
    /// Holds the address of what is thrown: C++'s object, Rust's payload, what is in Go's
    /// interface (or a fatal error's text, or the `_panic`), Python's value, Java's handle or thread.
    pub object: Option<Register>,
    /// What the type is known by: the address of C++'s `std::type_info`, of the vtable of Rust's
    /// payload, of Go's and Python's type, what stands for Java's class.
    pub kind: Option<Kind>,
}

/// The places where an image throws; none for one that only calls a library which does, or that
/// is no 64-bit ELF image.
///
/// C++: the probes `libstdcxx:throw` and `libstdcxx:rethrow`, which are `nop`s (a uprobe there
/// costs least) and stand in static and stripped programs too; without them `__cxa_throw` and
/// `__cxa_rethrow` (libc++abi; libstdc++ built without `sys/sdt.h`), behind their `endbr64`, which
/// the kernel would step over with a trap. `std::rethrow_exception` counts for neither: the
/// exception that it passes on was met where it was thrown.
///
/// Rust: `rust_panic`. Go: `runtime.gopanic` behind the check of its stack, after which it may begin
/// anew, `runtime.fatalpanic`, `runtime.throw` and `runtime.fatal`; in stripped programs as well.
/// Python: `_PyErr_SetObject`, which all others call, and `_PyErr_Display`. Node:
/// `node::errors::TriggerUncaughtException`. Java: `JVM_FillInStackTrace` and `JavaThread::exit`.
pub fn throw_places(image: &[u8]) -> Vec<ThrowPlace> {
    Elf::parse(image).map_or_else(Vec::new, |elf| sites::all(&elf))
}

/// The place of a symbol and `plus` bytes more. `name` is a symbol of `.symtab` or `.dynsym` as it
/// stands there, or what it reads demangled, without arguments: `ns::func`.
/// `None` when the image has no such symbol, or no code there.
pub fn symbol_spot(image: &[u8], name: &str, plus: u64) -> Option<Spot> {
    let elf = Elf::parse(image)?;
    let start = exact(&elf, name).or_else(|| demangled(&elf, name))?;
    elf.spot(start.checked_add(plus)?)
}

/// The place of an address in an image that lies at `base` in memory.
/// `None` when the image has no code there.
pub fn address_spot(image: &[u8], base: u64, address: u64) -> Option<Spot> {
    let elf = Elf::parse(image)?;
    let bias = base.wrapping_sub(elf.first_page()?);
    elf.spot(address.wrapping_sub(bias))
}

/// How far from its base a symbol and `plus` bytes more lie in the Windows image at `base`: by what
/// it exports, else by the names in its `file`, where that could be opened.
pub fn windows_spot(
    base: u64,
    file: Option<&[u8]>,
    memory: &dyn Memory,
    name: &str,
    plus: u64,
) -> Option<u64> {
    let start = pe::exported(base, name, memory).or_else(|| pe::named(file?, name))?;
    start.checked_add(plus)
}

fn exact(elf: &Elf, name: &str) -> Option<u64> {
    let named = |(symbol, _): &(&[u8], u64)| *symbol == name.as_bytes();
    elf.functions().find(named).map(|(_, address)| address)
}

/// Parts that the compiler moved away (`_Z1fv.cold`) read like the whole, which goes first.
fn demangled(elf: &Elf, name: &str) -> Option<u64> {
    let last = name.rsplit("::").next()?;
    let end = last.find(|c: char| !c.is_alphanumeric() && c != '_');
    // Demangling is slow and large programs have 100,000s of names.
    let hint = &last.as_bytes()[..end.unwrap_or(last.len())];
    let reads_so = |symbol: &[u8]| {
        let may = hint.is_empty() || symbol.windows(hint.len()).any(|part| part == hint);
        may && std::str::from_utf8(symbol).is_ok_and(|symbol| is_path(symbol, name))
    };
    let found = elf.functions().filter(|(symbol, _)| reads_so(symbol));
    let best = found.min_by_key(|(symbol, _)| symbol.contains(&b'.'));
    best.map(|(_, address)| address)
}

fn is_path(symbol: &str, name: &str) -> bool {
    let readable = crate::demangle(symbol);
    let rest = readable.strip_prefix(name);
    !name.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('('))
}
