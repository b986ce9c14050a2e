//! Packs of `dumps export`, opened as on another machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Firstchance, Postmortem, Program, compile};

/// An unpacked pack, in a folder of its own.
struct Unpacked {
    _folder: tempfile::TempDir,
    inside: PathBuf,
}

impl Unpacked {
    fn of(pack: &Path) -> Unpacked {
        let folder = crate::support::folder();
        let mut tar = Command::new("tar");
        let status = tar.arg("xzf").arg(pack).arg("-C").arg(folder.path());
        assert!(status.status().unwrap().success());
        let inside = crate::support::files_in(folder.path()).remove(0);
        Unpacked {
            _folder: folder,
            inside,
        }
    }

    fn read(&self, name: &str) -> serde_json::Value {
        let text = std::fs::read(self.inside.join(name)).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    /// The output of the command that the README in the pack names.
    fn as_the_readme_says(&self, program: &str, more: &[&str]) -> String {
        let readme = std::fs::read_to_string(self.inside.join("README.txt")).unwrap();
        let mut lines = readme.lines().map(str::trim);
        let command = lines.find(|line| line.starts_with(program));
        let command = command.unwrap_or_else(|| panic!("no {program} in {readme}"));
        let command = [&[command], more].concat().join(" ");
        let mut shell = Command::new("sh");
        let output = shell.args(["-c", &command]).current_dir(&self.inside);
        let output = output.env("DEBUGINFOD_URLS", "").output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).into_owned()
    }
}

fn export(machine: &Postmortem, dump: &Path) -> PathBuf {
    let pack = machine.program.with_extension("tar.gz");
    let run = Firstchance::new(&["dumps", "export"]).arg(dump);
    run.arg("-o").arg(&pack).run_well().assert_says("Packed");
    pack
}

#[test]
fn an_exported_dump_is_opened_elsewhere_with_what_came_along() {
    let machine = Postmortem::enabled(&[]);
    machine.crash(&["threads=2", "end=segv"]);
    let dump = machine.only_dump();
    let pack = Unpacked::of(&export(&machine, &dump));
    // As on another machine: neither the dump nor the program is where it was.
    std::fs::remove_file(&dump).unwrap();
    std::fs::remove_file(&machine.program).unwrap();

    let commands = ["-nx -batch -ex 'bt' -ex 'info sharedlibrary'"];
    let told = pack.as_the_readme_says("gdb", &commands);
    assert!(told.contains("boom (place="), "{told}");
    let libc = told.lines().find(|line| line.contains("libc.so")).unwrap();
    assert!(libc.contains("root/") && libc.contains("Yes"), "{told}");
    let told = pack.as_the_readme_says("lldb", &["--batch --no-lldbinit -o bt"]);
    assert!(told.contains("boom(place="), "{told}");

    assert_eq!(pack.read("record.json")["method"], "crash");
    let manifest = pack.read("manifest.json");
    let modules = manifest["modules"].as_array().unwrap();
    let program = modules
        .iter()
        .find(|module| module["path"] == machine.program.to_str().unwrap());
    assert_eq!(program.unwrap()["verified"], true, "{manifest}");
    assert!(
        modules.iter().all(|module| module["missing"].is_null()),
        "{manifest}"
    );
}

#[test]
fn an_exported_minidump_is_opened_elsewhere() {
    let machine = Postmortem::enabled(&[]);
    machine.set(&machine.program, &["--type", "mini"]);
    machine.crash(&["end=segv"]);
    let pack = Unpacked::of(&export(&machine, &machine.only_dump()));
    std::fs::remove_file(&machine.program).unwrap();
    let told = pack.as_the_readme_says("lldb", &["--batch --no-lldbinit -o bt"]);
    assert!(told.contains("boom(place="), "{told}");
}

#[test]
fn what_is_another_build_by_now_is_named_and_not_exported() {
    let machine = Postmortem::enabled(&[]);
    machine.set(&machine.program, &["--type", "mini"]);
    machine.crash(&["end=segv"]);
    let other = compile(&Program::cpp("throws.cpp"));
    std::fs::copy(other, machine.program.with_extension("new")).unwrap();
    std::fs::rename(machine.program.with_extension("new"), &machine.program).unwrap();
    let pack = Unpacked::of(&export(&machine, &machine.only_dump()));
    let manifest = pack.read("manifest.json");
    let modules = manifest["modules"].as_array().unwrap();
    let missing = modules.iter().find(|module| !module["missing"].is_null());
    let missing = missing.unwrap_or_else(|| panic!("{manifest}"));
    assert_eq!(missing["path"], machine.program.to_str().unwrap());
    assert!(
        missing["missing"]
            .as_str()
            .unwrap()
            .contains("another build")
    );
    assert!(
        !pack
            .inside
            .join("root")
            .join(machine.program.strip_prefix("/").unwrap())
            .exists()
    );
    let readme = std::fs::read_to_string(pack.inside.join("README.txt")).unwrap();
    assert!(readme.contains("another build"), "{readme}");
}

