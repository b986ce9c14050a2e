//! Which exceptions a rule is about, and how an exception is printed.

use crate::Pattern;
use snapshot::Exception;

/// Selects exceptions: by their chance, by what they must be, and by what they must not be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExceptionFilter {
    /// Whether first chance, second chance or both are meant.
    pub chance: Chance,
    /// The exception must match one of these. If empty, any exception does.
    pub include: Vec<Match>,
    /// The exception must match none of these, even if it matches one of `include`.
    pub exclude: Vec<Match>,
}

impl ExceptionFilter {
    /// Whether the filter selects `exception`.
    pub fn matches(&self, exception: &Exception) -> bool {
        let wanted = |m: &Match| m.matches(exception) || m.names_signal_of(exception);
        self.chance.matches(exception.first_chance)
            && (self.include.is_empty() || self.include.iter().any(wanted))
            && !self.excludes(exception)
    }

    fn excludes(&self, exception: &Exception) -> bool {
        self.exclude.iter().any(|m| m.matches(exception))
    }

    /// Whether the filter names `signal` itself, by which a program ends because nobody caught `uncaught`.
    pub(crate) fn names_signal_of(&self, signal: &Exception, uncaught: &Exception) -> bool {
        let by_code = |m: &Match| matches!(m, Match::Code(_)) && m.matches(signal);
        let by_name = |m: &Match| m.names_signal_of(uncaught) && !m.matches(uncaught);
        let mut include = self.include.iter();
        include.any(|m| by_code(m) || by_name(m)) && self.allows_signal_of(signal, uncaught)
    }

    /// Whether the filter selects that signal, and does not leave out the exception for which it comes.
    pub(crate) fn allows_signal_of(&self, signal: &Exception, uncaught: &Exception) -> bool {
        self.wakes_for(signal) && !self.excludes(uncaught)
    }

    /// Whether the filter may select an exception at its second chance, when nobody has handled it.
    pub fn means_unhandled(&self) -> bool {
        self.chance != Chance::First
    }

    /// Whether `exception` has to be reported: because the filter selects it, or because the filter only
    /// asks to show all exceptions (`exception ""`, ProcDump's `-f ""`) and does not exclude this one.
    pub fn wakes_for(&self, exception: &Exception) -> bool {
        let empty = |m: &Match| matches!(m, Match::Text(p) if p.text().is_empty());
        let shows = !self.include.is_empty() && self.include.iter().all(empty);
        let is_its_chance = self.chance.matches(exception.first_chance);
        let shown = shows && is_its_chance && !self.excludes(exception);
        shown || self.matches(exception)
    }

    /// A filter that selects nothing, but asks to show all exceptions that this filter does not exclude.
    pub fn showing_all(&self) -> Self {
        Self {
            chance: Chance::Any,
            include: vec![Match::Text(Pattern::new(""))],
            exclude: self.exclude.clone(),
        }
    }

    /// Whether an exception, of which everything but the message is known, may be selected because of its message, and only
    /// because of that.
    pub fn needs_message_of(&self, exception: &Exception) -> bool {
        let reads = |m: &Match| matches!(m, Match::Text(p) if !p.text().is_empty());
        self.include.iter().any(reads)
            && self.chance.matches(exception.first_chance)
            && !self.excludes(exception)
            && !self.wakes_for(exception)
    }
}

/// The moment at which an exception is reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Chance {
    /// First chance and second chance.
    #[default]
    Any,
    /// First chance: before any handler has seen it.
    First,
    /// Second chance: nobody has handled it, and the process is about to die of it.
    Unhandled,
}

impl Chance {
    fn matches(self, first: bool) -> bool {
        match self {
            Chance::Any => true,
            Chance::First => first,
            Chance::Unhandled => !first,
        }
    }
}

/// How an exception is recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// The pattern is found anywhere in the [`printed`] text.
    Text(Pattern),
    /// NAME of `CODE.NAME` is exactly this, case included (DebugDiag's "Exception Type Equals").
    Name(String),
    /// The code is this: the NTSTATUS on Windows, the number of the signal on Linux.
    Code(u32),
}

impl Match {
    fn matches(&self, exception: &Exception) -> bool {
        match self {
            Match::Text(pattern) => {
                names(exception).any(|name| pattern.is_in(&with_message(&name, &exception.message)))
            }
            Match::Name(wanted) => names(exception).any(|name| name_of(&name) == wanted),
            Match::Code(code) => exception.code == *code,
        }
    }

    /// Whether it is the name of the signal by which the program ends because nobody caught `exception`.
    fn names_signal_of(&self, exception: &Exception) -> bool {
        let signal = &exception.signal;
        match self {
            Match::Text(pattern) => !signal.is_empty() && pattern.is_in(signal),
            Match::Name(wanted) => !signal.is_empty() && name_of(signal) == wanted,
            Match::Code(_) => false,
        }
    }
}

