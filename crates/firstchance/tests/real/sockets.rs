//! What a dump tells of the sockets of its process.

use std::path::Path;
use std::process::Command;

use crate::support::{Child, Firstchance, Program, compile, file_in, folder};

const SOCKETS: Program = Program::c("sockets.c");

/// The names of the sockets in a dump.
fn sockets_in(dump: &Path) -> Vec<String> {
    let json = Firstchance::new(&["inspect", "--json"])
        .arg(dump)
        .run_well();
    let json: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    let handles = json["handles"].as_array().expect("handles");
    let sockets = handles.iter().filter(|handle| handle["kind"] == "socket");
    let names = sockets.filter_map(|socket| socket["name"].as_str());
    names.map(str::to_owned).collect()
}

/// Asserts that the sockets of the program `sockets` are told, with the process at their other ends.
#[track_caller]
pub(crate) fn assert_told(dump: &Path, said: &str, path: &Path) {
    let (other, port) = said.split_once(' ').expect("a pid and a port");
    let told = sockets_in(dump);
    let path = path.display();
    for parts in [
        [format!("tcp 127.0.0.1:{port}, listening"), String::new()],
        [
            format!("tcp 127.0.0.1:{port} → 127.0.0.1:"),
            format!("(pid {other})"),
        ],
        [format!("unix {path}, listening"), String::new()],
        [
            format!("unix {path}, established, 5 bytes unread"),
            format!("(pid {other})"),
        ],
    ] {
        let is_told = |name: &String| parts.iter().all(|part| name.contains(part.as_str()));
        assert!(told.iter().any(is_told), "{parts:?}: {told:#?}");
    }
}

#[test]
fn the_sockets_of_a_process_are_told_and_which_process_has_their_other_ends() {
    let folder = folder();
    let path = file_in(&folder, "socket");
    let mut child = Child::start(Command::new(compile(&SOCKETS)).arg(&path).arg("wait"));
    let said = child.line();
    for (name, options) in [("x.dmp", &["--mini"][..]), ("x.core", &["--full"])] {
        let dump = file_in(&folder, name);
        Firstchance::dump(child.pid(), options, &dump).run_well();
        assert_told(&dump, &said, &path);
        let text = Firstchance::new(&["inspect"]).arg(&dump).run_well().stdout;
        let (other, _) = said.split_once(' ').expect("a pid");
        let waits = text
            .lines()
            .find(|line| line.contains("waits to receive from descriptor"));
        let waits = waits.unwrap_or_else(|| panic!("{text}"));
        assert!(waits.contains(&format!("(pid {other})")), "{waits}");
    }
    child.kill();
}

/// Its sockets are in no list of ours.
#[test]
fn the_sockets_of_a_process_in_another_network_are_told() {
    let folder = folder();
    let path = file_in(&folder, "socket");
    let mut command = Command::new("unshare");
    let up = "ip link set lo up && exec \"$0\" \"$1\" wait";
    command
        .args(["--net", "sh", "-c", up])
        .arg(compile(&SOCKETS))
        .arg(&path);
    let mut child = Child::start(&mut command);
    let said = child.line();
    let dump = file_in(&folder, "x.dmp");
    Firstchance::dump(child.pid(), &["--mini"], &dump).run_well();
    assert_told(&dump, &said, &path);
    child.kill();
}
