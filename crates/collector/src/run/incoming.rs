//! What the loop does with each event.

use super::{
    event::{Event, Finished, FollowerEvent, FollowerId, OutsideOrder},
    run_event::RunEvent,
    runner::{Fresh, Runner},
};
use crate::Step;
use platform::{Error, ErrorKind, HostEvent};
use policy::{DumpId, Outcome};
use snapshot::{EndStatus, Exception, ProcessKey, TargetEvent};
use std::sync::Arc;

/// What is said where who catches deaths was ended by somebody.
const CATCHES_ANEW: &str = "the process of firstchance that catches others at their death was ended by somebody, and is \
    started again; deaths until then that are not dumped are counted at the end";

impl Runner {
    pub(super) fn take(&mut self, event: Event) {
        match event {
            Event::Host(HostEvent::Exited(key, status)) => self.host_saw_exit(key, status),
            // Whoever ends a run follows no further process.
            Event::Host(
                HostEvent::Started(_) | HostEvent::Executed(..) | HostEvent::StartsLost,
            ) if self.is_closing => {}
            Event::Host(HostEvent::Started(pid)) => {
                self.started(pid);
            }
            Event::Host(HostEvent::Executed(pid, names)) => self.executed(pid, &names),
            Event::Host(HostEvent::StartsLost) => self.starts_lost(),
            Event::Host(HostEvent::Unseen {
                pid,
                ancestors,
                names,
            }) => self.died_young(pid, ancestors, &names),
            Event::Host(HostEvent::Dying(entry)) if self.is_closing => self.host.forget(entry.key),
            Event::Host(HostEvent::Dying(entry)) => self.dying(&entry),
            Event::Host(HostEvent::CatchesAnew) => {
                self.out.push(RunEvent::Remark(CATCHES_ANEW.to_owned()))
            }
            Event::Follower(id, event) => self.follower(id, event),
            Event::Step(id, process, step) => self.dump_moved_on(id, process, step),
            Event::DumpFinished(finished) => self.dump_finished(finished),
            Event::DumpSkipped(id, process) => self.dump_skipped(id, process),
            Event::Stack(process, lines) => {
                self.pending.stack_answered();
                self.jobs.stacked(process);
                self.follow_those_let_go();
                self.out.push(RunEvent::Stack { process, lines });
            }
            Event::Program(ended) => {
                let told = self.programs.ended(ended);
                self.out.push(told);
            }
            Event::Order(OutsideOrder::Cancel) => self.is_cancelled = true,
            Event::Order(OutsideOrder::Look) => {}
        }
    }

    pub(super) fn feed(&mut self, event: policy::Event) {
        let commands = self.rules.handle(self.host.now(), event);
        self.obey(commands);
    }

    fn follower(&mut self, id: FollowerId, event: FollowerEvent) {
        let process = id.key;
        let is_current = self.followers.is_current(id);
        match &event {
            FollowerEvent::Did(event, _) => log::debug!("process {process}: {event}"),
            FollowerEvent::Ended(None) => log::debug!("process {process} is no longer followed"),
            FollowerEvent::Ended(Some(error)) => {
                log::debug!("process {process} is no longer followed: {error}");
            }
            _ => {}
        }
        match event {
            FollowerEvent::Armed => {
                self.arming.remove(&process);
                self.fresh.remove(&process);
                self.out.push(RunEvent::Armed(process));
            }
            FollowerEvent::Notice(lines) => self.out.push(RunEvent::Notice { process, lines }),
            FollowerEvent::Did(event, came) if is_current => {
                self.came = came;
                self.did(process, event);
                self.came = None;
            }
            // It was left before this was told, and goes on by itself.
            FollowerEvent::Did(..) => {}
            FollowerEvent::Seen(event, came) => {
                self.came = came;
                self.feed(policy::Event::Target(process, event));
                self.came = None;
            }
            FollowerEvent::LeftOut(exception) => self.left_out(process, &exception),
            FollowerEvent::Counted(counts) => self.feed(policy::Event::Counted(process, counts)),
            FollowerEvent::FirstStack { name, frames } => self.out.push(RunEvent::FirstStack {
                process,
                name,
                frames,
            }),
            FollowerEvent::Ended(error) => self.follower_ended(id, error),
        }
    }

    /// A followed process did something, and stands; it goes on when nothing more is to be done
    /// with it.
    fn did(&mut self, process: ProcessKey, event: TargetEvent) {
        self.ends
            .extend(end_told_by(&event).map(|status| (process, status)));
        if let TargetEvent::Exited { .. } = event {
            self.followers.leave(process);
            return self.exited(process);
        }
        self.followers.stands(process);
        if matches!(&event, TargetEvent::Exception(exception) if !exception.first_chance) {
            self.death_was_seen(process);
        }
        let ends = matches!(event, TargetEvent::Exiting { .. });
        if ends {
            self.pending.begun(process);
        }
        self.feed(policy::Event::Target(process, event));
        // A program that could not be executed ends before it has begun.
        if self.begins != Some(process) || ends {
            self.followers.go_on(process);
        }
    }

