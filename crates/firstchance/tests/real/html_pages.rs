//! The page of HTML that `inspect` writes of a dump.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::{Path, PathBuf},
};

use crate::support::{Firstchance, compile, file_in, folder};
use crate::waits::{DEADLOCK, locked_up};

/// The name of a dump that is no UTF-8, and would be markup if a page obeyed it.
const EVIL: &[u8] = b"<img src=x onerror=alert(1)>\xff\x1b.core";

fn dumped(folder: &tempfile::TempDir) -> PathBuf {
    let path = file_in(folder, "x.core");
    let child = locked_up(&compile(&DEADLOCK));
    Firstchance::dump(child.pid(), &["--mini"], &path).run_well();
    path
}

fn inspect(dumps: &[&Path], options: &[&str], out: &Path) -> Firstchance {
    let inspect = Firstchance::new(&["inspect"]).args(options).arg("--html");
    dumps.iter().fold(inspect.arg(out), Firstchance::arg)
}

#[test]
fn a_page_draws_a_deadlock_and_is_for_its_owner_alone() {
    let folder = folder();
    let dump = folder.path().join(OsStr::from_bytes(EVIL));
    fs::rename(dumped(&folder), &dump).expect("another name");
    let out = file_in(&folder, "page.html");
    let run = inspect(&[&dump], &[], &out).run_well();
    assert_eq!(run.stdout, format!("Page: {}\n", out.display()));
    let mode = fs::metadata(&out).expect("the page").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let page = fs::read_to_string(&out).expect("UTF-8");
    assert!(page.contains("<h1>&lt;img src=x onerror=alert(1)&gt;\u{fffd}\\u{1b}.core</h1>"));
    assert!(
        page.contains(
            "aria-label=\"A circle: thread-a → customers → thread-b → orders → thread-a\""
        )
    );
    for line in [
        "Deadlock: thread ",
        "waits for the read lock prices",
        "deadlock-c!main+",
    ] {
        assert!(page.contains(line), "{line} is not in: {page}");
    }
}

#[test]
fn a_page_is_never_written_over_a_file_and_goes_with_json() {
    let folder = folder();
    let dump = dumped(&folder);
    let out = file_in(&folder, "page.html");
    fs::write(&out, "mine").expect("a file");
    let refused = inspect(&[&dump], &[], &out).run();
    refused
        .assert_code(6)
        .assert_says("already exists and was left as it is. Name another file with --html.");
    assert_eq!(fs::read_to_string(&out).expect("the file"), "mine");
    let nowhere = file_in(&folder, "nowhere/page.html");
    let refused = inspect(&[&dump], &[], &nowhere).run();
    refused
        .assert_code(6)
        .assert_says("nowhere/page.html failed: No such file or directory");
    let other = file_in(&folder, "other.html");
    let both = inspect(&[&dump], &["--json"], &other).run_well();
    let json: serde_json::Value = serde_json::from_str(&both.stdout).expect("JSON alone");
    assert_eq!(json["deadlocks"].as_array().map(Vec::len), Some(1));
    assert!(other.exists());
    let series = file_in(&folder, "series.html");
    inspect(&[&dump, &dump], &[], &series).run_well();
    let page = fs::read_to_string(&series).expect("the page");
    assert!(page.contains("<h1>2 dumps of "), "{page}");
}
