//! ProcDump's `-md`: a DLL chooses what is in a dump.

use std::path::{Path, PathBuf};

use minidump::{Minidump, MinidumpModuleList, MinidumpThreadList, Module as _};
use tempfile::TempDir;

use crate::machine::{firstchance, programs, started, victim, windows_path};
use crate::others::{DLL, WIDE, mingw, program};
use crate::registry::Registry;
use crate::support::{
    Firstchance, Program, Victim, compile, files_in, folder, holds, lldb, stackwalk,
};

/// The DLL, compiled against Microsoft's structures as mingw has them.
pub(crate) const CHOOSES: Program = mingw(WIDE, "chooses.c").with(DLL);

fn dll(folder: &TempDir) -> PathBuf {
    let path = folder.path().join("chooses.dll");
    std::fs::copy(compile(&CHOOSES), &path).expect("a copy");
    path
}

fn procdump(target: &Victim, dll: &Path, switches: &[&str]) -> Firstchance {
    let command = firstchance(&["procdump", "-md", &windows_path(dll)]).args(switches);
    command
        .args(&[&target.pid_text()])
        .env("CHOSEN_BLOCK", target.fact("block"))
        .env("CHOSEN_EXCLUDED", target.fact("excluded"))
        .env("CHOSEN_BARE", target.fact("bare"))
}

#[test]
fn n49_a_dll_chooses_threads_modules_and_memory() {
    let (libraries, dumps) = (folder(), folder());
    let target = started(&program(&libraries, "offers.c"), &[]);
    let to = dumps.path().join("chosen.dmp");
    let command = procdump(&target, &dll(&libraries), &[]);
    let run = command.arg(windows_path(&to)).run_well();
    for told in [
        "told thread on its stack by its handle 1232",
        "told module offers.exe is an image",
        "told module ntdll.dll is an image",
        "warning: the callback routine added 24 bytes that the process does not have",
    ] {
        run.assert_says(told);
    }
    let said = format!("{run:?}");
    assert!(!said.contains("elsewhere") && !said.contains("unknown") && !said.contains("asked of"));

    let dump = Minidump::read_path(&to).expect("a minidump");
    let memory = dump.get_memory().expect("memory");
    let block = target.address("block");
    for (page, expected) in [(0, Some("page-a")), (1, None), (2, Some("page-c"))] {
        let at = block + 4096 * page + 100;
        let range = memory.memory_at_address(at);
        let found = range.map(|range| {
            let offset = (at - range.base_address()) as usize;
            String::from_utf8_lossy(&range.bytes()[offset..offset + 6]).into_owned()
        });
        assert_eq!(found.as_deref(), expected);
    }
    let bytes = std::fs::read(&to).expect("a dump");
    assert!(!holds(&bytes, "never-chosen")[0]);

    let threads = dump.get_stream::<MinidumpThreadList>().expect("threads");
    let ids = [target.fact("excluded"), target.fact("bare")];
    let [excluded, bare] = ids.map(|id| threads.get_thread(id.parse().expect("an id")));
    assert!(excluded.is_none() && threads.threads.len() == 2);
    assert_eq!(bare.expect("it is there").raw.stack.memory.data_size, 0);
    let modules = dump.get_stream::<MinidumpModuleList>().expect("modules");
    let has = |end: &str| {
        modules
            .iter()
            .any(|module| module.code_file().ends_with(end))
    };
    assert!(has("offers.exe") && has("ntdll.dll") && !has("msvcrt.dll"));
    let program = modules.main_module().expect("the program");
    let code = program.base_address() + 0x1000;
    assert!(memory.memory_at_address(code).is_some(), "its code");

    assert_eq!(stackwalk(&to)["thread_count"], 2);
    let seen = lldb(&to, None, &["thread list", "image list"]);
    assert!(
        seen.contains("offers.exe") && !seen.contains("msvcrt"),
        "{seen}"
    );
    let record = Firstchance::new(&["inspect", to.to_str().expect("a plain path")]).run_well();
    record
        .assert_says("callback dump")
        .assert_says("added 24 bytes");
}

#[test]
fn n49_a_callback_dump_beside_another_has_its_kind_in_its_name() {
    let (libraries, dumps) = (folder(), folder());
    let target = started(&program(&libraries, "offers.c"), &[]);
    let command = procdump(&target, &dll(&libraries), &["-mm"]);
    let to = windows_path(&dumps.path().join("x.dmp"));
    command.arg(to).run_well();
    let expected = ["x_callback.dmp", "x_mini.dmp"].map(|name| dumps.path().join(name));
    assert_eq!(files_in(dumps.path()), expected);
    let [chosen, mini] = expected.map(|path| stackwalk(&path)["thread_count"].clone());
    assert_eq!((chosen, mini), (2.into(), 3.into()));
}

#[test]
fn n49_a_dll_cancels_a_dump_and_the_target_runs_on() {
    let (libraries, dumps) = (folder(), folder());
    let target = started(&program(&libraries, "offers.c"), &[]);
    let to = windows_path(&dumps.path().join("x.dmp"));
    let command = procdump(&target, &dll(&libraries), &[]).arg(&to);
    let run = command.env("CHOSEN_CANCEL", "1").run();
    run.assert_failed()
        .assert_says("the callback routine cancelled the dump");
    assert!(files_in(dumps.path()).is_empty());
    firstchance(&["procdump", &target.pid_text(), &to]).run_well();
}

#[test]
fn n49_a_dll_that_crashes_takes_firstchance_with_it_and_the_target_runs_on() {
    // Wine starts its own debugger, and none that another test has named.
    let _registry = Registry::clean();
    let (libraries, dumps) = (folder(), folder());
    let target = started(&program(&libraries, "offers.c"), &[]);
    let to = dumps.path().join("x.dmp");
    let command = procdump(&target, &dll(&libraries), &[]).arg(windows_path(&to));
    let run = command.env("CHOSEN_CRASH", "1").run();
    assert!(!run.stdout.contains("complete") && !to.exists(), "{run:#?}");
    // It is not stopped, and nobody debugs it any more.
    let again = firstchance(&["procdump", &target.pid_text(), &windows_path(&to)]);
    again.run_well();
    assert_eq!(stackwalk(&to)["thread_count"], 3);
}

#[test]
fn n49_a_dll_that_cannot_choose_is_refused_before_anything_is_touched() {
    let (libraries, dumps) = (folder(), folder());
    let mut victim = victim(&["spin", "1"]);
    let text = libraries.path().join("text.dll");
    std::fs::write(&text, "no library").expect("a file");
    let missing = libraries.path().join("missing.dll");
    let other = programs().join("bcryptprimitives.dll");
    for (dll, said) in [
        (text, "cannot be loaded"),
        (missing, "cannot be loaded"),
        (other, "does not export MiniDumpCallbackRoutine"),
    ] {
        let pid = victim.pid_text();
        let run = firstchance(&["procdump", "-md", &windows_path(&dll), &pid]);
        let run = run.current_dir(dumps.path()).run();
        run.assert_code(2).assert_says(said);
        assert!(!run.stdout.contains("initiated"), "{run:#?}");
        assert!(files_in(dumps.path()).is_empty());
    }
    victim.assert_alive();
    // A rule alone names no DLL.
    let rule = ["--when", "now", "--do", "callback dump"];
    let watch = firstchance(&["watch", &victim.pid_text()]).args(&rule);
    watch.run().assert_failed().assert_says("procdump -md DLL");
}