    /// A process dies of what every filter leaves out: no dump is taken, and a line says why.
    fn left_out(&mut self, process: ProcessKey, exception: &Exception) {
        self.death_was_seen(process);
        let text = policy::shown_exception(exception) + " (left out by the filter)";
        let came = None;
        self.out.push(RunEvent::Log {
            process,
            text,
            came,
        });
    }

    fn death_was_seen(&mut self, process: ProcessKey) {
        self.pending.deaths.remove(&process);
        self.unseen.found(process.pid);
    }

    fn dump_moved_on(&mut self, id: DumpId, process: ProcessKey, step: Step) {
        self.jobs.step(id, &step);
        if let Step::Initiated { .. } = step {
            self.fresh.remove(&process);
        }
        if let Step::Released { .. } = step {
            self.follow_those_let_go();
        }
        self.out.push(RunEvent::Step(step));
    }

    fn dump_finished(&mut self, finished: Finished) {
        let Finished {
            id,
            process,
            number,
            dumps,
            error,
        } = finished;
        let end = self.pending.dump_answered(process);
        self.jobs.dumped(id);
        self.follow_those_let_go();
        let outcome = outcome(error.as_ref());
        let is_forbidden = error.as_ref().map(|error| error.kind) == Some(ErrorKind::NotPermitted);
        let is_of_end = error
            .as_ref()
            .is_some_and(|error| self.is_end(process, error));
        let fresh = self.fresh.remove(&process).filter(|_| is_of_end);
        let told = error.map(|error| failed_dump(process, fresh, number, error));
        self.out.extend(told);
        let written = dumps.into_iter().map(Arc::new).collect();
        self.out.push(RunEvent::Dumped(written));
        self.out.extend(end);
        self.feed(policy::Event::DumpFinished { id, outcome });
        if is_forbidden {
            // What the system forbids now it forbids later too.
            self.feed(policy::Event::Refused(process));
        }
        self.tell_if_done(process);
    }

    /// No file was begun; the rules say why.
    fn dump_skipped(&mut self, id: DumpId, process: ProcessKey) {
        let end = self.pending.dump_answered(process);
        self.jobs.dumped(id);
        self.follow_those_let_go();
        self.out.extend(end);
        let outcome = Outcome::Skipped;
        self.feed(policy::Event::DumpFinished { id, outcome });
        self.tell_if_done(process);
    }

    /// Whether an error says that the process has ended: one may also say that it was left, which then lives.
    fn is_end(&self, process: ProcessKey, error: &Error) -> bool {
        let is_there = || {
            let entry = self.host.entry(process.pid).ok();
            entry.is_some_and(|entry| entry.key == process && !entry.has_ended())
        };
        match error.kind {
            ErrorKind::NoSuchProcess => true,
            _ => error.is_of_end() && !is_there(),
        }
    }

    /// Tells where no rule asks anything more of a living process.
    pub(super) fn tell_if_done(&mut self, process: ProcessKey) {
        if self.watched.contains(&process) && self.rules.is_done_with(process) {
            self.out.push(RunEvent::Done(process));
        }
    }
}

/// That a dump failed; or that the process has ended before it was begun, just after it was found: then there was none to
/// fail.
fn failed_dump(process: ProcessKey, fresh: Option<Fresh>, number: u32, error: Error) -> RunEvent {
    match fresh {
        Some(Fresh { name, .. }) => RunEvent::Missed {
            pid: process.pid,
            name,
        },
        None => RunEvent::DumpFailed {
            number,
            process,
            error,
        },
    }
}

fn outcome(error: Option<&Error>) -> Outcome {
    match error {
        None => Outcome::Written,
        Some(error) if is_nobodys_fault(error.kind) => Outcome::Cancelled(error.to_string()),
        Some(error) => Outcome::Failed(error.to_string()),
    }
}

/// Whether a dump was not taken for what the process or the user did.
fn is_nobodys_fault(kind: ErrorKind) -> bool {
    use ErrorKind::{Cancelled, Executed, TargetDied};
    matches!(kind, Cancelled | Executed | TargetDied)
}

/// How the process will end or has ended, if the event tells that.
fn end_told_by(event: &TargetEvent) -> Option<EndStatus> {
    match event {
        TargetEvent::Exiting { status, .. } => Some(*status),
        TargetEvent::Exited { status, .. } => *status,
        _ => None,
    }
}
