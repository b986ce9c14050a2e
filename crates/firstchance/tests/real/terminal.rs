//! `run` on a terminal: Ctrl-C is for us, and the keyboard for the program.

use std::{
    os::{fd::AsRawFd, unix::fs::OpenOptionsExt},
    path::Path,
    process::Command,
    time::Duration,
};

use crate::support::{Child, Firstchance, folder, happens_within, state_of, wait_until};

/// A command that runs on a terminal of its own, and the program that it launched there.
struct OnTerminal {
    terminal: Child,
    /// The launched program, and the firstchance that launched it.
    program: i32,
    firstchance: i32,
}

impl OnTerminal {
    /// Runs a command of a shell there. `FC` in it is the path of firstchance.
    fn shell(command: &str) -> OnTerminal {
        let command = command.replace("FC", env!("CARGO_BIN_EXE_firstchance"));
        let mut python = Command::new("python3");
        python.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/on_a_terminal.py"));
        let terminal = Child::start(python.args(["sh", "-c", &command]));
        let lines = terminal.lines_until("ready ");
        let line = lines.last().expect("it came").trim_end();
        let mut pids = line.split_whitespace().skip(1);
        let mut pid = || pids.next().and_then(|word| word.parse().ok());
        OnTerminal {
            program: pid().expect("the pid of the program"),
            firstchance: pid().expect("the pid of firstchance"),
            terminal,
        }
    }

    /// Runs firstchance there, with a program of the shell's that tells both pids. When it has ended, its exit code is
    /// told, and the shell reads on.
    fn run(condition: &str, program: &str) -> OnTerminal {
        let program = format!("echo ready $$ $PPID; exec {program}");
        OnTerminal::shell(&format!(
            "trap : INT; FC run --when '{condition}' -- sh -c '{program}'; echo ended $?; read line"
        ))
    }

    fn lives(&self) -> bool {
        "SR".contains(state_of(self.program as u32))
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        kill(self.program);
    }
}

