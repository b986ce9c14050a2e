//! Doing what the rules command.

use super::{
    armed::Armed,
    order::{DumpOrder, Order, StackOrder},
    run_event::RunEvent,
    runner::{Fresh, Runner},
};
use crate::Request;
use platform::{ErrorKind, Stop};
use policy::{
    Command, Condition, DumpRequest, ExceptionFilter, FinishReason, Gauge, Level, Note, Outcome,
    RuleId, Trigger, WakeFor,
};
use snapshot::{Measure, ProcessKey, Sample};

impl Runner {
    /// Obeys all commands that one event has brought. Whoever is to be followed is before any dump
    /// is taken: the thread that follows a process takes its dumps, and two threads that trace one
    /// process would refuse each other.
    pub(super) fn obey(&mut self, commands: Vec<Command>) {
        let is_follow =
            |command: &Command| matches!(command, Command::Watch(_) | Command::Attach { .. });
        let (follow, rest): (Vec<_>, Vec<_>) = commands.into_iter().partition(is_follow);
        for command in follow.into_iter().chain(rest) {
            log::debug!("the rules command: {command}");
            self.obey_one(command);
        }
    }

    fn obey_one(&mut self, command: Command) {
        match command {
            Command::Watch(process) => drop(self.watch(process)),
            Command::Sample {
                process,
                measures,
                every,
            } => {
                let now = self.host.now();
                self.schedule.set(process, measures, every, now);
            }
            Command::SampleNow(process) => {
                let measures = self.schedule.measures(process);
                self.sample(process, &measures);
            }
            Command::Dump(request) => self.dump(request),
            Command::Attach { process, wake } => {
                if self.watched.contains(&process) {
                    match wake.wants_unhandled() {
                        true => self.pending.deaths.insert(process),
                        false => self.pending.deaths.remove(&process),
                    };
                    let waits = self.can_wait(&wake) && self.waits(process);
                    self.to_follow.insert(process, wake);
                    if !waits {
                        self.follow_now(process);
                    }
                }
            }
            Command::Detach(process) => {
                self.to_follow.remove(&process);
                self.rush.let_go(process);
                self.pending.deaths.remove(&process);
                self.arming.remove(&process);
                self.followers.leave(process);
            }
            Command::Tell(note) | Command::LogException(note) => self.tell_trigger(&note),
            Command::LogStack(note) => {
                self.tell_trigger(&note);
                self.tell_stack(note.process, note.trigger.thread());
            }
            Command::Log { process, text } => {
                let came = self.came;
                self.out.push(RunEvent::Log {
                    process,
                    text,
                    came,
                });
            }
            Command::Storm {
                process,
                active,
                rate,
            } => {
                self.followers.tell(process, Order::Storm(active));
                self.out.push(RunEvent::Storm {
                    process,
                    active,
                    rate,
                });
            }
            Command::Run { program, note } => {
                self.tell_trigger(&note);
                self.run_program(&program, &note);
            }
            Command::RuleFinished { rule, why, dumps } => {
                self.kill_if_wanted(rule, why);
                self.out.push(RunEvent::RuleFinished { rule, why, dumps });
            }
            Command::Suppressed(suppressed) => self.out.push(RunEvent::Suppressed(suppressed)),
            Command::Exceptions { process, table } => self.show_table(process, &table),
        }
    }

    /// Tells what met a condition, unless a line says that anyway.
    fn tell_trigger(&mut self, note: &Note) {
        if !note.trigger.is_shown_anyway() {
            self.out.push(RunEvent::Trigger {
                process: note.process,
                trigger: note.trigger.clone(),
            });
        }
    }

    /// From here on, a process is one that we monitor. Returns whether it is: it may have ended by now.
    fn watch(&mut self, process: ProcessKey) -> bool {
        if self.watched.contains(&process) {
            return true;
        }
        match self.host.watch(process) {
            Ok(()) => {
                self.watched.insert(process);
                let name = self.rules.name_of(process).unwrap_or_default().to_owned();
                let is_sampled = false;
                self.fresh.insert(process, Fresh { name, is_sampled });
                self.out.push(RunEvent::Watching(process));
                true
            }
            Err(error) => {
                log::debug!("process {process} is not monitored: {error}");
                self.ended_before(process);
                false
            }
        }
    }

    /// A process has ended between the list and now.
    fn ended_before(&mut self, process: ProcessKey) {
        if self.launched == Some(process) {
            self.tell_short_life(process);
        } else if !self.catches_deaths || self.wants_throws {
            self.unseen.add(process.pid);
            self.tell_missed_one(process);
        }
        self.feed(policy::Event::Exited(process));
    }

