//! The tools that tests need: they are found, or installed if that is allowed, or named.

use anyhow::{Result, bail};

use crate::shell::{Cmd, root, tools_dir, which};

/// A program, and the Debian package that contains it.
struct System {
    program: &'static str,
    package: &'static str,
}

/// Compilers, debuggers and servers: programs that tests dump, and programs that check the dumps.
#[rustfmt::skip]
const SYSTEM: &[System] = &[
    System { program: "gcc", package: "gcc libc6-dev" },
    System { program: "g++", package: "g++" },
    System { program: "clang", package: "clang" },
    System { program: "make", package: "make" },
    System { program: "gdb", package: "gdb" },
    System { program: "lldb", package: "lldb" },
    System { program: "readelf", package: "binutils" },
    System { program: "objcopy", package: "binutils" },
    System { program: "eu-stack", package: "elfutils" },
    System { program: "eu-readelf", package: "elfutils" },
    System { program: "dwz", package: "dwz" },
    System { program: "ps", package: "procps" },
    System { program: "strace", package: "strace" },
    System { program: "unshare", package: "util-linux" },
    System { program: "setpriv", package: "util-linux" },
    System { program: "zstd", package: "zstd" },
    System { program: "xz", package: "xz-utils" },
    System { program: "lz4", package: "lz4" },
    System { program: "mkfs.ext4", package: "e2fsprogs" },
    System { program: "mkfs.xfs", package: "xfsprogs" },
    System { program: "mkfs.btrfs", package: "btrfs-progs" },
    System { program: "go", package: "golang-go" },
    System { program: "musl-gcc", package: "musl-tools" },
    System { program: "node", package: "nodejs" },
    System { program: "java", package: "default-jdk-headless" },
    System { program: "javac", package: "default-jdk-headless" },
    System { program: "jhsdb", package: "default-jdk-headless" },
    System { program: "python3", package: "python3" },
    System { program: "jsonschema", package: "python3-jsonschema" },
    System { program: "redis-server", package: "redis-server" },
    System { program: "nginx", package: "nginx-light" },
    System { program: "pg_ctlcluster", package: "postgresql" },
    System { program: "x86_64-w64-mingw32-gcc", package: "gcc-mingw-w64-x86-64" },
    System { program: "x86_64-w64-mingw32-g++", package: "g++-mingw-w64-x86-64" },
    System { program: "aarch64-linux-gnu-gcc", package: "gcc-aarch64-linux-gnu libc6-dev-arm64-cross" },
    System { program: "i686-w64-mingw32-gcc", package: "gcc-mingw-w64-i686" },
    System { program: "wine", package: "wine wine64" },
    System { program: "debootstrap", package: "debootstrap" },
];

/// A program on crates.io, with the version for which the tests were written.
struct Crate {
    program: &'static str,
    name: &'static str,
    version: &'static str,
}

#[rustfmt::skip]
const CRATES: &[Crate] = &[
    Crate { program: "cargo-nextest", name: "cargo-nextest", version: "^0.9" },
    Crate { program: "cargo-deny", name: "cargo-deny", version: "^0.20" },
    Crate { program: "minidump-stackwalk", name: "minidump-stackwalk", version: "^0.27" },
    Crate { program: "cargo-fuzz", name: "cargo-fuzz", version: "^0.13" },
];

const TARGETS: &[&str] = &[
    "x86_64-pc-windows-gnu",
    "aarch64-unknown-linux-gnu",
    "x86_64-unknown-linux-musl",
];

const COMPONENTS: &[&str] = &["rustfmt", "clippy"];

/// Finds or installs every tool.
///
/// # Errors
/// If something is missing and cannot be installed: names it, and the commands that install it.
pub(crate) fn install() -> Result<()> {
    let mut wanting = Vec::new();
    wanting.extend(install_system(
        SYSTEM.iter().map(|s| (s.program, s.package)),
    ));
    wanting.extend(install_toolchain());
    wanting.extend(CRATES.iter().filter_map(install_crate));
    report(&wanting)
}

/// Finds or installs programs: `(program, Debian package)`.
///
/// # Errors
/// As [`install`].
pub(crate) fn install_packages(wanted: &[(&'static str, &'static str)]) -> Result<()> {
    report(&install_system(wanted.iter().copied()))
}

