//! Prints conditions and rules so that they can be read again, to the same values.

use super::lexer::is_word;
use crate::quote::quote;
use crate::{
    Action, Chance, Clause, Condition, ExceptionFilter, Filter, Follow, Free, Gauge, Level, Limit,
    Limits, Match, Place, Rule, Series, Target, print_count, print_duration, print_size,
};
use snapshot::{DumpKind, signal_name};
use std::fmt::{Display, Formatter, Result};

/// The text of a list of conditions; [`parse_when`](crate::parse_when) reads it.
pub fn print_when(when: &[Condition]) -> String {
    List(when, " or ").to_string()
}

/// Items with a separator between them.
struct List<'a, T>(&'a [T], &'a str);

impl<T: Display> Display for List<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        for (index, item) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { self.1 };
            write!(f, "{separator}{item}")?;
        }
        Ok(())
    }
}

/// A text in quotes.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        quote(self.0, f)
    }
}

impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Condition::Holds { all, lasting } => {
                write!(f, "{}", List(all, " and "))?;
                match lasting.is_zero() {
                    true => Ok(()),
                    false => write!(f, " for {}", print_duration(*lasting)),
                }
            }
            Condition::Exception(filter) => write!(f, "{filter}"),
            Condition::Signal(number) => write!(f, "signal {}", signal_name(*number)),
            Condition::Breakpoint(place) => write!(f, "breakpoint {place}"),
            Condition::ModuleLoad(filter) => write!(f, "module load{filter}"),
            Condition::ModuleUnload(filter) => write!(f, "module unload{filter}"),
            Condition::ThreadStart => f.write_str("thread start"),
            Condition::ThreadExit => f.write_str("thread exit"),
            Condition::DebugString(filter) => write!(f, "debug string{filter}"),
            Condition::Exit => f.write_str("exit"),
            Condition::Now => f.write_str("now"),
            Condition::Every(period) => write!(f, "every {}", print_duration(*period)),
        }
    }
}

impl Display for Level {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Level::Compare {
                gauge,
                comparison,
                threshold,
            } => {
                write!(f, "{gauge} {comparison} {}", gauge.unit().print(*threshold))?;
                f.write_str(gauge.limited().map_or("", |_| " of limit"))
            }
            Level::Hang => f.write_str("hang"),
            Level::Http { url, slower_than } => {
                let limit = print_duration(*slower_than);
                write!(f, "http {} slower than {limit}", Quoted(url))
            }
        }
    }
}

impl Display for Gauge {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if let Gauge::Counter(path) = self {
            return write!(f, "counter {}", Quoted(path));
        }
        let limited = self.limited();
        let named = limited.as_ref().unwrap_or(self);
        let word = Gauge::WORDS.iter().find(|(_, gauge)| gauge == named);
        f.write_str(word.map_or("", |(word, _)| word))
    }
}

impl Display for ExceptionFilter {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let (before, behind) = match self.chance {
            Chance::Any => ("", ""),
            Chance::First => ("", " first chance"),
            Chance::Unhandled => ("unhandled ", ""),
        };
        write!(
            f,
            "{before}exception{}{behind}",
            Choice(&self.include, &self.exclude)
        )
    }
}

impl Display for Filter {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}", Choice(&self.include, &self.exclude))
    }
}

/// A filter: ` A, B not C, D`, with the blank before it.
struct Choice<'a, T>(&'a [T], &'a [T]);

impl<T: Display> Display for Choice<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if !self.0.is_empty() {
            write!(f, " {}", List(self.0, ", "))?;
        }
        if !self.1.is_empty() {
            write!(f, " not {}", List(self.1, ", "))?;
        }
        Ok(())
    }
}

impl Display for Match {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Match::Text(pattern) => write!(f, "{pattern}"),
            Match::Name(name) => write!(f, "= {}", Quoted(name)),
            Match::Code(code) => write!(f, "code 0x{code:X}"),
        }
    }
}

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let text = match self {
            Place::Address(address) => format!("0x{address:x}"),
            Place::Exit => "exit".to_owned(),
            Place::Symbol {
                module,
                symbol,
                offset,
            } => match offset {
                // Without this, a symbol that ends in "+0x10" would be read as an offset.
                0 if !symbol.contains("+0x") => format!("{module}!{symbol}"),
                offset => format!("{module}!{symbol}+0x{offset:x}"),
            },
        };
        match is_word(&text) {
            true => f.write_str(&text),
            false => quote(&text, f),
        }
    }
}

impl Display for Action {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Action::Dump(kinds) => {
                let masks = |k: &DumpKind| matches!(k, DumpKind::Custom(_));
                match kinds.iter().any(masks) {
                    true => write!(
                        f,
                        "{}",
                        List(&kinds.iter().map(KindOfDump).collect::<Vec<_>>(), " and ")
                    ),
                    false => write!(f, "{} dump", List(kinds, " and ")),
                }
            }
            Action::LogStack => f.write_str("log stack"),
            Action::LogException => f.write_str("log exception"),
            Action::None => f.write_str("none"),
            Action::Run(program) => write!(f, "run {}", Quoted(program)),
        }
    }
}