    /// A program that we launched has ended before it could be looked at: that is told all the same.
    fn tell_short_life(&mut self, process: ProcessKey) {
        self.out.push(RunEvent::Watching(process));
        let status = None;
        self.out.push(RunEvent::Exited { process, status });
    }

    /// Whether what is asked for of a process is told of it too if it is not followed when it dies: its death, of whatever.
    fn can_wait(&self, wake: &WakeFor) -> bool {
        let any = |filter: &ExceptionFilter| filter.include.is_empty() && filter.exclude.is_empty();
        self.catches_deaths && wake.wants_only_unhandled() && wake.exceptions.iter().all(any)
    }

    /// Whether a process is followed only when it has lived for a moment: so many others begin just now. Those that there
    /// are when rules are added do not wait.
    fn waits(&mut self, process: ProcessKey) -> bool {
        let is_new = self.is_effective
            && !self.followers.has(process)
            && !self.pending.dying.contains(&process);
        let now = self.host.now();
        let waits = is_new && self.rush.holds(process, now);
        if waits {
            self.arming.insert(process, Armed::DeathsAlone);
        }
        waits
    }

    /// Follows a process that is to be followed, without waiting for what it does.
    pub(super) fn follow_now(&mut self, process: ProcessKey) {
        self.rush.let_go(process);
        self.follow_if_free(process);
    }

    /// Follows a process that is to be followed, unless it waits, or a dump holds it: then as soon as that lets it go.
    fn follow_if_free(&mut self, process: ProcessKey) {
        if self.rush.is_held(process) {
            return;
        }
        if !self.followers.has(process) && self.jobs.holds(process) {
            log::debug!("process {process} is followed once a dump lets it go");
            return;
        }
        if let Some(wake) = self.to_follow.remove(&process) {
            if !self.followers.has(process) {
                let what = match wake.wants_only_unhandled() {
                    true => Armed::DeathsAlone,
                    false => Armed::More,
                };
                self.arming.insert(process, what);
            }
            self.followers.follow(process, wake);
        }
    }

    /// A dump may have let go of a process that waits to be followed.
    pub(super) fn follow_those_let_go(&mut self) {
        let waiting: Vec<ProcessKey> = self.to_follow.keys().copied().collect();
        waiting.into_iter().for_each(|key| self.follow_if_free(key));
    }

    fn dump(&mut self, asked: DumpRequest) {
        // That it has ended is told, and that its dump is none that failed.
        if !self.watch(asked.process) {
            if self.catches_deaths {
                let text = "it ended before its dump could be taken".to_owned();
                let (process, came) = (asked.process, None);
                self.out.push(RunEvent::Log {
                    process,
                    text,
                    came,
                });
            }
            return self.cancel_dump(&asked, "the process has ended");
        }
        self.last_dumped.insert(asked.rule, asked.process);
        // Whoever ends a run does not wait for dumps that were not begun by then: a process that
        // throws all the time would have one ordered after the other.
        let request = self.request(&asked).filter(|_| !self.is_closing);
        let Some(request) = request else {
            return self.cancel_dump(&asked, "the run has ended");
        };
        self.pending.dump_ordered(asked.process);
        self.out.push(RunEvent::Trigger {
            process: asked.process,
            trigger: asked.trigger,
        });
        let order = DumpOrder::new(asked.id, asked.process, Box::new(request), &self.events);
        if self.followers.has(asked.process) {
            // Where its thread has just ended, the order answers itself.
            self.followers.tell(asked.process, Order::Dump(order));
        } else {
            self.jobs.dump(asked.process, order, asked.behind);
        }
    }

    fn cancel_dump(&mut self, asked: &DumpRequest, why: &str) {
        let (id, outcome) = (asked.id, Outcome::Cancelled(why.to_owned()));
        self.feed(policy::Event::DumpFinished { id, outcome });
    }