fn report(wanting: &[String]) -> Result<()> {
    if wanting.is_empty() {
        return Ok(());
    }
    bail!(
        "these are missing; please run:\n    {}",
        wanting.join("\n    ")
    );
}

/// The commands that the user must run for what could not be installed.
fn install_system(wanted: impl Iterator<Item = (&'static str, &'static str)>) -> Vec<String> {
    let missing: Vec<_> = wanted
        .filter(|(program, _)| which(program).is_none())
        .collect();
    if missing.is_empty() {
        return Vec::new();
    }
    let mut packages: Vec<&str> = missing.iter().flat_map(|(_, p)| p.split(' ')).collect();
    packages.dedup();
    let packages = packages.join(" ");
    println!("missing packages: {packages}");
    match apt_get(&packages) {
        Ok(()) if missing.iter().all(|(program, _)| which(program).is_some()) => Vec::new(),
        Ok(()) => vec![format!(
            "# installed, yet not on the search path: {missing:?}"
        )],
        Err(_) => vec![format!("sudo apt-get install {packages}")],
    }
}

fn apt_get(packages: &str) -> Result<()> {
    let rights = match privilege() {
        Some(rights) if which("apt-get").is_some() => rights,
        _ => bail!("not allowed to install packages"),
    };
    apt_command(&format!("{rights} apt-get update -q")).run()?;
    apt_command(&format!(
        "{rights} apt-get install -qy --no-install-recommends {packages}"
    ))
    .run()
}

fn apt_command(line: &str) -> Cmd {
    Cmd::new(line).env("DEBIAN_FRONTEND", "noninteractive")
}

/// The words before a command that root must run; `None` if this user cannot become root.
fn privilege() -> Option<&'static str> {
    if Cmd::new("id -u").read().is_ok_and(|id| id.trim() == "0") {
        return Some("env");
    }
    Cmd::new("sudo -n true")
        .succeeds()
        .then_some("sudo -n --preserve-env=DEBIAN_FRONTEND")
}

fn install_toolchain() -> Vec<String> {
    if which("rustup").is_none() {
        return missing_without_rustup();
    }
    let mut wanting = Vec::new();
    let have = Cmd::new("rustup target list --installed")
        .read()
        .unwrap_or_default();
    for target in TARGETS
        .iter()
        .filter(|t| !have.lines().any(|line| line == **t))
    {
        wanting.extend(or_say(&format!("rustup target add {target}")));
    }
    let have = Cmd::new("rustup component list --installed")
        .read()
        .unwrap_or_default();
    for component in COMPONENTS
        .iter()
        .filter(|c| !have.lines().any(|l| l.starts_with(**c)))
    {
        wanting.extend(or_say(&format!("rustup component add {component}")));
    }
    if !has_nightly() {
        wanting.extend(or_say("rustup toolchain install nightly --profile minimal"));
    }
    wanting
}

fn missing_without_rustup() -> Vec<String> {
    vec!["# install rustup (https://rustup.rs): fuzzing needs a nightly toolchain".to_owned()]
}

/// Whether rustup has a nightly toolchain, which fuzzing needs.
pub(crate) fn has_nightly() -> bool {
    Cmd::new("rustup run nightly rustc --version").succeeds()
}

fn install_crate(tool: &Crate) -> Option<String> {
    if which(tool.program).is_some() {
        return None;
    }
    let (name, version) = (tool.name, tool.version);
    let line = format!("cargo install --locked --version {version} {name}");
    println!("missing: {}", tool.program);
    let own = Cmd::new(&line).arg("--root").arg(tools_dir());
    // In a target folder of its own, so that it neither waits for this build nor stays.
    let own = own.arg("--target-dir").arg(tools_dir().join("build"));
    own.run().err().map(|_| line)
}

/// Runs a command; if it fails, returns it for the user to run.
fn or_say(line: &str) -> Option<String> {
    Cmd::new(line).run().err().map(|_| line.to_owned())
}

/// Whether there is a folder of fuzz targets.
pub(crate) fn has_fuzz_targets() -> bool {
    root().join("fuzz").join("Cargo.toml").is_file()
}