/// Kills a process that this test has started.
fn kill(pid: i32) {
    // SAFETY: kill(2) takes plain numbers.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

/// One that attaches nothing, and one for which the program is traced.
const CONDITIONS: [&str; 2] = ["core-cpu > 99999%", "signal SIGUSR1"];

#[test]
fn n55_ctrl_c_ends_the_watch_and_the_program_lives() {
    for condition in CONDITIONS {
        let mut on = OnTerminal::run(condition, "sleep 1000");
        wait_until("it sleeps", || state_of(on.program as u32) == 'S');
        on.terminal.tell("^C");
        on.terminal.lines_until("ended 7");
        assert!(on.lives(), "{condition}");
    }
}

#[test]
fn n55_a_program_that_reads_the_terminal_goes_on_reading() {
    for condition in CONDITIONS {
        let mut on = OnTerminal::run(condition, "sed -u s/^/got:/");
        for word in ["one", "two"] {
            on.terminal.tell(word);
            on.terminal.lines_until(&format!("got:{word}"));
        }
        on.terminal.tell("^C");
        on.terminal.lines_until("ended 7");
        assert!(on.lives(), "{condition}");
    }
}

impl OnTerminal {
    /// Presses Ctrl-C once a second until firstchance ends. The signal of a key that is pressed before the keeper goes
    /// on is lost: SIGCONT discards it (signal(7)).
    fn press_until_it_ends(&mut self) {
        wait_until("Ctrl-C ends the watch", || {
            self.terminal.tell("^C");
            happens_within(Duration::from_secs(1), || {
                "ZX".contains(state_of(self.firstchance as u32))
            })
        });
    }

    /// The character that interrupts there: 3 is Ctrl-C, 0 none.
    fn interrupts(&self) -> u8 {
        let path = format!("/proc/{}/fd/0", self.program);
        let mut options = std::fs::OpenOptions::new();
        let terminal = options.read(true).custom_flags(libc::O_NOCTTY).open(path);
        let terminal = terminal.expect("its terminal");
        // SAFETY: all zeros is a valid value, and tcgetattr(3) fills it.
        let settings = unsafe {
            let mut settings: libc::termios = std::mem::zeroed();
            assert_eq!(libc::tcgetattr(terminal.as_raw_fd(), &raw mut settings), 0);
            settings
        };
        settings.c_cc[libc::VINTR]
    }
}

#[test]
fn n55_a_program_that_sets_the_keys_back_is_not_ended_by_ctrl_c() {
    let program = "stty -echo; read x; stty echo; echo got:$x; exec sleep 1000";
    let mut on = OnTerminal::run(
        "core-cpu > 99999%",
        &format!("sh -c \"{}\"", program.replace('$', "\\$")),
    );
    on.terminal.tell("secret");
    on.terminal.lines_until("got:secret");
    wait_until("Ctrl-C is ours", || on.interrupts() == 0);
    on.terminal.tell("^C");
    on.terminal.lines_until("ended 7");
    assert!(on.lives());
}

#[test]
fn n55_a_shell_interrupts_its_jobs() {
    let mut on = OnTerminal::run(
        "core-cpu > 99999%",
        "env TERM=dumb bash --norc --noprofile -i",
    );
    on.terminal.tell("echo job:$((1 + 1)); sleep 1000");
    on.terminal.lines_until("job:2");
    wait_until("Ctrl-C is the job's", || on.interrupts() == 3);
    on.terminal.tell("^C");
    on.terminal.tell("echo then:$?");
    on.terminal.lines_until("then:130");
    on.terminal.tell("exit 0");
    on.terminal.lines_until("ended ");
}

/// The keeper is in the program's group, and is stopped or killed with it.
#[test]
fn n55_what_a_program_does_to_its_group_does_not_hold_the_end() {
    for (signal, ends) in [("STOP", "ended 7"), ("KILL", "ended 5")] {
        let mut on = OnTerminal::run(
            "core-cpu > 99999%",
            &format!("sh -c \"read x; kill -{signal} 0; exec sleep 1000\""),
        );
        on.terminal.tell("");
        if signal == "STOP" {
            wait_until("it stands, with the terminal", || {
                on.interrupts() == 0 && state_of(on.program as u32) == 'T'
            });
            on.press_until_it_ends();
        }
        on.terminal.lines_until(ends);
        if signal == "STOP" {
            // The kernel ends a stopped group whose parent ends.
            wait_until("it goes on", || on.lives());
        }
        on.terminal.tell("back");
    }
}

/// The shell that comes next has the terminal, with the keys that it had before.
#[test]
fn n55_the_terminal_is_given_back_also_when_firstchance_is_killed() {
    let group = "$(ps -o pgid= -p $$)";
    let told = format!(
        "until test $(ps -o tpgid= -p $$) = {group}; do sleep 0.01; done; echo ours; stty -a | grep -o 'intr = [^;]*'; read line; echo read $line"
    );
    for killed in [false, true] {
        let program = "echo ready $$ $PPID; exec sed -u s/^/got:/";
        let command = format!("FC run --when 'core-cpu > 99999%' -- sh -c '{program}'; {told}");
        let mut on = OnTerminal::shell(&command);
        on.terminal.tell("one");
        on.terminal.lines_until("got:one");
        if killed {
            kill(on.firstchance);
        } else {
            on.terminal.tell("^C");
        }
        on.terminal.lines_until("ours");
        let keys = on.terminal.line();
        assert_eq!(keys.trim_end(), "intr = ^C");
        // What reads for the program still takes the line that it waits for.
        kill(on.program);
        wait_until("it is gone", || "ZX".contains(state_of(on.program as u32)));
        on.terminal.tell("back");
        on.terminal.lines_until("read back");
    }
}

/// Whoever has stopped it may let it go on later: it has a session of its own, of which nobody ends.
#[test]
fn n55_a_stopped_program_without_a_terminal_lives_on_when_firstchance_is_killed() {
    let dumps = folder();
    let words = ["setsid", "--wait"];
    let run = Firstchance::by(&words).args(&["run", "--when", "exit", "--output"]);
    let run = run.arg(dumps.path());
    let script = "echo pids $$ $PPID; exec >/dev/null 2>&1; kill -STOP $$; exec sleep 1000";
    let running = run.args(&["--", "sh", "-c", script]).spawn();
    let running = running.until_it_says("pids ");
    let said = running.said();
    let line = said.split("pids ").nth(1).expect("it said so");
    let mut pids = line.split_whitespace().filter_map(|word| word.parse().ok());
    let (program, firstchance): (i32, i32) =
        (pids.next().expect("a pid"), pids.next().expect("another"));
    // Small where it is traced.
    wait_until("it stands", || "Tt".contains(state_of(program as u32)));
    kill(firstchance);
    running.finish();
    assert_eq!(state_of(program as u32), 'T');
    // SAFETY: kill(2) takes plain numbers.
    unsafe { libc::kill(program, libc::SIGCONT) };
    wait_until("it goes on", || state_of(program as u32) == 'S');
    kill(program);
}