/// `CODE.NAME` of an exception and of each of its base classes: a filter on `std::runtime_error` selects
/// what derives from it, too.
fn names(exception: &Exception) -> impl Iterator<Item = String> {
    let own = &exception.name;
    let code = own.split_once('.').map_or("", |(code, _)| code);
    let base = move |base: &String| format!("{code}.{base}");
    std::iter::once(own.clone()).chain(exception.bases.iter().map(base))
}

/// The text of an exception, which is shown and which filters are looked for in: `CODE.NAME ("message")`,
/// or `CODE.NAME` if there is no message.
pub fn printed(exception: &Exception) -> String {
    with_message(&exception.name, &exception.message)
}

fn with_message(name: &str, message: &str) -> String {
    match message {
        "" => name.to_owned(),
        message => format!("{name} (\"{message}\")"),
    }
}

/// NAME of `CODE.NAME`. A code has no dot, but a name may have some.
fn name_of(name: &str) -> &str {
    name.split_once('.').map_or(name, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exception(name: &str, message: &str, first_chance: bool) -> Exception {
        let (name, message) = (name.to_owned(), message.to_owned());
        Exception {
            code: 0xE0434352,
            name,
            message,
            first_chance,
            ..Exception::default()
        }
    }

    fn check(condition: &str, matching: &[&str], other: &[&str]) {
        let crate::Condition::Exception(filter) = condition.parse().unwrap() else {
            panic!("{condition} is no exception");
        };
        let as_exception = |text: &str| {
            let (first, text) = match text.strip_prefix("unhandled ") {
                Some(rest) => (false, rest),
                None => (true, text),
            };
            let (name, message) = text.split_once(' ').unwrap_or((text, ""));
            exception(name, message, first)
        };
        for text in matching {
            assert!(filter.matches(&as_exception(text)), "{condition}: {text}");
        }
        for text in other {
            assert!(!filter.matches(&as_exception(text)), "{condition}: {text}");
        }
    }

    #[test]
    fn a_plain_filter_is_looked_for_in_the_whole_text() {
        let npe = "E0434352.System.NullReferenceException not set";
        check("exception", &[npe, "unhandled SIGSEGV.SEGV_MAPERR"], &[]);
        check(
            "exception \"nullreference\"",
            &[npe],
            &["SIGSEGV.SEGV_MAPERR"],
        );
        check("exception \"not SET\"", &[npe], &["E0434352.Other"]);
        check(
            "exception \"System.*(\\\"not\"",
            &[npe],
            &["E0434352.System.X"],
        );
        check("exception not \"NullRef\"", &["E0434352.Other"], &[npe]);
        check("exception \"System\" not \"null\"", &["E.System.X"], &[npe]);
        check(
            "exception \"A\", \"B\" not \"C\"",
            &["1.A", "1.B"],
            &["1.BC", "1.D"],
        );
    }

    #[test]
    fn an_equals_sign_compares_the_name_alone() {
        let condition = "exception = \"System.NullReferenceException\"";
        let wrong = [
            "E0434352.system.nullreferenceexception",
            "E0434352.System.NullReferenceExceptionX",
            "System.NullReferenceException",
        ];
        let right = ["E0434352.System.NullReferenceException a message"];
        check(condition, &right, &wrong);
        check("exception code 0xE0434352", &right, &[]);
        check("exception code 0xC0000005", &[], &right);
    }

    #[test]
    fn a_filter_on_a_base_class_catches_what_derives_from_it() {
        let mut thrown = exception("CXX.NotFound", "no such file", true);
        thrown.bases = vec!["std::out_of_range".to_owned(), "std::exception".to_owned()];
        for (condition, matching) in [
            ("exception \"std::out_of_range\"", true),
            ("exception = \"std::exception\"", true),
            ("exception \"out_of_range (\\\"no such\"", true),
            ("exception \"runtime_error\"", false),
            ("exception not \"std::exception\"", false),
        ] {
            let crate::Condition::Exception(filter) = condition.parse().unwrap() else {
                panic!("{condition} is no exception");
            };
            assert_eq!(filter.matches(&thrown), matching, "{condition}");
        }
    }

    #[test]
    fn what_shows_all_wakes_for_all_but_what_is_excluded() {
        let filter = ExceptionFilter {
            chance: Chance::Unhandled,
            exclude: vec![Match::Text(Pattern::new("B"))],
            ..ExceptionFilter::default()
        };
        let shows = filter.showing_all();
        for (name, wakes) in [("X.A", true), ("X.B", false)] {
            let exception = exception(name, "", true);
            assert_eq!(shows.wakes_for(&exception), wakes, "{name}");
            assert!(!shows.matches(&exception) && !filter.wakes_for(&exception));
        }
    }

    #[test]
    fn the_chance_is_part_of_the_filter() {
        check("unhandled exception", &["unhandled X.Y"], &["X.Y"]);
        check("exception first chance", &["X.Y"], &["unhandled X.Y"]);
        check(
            "unhandled exception \"Y\"",
            &["unhandled X.Y"],
            &["X.Y", "unhandled X.Z"],
        );
        check("exception \"\"", &[], &["X.Y", "unhandled X.Y"]);
    }
}
