//! Reads the options for watching a process: the rule that the command line means, and all the rest.

use super::{
    Dialect, Launch, LogTo, Monitor, UsageError,
    arguments::hint_of_pid,
    lower::{Lowering, Result},
    numbers::{ANY, NOT_ZERO, parsed},
    switches::Id,
    triggers::Triggers,
};
use policy::{Action, Clause, Condition, Follow, Limit, Rule, Scope, Target, Window};
use snapshot::OperatingSystem;
use std::time::Duration;

/// The default of `-n`: one dump.
const COUNT: u32 = 1;
/// The default of `-s`, in seconds.
const SECONDS: u32 = 10;
/// The pause that `-s 0` means for thresholds in ProcDump for Linux: the next sample counts again, which comes after the
/// polling interval.
const UNTIL_NEXT_SAMPLE: Duration = Duration::from_millis(1);

impl Lowering<'_> {
    /// The options for watching a process. Fails with a sentence for the user if a value is wrong or if
    /// switches contradict each other.
    pub(super) fn monitor(&self) -> Result<Monitor> {
        let arguments = self.arguments;
        self.conflicts()?;
        let count = self.count()?;
        let seconds = self.number(Id::Seconds, ANY)?.unwrap_or(SECONDS);
        // A switch that lacks its value has taken the target for it: its own sentence comes first.
        let (log, poll) = (self.log()?, self.poll()?);
        let (target, output, launch) = self.target()?;
        let mut rule = Rule::new(target, self.clauses(count, seconds)?);
        rule.follow = self.follow();
        rule.children = arguments.has(Id::Tree);
        rule.compress = self.compression()?;
        rule.folder = launch.is_some().then(|| output.clone()).flatten();
        let clones = self.clones()?;
        rule.limits.concurrent = clones.unwrap_or(1);
        rule.limits.avoid_outage = arguments.has(Id::AvoidOutage);
        rule.limits.windows = self.pause(&rule, count, seconds);
        Ok(Monitor {
            rule,
            dialect: self.dialect,
            // Who watches a group watches what is in it now.
            wait: arguments.has(Id::Wait) && !arguments.has(Id::Group),
            launch,
            output,
            comment: arguments.value(Id::Comment).map(str::to_owned),
            overwrite: arguments.has(Id::Overwrite),
            clones,
            kill_after: arguments.has(Id::Kill),
            timeout: self.timeout()?,
            windows: self.windows_switches(),
            native: arguments.has(Id::Native),
            breakpoints: arguments.has(Id::Breakpoints),
            debug_strings: arguments.has(Id::DebugString),
            poll,
            log,
            seconds,
            count,
        })
    }

    /// Fails if there are switches that contradict each other.
    fn conflicts(&self) -> Result<()> {
        let has = |id| self.arguments.has(id);
        let fault = |text: &str| Err(UsageError(text.to_owned()));
        if self.dialect == Dialect::Linux && has(Id::Include) && !self.is_filtered() {
            // In its own words, as it refuses the same.
            return fault("Please use the -e switch when specifying an exception filter (-f)");
        }
        if has(Id::AvoidOutage) && !has(Id::Clone) {
            return fault("-a needs -r: it skips a trigger when the limit of clones is reached");
        }
        if has(Id::Kernel) && has(Id::Clone) {
            return fault("-mk is not possible with -r: a clone has no kernel stacks");
        }
        if self.has_here(Id::Store) && !has(Id::Launch) {
            return fault("-y needs -x FOLDER IMAGE: IMAGE is the id of a Store application");
        }
        if has(Id::Launch) && (has(Id::Wait) || has(Id::Group) || !self.arguments.words.is_empty())
        {
            return fault("-x starts the target: do not name another one");
        }
        let lists = self
            .arguments
            .list(Id::Memory)
            .len()
            .max(self.arguments.list(Id::MemoryBelow).len());
        if has(Id::Count) && lists > 1 {
            return fault(match self.dialect {
                Dialect::Windows => {
                    "-n is not possible with a list of thresholds, which takes one dump at each"
                }
                Dialect::Linux => {
                    "When specifying more than one memory threshold the number of dumps switch (-n) is invalid."
                }
            });
        }
        Ok(())
    }

    /// The target, the file or folder for the dumps, and the program to start.
    fn target(&self) -> Result<(Target, Option<String>, Option<Launch>)> {
        if let Some([folder, image, arguments @ ..]) = self.arguments.values(Id::Launch) {
            let launch = Launch {
                image: image.clone(),
                arguments: arguments.to_vec(),
                is_store: self.has_here(Id::Store),
            };
            let target = Target::Launch(image.clone());
            return Ok((target, Some(folder.clone()), Some(launch)));
        }
        let mut words = self.arguments.words.iter();
        let target = match self.arguments.has(Id::Group) {
            true => self.group(words.next())?,
            false => self.named(words.next())?,
        };
        let output = words.next().cloned();
        match words.next() {
            None => Ok((target, output, None)),
            Some(word) => Err(UsageError(format!(
                "`{word}` is one argument too many: expected a target, then a file or a folder"
            ))),
        }
    }

    /// The process group that a word of the command line names.
    fn group(&self, word: Option<&String>) -> Result<Target> {
        let missing = "-pgid: no target: give the number of a process group";
        let value = self.arguments.value(Id::Counter);
        let hint = value.map_or("", |value| {
            hint_of_pid(Id::Counter, Some(value), self.dialect)
        });
        let word = word.ok_or_else(|| UsageError(format!("{missing}{hint}")))?;
        let is_number = word.chars().all(|c| c.is_ascii_digit());
        let group = word.parse().ok().filter(|group| is_number && *group != 0);
        let wrong = || {
            UsageError(format!(
                "-pgid: `{word}` is not the number of a process group"
            ))
        };
        group.map(Target::Group).ok_or_else(wrong)
    }

    /// The target that a word of the command line names.
    fn named(&self, word: Option<&String>) -> Result<Target> {
        let missing = "no target: name a process, a service or a pid (-? shows how)";
        let counter = self.arguments.value(Id::Counter);
        let hint = counter.map_or("", |value| {
            hint_of_pid(Id::Counter, Some(value), self.dialect)
        });
        let word = word.filter(|word| !word.is_empty());
        let word = word.ok_or_else(|| UsageError(format!("{missing}{hint}")))?;
        if !word.chars().all(|c| c.is_ascii_digit()) {
            return Ok(Target::Name(word.clone()));
        }
        if self.arguments.has(Id::Wait) {
            return Err(UsageError(match self.dialect {
                Dialect::Windows => {
                    format!("-w needs a name: nobody knows which process will have the pid {word}")
                }
                Dialect::Linux => {
                    "The wait option requires the process be specified by name.".to_owned()
                }
            }));
        }
        let too_big = |_| UsageError(format!("{word} is not a pid"));
        word.parse().map(Target::Pid).map_err(too_big)
    }

    /// Whether one process is watched, or every one: in ProcDump for Linux, `-w NAME` watches every process of
    /// that name, and `-pgid` every process of the group. ProcDump for Linux never ends with `-w`, which scripts do not
    /// expect (its issue 274).
    fn follow(&self) -> Follow {
        match (
            self.is_named_wait() || self.arguments.has(Id::Group),
            self.arguments.has(Id::Each),
        ) {
            (true, true) => Follow::Each,
            (true, false) => Follow::All,
            (false, _) => Follow::One,
        }
    }

    /// The clauses of the rule. Conditions share the limit of `-n`, except for the thresholds of a list,
    /// which take one dump each.
    fn clauses(&self, count: u32, seconds: u32) -> Result<Vec<Clause>> {
        let period = Duration::from_secs(seconds.into());
        let triggers = Triggers {
            arguments: self.arguments,
            dialect: self.dialect,
            system: self.system,
            lasting: match self.dialect {
                Dialect::Windows => period,
                Dialect::Linux => Duration::ZERO,
            },
        };
        let (mut together, each) = triggers.read()?;
        if together.is_empty() && each.is_empty() {
            // ProcDump for Linux calls its own trigger a timer, also for one dump.
            together.push(match (count, self.dialect) {
                (1, Dialect::Windows) => Condition::Now,
                _ => Condition::Every(period),
            });
        }
        let action: Action = self.kinds(self.default_kind())?.into_iter().collect();
        let scope = self.scope();
        let clause = |when, times| {
            let limit = Some(Limit { times, scope });
            Clause {
                limit,
                ..Clause::new(when, action.clone())
            }
        };
        let each = each.into_iter().map(|condition| clause(vec![condition], 1));
        let together = (!together.is_empty()).then(|| clause(together, count));
        Ok(together.into_iter().chain(each).collect())
    }

    /// What is counted together: in ProcDump for Linux, each process has a monitor of its own.
    fn scope(&self) -> Scope {
        match self.follow().is_several() {
            true => Scope::Process,
            false => Scope::Rule,
        }
    }

    /// The limit that `-s` means in ProcDump for Linux: the time from one dump of a threshold to the next. Of several
    /// processes, each of which is dumped once, none waits for another.
    fn pause(&self, rule: &Rule, count: u32, seconds: u32) -> Vec<Window> {
        let is_level = |c: &&Condition| matches!(c, Condition::Holds { .. });
        let conditions = rule.clauses.iter().flat_map(|clause| &clause.when);
        let levels = conditions.filter(is_level).count();
        let several = rule.follow.is_several() || seconds == 0;
        let once_each = several && rule.clauses.len() == 1 && count == 1;
        let in_list = seconds == 0 && rule.clauses.len() > 1;
        let applies = self.dialect == Dialect::Linux && !once_each && !in_list;
        let within = Duration::from_secs(seconds.into()).max(UNTIL_NEXT_SAMPLE);
        match applies && levels > 0 {
            true => vec![Window {
                count: 1,
                within,
                scope: self.scope(),
                // Each trigger has a thread of its own there, and a list has one.
                each_condition: levels > 1 && rule.clauses.len() == 1,
            }],
            false => Vec::new(),
        }
    }

    fn count(&self) -> Result<u32> {
        // One dump at the beginning of the collection, and one at its end.
        let default = match self.arguments.has(Id::GcGeneration) {
            true => 2,
            false => COUNT,
        };
        Ok(self.number(Id::Count, NOT_ZERO)?.unwrap_or(default))
    }

    fn clones(&self) -> Result<Option<u32>> {
        let Some(values) = self.arguments.values(Id::Clone) else {
            return Ok(None);
        };
        let count = values
            .first()
            .map_or(Ok(1), |n| parsed(Id::Clone, n, "a number"));
        count.map(Some)
    }

    pub(super) fn timeout(&self) -> Result<Option<Duration>> {
        let seconds = self.number(Id::Timeout, NOT_ZERO)?;
        Ok(seconds.map(|s| Duration::from_secs(s.into())))
    }

    fn poll(&self) -> Result<Option<Duration>> {
        let milliseconds = self.number(Id::Poll, NOT_ZERO)?;
        Ok(milliseconds.map(|ms| Duration::from_millis(ms.into())))
    }

    fn log(&self) -> Result<Option<LogTo>> {
        let Some(text) = self.arguments.value(Id::Log) else {
            return Ok(None);
        };
        match &text.to_ascii_lowercase()[..] {
            "syslog" if self.system == OperatingSystem::Windows => Err(UsageError(
                "-log syslog is not possible on Windows, which has no syslog: -log stdout"
                    .to_owned(),
            )),
            "syslog" => Ok(Some(LogTo::Syslog)),
            "stdout" => Ok(Some(LogTo::Stdout)),
            _ => Err(UsageError(format!(
                "-log {text}: expected syslog or stdout"
            ))),
        }
    }
}
