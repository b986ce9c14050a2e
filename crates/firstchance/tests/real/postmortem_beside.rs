//! The handler of crashes beside a watch or a dump of the process that crashes.

use crate::support::{Child, Firstchance, Postmortem, folder, state_of, wait_until};

/// The watch leaves the process while the kernel writes its core for the handler. A thread that is asked to stop breaks that
/// off: three of four crashes were those of `unknown`.
#[test]
fn n45_a_crash_that_a_script_waits_for_has_a_dump_of_the_handler_too() {
    const CRASHES: usize = 4;
    let machine = Postmortem::enabled(&["--repeat-window", "0s"]);
    for crash in 1..=CRASHES {
        let dumps = folder();
        let mut child = Child::start(&mut machine.command(&["mib=8", "threads=3", "end=wait"]));
        child.lines_until("ready");
        let words = ["procdump", "--linux", "-log", "stdout", "-sig", "6"];
        let watch = Firstchance::new(&words).args(&[&child.pid().to_string()]);
        let watch = watch.arg(dumps.path()).spawn();
        let watch = watch.until_it_says("from now on nothing is missed");
        send(child.pid(), libc::SIGABRT);
        let run = watch.finish();
        run.assert_code(0);
        child.wait();
        let of_handler = machine.dumps();
        assert_eq!(of_handler.len(), crash, "{of_handler:?} {run:#?}");
        for dump in of_handler {
            let record = machine.record(&dump);
            assert_eq!(record["complete"], true, "{record}");
            let name = machine.program.file_name().and_then(|name| name.to_str());
            assert_eq!(record["process"].as_str(), name, "{record}");
        }
    }
}

/// Also where somebody asks for a dump of it just then.
#[test]
fn n10_a_process_whose_core_is_being_written_is_not_stopped() {
    let machine = Postmortem::enabled(&[]);
    machine.failpoint("crash-begin:stop");
    let mut child = machine.command(&["mib=8", "end=segv"]).spawn().expect("it");
    let handler = machine.handler_of(child.id());
    wait_until("the handler stands", || state_of(handler) == 'T');
    let dumps = folder();
    let run = Firstchance::new(&["dump", &child.id().to_string(), "-o"]);
    let run = run.arg(dumps.path()).run();
    run.assert_code(5);
    assert!(run.stderr.contains("is writing its core"), "{run:#?}");
    send(handler, libc::SIGCONT);
    child.wait().expect("it has ended");
    let record = machine.record(&machine.only_dump());
    assert_eq!(record["complete"], true, "{record}");
}

fn send(pid: u32, signal: i32) {
    // SAFETY: kill(2) takes plain numbers.
    unsafe { libc::kill(pid as i32, signal) };
}
