//! Programs brought to stand at a place: gdb breaks there and writes a core.

use crate::core::{self, CoreMemory};
use analysis::places::{Spot, ThrowPlace, Thrower, throw_places};
use analysis::thrown::{Thrown, thrown};
use snapshot::{Memory, Registers};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

/// A program that waits for a line before it goes on.
pub(crate) struct Waiting {
    child: Child,
    folder: TempDir,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Waiting {
    /// Starts a program; returns when it has written a line.
    pub(crate) fn start(command: &mut Command) -> Waiting {
        let folder = tempfile::tempdir().unwrap();
        let line = folder.path().join("line");
        succeed(Command::new("mkfifo").arg(&line));
        // Open both ways, so that it neither blocks here nor ends there.
        let stdin = std::fs::File::options()
            .read(true)
            .write(true)
            .open(&line)
            .unwrap();
        command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let mut ready = String::new();
        let out = child.stdout.as_mut().unwrap();
        BufReader::new(out).read_line(&mut ready).unwrap();
        assert!(!ready.is_empty(), "{command:?}");
        Waiting { child, folder }
    }

    /// Whether it comes to a spot of an image before it ends.
    #[allow(dead_code, reason = "not every test asks it")]
    pub(crate) fn comes_to(&self, image: &Path, spot: Spot) -> bool {
        let output = self.run_to(self.address(image, spot));
        String::from_utf8_lossy(&output.stdout).contains("Breakpoint 1,")
    }

    /// Lets it run until it comes to a spot of an image.
    pub(crate) fn at(&self, image: &Path, spot: Spot) -> (Registers, Stood) {
        let address = self.address(image, spot);
        let files = self.mapped();
        let output = self.run_to(address);
        let core = self.folder.path().join("core");
        let bytes = std::fs::read(&core).unwrap_or_else(|e| panic!("{e}: {output:?}"));
        let (snapshot, core) = core::read(bytes);
        let registers = snapshot
            .threads
            .iter()
            .filter_map(|thread| thread.registers);
        let stands = registers.into_iter().find(|r| r.ip() == address);
        let registers = stands.unwrap_or_else(|| panic!("{output:?}"));
        (registers, Stood { core, files })
    }

    /// Lets it run until it comes to an address, and writes a core then.
    fn run_to(&self, address: u64) -> Output {
        let [core, line] = ["core", "line"].map(|name| self.folder.path().join(name));
        Command::new("gdb")
            .args(["-batch", "-nx", "-p", &self.child.id().to_string()])
            .args(["-ex", "handle all nostop noprint pass"])
            .args(["-ex", &format!("break *{address:#x}")])
            .args(["-ex", &format!("shell echo > {}", line.display())])
            .args(["-ex", "continue"])
            .args(["-ex", &format!("generate-core-file {}", core.display())])
            .output()
            .unwrap()
    }

    /// Where a spot of a file was mapped to.
    fn address(&self, image: &Path, spot: Spot) -> u64 {
        let image = std::fs::canonicalize(image).unwrap();
        let of_image = self.mapped().into_iter().filter(|m| m.path == image);
        let skip = |m: &Mapped| spot.offset.checked_sub(m.offset);
        let holds = of_image
            .filter_map(|m| Some((m.start, m.end, skip(&m)?)))
            .find(|(start, end, skip)| *skip < end - start);
        let (start, _, skip) = holds.unwrap_or_else(|| panic!("{spot:?} of {}", image.display()));
        start + skip
    }

    fn mapped(&self) -> Vec<Mapped> {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", self.child.id())).unwrap();
        maps.lines().filter_map(mapped).collect()
    }

    /// What it throws at a place of an image.
    pub(crate) fn thrown(&self, image: &Path, place: &ThrowPlace) -> Option<Thrown> {
        let (registers, memory) = self.at(image, place.spot);
        let kind = place
            .type_key
            .and_then(|key| key.value(&registers, &memory));
        thrown(place, kind, &registers, &memory)
    }
}

/// Part of a file in memory.
struct Mapped {
    start: u64,
    end: u64,
    offset: u64,
    path: PathBuf,
}

/// A line of `/proc/PID/maps`.
fn mapped(line: &str) -> Option<Mapped> {
    let mut fields = line.split_ascii_whitespace();
    let number = |text| u64::from_str_radix(text, 16).ok();
    let (start, end) = fields.next()?.split_once('-')?;
    Some(Mapped {
        start: number(start)?,
        end: number(end)?,
        offset: number(fields.nth(1)?)?,
        path: fields.nth(2).filter(|path| path.starts_with('/'))?.into(),
    })
}

/// The memory of a program that stood: gdb leaves out of a core what a file holds as well.
pub(crate) struct Stood {
    core: CoreMemory,
    files: Vec<Mapped>,
}

impl Memory for Stood {
    fn read(&self, address: u64, buf: &mut [u8]) -> usize {
        match self.core.read(address, buf) {
            0 => self.read_file(address, buf).unwrap_or(0),
            count => count,
        }
    }
}

impl Stood {
    fn read_file(&self, address: u64, buf: &mut [u8]) -> Option<usize> {
        let mut files = self.files.iter();
        let part = files.find(|m| (m.start..m.end).contains(&address))?;
        let count = buf.len().min((part.end - address) as usize);
        let file = std::fs::File::open(&part.path).ok()?;
        let offset = part.offset + (address - part.start);
        file.read_at(&mut buf[..count], offset).ok()
    }
}

/// The only place of this kind in an image.
pub(crate) fn place(image: &Path, thrower: Thrower) -> ThrowPlace {
    let all = throw_places(&std::fs::read(image).unwrap());
    let mut of_kind = all.iter().filter(|place| place.thrower == thrower);
    let first = of_kind.next();
    let first = first.unwrap_or_else(|| panic!("{thrower:?} in {}: {all:?}", image.display()));
    assert_eq!(of_kind.next(), None, "{thrower:?} in {}", image.display());
    *first
}

/// A source file of the tests.
pub(crate) fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/programs")
        .join(name)
}

/// Runs a tool to its end.
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = command.output();
    let output = output.unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}
