//! The names of programs as they are executed. A program may be over before anybody can read its name: `/bin/true` lives
//! for a millisecond.
//!
//! A program at the kernel's tracepoint `sched:sched_process_exec` (include/trace/events/sched.h) runs in the process that
//! executes a program, and puts its names into a table. The kernel comes to it before it reports the process
//! (`exec_binprm` of fs/exec.c).

use super::{
    instructions::{Code, Condition, FRAME, Helper},
    pids::{Once, once},
    ring::text,
};
use crate::{
    linux::sys::{
        bpf::{self, ProgramType},
        perf, tracefs,
    },
    lock,
};
use std::{io, os::fd::OwnedFd, sync::Mutex};

/// The field of the tracepoint's record that we read, as its `format` file must describe it: the offset of the file's path
/// in the record in the lower half, its length in the upper one.
const FORMAT: &str = "field:__data_loc char[] filename;\toffset:8;";
const FILE_NAME: i16 = 8;

/// How many processes are remembered: those that have executed a program last.
const MOST: u32 = 4096;

/// The length in bytes of the name that the kernel keeps, and of the end of the path: it has room for the longest name.
const COMM_BYTES: usize = 16;
const PATH_BYTES: usize = 256;
const BYTES: usize = COMM_BYTES + PATH_BYTES;

/// Offsets on the program's stack.
const KEY: i16 = -8;
const COMM: i16 = KEY - BYTES as i16;
const PATH: i16 = COMM + COMM_BYTES as i16;

static NAMES: Once<ExecutedNames> = Mutex::new(None);

/// The names of programs that were executed of late.
pub(crate) struct ExecutedNames {
    map: OwnedFd,
    _event: OwnedFd,
}

impl ExecutedNames {
    /// Notes names from now on, for the rest of the run.
    ///
    /// # Errors
    /// If the kernel has no such tracepoint, or does not take the program, as without root.
    pub(crate) fn begin() -> io::Result<&'static Self> {
        once(&NAMES, Self::new, |_| Ok(()))
    }

    /// Returns the names that were noted of a process; none if none are [noted](Self::begin).
    pub(crate) fn noted(pid: u32) -> Vec<String> {
        let names = *lock(&NAMES);
        let names = names.and_then(|names| names.of(pid));
        names.map_or_else(Vec::new, Vec::from)
    }

    fn new() -> io::Result<Self> {
        super::expect_pids_of_the_machine()?;
        let point = tracefs::point("sched/sched_process_exec")?;
        if !point.format.contains(FORMAT) {
            return Err(io::Error::other(
                "the tracepoint sched_process_exec has another format",
            ));
        }
        let map = bpf::create_map(bpf::RECENT, 8, BYTES as u32, MOST, 0)?;
        let program = bpf::load(ProgramType::Tracepoint, program(&map).words())?;
        let event = perf::tracepoint(point.id)?;
        bpf::run_at(&event, &program)?;
        Ok(Self { map, _event: event })
    }

    /// Returns the file name of the program that a process has executed last, and the name that the kernel keeps. Returns
    /// `None` if too many others have executed one since.
    fn of(&self, pid: u32) -> Option<[String; 2]> {
        let mut value = [0; BYTES];
        bpf::get(&self.map, pid.into(), &mut value).ok()?;
        let (comm, path) = value.split_at(COMM_BYTES);
        let path = text(path);
        let file = path.rsplit('/').next().unwrap_or_default();
        Some([file.to_owned(), text(comm)])
    }
}

fn program(map: &OwnedFd) -> Code {
    const CONTEXT: u8 = 6;
    const START: u8 = 7;
    const LENGTH: u8 = 8;
    let mut code = Code::default();
    code.copy(CONTEXT, 1);
    code.call(Helper::PidTgid);
    code.shift_right(0, 32);
    code.store(FRAME, KEY, 0);
    code.copy(1, FRAME);
    code.add(1, COMM.into());
    code.set(2, COMM_BYTES as i32);
    code.call(Helper::CurrentName);
    code.load_half(START, CONTEXT, FILE_NAME);
    code.copy(LENGTH, START);
    code.shift_right(LENGTH, 16);
    code.and(START, 0xffff);
    let is_long = code.jump(Condition::Greater, LENGTH, PATH_BYTES as i32);
    let is_short = code.jump_always();
    code.land(is_long);
    code.add_register(START, LENGTH);
    code.add(START, -(PATH_BYTES as i32));
    code.land(is_short);
    code.copy(3, CONTEXT);
    code.add_register(3, START);
    code.read_text(PATH, PATH_BYTES);
    code.put_entry(map, KEY, COMM);
    code.leave();
    code
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{os::unix::fs::symlink, process::Command};

    /// Long names and long paths too. Needs root, as the programs themselves.
    #[test]
    fn n45_the_name_of_a_program_that_is_over_is_known() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let names = ExecutedNames::begin().expect("the kernel takes the program");
        let folder = tempfile::tempdir().expect("a folder");
        let deep = folder.path().join("d".repeat(200)).join("e".repeat(200));
        std::fs::create_dir_all(&deep).expect("folders");
        for name in ["short", "longer-than-the-kernel-keeps", &"n".repeat(255)] {
            for place in [folder.path(), &deep] {
                let program = place.join(name);
                symlink("/bin/true", &program).expect("a link");
                let mut child = Command::new(&program).spawn().expect("a program");
                child.wait().expect("its end");
                let known = names.of(child.id()).expect("it was executed");
                assert_eq!(known[0], name);
                assert_eq!(known[1], name[..name.len().min(COMM_BYTES - 1)]);
            }
        }
        assert_eq!(names.of(std::process::id()), None);
    }
}
