//! Processes in unusual states.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use victim::Slot;

use super::Mode;
use super::mapping::{Mapping, check};
use crate::harness::{Harness, Outcome, die_with_parent, rest};

#[rustfmt::skip]
pub(super) const MODES: &[Mode] = &[
    Mode { name: "vfork", args: "", about: "waits for a child that shares its memory", run: vfork },
    Mode { name: "zombie-leader", args: "", about: "the first thread has ended, another lives on", run: zombie_leader },
    Mode { name: "exec-by-thread", args: "", about: "a thread that is not the first executes `idle` on input", run: exec_by_thread },
    Mode { name: "deleted-exe", args: "FOLDER", about: "runs from a file that is no longer there", run: deleted_exe },
    Mode { name: "undumpable", args: "", about: "has forbidden that its memory is looked at", run: undumpable },
    Mode { name: "unlinked", args: "", about: "what deleted-exe runs: removes its own file", run: unlinked },
];

/// Starts a child that shares our memory and sleeps for ever on a stack of its own. The parent
/// stands in clone(2) until the child ends, in a sleep that no stop interrupts.
fn vfork(harness: &Harness) -> Outcome {
    extern "C" fn child(_: *mut libc::c_void) -> i32 {
        die_with_parent();
        loop {
            // SAFETY: pause(2) takes no arguments.
            unsafe { libc::pause() };
        }
    }
    harness.ready();
    let stack = Mapping::anonymous(64 << 10)?;
    let top = stack.start.wrapping_add(stack.bytes);
    let flags = libc::CLONE_VFORK | libc::CLONE_VM | libc::SIGCHLD;
    // SAFETY: the child has a stack of its own, touches no other memory and never returns.
    check(unsafe { libc::clone(child, top.cast(), flags, std::ptr::null_mut()) })?;
    Ok(())
}

fn zombie_leader(harness: &Harness) -> Outcome {
    std::thread::scope(|scope| {
        let worker = std::thread::Builder::new().name("survivor".to_owned());
        worker.spawn_scoped(scope, || {
            wait_until_zombie();
            harness.ready();
            loop {
                harness.state.count(Slot::Counter);
                std::thread::sleep(Duration::from_micros(100));
            }
        })?;
        // SAFETY: it ends this thread and nothing else, without running destructors. What the other
        // thread borrows lies on the stack of the first thread, which nobody frees.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
        Ok(())
    })
}

fn wait_until_zombie() {
    let is_zombie = |stat: String| {
        stat.rsplit(')')
            .next()
            .is_some_and(|s| s.trim().starts_with('Z'))
    };
    let path = format!("/proc/{}/stat", std::process::id());
    while !std::fs::read_to_string(&path).is_ok_and(is_zombie) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Executes `victim idle` from a thread that is not the first, when a line of input comes. The new
/// program says `ready` again.
fn exec_by_thread(harness: &Harness) -> Outcome {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_line(&mut String::new());
        let error = Command::new("/proc/self/exe").arg("idle").exec();
        eprintln!("victim: {error}");
        std::process::abort()
    });
    harness.ready();
    rest()
}

fn deleted_exe(harness: &Harness) -> Outcome {
    let copy = Path::new(harness.text(0)?).join("gone");
    std::fs::copy(std::env::current_exe()?, &copy)?;
    Err(Command::new(copy).arg("unlinked").exec().into())
}

fn unlinked(harness: &Harness) -> Outcome {
    std::fs::remove_file(std::env::current_exe()?)?;
    harness.serve(|_| {})
}

fn undumpable(harness: &Harness) -> Outcome {
    // SAFETY: prctl(2) takes plain numbers here.
    check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0) })?;
    harness.serve(|_| {})
}
