//! Prints commands and reasons as text: the one wording that messages, the debug log and the tests use.

use super::{Command, DumpRequest, FinishReason, Note, SuppressReason, Suppressed, WakeFor};
use crate::{Condition, print_count, print_duration, print_when};
use snapshot::Measure;
use std::{
    fmt::{Display, Formatter, Result},
    time::Duration,
};

impl Display for Command {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Command::Watch(process) => write!(f, "watch {process}"),
            Command::Sample {
                process,
                measures,
                every,
            } => sample(f, process, measures, *every),
            Command::SampleNow(process) => write!(f, "sample {process} now"),
            Command::Attach { process, wake } => write!(f, "attach to {process}: {wake}"),
            Command::Detach(process) => write!(f, "detach from {process}"),
            Command::Dump(request) => write!(f, "{request}"),
            Command::Tell(note) => write!(f, "tell of {note}"),
            Command::LogStack(note) => write!(f, "log stack of {note}"),
            Command::LogException(note) => write!(f, "log exception of {note}"),
            Command::Run { program, note } => write!(f, "run {program} for {note}"),
            Command::Suppressed(suppressed) => write!(f, "{suppressed}"),
            Command::Log { process, text } => write!(f, "{process}: {text}"),
            Command::Storm {
                process,
                active,
                rate,
            } => match active {
                true => write!(f, "storm in {process}: {rate} exceptions a second"),
                false => write!(f, "storm in {process} is over: {rate} exceptions a second"),
            },
            Command::Exceptions { process, table } => {
                write!(f, "exceptions of {process}:")?;
                table
                    .iter()
                    .try_for_each(|row| write!(f, " {}×{}", row.count, row.name))
            }
            Command::RuleFinished { rule, why, dumps } => {
                write!(f, "rule {rule} finished: {why}, {dumps} written")
            }
        }
    }
}

fn sample(
    f: &mut Formatter<'_>,
    process: &snapshot::ProcessKey,
    measures: &[Measure],
    every: Duration,
) -> Result {
    if measures.is_empty() {
        return write!(f, "sample {process} no more");
    }
    let names: Vec<_> = measures.iter().map(name).collect();
    write!(
        f,
        "sample {process} every {}: {}",
        print_duration(every),
        names.join(", ")
    )
}

fn name(measure: &Measure) -> &str {
    match measure {
        Measure::Cpu => "cpu",
        Measure::Memory => "memory",
        Measure::Rss => "rss",
        Measure::RssAndSwap => "rss+swap",
        Measure::Virtual => "virtual",
        Measure::MemoryOfLimit => "memory of limit",
        Measure::CpuLimit => "cpu limit",
        Measure::Threads => "threads",
        Measure::Handles => "handles",
        Measure::Counter(path) => path,
        Measure::Hang => "hang",
        Measure::Http(url) => url,
    }
}

impl Display for DumpRequest {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let kinds: Vec<_> = self.kinds.iter().map(ToString::to_string).collect();
        let kinds = kinds.join(" and ");
        write!(
            f,
            "dump {} of {}: {kinds} ({})",
            self.id, self.process, self.trigger
        )?;
        match self.behind {
            Some(other) => write!(f, " behind {other}"),
            None => Ok(()),
        }
    }
}

impl Display for Note {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{} ({})", self.process, self.trigger)
    }
}

impl Display for Suppressed {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(
            f,
            "suppressed in {}: {} ({})",
            self.process, self.why, self.trigger
        )?;
        match self.times {
            1 => Ok(()),
            times => write!(f, ", {times} times in a row"),
        }
    }
}

impl Display for SuppressReason {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            SuppressReason::ClauseLimit(limit) => {
                let times = print_count((*limit).into(), "time");
                write!(f, "limit of {times} for this condition reached")
            }
            SuppressReason::RuleLimit(limit) => {
                let dumps = print_count((*limit).into(), "dump");
                write!(f, "limit of {dumps} of the rule reached")
            }
            SuppressReason::Window(window, opens_in) => {
                let dumps = print_count(window.count.into(), "dump");
                let within = print_duration(window.within);
                write!(f, "limit of {dumps} in {within} reached")?;
                let next = opens_in.map(|time| print_duration(about(time)));
                next.map_or(Ok(()), |next| write!(f, ", the next may be in {next}"))
            }
            SuppressReason::Busy => f.write_str("a dump of the process is still being written"),
            SuppressReason::Copying(_) => {
                f.write_str("too many dumps of this process are still being written")
            }
            SuppressReason::Together => {
                f.write_str("the one that just begins is of the same moment")
            }
            SuppressReason::Resting(time) => {
                let next = print_duration(to_tenths(*time));
                write!(f, "the last dump failed, the next try is in {next}")
            }
            SuppressReason::Storm => f.write_str("exceptions come too fast to look at each"),
        }
    }
}

/// The time rounded up to minutes where that is exact enough, for a message.
fn about(time: Duration) -> Duration {
    match time.as_secs() {
        0..120 => to_tenths(time),
        seconds => Duration::from_secs(seconds.div_ceil(60) * 60),
    }
}

/// The time rounded up to tenths of a second, for a message.
fn to_tenths(time: Duration) -> Duration {
    Duration::from_millis(time.as_nanos().div_ceil(100_000_000) as u64 * 100)
}

impl Display for FinishReason {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            FinishReason::CountReached => "count reached",
            FinishReason::TargetExited => "the process has exited",
            FinishReason::Refused => "the process cannot be watched",
            FinishReason::Failed => "it failed",
            FinishReason::Removed => "removed",
        })
    }
}

impl Display for WakeFor {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(&print_when(&self.conditions()))
    }
}

impl WakeFor {
    /// Conditions that together need exactly these events.
    fn conditions(&self) -> Vec<Condition> {
        let places = self.breakpoints.iter().map(|(_, place)| place.clone());
        let flag = |set: bool, condition| set.then_some(condition);
        let exceptions = self.exceptions.iter().cloned().map(Condition::Exception);
        exceptions
            .chain(self.signals.iter().copied().map(Condition::Signal))
            .chain(places.map(Condition::Breakpoint))
            .chain(self.module_loads.iter().cloned().map(Condition::ModuleLoad))
            .chain(
                self.module_unloads
                    .iter()
                    .cloned()
                    .map(Condition::ModuleUnload),
            )
            .chain(flag(self.thread_starts, Condition::ThreadStart))
            .chain(flag(self.thread_exits, Condition::ThreadExit))
            .chain(
                self.debug_strings
                    .iter()
                    .cloned()
                    .map(Condition::DebugString),
            )
            .chain(flag(self.exit, Condition::Exit))
            .collect()
    }
}
