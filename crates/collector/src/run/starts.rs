//! Which processes a run looks at: those that there are when a rule is added, and those that start.

use super::{identity, order::Order, reach::Reach, run_event::RunEvent, runner::Runner};
use platform::{Detail, Error, ProcessEntry};
use policy::{Event, Identity};
use snapshot::ProcessKey;

impl Runner {
    /// Looks at the processes that there are, as far as these targets reach.
    pub(super) fn find(&mut self, targets: &[Reach]) -> Result<(), Error> {
        self.expect_effect();
        let follows = targets.iter().any(|reach| reach.starts);
        let follows = follows.then(|| self.host.follow_starts());
        self.wants_throws |= targets.iter().any(|reach| reach.throws);
        let wants_crashes = targets.iter().any(|reach| reach.crashes);
        if wants_crashes {
            match self.host.catch_deaths() {
                Ok(()) => self.catches_deaths = true,
                Err(error) => {
                    log::debug!("what dies before it can be followed is not seen: {error}");
                }
            }
        }
        if let Some(Err(untold)) = follows {
            self.tell_of_polling(&untold, wants_crashes);
        }
        let entries = match targets.iter().any(|reach| reach.all) {
            true => self.host.processes(Detail::Identity)?,
            false => {
                let pids = targets.iter().filter_map(|reach| reach.pid);
                pids.filter_map(|pid| self.host.entry(pid).ok()).collect()
            }
        };
        for entry in entries.iter().filter(|entry| may_be_meant(entry)) {
            self.newest_start = self.newest_start.max(entry.key.start);
            self.feed(Event::Found(identity(entry)));
        }
        self.youngest_before = self.newest_start;
        Ok(())
    }

    /// Says once that not every process is seen that starts, and why.
    fn tell_of_polling(&mut self, why: &Error, wants_crashes: bool) {
        if std::mem::replace(&mut self.has_told_of_polling, true) {
            return;
        }
        let rest = match (wants_crashes, self.catches_deaths) {
            (true, true) => "is seen only if it dies of a fault",
            (true, false) => "is not seen, nor what it dies of",
            (false, _) => "is not seen",
        };
        let why = &why.what;
        self.out.push(RunEvent::Remark(format!(
            "processes that start are looked for ten times a second ({why}): one that lives for less {rest}"
        )));
    }

    /// A process started, or became another program. Many do on a busy machine, and few are meant.
    pub(super) fn started(&mut self, pid: u32) {
        if let Ok(entry) = self.host.entry(pid) {
            log::trace!("process {pid} started: {}", entry.name);
            self.look_at(&entry);
        }
    }

    /// A process executed a program. Of one that has ended already, no more is known than its names.
    pub(super) fn executed(&mut self, pid: u32, names: &[String]) {
        match (self.host.entry(pid), names) {
            (Ok(entry), [name, ..]) if entry.image.is_empty() => {
                let name = name.clone();
                self.look_at(&ProcessEntry { name, ..entry });
            }
            (Ok(entry), _) => self.look_at(&entry),
            (Err(_), []) => self.nameless += 1,
            (Err(_), names) => self.was_over(gone(pid, names)),
        }
    }

    /// A process has ended before it could be looked at, unless it was when it was forked.
    fn was_over(&mut self, who: Identity) {
        let pid = who.key.pid;
        if self.is_told(pid) {
            return;
        }
        log::debug!(
            "process {pid} ended before it could be looked at: {}",
            who.name
        );
        if self.rules.wants(&who) {
            self.unseen.add(pid);
            self.tell_missed(pid, who.name);
        }
    }

    /// A process ended before it could be looked at. What dies of a fault may be caught at its death all the same.
    fn tell_missed(&mut self, pid: u32, name: String) {
        if !self.catches_deaths && !self.ended.contains(&pid) {
            self.out.push(RunEvent::Missed { pid, name });
            self.remember_end(pid);
        }
    }

