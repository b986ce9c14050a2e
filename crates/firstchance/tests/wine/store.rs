//! ProcDump's `-y`: a Store application. Wine has none, so that a COM server of our own, built against Microsoft's
//! interface, starts a program in its place.

use std::path::Path;

use crate::machine::{firstchance, victim_copy, windows_path};
use crate::others::{DLL, WIDE, mingw};
use crate::registry::{ACTIVATION, Registry};
use crate::support::{Firstchance, Run, compile, files_in, folder, stackwalk};

const APPLICATION: &str = "Contoso.Editor_8wekyb3d8bbwe!App";

/// Registers the server in the prefix, until the registry is reset.
fn register(registry: &Registry, folder: &Path) {
    let dll = folder.join("activates.dll");
    std::fs::copy(compile(&mingw(WIDE, "activates.c").with(DLL)), &dll).expect("a copy");
    let server = format!(r"{ACTIVATION}\InprocServer32");
    registry.set_default(&server, &windows_path(&dll));
    registry.set(&server, "ThreadingModel", "REG_SZ", "Both");
}

/// `procdump -ma -k -y -x FOLDER APPLICATION ARGUMENTS`, where the application is this program.
fn started(dumps: &Path, application: &str, program: &Path, arguments: &[&str]) -> Run {
    let place = windows_path(dumps);
    let words = ["procdump", "-ma", "-k", "-y", "-x", &place, application];
    let command = firstchance(&words).args(arguments);
    command.env("STORE_PROGRAM", &windows_path(program)).run()
}

#[test]
fn n49_a_store_application_is_started_and_dumped() {
    let (registry, programs, dumps) = (Registry::clean(), folder(), folder());
    register(&registry, programs.path());
    let program = victim_copy(programs.path(), "editor.exe");
    let arguments = ["idle", "-ap", "a b", r#"say "x""#];
    let run = started(dumps.path(), APPLICATION, &program, &arguments);
    run.assert_code(0).assert_says("Dump count reached.");
    let files = files_in(dumps.path());
    assert_eq!(files.len(), 1);
    let name = files[0].file_name().expect("a name").to_string_lossy();
    assert!(name.starts_with("editor.exe_"), "{name}");
    let walked = stackwalk(&files[0]);
    assert_eq!(walked["threads"][0]["frames"][0]["module"], "ntdll.dll");
    let dump = Firstchance::new(&["inspect", files[0].to_str().expect("a plain path")]);
    let shown = dump.run_well().stdout;
    assert!(
        shown.contains("idle -ap") && shown.contains("a b"),
        "{shown}"
    );
    let left = firstchance(&["ps", "editor.exe"]).run().stdout;
    assert!(!left.contains("editor.exe"), "-k ended it: {left}");

    let other = started(dumps.path(), "Contoso.Other!App", &program, &[]);
    let said = "starting the Store application Contoso.Other!App failed: ";
    other.assert_code(1).assert_says(said);
    assert_eq!(files_in(dumps.path()), files);
}

#[test]
fn n49_without_store_applications_an_error_says_so() {
    let (_registry, dumps) = (Registry::clean(), folder());
    let run = started(dumps.path(), APPLICATION, Path::new("/no/program"), &[]);
    run.assert_code(1)
        .assert_says("this Windows has no Store applications");
    assert!(files_in(dumps.path()).is_empty());
    let alone = firstchance(&["procdump", "-y", "some.exe"]).run();
    alone.assert_code(2).assert_says("-y needs -x FOLDER IMAGE");
}
