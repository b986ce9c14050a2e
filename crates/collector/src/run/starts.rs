//! Which processes a run looks at: those that there are when a rule is added, and those that start.

use super::{identity, order::Order, reach::Reach, runner::Runner};
use platform::{Detail, Error};

impl Runner {
    /// Looks at the processes that there are, as far as these targets reach.
    pub(super) fn find(&mut self, targets: &[Reach]) -> Result<(), Error> {
        self.expect_effect();
        if targets.iter().any(|reach| reach.starts) {
            self.host.follow_starts();
        }
        let entries = match targets.iter().any(|reach| reach.all) {
            true => self.host.processes(Detail::Identity)?,
            false => {
                let pids = targets.iter().filter_map(|reach| reach.pid);
                pids.filter_map(|pid| self.host.entry(pid).ok()).collect()
            }
        };
        let own = std::process::id();
        for entry in entries {
            let is_zombie = entry.state == 'Z' && entry.threads < 2;
            if !entry.kernel && !is_zombie && entry.key.pid != own {
                self.feed(policy::Event::Found(identity(&entry)));
            }
        }
        Ok(())
    }

    /// A process started, or became another program. Many do on a busy machine, and few are meant.
    pub(super) fn started(&mut self, pid: u32) {
        // It may be gone again already.
        let Ok(entry) = self.host.entry(pid) else {
            return;
        };
        self.followers.tell(entry.key, Order::LookAgain);
        log::trace!("process {pid} started: {}", entry.name);
        if !entry.kernel && self.launched != Some(entry.key) {
            self.feed(policy::Event::Started(identity(&entry)));
        }
    }
}
