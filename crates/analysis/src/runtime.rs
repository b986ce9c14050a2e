use snapshot::Snapshot;
use std::fmt;

/// The language runtime of a process, as far as its mappings show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Runtime {
    /// None: C, C++, Rust and the like.
    #[default]
    Native,
    /// .NET (Core or Framework).
    DotNet,
    /// Mono.
    Mono,
    /// A Java virtual machine.
    Jvm,
    /// CPython.
    Python,
    /// Node.js.
    Node,
    /// Go.
    Go,
    /// Ruby.
    Ruby,
    /// PHP.
    Php,
    /// Perl.
    Perl,
    /// Erlang or Elixir.
    Erlang,
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Runtime::Native => "native",
            Runtime::DotNet => ".NET",
            Runtime::Mono => "Mono",
            Runtime::Jvm => "JVM",
            Runtime::Python => "Python",
            Runtime::Node => "Node",
            Runtime::Go => "Go",
            Runtime::Ruby => "Ruby",
            Runtime::Php => "PHP",
            Runtime::Perl => "Perl",
            Runtime::Erlang => "Erlang",
        })
    }
}

/// The runtime of a process, by its regions, modules and program.
pub fn runtime(snapshot: &Snapshot) -> Runtime {
    let regions = snapshot
        .regions
        .iter()
        .map(|r| (r.range.start, &r.name[..]));
    let modules = snapshot
        .modules
        .iter()
        .map(|m| (m.range.start, &m.path[..]));
    let program = (0, &snapshot.process.exe[..]);
    runtime_of(regions.chain(modules).chain([program]))
}

/// The runtime by a list of mappings, in any order: the first address of each, and its name in
/// `/proc/PID/maps` or in the list of modules. The program itself may be among them with address 0.
///
/// If there are several runtimes, the one that hosts the others is returned: a JVM that embeds
/// Python is a JVM.
pub fn runtime_of<'a>(mappings: impl IntoIterator<Item = (u64, &'a str)>) -> Runtime {
    let signs = mappings
        .into_iter()
        .filter_map(|(start, name)| sign(start, name));
    signs.min_by_key(|found| weight(*found)).unwrap_or_default()
}

/// The order of preference, the smallest first. Runtimes that host others come first, those that
/// programs embed (Perl, or Python in gdb and vim) last.
fn weight(runtime: Runtime) -> u8 {
    match runtime {
        Runtime::DotNet => 0,
        Runtime::Jvm => 1,
        Runtime::Mono => 2,
        Runtime::Node => 3,
        Runtime::Erlang => 4,
        Runtime::Go => 5,
        Runtime::Ruby => 6,
        Runtime::Php => 7,
        Runtime::Python => 8,
        Runtime::Perl => 9,
        Runtime::Native => 10,
    }
}

/// Where Go's first heap arena lies on every 64-bit Linux (`runtime/malloc.go`, `arenaHints`).
const GO_ARENA: u64 = 0xc0_0000_0000;

/// The runtime that one mapping is a sign of.
fn sign(start: u64, name: &str) -> Option<Runtime> {
    if (start == GO_ARENA && !name.contains('/')) || name.starts_with("[anon: Go:") {
        return Some(Runtime::Go);
    }
    let file = name
        .rsplit(['/', '\\'])
        .next()?
        .trim_end_matches(" (deleted)");
    let file = file.to_ascii_lowercase();
    let stem = file.strip_suffix(".exe").unwrap_or(&file);
    exact(&file, stem).or_else(|| versioned(&file, stem))
}

fn exact(file: &str, stem: &str) -> Option<Runtime> {
    Some(match file {
        "libcoreclr.so" | "coreclr.dll" | "clr.dll" | "mscorwks.dll" => Runtime::DotNet,
        "system.private.corelib.dll" | "libclrgc.so" => Runtime::DotNet,
        "libjvm.so" | "jvm.dll" | "libj9vm29.so" => Runtime::Jvm,
        _ => match stem {
            "node" | "nodejs" => Runtime::Node,
            "ruby" => Runtime::Ruby,
            "perl" => Runtime::Perl,
            "php" | "php-fpm" => Runtime::Php,
            "beam.smp" | "beam" | "erl" => Runtime::Erlang,
            "mono" | "mono-sgen" | "mono-boehm" => Runtime::Mono,
            "python" | "pythonw" => Runtime::Python,
            _ => return None,
        },
    })
}

/// The runtime by a name that ends in a version: `python3.11`, `libruby-3.1.so.3.1`, `php8.2`,
/// `libpython3.11.so.1.0`.
fn versioned(file: &str, stem: &str) -> Option<Runtime> {
    const PROGRAMS: &[(&str, Runtime)] = &[
        ("python", Runtime::Python),
        ("pypy", Runtime::Python),
        ("ruby", Runtime::Ruby),
        ("php-fpm", Runtime::Php),
        ("php", Runtime::Php),
        ("perl", Runtime::Perl),
    ];
    const LIBRARIES: &[(&str, Runtime)] = &[
        ("libpython", Runtime::Python),
        ("libruby", Runtime::Ruby),
        ("libperl.so", Runtime::Perl),
        ("libphp", Runtime::Php),
        ("libnode.so", Runtime::Node),
        ("libmonosgen", Runtime::Mono),
        ("libmono-2.0", Runtime::Mono),
        ("mono-2.0", Runtime::Mono),
    ];
    let is_version = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    let program = PROGRAMS
        .iter()
        .find(|(name, _)| stem.strip_prefix(name).is_some_and(is_version));
    let is_library = file.contains(".so") || file.ends_with(".dll");
    let library = LIBRARIES
        .iter()
        .find(|(name, _)| is_library && file.starts_with(name));
    program.or(library).map(|(_, runtime)| *runtime)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> String {
        runtime_of(names.iter().map(|name| (0x1000, *name))).to_string()
    }

    #[test]
    fn a_runtime_shows_in_the_names_of_what_is_mapped() {
        for (names, runtime) in [
            (
                &["/usr/sbin/nginx", "/lib/libc.so.6", "[heap]"][..],
                "native",
            ),
            (&["/usr/bin/python3.11", "/lib/libc.so.6"], "Python"),
            (&["/usr/bin/vim", "/lib/libpython3.11.so.1.0"], "Python"),
            (
                &["/opt/app", "/opt/libcoreclr.so", "/opt/libnode.so.108"],
                ".NET",
            ),
            (
                &[r"C:\Windows\Microsoft.NET\Framework64\v4\clr.dll"],
                ".NET",
            ),
            (
                &[
                    "/usr/lib/jvm/17/bin/java",
                    "/usr/lib/jvm/17/lib/server/libjvm.so",
                ],
                "JVM",
            ),
            (&["/usr/bin/node (deleted)"], "Node"),
            (&["/usr/bin/php8.2"], "PHP"),
            (
                &["/usr/bin/pythonic-tool", "/usr/bin/phpstorm", "/bin/noded"],
                "native",
            ),
            (&["/srv/app", "[anon: Go: heap]"], "Go"),
            (&[], "native"),
        ] {
            assert_eq!(of(names), runtime, "{names:?}");
        }
    }

    #[test]
    fn go_is_known_by_where_its_heap_lies() {
        assert_eq!(runtime_of([(0xc0_0000_0000, "")]), Runtime::Go);
        assert_eq!(runtime_of([(0xc0_0000_0000, "/a/file")]), Runtime::Native);
    }
}