#[test]
fn a_pack_is_private_and_replaces_nothing() {
    use std::os::unix::fs::MetadataExt as _;
    let machine = Postmortem::enabled(&[]);
    machine.crash(&["end=segv"]);
    let dump = machine.only_dump();
    let pack = export(&machine, &dump);
    assert_eq!(pack.metadata().unwrap().mode() & 0o777, 0o600);
    let zip = Firstchance::new(&["dumps", "export"]).arg(&dump);
    zip.args(&["-o", "x.zip"]).run().assert_code(2);
}

#[test]
fn n37_a_pack_that_exists_is_left_and_one_without_a_name_gets_the_next() {
    let machine = Postmortem::enabled(&[]);
    machine.set(&machine.program, &["--type", "mini"]);
    machine.crash(&["end=segv"]);
    let dump = machine.only_dump();
    let pack = export(&machine, &dump);
    let first = std::fs::read(&pack).unwrap();
    let again = Firstchance::new(&["dumps", "export"]).arg(&dump);
    let again = again.arg("-o").arg(&pack).run();
    again
        .assert_code(6)
        .assert_says("already exists and was left as it is");
    assert!(again.stderr.contains("Name another file"), "{again:#?}");
    assert_eq!(std::fs::read(&pack).unwrap(), first);
    let folder = crate::support::folder();
    for _ in 0..2 {
        let run = Firstchance::new(&["dumps", "export"]).arg(&dump);
        run.current_dir(folder.path()).run_well();
    }
    let stem = dump.file_stem().unwrap().to_str().unwrap();
    let expected = ["-1.tar.gz", ".tar.gz"].map(|end| folder.path().join(format!("{stem}{end}")));
    assert_eq!(crate::support::files_in(folder.path()), expected);
}

/// A user who was dumped puts links and devices where libraries were, for root to open them.
#[test]
fn n37_root_opens_and_packs_nothing_that_the_user_may_not_read() {
    let machine = Postmortem::enabled(&[]);
    let mine = machine.program.with_file_name("mine");
    std::fs::create_dir(&mine).unwrap();
    std::os::unix::fs::chown(&mine, Some(1000), Some(1000)).unwrap();
    let (program, secret) = (
        mine.join("program"),
        machine.program.with_file_name("secret"),
    );
    std::fs::copy(&machine.program, &program).unwrap();
    // The same build, which only root may read.
    std::fs::copy(&machine.program, &secret).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&secret, private).unwrap();
    machine.set(&program, &["--type", "mini"]);
    let mut by_user = Command::new("setpriv");
    by_user.args(["--reuid=1000", "--regid=1000", "--clear-groups"]);
    by_user.arg(&program).arg("end=segv").status().unwrap();
    let dump = machine.only_dump();
    let packed = || {
        let file = export(&machine, &dump);
        let manifest = Unpacked::of(&file).read("manifest.json");
        std::fs::remove_file(file).unwrap();
        let modules = manifest["modules"].as_array().unwrap().clone();
        let own = modules
            .into_iter()
            .find(|module| module["path"] == program.to_str().unwrap());
        own.expect("the program")["file"].is_string()
    };
    assert!(packed(), "what the user may read is packed");
    std::fs::remove_file(&program).unwrap();
    std::os::unix::fs::symlink(&secret, &program).unwrap();
    assert!(!packed(), "not what only root may read");
    std::fs::remove_file(&program).unwrap();
    let trace = machine.program.with_extension("trace");
    for special in [&["mkfifo"][..], &["mknod", "-m", "666"]] {
        let mut make = Command::new(special[0]);
        make.args(&special[1..]).arg(&program);
        let device: &[&str] = if special.len() > 1 {
            &["c", "1", "3"]
        } else {
            &[]
        };
        assert!(make.args(device).status().unwrap().success());
        assert!(!packed());
        let strace = [
            "strace",
            "-fqqe",
            "trace=open,openat",
            "-o",
            trace.to_str().unwrap(),
        ];
        Firstchance::by(&strace)
            .args(&["inspect"])
            .arg(&dump)
            .run_well();
        let calls = std::fs::read_to_string(&trace).unwrap();
        let opened = calls
            .lines()
            .filter(|call| call.contains(program.to_str().unwrap()));
        let opened: Vec<_> = opened.filter(|call| !call.contains("O_PATH")).collect();
        assert_eq!(opened, [""; 0]);
        std::fs::remove_file(&program).unwrap();
    }
}