/// A kind of dump with the word `dump`, which stands before the mask: `custom dump 0x33`.
struct KindOfDump<'a>(&'a DumpKind);

impl Display for KindOfDump<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.0 {
            DumpKind::Custom(mask) => write!(f, "custom dump 0x{mask:x}"),
            other => write!(f, "{other} dump"),
        }
    }
}

impl Display for Target {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Target::Name(name) if is_plain(name) => f.write_str(name),
            Target::Name(name) => prefixed(f, "name", name),
            Target::Pid(pid) => write!(f, "{pid}"),
            Target::Service(name) => prefixed(f, "service", name),
            Target::UserService(name) => prefixed(f, "user-service", name),
            Target::Pool(name) => prefixed(f, "pool", name),
            Target::Container(id) => prefixed(f, "container", id),
            Target::CommandLine(pattern) => write!(f, "cmdline:{pattern}"),
            Target::Image(path) => prefixed(f, "image", path),
            Target::Group(group) => write!(f, "group:{group}"),
            Target::Launch(program) => prefixed(f, "launch", program),
        }
    }
}

fn prefixed(f: &mut Formatter<'_>, prefix: &str, name: &str) -> Result {
    match is_word(name) {
        true => write!(f, "{prefix}:{name}"),
        false => write!(f, "{prefix}:{}", Quoted(name)),
    }
}

/// Whether a target's name needs no prefix: it is not a pid, has no prefix, and is not a word of
/// the language.
fn is_plain(name: &str) -> bool {
    let reserved = ["each", "all", "the", "and", "name"];
    is_word(name)
        && !name.contains(':')
        && !name.chars().all(|c| c.is_ascii_digit())
        && !reserved.iter().any(|word| word.eq_ignore_ascii_case(name))
}

impl Display for Rule {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if !self.name.is_empty() {
            write!(f, "{}: ", Quoted(&self.name))?;
        }
        let follow = match self.follow {
            Follow::One => "",
            Follow::Next => "the next ",
            Follow::Each => "each ",
            Follow::All => "all ",
        };
        let children = if self.children {
            " and its children"
        } else {
            ""
        };
        write!(f, "on {follow}{}{children}, ", self.target)?;
        write!(f, "{}", List(&self.clauses, "; "))?;
        if let Some(folder) = &self.folder {
            write!(f, "; into {}", Quoted(folder))?;
        }
        if let Some(compression) = self.compress {
            write!(f, "; compress {compression}")?;
        }
        write!(f, "{}", self.limits)
    }
}

impl Display for Clause {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "when {}, do {}", print_when(&self.when), self.action)?;
        if let Some(series) = &self.series {
            write!(f, " {series}")?;
        }
        match self.limit {
            Some(limit) => write!(f, ", {limit}"),
            None => Ok(()),
        }
    }
}

impl Display for Series {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(
            f,
            "{} every {}",
            times(self.count),
            print_duration(self.every)
        )?;
        match &self.then {
            Some(action) => write!(f, " then {action}"),
            None => Ok(()),
        }
    }
}

impl Display for Limit {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "at most {}{}", times(self.times), self.scope.words())
    }
}

impl Display for Limits {
    /// All limits, each with `; ` before it.
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if let Some(count) = self.max_dumps {
            write!(f, "; at most {} in all", dumps(count))?;
        }
        for window in &self.windows {
            let within = print_duration(window.within);
            let counted = window.counted();
            write!(f, "; at most {} in {within}{counted}", dumps(window.count))?;
        }
        if let Some(window) = self.repeat_window {
            write!(
                f,
                "; at most 1 dump per signature in {}",
                print_duration(window)
            )?;
        }
        if self.concurrent != 1 {
            write!(f, "; at most {} at once", dumps(self.concurrent))?;
        }
        if self.avoid_outage {
            f.write_str("; skip while busy")?;
        }
        retention(&self.keep, f)
    }
}

fn retention(keep: &crate::Retention, f: &mut Formatter<'_>) -> Result {
    let clauses = [
        keep.max_count.map(dumps),
        keep.max_bytes.map(print_size),
        keep.max_age.map(print_duration),
    ];
    for clause in clauses.into_iter().flatten() {
        write!(f, "; keep at most {clause}")?;
    }
    match keep.keep_free {
        Some(free) => write!(f, "; keep {free} free"),
        None => Ok(()),
    }
}

impl Display for Free {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Free::Percent(percent) => write!(f, "{percent}%"),
            Free::Bytes(bytes) => f.write_str(&print_size(*bytes)),
        }
    }
}

fn times(count: u32) -> String {
    print_count(count.into(), "time")
}

fn dumps(count: u32) -> String {
    print_count(count.into(), "dump")
}
