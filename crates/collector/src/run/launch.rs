//! A program that we launch: it is followed before its first instruction, and stands there until
//! everything in it is armed.

use super::{identity, run_event::RunEvent, runner::Runner};
use platform::{Error, Launched};
use policy::{Condition, Rule, WakeFor};
use snapshot::ProcessKey;
use std::time::{Duration, Instant};

/// How long a program that we launch waits for us to follow it.
const ARMING: Duration = Duration::from_secs(5);

/// Between two looks whether it has been executed.
const LOOK: Duration = Duration::from_millis(1);

impl Runner {
    /// Lets a program begin that was launched for `rules`, which were added. Nothing that it does
    /// is missed. What there is to tell comes with the next step.
    ///
    /// # Errors
    /// Where it could not be executed.
    pub fn begin(&mut self, launched: &mut Launched, rules: &[Rule]) -> Result<(), Error> {
        let key = launched.key;
        self.launched = Some(key);
        let conditions = rules.iter().flat_map(|rule| &rule.clauses);
        let mut conditions = conditions.flat_map(|clause| &clause.when);
        if conditions.any(is_at_its_begin) {
            self.follow_before_it_begins(key);
        }
        launched.go()?;
        self.wait_until_executed(launched)?;
        // From here on it is itself: execve has happened, its first instruction is next.
        self.wait_until_it_stands(key);
        let mut identity = identity(&self.host.entry(key.pid)?);
        identity.launched = true;
        let earlier = std::mem::take(&mut self.out);
        self.feed(policy::Event::Started(identity));
        self.tell_behind_its_start(key, earlier);
        self.begins = None;
        self.followers.go_on(key);
        Ok(())
    }

    /// What there is to tell of the time before a program began comes behind the line that it is monitored.
    fn tell_behind_its_start(&mut self, key: ProcessKey, earlier: Vec<RunEvent>) {
        let is_start = |event: &RunEvent| matches!(event, RunEvent::Watching(of) if *of == key);
        let start = self.out.iter().position(is_start);
        let at = start.map_or(0, |at| at + 1);
        self.out.splice(at..at, earlier);
    }

    /// Its end is armed, so that it is traced: the execution of the program is the first event.
    fn follow_before_it_begins(&mut self, key: ProcessKey) {
        let wake = WakeFor {
            exit: true,
            ..WakeFor::default()
        };
        self.begins = Some(key);
        self.followers.follow(key, wake);
        self.receive_until(ARMING, |runner| {
            let armed = |event: &RunEvent| matches!(event, RunEvent::Armed(of) if *of == key);
            !runner.followers.has(key) || runner.out.iter().any(armed)
        });
    }

    /// A program that cannot be executed ends; where it is followed, it must be let go for that.
    fn wait_until_executed(&mut self, launched: &mut Launched) -> Result<(), Error> {
        loop {
            if let Some(started) = launched.started() {
                return started;
            }
            self.receive_until(LOOK, |_| false);
        }
    }

    fn wait_until_it_stands(&mut self, key: ProcessKey) {
        let end = Instant::now() + ARMING;
        while self.followers.has(key) && !self.followers.is_standing(key) && Instant::now() < end {
            self.receive_until(ARMING, |runner| {
                !runner.followers.has(key) || runner.followers.is_standing(key)
            });
        }
    }
}

/// Whether a condition may be met at the first instruction, so that the program has to stand there: also where the program ends
/// at once, its dump is taken.
fn is_at_its_begin(condition: &Condition) -> bool {
    matches!(condition, Condition::Now | Condition::Every(_)) || condition.needs_attachment()
}
