//! Processes that end, and threads that follow them no more.

use super::{
    armed::{Armed, Lost, is_fault},
    event::FollowerId,
    order::Order,
    run_event::{ExceptionRow, RunEvent},
    runner::Runner,
    starts::gone,
};
use platform::Error;
use policy::{ExceptionCount, Identity};
use snapshot::{EndStatus, ProcessKey};

/// How many of those that have ended are remembered, and of those that ended unseen.
const ENDED: usize = 64;
const MOST_LOST: usize = 1024;

impl Runner {
    /// The machine saw a process end. What a followed one did last may not have been told yet: its
    /// thread tells that first, and then the end.
    pub(super) fn host_saw_exit(&mut self, process: ProcessKey, status: Option<EndStatus>) {
        // What was expected may have been overtaken, as by a SIGKILL.
        self.ends.extend(status.map(|status| (process, status)));
        log::debug!("the machine saw process {process} end");
        self.schedule.stop(process);
        if self.followers.has(process) {
            // A thread that has ended just now cannot be told, but its last report is on its way.
            self.followers.tell(process, Order::Gone);
            self.pending.gone.insert(process);
        } else {
            self.exited(process);
        }
    }

    /// A process died of a fault a moment after its start. If it is followed, that is told by who follows it.
    pub(super) fn died_young(&mut self, pid: u32, ancestors: Option<Vec<u32>>, names: &[String]) {
        let is_meant = ancestors.is_none_or(|ancestors| {
            self.rules.wants(&Identity {
                ancestors,
                ..gone(pid, names)
            })
        });
        if is_meant && !self.is_told(pid) {
            log::debug!("process {pid} died of a fault before it was followed");
            self.unseen.add(pid);
        }
    }

    /// Watches a process no further, as if the system denied it: whoever drives the run has seen enough of it. Rules go
    /// on with their other processes.
    pub fn pass_over(&mut self, process: ProcessKey) {
        self.feed(policy::Event::Refused(process));
        self.tell_if_done(process);
    }

    /// A process is gone, and everything it did has been told.
    pub(super) fn exited(&mut self, process: ProcessKey) {
        self.pending.leaving.remove(&process);
        self.pending.gone.remove(&process);
        self.pending.dying.remove(&process);
        self.schedule.stop(process);
        self.earlier.forget(process);
        self.recent_times.forget(process);
        self.to_follow.remove(&process);
        self.rush.let_go(process);
        let status = self.ends.remove(&process);
        let was_to_be = self.arming.remove(&process);
        let is_unarmed = was_to_be.is_some_and(|what| what.may_have_missed(status));
        self.lost
            .retain(|of, lost| *of != process || lost.what.may_have_missed(status));
        if is_unarmed || self.lost.contains_key(&process) {
            self.tell_missed_one(process);
        }
        self.misses.retain(|(of, _), _| *of != process);
        if !self.pending.awaits_dump(process) {
            self.fresh.remove(&process);
        }
        self.host.forget(process);
        let is_untold = self.pending.deaths.remove(&process) && is_by_fault(status);
        if is_unarmed || is_untold {
            self.unseen.add(process.pid);
        }
        if self.watched.remove(&process) {
            self.remember_end(process.pid);
            let end = RunEvent::Exited { process, status };
            self.out.extend(self.pending.end(process, end));
        }
        self.feed(policy::Event::Exited(process));
    }

    /// The end of this process is told now.
    pub(super) fn remember_end(&mut self, pid: u32) {
        self.ended.truncate(ENDED - 1);
        self.ended.push_front(pid);
    }

    /// A thread that followed a process has told its last.
    pub(super) fn follower_ended(&mut self, id: FollowerId, error: Option<Error>) {
        let process = id.key;
        if let Some(wake) = self.followers.ended(id) {
            let is_of_end = error.as_ref().is_some_and(Error::is_of_end);
            if is_of_end && self.pending.dying.remove(&process) {
                // It was caught after the thread had looked for it in vain: another one finds its death.
                return self.followers.follow(process, wake);
            }
            let was_to_be = self.arming.remove(&process);
            let is_untold = is_of_end && self.pending.deaths.contains(&process);
            let what = was_to_be.or(is_untold.then_some(Armed::DeathsAlone));
            if let Some(what) = what
                && error.as_ref().is_none_or(Error::is_of_end)
            {
                self.lose(process, Lost { what, wake });
            }
            self.begins = self.begins.filter(|begins| *begins != process);
            self.refuse_if_it_lives(process, error);
        }
        // The machine saw the end, and the report of the follower was waited for. The follower is
        // gone, so the end is reported now.
        if self.pending.gone.contains(&process) && !self.followers.has(process) {
            self.exited(process);
        }
    }

    fn lose(&mut self, process: ProcessKey, lost: Lost) {
        if self.lost.len() >= MOST_LOST {
            self.count_lost();
        }
        self.lost.insert(process, lost);
        self.pending.deaths.remove(&process);
    }

    /// Nothing will be heard any more of those that may have been caught at their death.
    pub(super) fn count_lost(&mut self) {
        let lost = std::mem::take(&mut self.lost);
        lost.keys().for_each(|process| self.unseen.add(process.pid));
    }

    /// A process that could not be followed: of one that has ended the machine tells.
    fn refuse_if_it_lives(&mut self, process: ProcessKey, error: Option<Error>) {
        if let Some(error) = error.filter(|error| !error.is_of_end()) {
            self.out.push(RunEvent::Refused { process, error });
            self.pass_over(process);
        }
    }

    /// What processes that live on have thrown, where there is more to tell than their dumps do.
    pub(super) fn show_exceptions(&mut self) {
        for process in std::mem::take(&mut self.watched) {
            let table = self.rules.exceptions(process);
            if table.iter().map(|row| row.count).sum::<u64>() > 1 {
                self.show_table(process, &table);
            }
        }
    }

    pub(super) fn show_table(&mut self, process: ProcessKey, table: &[ExceptionCount]) {
        let now = (self.host.now(), crate::store::keep::now());
        let rows = table.iter().map(|count| ExceptionRow::of(count, now));
        let table = rows.collect();
        self.out.push(RunEvent::Exceptions { process, table });
    }
}

fn is_by_fault(status: Option<EndStatus>) -> bool {
    matches!(status, Some(EndStatus::Signal(signal)) if is_fault(signal))
}
