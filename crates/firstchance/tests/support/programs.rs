//! Small programs in other languages. The first test that needs one compiles it, and the result is kept.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// A source file in `tests/programs`, and how it is compiled.
pub(crate) struct Program {
    /// The name of the source file.
    pub(crate) source: &'static str,
    /// The compiler, and the package that has it.
    pub(crate) compiler: (&'static str, &'static str),
    /// The options of the compiler, without output and source.
    pub(crate) options: &'static [&'static str],
}

impl Program {
    /// The same program, compiled with other options.
    pub(crate) const fn with(self, options: &'static [&'static str]) -> Program {
        Program { options, ..self }
    }

    /// The name of the compiled file, which depends on the options.
    fn file_name(&self) -> String {
        let options = self.options.concat().replace(['/', '='], "");
        format!(
            "{}{options}-{}",
            self.compiler.0,
            self.source.replace('.', "-")
        )
    }

    /// A program in Rust.
    pub(crate) const fn rust(source: &'static str) -> Program {
        Program {
            source,
            compiler: ("rustc", "rustc"),
            options: &["-O"],
        }
    }

    /// A program in Java. It is compiled into a folder of classes.
    pub(crate) const fn java(source: &'static str) -> Program {
        Program {
            source,
            compiler: ("javac", "default-jdk-headless"),
            options: &[],
        }
    }

    /// A program in C, with glibc.
    pub(crate) const fn c(source: &'static str) -> Program {
        let options = &["-O1", "-g", "-Wall", "-Werror", "-pthread"];
        Program {
            source,
            compiler: ("gcc", "gcc"),
            options,
        }
    }

    /// A program in C++, with libstdc++.
    pub(crate) const fn cpp(source: &'static str) -> Program {
        let options = &["-O1", "-g", "-Wall", "-Werror", "-pthread"];
        Program {
            source,
            compiler: ("g++", "g++"),
            options,
        }
    }

    /// A program in C, statically linked with musl.
    pub(crate) const fn musl(source: &'static str) -> Program {
        let options = &["-O1", "-g", "-Wall", "-Werror", "-static"];
        Program {
            source,
            compiler: ("musl-gcc", "musl-tools"),
            options,
        }
    }

    /// A 32-bit program in C, without a library.
    pub(crate) const fn c32(source: &'static str) -> Program {
        let options = &[
            "-m32",
            "-O1",
            "-g",
            "-nostdlib",
            "-static",
            "-ffreestanding",
            "-fno-pic",
        ];
        Program {
            source,
            compiler: ("gcc", "gcc"),
            options,
        }
    }

    /// A program in Go.
    pub(crate) const fn go(source: &'static str) -> Program {
        Program {
            source,
            compiler: ("go", "golang-go"),
            options: &["build"],
        }
    }
}

/// Compiles the program, unless that was done already. Returns the path of the result.
///
/// # Panics
/// If it cannot be compiled.
pub(crate) fn compile(program: &Program) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/programs")
        .join(program.source);
    let folder = target_dir().join("test-programs");
    std::fs::create_dir_all(&folder).expect("a folder under the target folder");
    let exe = folder.join(program.file_name());
    let _lock = super::only_one("compile");
    if modified(&exe) < modified(&source) {
        build(program, &source, &exe);
    }
    exe
}

fn build(program: &Program, source: &Path, exe: &Path) {
    let (compiler, package) = program.compiler;
    super::judge(compiler, package);
    let new = exe.with_extension("new");
    let mut command = Command::new(compiler);
    let output = if compiler == "javac" { "-d" } else { "-o" };
    command
        .args(program.options)
        .arg(output)
        .arg(&new)
        .arg(source);
    command
        .env("GOCACHE", target_dir().join("go-cache"))
        .env("GO111MODULE", "off");
    let output = command.output().expect("a compiler");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}:\n{said}");
    // rename(2) can replace only an empty folder.
    let _ = std::fs::remove_dir_all(exe);
    std::fs::rename(&new, exe).expect("the new program");
}

fn modified(file: &Path) -> SystemTime {
    file.metadata()
        .and_then(|m| m.modified())
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Cargo's target folder.
pub(crate) fn target_dir() -> PathBuf {
    let exe = Path::new(env!("CARGO_BIN_EXE_firstchance"));
    exe.ancestors()
        .nth(2)
        .expect("target/debug/firstchance")
        .to_owned()
}
