//! Places in image files where a breakpoint or a uprobe is put: at a symbol, at an address, or
//! where a language throws its exceptions.

mod elf;
mod go;
mod java;
mod pe;
mod register;
mod sdt;
mod sites;
mod type_key;

use elf::Elf;
use snapshot::Memory;

pub use java::HotSpot;
pub use register::Register;
pub use type_key::TypeKey;

impl Thrower {
    /// Whether the process always ends after it.
    pub fn ends_process(self) -> bool {
        matches!(self, Thrower::GoUncaught | Thrower::GoFatal)
    }

    /// Whether the process may end by SIGABRT after it: Rust programs built with `panic=abort`.
    pub fn may_abort(self) -> bool {
        self == Thrower::Rust
    }

    /// Whether no handler will catch what is thrown there.
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

/// An instruction in an image file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Spot {
    /// Its offset in the file, in bytes; a uprobe wants this.
    pub offset: u64,
    /// Its address as the file states it: the address in a process minus the image's bias.
    pub address: u64,
}

impl Spot {
    /// The place that many bytes further on.
    fn plus(self, bytes: usize) -> Spot {
        Spot {
            offset: self.offset.wrapping_add(bytes as u64),
            address: self.address.wrapping_add(bytes as u64),
        }
    }
}

/// What happens at a [`ThrowPlace`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Thrower {
    /// C++: `throw x`.
    Cxx,
    /// C++: `throw` without an operand, in a handler.
    CxxRethrow,
    /// Rust: a panic, after its message is formatted and its hook has run; also `resume_unwind`.
    Rust,
    /// Go: `panic(x)`, and panics of the runtime such as a nil dereference.
    GoPanic,
    /// Go: a panic that was not recovered.
    GoUncaught,
    /// Go: an error that cannot be recovered, such as a deadlock.
    GoFatal,
    /// CPython: an exception is raised, by `raise` or by C code.
    PythonRaise,
    /// CPython: an exception that ended a thread is printed; `SystemExit` is not printed.
    PythonUncaught,
    /// Node: an error that no JavaScript code caught, before `process.on("uncaughtException")`.
    NodeUncaught,
    /// Java: an exception is constructed, which is usually thrown then.
    JavaMade(HotSpot),
    /// Java: a thread ends, perhaps by an uncaught exception.
    JavaUncaught(HotSpot),
}

/// A place where an image throws, and where a thread that is stopped there holds what it throws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThrowPlace {
    /// What happens here.
    pub thrower: Thrower,
    /// The place. A thread passes it once for each throw.
    pub spot: Spot,
    /// The register that holds the address of what is thrown: of C++'s object, Rust's payload, the
    /// data of Go's interface (or a fatal error's text, or the `_panic`), Python's value, Java's
    /// handle or thread. `None` if none does.
    pub object: Option<Register>,
    /// Where to find the value that identifies the type of what is thrown: the address of C++'s
    /// `std::type_info`, of the vtable of Rust's payload, of Go's or Python's type, or Java's
    /// compressed class pointer. `None` if there is none.
    pub type_key: Option<TypeKey>,
}

/// The places where an image throws. There are none in an image that only calls a library which
/// throws, and in one that is not a 64-bit ELF image.
///
/// C++: libstdc++'s probes `throw` and `rethrow`. They are `nop` instructions, where a uprobe costs
/// least, and are there in static and stripped programs too. Without them (libc++abi; libstdc++
/// built without `sys/sdt.h`): `__cxa_throw` and `__cxa_rethrow`, behind their `endbr64`.
/// `std::rethrow_exception` is not among them: its exception was seen when it was thrown first.
///
/// Rust: `rust_panic`. Go: `runtime.gopanic` (behind its check of the stack's size, as it may start
/// again after that), `runtime.fatalpanic`, `runtime.throw` and `runtime.fatal`; in stripped
/// programs too. Python: `_PyErr_SetObject`, which all ways to raise call, and `_PyErr_Display`.
/// Node: `node::errors::TriggerUncaughtException`. Java: `JVM_FillInStackTrace` and
/// `JavaThread::exit`.
pub fn throw_places(image: &[u8]) -> Vec<ThrowPlace> {
    Elf::parse(image).map_or_else(Vec::new, |elf| sites::all(&elf))
}

/// The place `plus` bytes behind a symbol. `name` is a symbol of `.symtab` or `.dynsym`, as it is
/// or demangled without its arguments: `ns::func`. `None` if the image has no such symbol, or no
/// code there.
pub fn symbol_spot(image: &[u8], name: &str, plus: u64) -> Option<Spot> {
    let elf = Elf::parse(image)?;
    let start = exact(&elf, name).or_else(|| demangled(&elf, name))?;
    elf.spot(start.checked_add(plus)?)
}

/// Whether a program has the runtime of .NET in itself: that of a single file, or compiled ahead of time. Its runtime tells
/// debuggers so by data that it exports
/// (<https://github.com/dotnet/runtime/blob/main/docs/design/features/single-file.md>).
pub fn is_dotnet(image: &[u8]) -> bool {
    const TOLD_BY: [&[u8]; 2] = [b"DotNetRuntimeInfo", b"DotNetRuntimeDebugHeader"];
    let Ok(file) = object::File::parse(image) else {
        return false;
    };
    let mut exported = object::Object::dynamic_symbols(&file);
    exported.any(|symbol| {
        object::ObjectSymbol::name_bytes(&symbol).is_ok_and(|name| TOLD_BY.contains(&name))
    })
}

/// The place of an address in an image that is loaded at `base`. `None` if the image has no code
/// there.
pub fn address_spot(image: &[u8], base: u64, address: u64) -> Option<Spot> {
    let elf = Elf::parse(image)?;
    let bias = base.wrapping_sub(elf.first_page()?);
    elf.spot(address.wrapping_sub(bias))
}

/// The address `plus` bytes behind a symbol of the Windows image at `base`, relative to that base.
/// The symbol is looked for in the image's exports, then in its `file` if there is one.
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

/// The address of the function that reads `name` when demangled. Parts of a function that the
/// compiler has moved away (`_Z1fv.cold`) read the same; the function itself is preferred.
fn demangled(elf: &Elf, name: &str) -> Option<u64> {
    let last = name.rsplit("::").next()?;
    let end = last.find(|c: char| !c.is_alphanumeric() && c != '_');
    // Demangling is slow, and large programs have hundreds of thousands of symbols.
    let hint = &last.as_bytes()[..end.unwrap_or(last.len())];
    let reads_so = |symbol: &[u8]| {
        let may = hint.is_empty() || symbol.windows(hint.len()).any(|part| part == hint);
        may && std::str::from_utf8(symbol).is_ok_and(|symbol| is_path(symbol, name))
    };
    let found = elf.functions().filter(|(symbol, _)| reads_so(symbol));
    let best = found.min_by_key(|(symbol, _)| symbol.contains(&b'.'));
    best.map(|(_, address)| address)
}

/// Whether a symbol demangled is the path `name`, with or without arguments.
fn is_path(symbol: &str, name: &str) -> bool {
    let readable = crate::demangle(symbol);
    let rest = readable.strip_prefix(name);
    !name.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('('))
}
