//! C++ programs met at their throws by gdb, and what is told of them there.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod core;
mod stand;

use analysis::places::{Thrower, symbol_spot, throw_places};
use analysis::thrown::Thrown;
use stand::{Waiting, place, source, succeed};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A compiled program, and the image in which it throws.
struct Program {
    folder: TempDir,
    image: PathBuf,
}

impl Program {
    fn compile(flags: &[&str]) -> Program {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("throws");
        let mut compiler = Command::new("g++");
        compiler.args(flags).arg(source("throws.cpp"));
        succeed(compiler.arg("-o").arg(&path));
        let image = if flags.iter().any(|flag| flag.starts_with("-static")) {
            path
        } else {
            libstdcxx()
        };
        Program { folder, image }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("throws")
    }

    fn thrown(&self, how: &str, thrower: Thrower) -> Thrown {
        let program = Waiting::start(Command::new(self.path()).arg(how));
        let place = place(&self.image, thrower);
        let thrown = program.thrown(&self.image, &place);
        thrown.unwrap_or_else(|| panic!("{how} at {place:?}"))
    }

    /// Name, bases and message of what is thrown.
    fn told(&self, how: &str) -> (String, String, String) {
        let thrown = self.thrown(how, Thrower::Cxx);
        (thrown.name, thrown.bases.join(" "), thrown.message)
    }
}

fn libstdcxx() -> PathBuf {
    let path = succeed(Command::new("g++").arg("-print-file-name=libstdc++.so.6"));
    std::fs::canonicalize(path.trim()).unwrap()
}

#[track_caller]
fn says(program: &Program, how: &str, name: &str, bases: &str, message: &str) {
    let told = program.told(how);
    assert_eq!(
        told,
        (name.to_owned(), bases.to_owned(), message.to_owned())
    );
}

#[test]
fn every_type_is_told_with_its_bases_and_message() {
    let program = Program::compile(&["-O2"]);
    const ERROR: &str = "std::runtime_error std::exception";
    const NOT_FOUND: &str = "std::out_of_range std::logic_error std::exception";
    for (how, name, bases, message) in [
        ("int", "CXX.int", "", "-42"),
        ("text", "CXX.char const*", "", "a text"),
        ("string", "CXX.std::string", "", "a string"),
        ("runtime", "CXX.std::runtime_error", "std::exception", "msg"),
        ("derived", "CXX.NotFound", NOT_FOUND, "no such key"),
        (
            "both",
            "CXX.Both",
            &format!("Tag NotFound {NOT_FOUND}"),
            "both",
        ),
        (
            "diamond",
            "CXX.Diamond",
            &format!("Left Right Shared {ERROR}"),
            "diamond",
        ),
        ("plain", "CXX.Plain", "", ""),
        ("silent", "CXX.Silent", "std::exception", ""),
        (
            "hidden",
            "CXX.(anonymous namespace)::Hidden",
            "std::logic_error std::exception",
            "hidden",
        ),
        ("alloc", "CXX.std::bad_alloc", "std::exception", ""),
        (
            "system",
            "CXX.std::system_error",
            ERROR,
            "open: No such file or directory",
        ),
        (
            "file",
            "CXX.std::filesystem::filesystem_error",
            &format!("std::system_error {ERROR}"),
            "file: Success",
        ),
    ] {
        says(&program, how, name, bases, message);
    }
}

#[test]
fn it_does_not_matter_how_the_program_was_linked() {
    let bases = "std::out_of_range std::logic_error std::exception";
    for flags in [
        &["-O0"][..],
        &["-O2", "-static"],
        &["-O0", "-static", "-s"],
        &["-O2", "-static", "-s", "-Wl,--gc-sections"],
        &["-O2", "-static-pie", "-s"],
    ] {
        let program = Program::compile(flags);
        says(&program, "derived", "CXX.NotFound", bases, "no such key");
    }
}

#[test]
fn a_rethrow_is_met_at_its_own_place() {
    for flags in [&["-O2"][..], &["-O2", "-static", "-s"]] {
        let thrown = Program::compile(flags).thrown("runtime", Thrower::CxxRethrow);
        assert_eq!(thrown.name, "CXX.std::runtime_error");
        assert_eq!(thrown.message, "msg");
        assert!(thrown.message_varies);
    }
}

#[test]
fn only_the_image_that_throws_by_itself_has_places() {
    let throwers = |image: &Path| -> Vec<Thrower> {
        let places = throw_places(&std::fs::read(image).unwrap());
        places.iter().map(|place| place.thrower).collect()
    };
    let both = [Thrower::Cxx, Thrower::CxxRethrow];
    let [throw, rethrow] = both.map(|thrower| place(&libstdcxx(), thrower));
    assert!(throw.object.is_some() && rethrow.object.is_some());
    assert_eq!(throwers(&libstdcxx()), both);
    let dynamic = Program::compile(&["-O2"]);
    assert_eq!(throwers(&dynamic.path()), []);
    let own = Program::compile(&["-O2", "-static"]);
    assert_eq!(throwers(&own.path()), both);
}

#[test]
fn what_came_by_a_pointer_keeps_its_type_when_it_is_thrown_again() {
    let thrown = Program::compile(&["-O2"]).thrown("pointer", Thrower::CxxRethrow);
    assert_eq!(thrown.name, "CXX.NotFound");
    assert_eq!(thrown.message, "passed on");
}

/// libc++abi has no probes, as if they were taken out here.
#[test]
fn without_probes_the_functions_themselves_are_the_places() {
    let mut program = Program::compile(&["-O2", "-static"]);
    let bare = program.folder.path().join("bare");
    let mut objcopy = Command::new("objcopy");
    objcopy.args(["--remove-section", ".note.stapsdt"]);
    succeed(objcopy.arg(program.path()).arg(&bare));
    std::fs::rename(&bare, program.path()).unwrap();
    program.image = program.path();
    let image = std::fs::read(program.path()).unwrap();
    let entry = symbol_spot(&image, "__cxa_throw", 0).unwrap();
    assert_eq!(
        place(&program.image, Thrower::Cxx).spot.address,
        entry.address + 4
    );
    says(
        &program,
        "runtime",
        "CXX.std::runtime_error",
        "std::exception",
        "msg",
    );
    let rethrow = place(&program.image, Thrower::CxxRethrow);
    assert_eq!((rethrow.object, rethrow.type_key), (None, None));
}

#[test]
fn a_symbol_is_found_as_it_stands_and_as_it_reads() {
    let library = std::fs::read(libstdcxx()).unwrap();
    let spot = |name| symbol_spot(&library, name, 0);
    assert!(spot("__cxa_throw").is_some());
    assert_eq!(spot("std::terminate"), spot("_ZSt9terminatev"));
    assert!(spot("std::terminate").is_some());
    for nothing in ["", "std", "terminate", "std::terminat", "no such"] {
        assert_eq!(spot(nothing), None);
    }
    let further = symbol_spot(&library, "__cxa_throw", 4).unwrap();
    assert_eq!(further.offset, spot("__cxa_throw").unwrap().offset + 4);
    assert_eq!(symbol_spot(&library, "__cxa_throw", u64::MAX), None);
}

#[test]
fn a_broken_image_has_no_places() {
    let library = std::fs::read(libstdcxx()).unwrap();
    for len in [0, 3, 64, 4096, library.len() / 2, library.len() - 1] {
        throw_places(&library[..len]);
        symbol_spot(&library[..len], "f", 0);
    }
    let mut broken = library[..4096].to_vec();
    for at in 16..4096 {
        broken[at] ^= 0xff;
        throw_places(&broken);
        broken[at] ^= 0xff;
    }
}
