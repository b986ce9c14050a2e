use std::fmt::{self, Write as _};

/// Mangled names of more bytes than this are not demangled.
///
/// A C++ name made to do harm can expand from a few hundred bytes to megabytes (substitutions of
/// substitutions), and the demanglers recurse.
const LONGEST_MANGLED: usize = 4096;

/// The longest demangled name, in bytes.
const LONGEST_READABLE: usize = 8192;

/// Demangles a symbol of C++ (Itanium and MSVC) or Rust (legacy and v0).
///
/// A symbol that is not mangled, or not in a known way, is returned without its `@VERSION`.
pub fn demangle(symbol: &str) -> String {
    let plain = without_version(symbol);
    if plain.len() > LONGEST_MANGLED {
        return plain.to_owned();
    }
    let readable = match plain.as_bytes() {
        [b'_', b'R', ..] => rust(plain),
        [b'_', b'Z', ..] | [b'_', b'_', b'Z', ..] => rust(plain).or_else(|| cpp(plain)),
        [b'?', ..] => msvc(plain),
        _ => None,
    };
    readable.unwrap_or_else(|| plain.to_owned())
}

/// Makes `memcpy` of `memcpy@@GLIBC_2.14`; the `@4` of a stdcall function's name stays.
fn without_version(symbol: &str) -> &str {
    match symbol.split_once('@') {
        Some((name, version)) if !name.is_empty() && !symbol.starts_with('?') => {
            let is_decoration = version.bytes().all(|b| b.is_ascii_digit());
            if is_decoration { symbol } else { name }
        }
        _ => symbol,
    }
}

/// The full name of `std::string`, which is replaced by the short one.
const STRING: &str =
    "std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >";

fn rust(symbol: &str) -> Option<String> {
    let name = rustc_demangle::try_demangle(symbol).ok()?;
    bounded(|out| write!(out, "{name:#}"))
}

fn cpp(symbol: &str) -> Option<String> {
    let parsed = cpp_demangle::BorrowedSymbol::new(symbol.as_bytes()).ok()?;
    // A function that is made of a template has its result in its name, which may be longer than the rest.
    let options = cpp_demangle::DemangleOptions::new().no_return_type();
    let name = bounded(|out| parsed.structured_demangle(out, &options))?;
    Some(name.replace(STRING, "std::string"))
}

fn msvc(symbol: &str) -> Option<String> {
    let flags = msvc_demangler::DemangleFlags::NAME_ONLY;
    // The demangler recurses without a limit; names of up to a thousand bytes cannot nest deeply.
    (symbol.len() <= 1024)
        .then(|| msvc_demangler::demangle(symbol, flags).ok())
        .flatten()
}

/// What `write` writes; `None` if it fails or writes too much.
fn bounded(write: impl FnOnce(&mut Bounded) -> fmt::Result) -> Option<String> {
    let mut out = Bounded(String::new());
    write(&mut out).ok()?;
    Some(out.0)
}

/// A text of at most [`LONGEST_READABLE`] bytes.
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > LONGEST_READABLE {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_as_they_were_written() {
        for (symbol, readable) in [
            ("main", "main"),
            ("_ZN3foo3barEi", "foo::bar(int)"),
            ("_Z5twiceIiET_S0_", "twice<int>(int)"),
            (
                "_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE",
                "core::fmt::Write::write_fmt",
            ),
            ("_RNvC6_123foo3bar", "123foo::bar"),
            ("?f@N@@YAXXZ", "N::f"),
            ("memcpy@@GLIBC_2.14", "memcpy"),
            ("_Sleep@4", "_Sleep@4"),
            ("_Znonsense", "_Znonsense"),
        ] {
            assert_eq!(demangle(symbol), readable);
        }
    }

    #[test]
    fn a_name_made_to_explode_stays_as_it_is() {
        // Each S_ stands for a pair of what came before: 2^n parts.
        let mut bomb = "_Z1fI".to_owned();
        bomb.push_str(&"St4pairI".repeat(60));
        bomb.push_str(&"iS_E".repeat(60));
        bomb.push_str("EvT_");
        assert!(demangle(&bomb).len() <= LONGEST_READABLE);
        let nested = format!("?f@@YAX{}H@Z", "PAP6AX".repeat(20_000));
        assert_eq!(demangle(&nested), nested);
        let nested = format!("?f@@YAX{}H@Z", "PAP6AX".repeat(160));
        assert!(demangle(&nested).len() <= LONGEST_READABLE);
    }
}
