//! Signals and exceptions that the system reports: what a thread is about to get.

use super::{Follower, FollowerEvent, Result, Then};
use analysis::thrown;
use platform::{ARCHITECTURE, OS};
use snapshot::{Exception, OperatingSystem, TargetEvent};

const SIGABRT: u32 = 6;

impl Follower {
    /// A thread is about to get a signal that is an exception: told once before any handler, and
    /// once more if nobody handles it.
    pub(super) fn signal(&mut self, mut exception: Exception) -> Result<Then> {
        let memory = self.process.memory();
        analysis::name_exception(&mut exception, OS, ARCHITECTURE, &*memory);
        if OS == OperatingSystem::Windows {
            return self.told_by_windows(exception);
        }
        let is_deadly = self.at.is_deadly;
        let uncaught = self.uncaught(&exception);
        let is_told = self.is_told_first(&exception, uncaught.as_ref());
        if is_told {
            self.has_more_to_tell = is_deadly;
            let then = self.meet(exception.clone())?;
            self.has_more_to_tell = false;
            if then == Then::Leave {
                return Ok(Then::Leave);
            }
        }
        let mut last = uncaught.unwrap_or(exception);
        last.first_chance = false;
        if !is_deadly || self.ends {
            return Ok(Then::Stay);
        }
        if self.wants(&last) {
            return self.meet(last);
        }
        self.left_out(last, is_told);
        Ok(Then::Stay)
    }

    /// The process dies of what no filter wants: nobody is to take it for unseen, nor to look for its dump. Filters that are
    /// about first chances alone may have wanted it then, which was told (`is_told`).
    pub(super) fn left_out(&mut self, last: Exception, is_told: bool) {
        let first = Exception {
            first_chance: true,
            ..last.clone()
        };
        let is_told = is_told || self.wants(&first);
        let is_of_filters = !self.wake.exceptions.is_empty();
        if self.wake.wants_unhandled() || is_of_filters && !is_told {
            self.tell.tell(FollowerEvent::LeftOut(last));
        }
    }

    fn meet(&mut self, exception: Exception) -> Result<Then> {
        self.met(&exception.name, exception.thread);
        self.report(TargetEvent::Exception(exception))
    }

    /// Whether a signal is told by itself. That of an exception that nobody caught is the second chance of that exception,
    /// and no exception more, unless somebody asks for the signal.
    fn is_told_first(&mut self, signal: &Exception, uncaught: Option<&Exception>) -> bool {
        let Some(uncaught) = uncaught.filter(|_| self.wants(signal)) else {
            return self.wants(signal);
        };
        let is_asked_for = self.wake.wakes_for_signal_of(signal, uncaught);
        if !is_asked_for && self.wants(uncaught) {
            let text = format!(
                "nobody caught {}: the {} by which the process ends is the second chance of that exception",
                uncaught.name, signal.name
            );
            self.notice(vec![text]);
        }
        is_asked_for
    }

    /// Windows tells of the last chance by itself. During a storm only some of the others are looked
    /// at.
    fn told_by_windows(&mut self, exception: Exception) -> Result<Then> {
        if !self.wants(&exception) {
            return Ok(Then::Stay);
        }
        if exception.first_chance && !self.throttle.looks(&exception.name) {
            return Ok(Then::Stay);
        }
        self.met(&exception.name, exception.thread);
        let acts = self.wake.acts_on_exception(&exception);
        let event = TargetEvent::Exception(exception);
        if !acts {
            self.tell.tell(FollowerEvent::Seen(event, self.at.since));
            return Ok(Then::Stay);
        }
        self.report(event)
    }

    fn wants(&self, exception: &Exception) -> bool {
        let is_first = exception.first_chance;
        let is_signal = is_first && self.wake.signals.contains(&(exception.code as i32));
        is_signal || self.wake.wakes_for(exception)
    }

    /// The exception of the language that nobody caught, of which the program dies by SIGABRT.
    fn uncaught(&self, signal: &Exception) -> Option<Exception> {
        if !self.at.is_deadly || signal.code != SIGABRT {
            return None;
        }
        let memory = self.process.memory();
        let registers = self.at.registers?;
        if let Some(thrown) = thrown::uncaught(signal, &registers, &*memory) {
            return Some(Exception {
                name: thrown.name,
                bases: thrown.bases,
                message: thrown.message,
                first_chance: false,
                signal: signal.name.clone(),
                ..signal.clone()
            });
        }
        let panicked = self.panicked.as_ref()?;
        let panic = panicked.behind(signal, registers.sp(), &*memory)?;
        Some(Exception {
            code: signal.code,
            flags: signal.flags,
            first_chance: false,
            signal: signal.name.clone(),
            ..panic.clone()
        })
    }
}