    fn request(&mut self, asked: &DumpRequest) -> Option<Request> {
        let options = self.options.get(&asked.rule)?;
        let rule = self.rules.rule(asked.rule)?;
        let may_come_more = rule.limits.max_dumps != Some(1);
        let earlier = may_come_more.then(|| self.earlier.of(asked.process));
        Some(Request {
            opened: earlier.clone().unwrap_or_default().opened,
            series: earlier.map(|earlier| earlier.series),
            thread_times: self.recent_times.of(asked.process, self.host.now()),
            existing: options.existing,
            comment: options.comment.clone(),
            command_line: options.command_line.clone(),
            timeout: options.timeout,
            stop: stop_for(&asked.trigger, options.stop),
            max_pause: options.max_pause,
            windows: options.windows.clone(),
            cancel: self.cancel.child(),
            number: match options.numbers_each_process {
                true => asked.number_of_process,
                false => asked.number,
            },
            ..Request::of_rule(asked, rule, options.format, options.destination.clone())
        })
    }

    fn tell_stack(&mut self, process: ProcessKey, thread: Option<u32>) {
        self.pending.stack_ordered();
        let order = StackOrder::new(process, thread, &self.events);
        if self.followers.has(process) {
            self.followers.tell(process, Order::Stack(order));
        } else {
            self.jobs.stack(process, order);
        }
    }

    pub(super) fn sample(&mut self, process: ProcessKey, measures: &[Measure]) {
        match self.host.sample(process, measures) {
            Ok(mut sample) => {
                self.ages(process);
                self.probes.add(measures, &mut sample);
                self.recent_times.sampled(&*self.host, process, &sample);
                self.tell_of_misses(process, measures, &sample);
                self.feed(policy::Event::Sample(process, sample));
            }
            Err(error) if error.kind == ErrorKind::NoSuchProcess => {
                self.host_saw_exit(process, None)
            }
            Err(error) => self.out.push(RunEvent::Failed(error)),
        }
    }

    /// A process was sampled.
    fn ages(&mut self, process: ProcessKey) {
        if let Some(fresh) = self.fresh.get_mut(&process)
            && std::mem::replace(&mut fresh.is_sampled, true)
        {
            self.fresh.remove(&process);
        }
    }

    /// A figure that has no value, not even the second time (a rate has none the first), would be waited for
    /// in vain.
    fn tell_of_misses(&mut self, process: ProcessKey, measures: &[Measure], sample: &Sample) {
        for measure in measures {
            let Some(line) = missing(measure) else {
                continue;
            };
            let misses = self.misses.entry((process, measure.clone())).or_default();
            *misses = match sample.value(measure) {
                Some(_) => 0,
                None => *misses + 1,
            };
            if *misses == 2 {
                let lines = vec![line];
                self.out.push(RunEvent::Notice { process, lines });
            }
        }
    }

    /// ProcDump's `-k`: the target ends with the rule's last dump.
    fn kill_if_wanted(&mut self, rule: RuleId, why: FinishReason) {
        let options = self.options.get(&rule);
        let is_wanted = options.is_some_and(|options| options.kill_after);
        let process = self.last_dumped.get(&rule).copied();
        if let Some(process) = process.filter(|_| is_wanted && why == FinishReason::CountReached)
            && let Err(error) = self.host.kill(process)
            && !error.is_of_end()
        {
            self.out.push(RunEvent::Failed(error));
        }
    }

    fn run_program(&mut self, program: &str, note: &Note) {
        let rule = self.rules.rule(note.rule).map(|rule| &rule.name[..]);
        let started = self.programs.start(program, note, rule.unwrap_or_default());
        self.out
            .extend(started.unwrap_or_else(|error| Some(RunEvent::Failed(error))));
    }
}

/// What there is to say of a figure that some processes have and others do not; `None` for any other.
fn missing(measure: &Measure) -> Option<String> {
    let of_limit = |what: &str, level: &str| {
        format!("it has no limit of {what}, so that `{level} of limit` is never met")
    };
    match measure {
        Measure::Counter(name) => Some(format!(
            "the counter {name} has no value here; `firstchance counters` lists those that have"
        )),
        Measure::MemoryOfLimit => Some(of_limit("memory", "memory …")),
        Measure::CpuLimit => Some(of_limit("processors", "cpu …")),
        _ => None,
    }
}

/// How a process is stopped for a dump. One whose control group is short of memory is not cloned: what it writes meanwhile would
/// be copied, and the kernel would kill it.
fn stop_for(trigger: &Trigger, stop: Stop) -> Stop {
    let is_short = match trigger {
        Trigger::Level {
            condition: Condition::Holds { all, .. },
            ..
        } => all.iter().any(|level| {
            matches!(
                level,
                Level::Compare {
                    gauge: Gauge::MemoryOfLimit,
                    ..
                }
            )
        }),
        _ => false,
    };
    match stop {
        Stop::Threads | Stop::Clone if is_short => Stop::Hold,
        stop => stop,
    }
}