    /// As [`tell_missed`](Self::tell_missed), of one that the rules know: others were told already.
    pub(super) fn tell_missed_one(&mut self, process: ProcessKey) {
        if let Some(name) = self.rules.name_of(process) {
            let name = name.to_owned();
            self.tell_missed(process.pid, name);
        }
    }

    /// Whether a process is monitored, or its end was told a moment ago.
    pub(super) fn is_told(&self, pid: u32) -> bool {
        self.is_watched(pid) || self.ended.contains(&pid)
    }

    fn is_watched(&self, pid: u32) -> bool {
        self.watched.iter().any(|process| process.pid == pid)
    }

    /// A process that nobody follows dies. It may not have been seen before, nor its parent.
    pub(super) fn dying(&mut self, entry: &ProcessEntry) {
        let key = entry.key;
        let lost = self.lost.remove(&key);
        let was_lost = lost.is_some();
        let is_known = self.watched.contains(&key);
        // The rules do not ask again for what they know.
        let asked = lost.filter(|_| is_known).map(|lost| (key, lost.wake));
        self.to_follow.extend(asked);
        log::debug!("process {key} was caught when it died: {}", entry.name);
        if !self.is_watched(entry.parent) {
            self.started(entry.parent);
        }
        self.pending.dying.insert(key);
        self.look_at(entry);
        self.follow_now(key);
        if !self.followers.has(key) {
            self.pending.dying.remove(&key);
            self.host.forget(key);
            if was_lost || self.rules.wants(&identity(entry)) {
                self.unseen.add(key.pid);
            }
        }
    }

    fn look_at(&mut self, entry: &ProcessEntry) {
        self.newest_start = self.newest_start.max(entry.key.start);
        self.followers.tell(entry.key, Order::LookAgain);
        if !entry.kernel && self.launched != Some(entry.key) {
            self.feed(Event::Started(identity(entry)));
        }
    }

    /// Processes may have taken a name that is waited for: a server writes what it does over its arguments.
    pub(super) fn look_at_names(&mut self) {
        for pid in self.host.renamed() {
            let entry = self.host.entry(pid).ok().filter(may_be_meant);
            if let Some(entry) = entry.filter(|entry| self.launched != Some(entry.key)) {
                log::trace!("process {pid} is new, or has another name: {}", entry.name);
                // The next one that starts may take its name later.
                self.feed(match entry.key.start > self.youngest_before {
                    true => Event::Started(identity(&entry)),
                    false => Event::Found(identity(&entry)),
                });
            }
        }
    }

    /// Starts were not reported: looks at all processes. One that is younger than all that were
    /// seen has started since; any other may have become another program.
    pub(super) fn starts_lost(&mut self) {
        let seen = self.newest_start;
        let entries = self.host.processes(Detail::Identity).unwrap_or_default();
        log::debug!("starts of processes were lost; {} are there", entries.len());
        for entry in entries.iter().filter(|entry| may_be_meant(entry)) {
            self.newest_start = self.newest_start.max(entry.key.start);
            self.followers.tell(entry.key, Order::LookAgain);
            if self.launched != Some(entry.key) {
                self.feed(match entry.key.start > seen {
                    true => Event::Started(identity(entry)),
                    false => Event::Found(identity(entry)),
                });
            }
        }
    }
}

/// Whether a rule may be about a process: we ourselves, threads of the kernel, and processes that
/// have ended and wait for their parent are never meant.
fn may_be_meant(entry: &ProcessEntry) -> bool {
    !entry.kernel && !entry.has_ended() && entry.key.pid != std::process::id()
}

/// What is known of a process that is gone: no more than its names.
pub(super) fn gone(pid: u32, names: &[String]) -> Identity {
    let name = |at: usize| names.get(at).cloned().unwrap_or_default();
    Identity {
        key: ProcessKey { pid, start: 0 },
        name: name(0),
        comm: name(1),
        system: platform::OS,
        ..Identity::default()
    }
}
