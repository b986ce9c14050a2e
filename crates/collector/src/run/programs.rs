//! Programs that rules start: each has a thread that waits for its end, so that none stays a zombie.

use super::{
    event::{Event, Program, ProgramEnded},
    order::Reply,
    run_event::{ProgramStep, RunEvent},
};
use platform::{Error, ErrorKind};
use policy::{Note, Trigger};
use std::{
    io::{BufRead, BufReader, PipeReader, Read as _},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    time::{Duration, Instant},
};

/// How many run at the same time. An event that comes often must not fill the machine with programs.
const MOST: usize = 8;
/// How many bytes of a line of a program are read at a time.
const LONGEST_LINE: u64 = 4096;
/// How many letters of its last line are told.
const SHOWN: usize = 200;
/// How long the last lines of a program that has ended are waited for. Another one that it has started may
/// hold its output open for ever.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The programs that run.
pub(super) struct Programs {
    running: Vec<Program>,
    /// How many were refused since one was started.
    refused: u64,
    /// One reference for each output that is open: a program that has ended may have left another one
    /// that writes to it, and a thread of ours that reads it.
    outputs: Arc<()>,
    events: Sender<Event>,
}

impl Program {
    fn tell(self, step: ProgramStep) -> RunEvent {
        RunEvent::Program {
            process: self.process,
            pid: self.pid,
            program: self.text,
            step,
        }
    }
}

impl Programs {
    pub(super) fn new(events: Sender<Event>) -> Self {
        Self {
            running: Vec::new(),
            refused: 0,
            outputs: Arc::default(),
            events,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Starts a program for an event; what there is to tell of it. `rule` is the name of the rule.
    ///
    /// # Errors
    /// If too many run, or it cannot be started. That too many run is told the 1st, 10th, 100th … time in a row.
    pub(super) fn start(
        &mut self,
        text: &str,
        note: &Note,
        rule: &str,
    ) -> Result<Option<RunEvent>, Error> {
        let outputs = Arc::strong_count(&self.outputs) - 1;
        if self.running.len().max(outputs) >= MOST {
            return self.refuse(text).map_or(Ok(None), Err);
        }
        self.refused = 0;
        let mut command = platform::command(text)?;
        describe(&mut command, note, rule);
        let failed =
            |error| Error::new(ErrorKind::Other, format!("starting {text} failed: {error}"));
        let (child, output) = spawn(command).map_err(failed)?;
        let program = Program {
            process: note.process,
            pid: child.id(),
            text: text.to_owned(),
        };
        self.running.push(program.clone());
        let last_line = read_in_a_thread(program.pid, output, self.outputs.clone());
        wait_in_a_thread(program.clone(), child, last_line, self.events.clone());
        Ok(Some(program.tell(ProgramStep::Started)))
    }

    /// Takes in that a program has ended; what there is to tell of it.
    pub(super) fn ended(&mut self, ended: ProgramEnded) -> RunEvent {
        let ProgramEnded {
            program,
            status,
            took,
            last_line,
        } = ended;
        self.running.retain(|running| *running != program);
        program.tell(ProgramStep::Ended {
            status,
            took,
            last_line,
        })
    }

    /// What there is to tell of programs that still run at the end of the run.
    pub(super) fn leave(&mut self) -> impl Iterator<Item = RunEvent> {
        self.running
            .drain(..)
            .map(|program| program.tell(ProgramStep::GoesOn))
    }

    fn refuse(&mut self, text: &str) -> Option<Error> {
        self.refused += 1;
        let is_told = 10u64.pow(self.refused.ilog10()) == self.refused;
        let times = policy::print_count(self.refused, "time");
        let what =
            format!("{text} was not started ({times}): {MOST} programs of rules are running");
        is_told.then(|| Error::new(ErrorKind::Other, what))
    }
}

/// Tells a program what has happened, by its environment.
fn describe(command: &mut Command, note: &Note, rule: &str) {
    let Note {
        process, trigger, ..
    } = note;
    command
        .env("FIRSTCHANCE_REASON", trigger.to_string())
        .env("FIRSTCHANCE_TRIGGER", trigger.kind().word())
        .env("FIRSTCHANCE_PID", process.pid.to_string())
        .env("FIRSTCHANCE_RULE", rule);
    if let Some(thread) = Trigger::thread(trigger) {
        command.env("FIRSTCHANCE_THREAD", thread.to_string());
    }
}

/// Starts a program without input, and with one pipe for all that it writes.
fn spawn(mut command: Command) -> std::io::Result<(Child, PipeReader)> {
    let (output, input) = std::io::pipe()?;
    command
        .stdin(Stdio::null())
        .stdout(input.try_clone()?)
        .stderr(input);
    Ok((command.spawn()?, output))
}

/// Waits for the end of a program, and for its last line.
fn wait_in_a_thread(
    program: Program,
    mut child: Child,
    last_line: Receiver<String>,
    events: Sender<Event>,
) {
    let began = Instant::now();
    let end = move |status, last_line| {
        Event::Program(ProgramEnded {
            program: program.clone(),
            status,
            took: began.elapsed(),
            last_line,
        })
    };
    let reply = Reply::new(events, end(None, String::new()));
    std::thread::spawn(move || {
        let status = child.wait().ok().map(platform::end_status);
        let last_line = last_line.recv_timeout(LAST_WORDS).unwrap_or_default();
        reply.answer(end(status, last_line));
    });
}

/// Writes what a program says to the debug log. The last line comes when its output ends.
fn read_in_a_thread(pid: u32, output: PipeReader, is_open: Arc<()>) -> Receiver<String> {
    let (tell, last_line) = channel();
    std::thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut last = String::new();
        while let Some(line) = next_line(&mut output) {
            log::debug!("program {pid} says: {line}");
            last = if line.is_empty() { last } else { line };
        }
        drop(is_open);
        // Nobody waits any more if another program held the output open.
        let _ = tell.send(last.chars().take(SHOWN).collect());
    });
    last_line
}

/// The next line, or a part of a very long one; `None` at the end.
fn next_line(output: &mut impl BufRead) -> Option<String> {
    let mut line = Vec::new();
    let read = output.take(LONGEST_LINE).read_until(b'\n', &mut line);
    let text = String::from_utf8_lossy(&line);
    matches!(read, Ok(1..)).then(|| text.trim_end().to_owned())
}
