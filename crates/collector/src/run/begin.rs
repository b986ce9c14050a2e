//! How a run begins: its rules are put to work, a program is started, processes are looked for.

use super::{DUMP_SLEEP, Manner, Run};
use platform::{Error, ProcessEntry};
use policy::{Condition, Event, Identity, Rule, Settings, WakeFor};
use snapshot::ProcessKey;
use std::time::Duration;

impl Run<'_> {
    pub(super) fn begin(
        &mut self,
        rules: Vec<(Rule, Manner)>,
        settings: Settings,
    ) -> Result<(), Error> {
        self.schedule.every = settings.poll;
        self.host.follow_starts();
        let now = self.host.now();
        let conditions = rules
            .iter()
            .flat_map(|(rule, _)| &rule.clauses)
            .flat_map(|c| &c.when);
        let attaches = { conditions }.any(Condition::needs_attachment);
        for (rule, manner) in rules {
            let (id, commands) = self.rules.add(now, rule);
            self.manners.insert(id, manner);
            self.obey(commands);
        }
        if let Some(launched) = &mut self.launched {
            if attaches {
                let wake = WakeFor {
                    exit: true,
                    ..WakeFor::default()
                };
                self.attached.attach(launched.key, wake);
                self.attached.wait_until_armed();
                self.starting = Some(launched.key);
            }
            // From here on it is itself: execve has happened, its first instruction is next.
            launched.go()?;
            self.wait_until_started()?;
            let Some(launched) = &self.launched else {
                return Ok(());
            };
            let key = launched.key;
            self.wait_until_it_stands(key);
            let mut identity = identity(&self.host.entry(key.pid)?);
            identity.launched = true;
            self.feed(Event::Started(identity));
            self.starting = None;
            self.attached.go_on(key);
            return Ok(());
        }
        let own = std::process::id();
        for entry in self.host.processes()? {
            if !entry.kernel && entry.state != 'Z' && entry.key.pid != own {
                self.feed(Event::Found(identity(&entry)));
            }
        }
        Ok(())
    }

    /// A program that cannot be executed ends; when it is attached, it must be let go for that.
    fn wait_until_started(&mut self) -> Result<(), Error> {
        loop {
            let Some(launched) = &mut self.launched else {
                return Ok(());
            };
            if let Some(started) = launched.started() {
                return started;
            }
            self.take_news();
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// An attached program stands at its first instruction until everything in it is armed.
    fn wait_until_it_stands(&mut self, key: ProcessKey) {
        while self.attached.has(key) && !self.attached.is_standing(key) {
            self.attached.wait(DUMP_SLEEP);
            self.take_news();
        }
    }
}

/// What rules match on.
pub fn identity(entry: &ProcessEntry) -> Identity {
    Identity {
        key: entry.key,
        parent: entry.parent,
        group: entry.group,
        name: entry.name.clone(),
        image: entry.image.clone(),
        comm: entry.comm.clone(),
        command_line: entry.command_line.clone(),
        service: entry.service.clone(),
        container: entry.container.clone(),
        launched: false,
    }
}
