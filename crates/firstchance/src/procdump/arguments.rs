//! Cuts a command line into switches with their values and other words, by the table of switches.

use super::{
    Dialect, UsageError,
    numbers::outside,
    switches::{Id, Shape, Switch, find, get},
};

/// The arguments of one command line.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    switches: Vec<(Id, Vec<String>)>,
    /// What is neither a switch nor the value of one: the target, then a file or a folder.
    pub(super) words: Vec<String>,
}

impl Arguments {
    /// Whether the switch is there.
    pub(super) fn has(&self, id: Id) -> bool {
        self.switches.iter().any(|(given, _)| *given == id)
    }

    /// The values of a switch, of its last occurrence. Returns `None` if it is not there.
    pub(super) fn values(&self, id: Id) -> Option<&[String]> {
        let found = self.switches.iter().rev().find(|(given, _)| *given == id);
        found.map(|(_, values)| &values[..])
    }

    /// The first value of a switch, of its last occurrence. Returns `None` if there is none.
    pub(super) fn value(&self, id: Id) -> Option<&str> {
        self.values(id)?.first().map(String::as_str)
    }

    /// The values of all occurrences of a switch, split at commas.
    pub(super) fn list(&self, id: Id) -> Vec<&str> {
        let given = self.switches.iter().filter(|(given, _)| *given == id);
        let values = given.flat_map(|(_, values)| values);
        values.flat_map(|value| value.split(',')).collect()
    }

    /// All switches, each once, in the order in which they were given.
    pub(super) fn ids(&self) -> Vec<Id> {
        let mut ids = Vec::new();
        for (id, _) in &self.switches {
            if !ids.contains(id) {
                ids.push(*id);
            }
        }
        ids
    }
}

/// The number of arguments up to `-x`. What follows `-x FOLDER IMAGE` is the command line of another
/// program, and must not be read as ProcDump's own.
pub(super) fn before_launch(arguments: &[String]) -> usize {
    let is_launch = |a: &String| as_switch(a).is_some_and(|s| s.id == Id::Launch);
    let launch = arguments.iter().position(is_launch);
    launch.map_or(arguments.len(), |at| at + 1)
}

/// Reads all arguments. Fails with a sentence for the user if a switch is unknown, lacks its value, or is
/// given twice.
pub(super) fn read(arguments: &[String], dialect: Dialect) -> Result<Arguments, UsageError> {
    let mut given = Arguments::default();
    let mut rest = arguments;
    while let [first, after @ ..] = rest {
        rest = after;
        let Some(switch) = as_switch(first) else {
            refuse_unknown_switch(first)?;
            given.words.push(first.clone());
            continue;
        };
        let count = match switch.shape {
            Shape::Flag => 0,
            Shape::Values(names) => names.len(),
            Shape::UpTo(most) => usize::from(is_own_number(switch, most, rest, &given, dialect)?),
            Shape::Word(word) => usize::from(rest.first().is_some_and(|w| w == word)),
            Shape::Rest(names) => rest.len().max(names.len()),
        };
        let Some((values, after)) = rest.split_at_checked(count) else {
            let usage = switch.usage();
            let hint = hint_of_pid(switch.id, rest.first().map(String::as_str), dialect);
            return Err(UsageError(format!("{first} needs a value: {usage}{hint}")));
        };
        given.switches.push((switch.id, values.to_vec()));
        rest = after;
    }
    single_values(&given)?;
    Ok(given)
}

/// What to say of `-p PID`, which named the process up to ProcDump 1.2 for Linux; empty for anything else.
pub(super) fn hint_of_pid(id: Id, value: Option<&str>, dialect: Dialect) -> &'static str {
    let is_pid = value.is_none_or(|value| value.parse::<u32>().is_ok());
    match id == Id::Counter && dialect == Dialect::Linux && is_pid {
        true => "; since ProcDump 1.3 for Linux, a pid is named without -p",
        false => "",
    }
}

/// The switch that an argument is, or `None` if it is another word. A `/` may also begin a path, so that an
/// argument with `/` is a switch only if the whole of it is the name of one.
fn as_switch(argument: &str) -> Option<&'static Switch> {
    if argument.eq_ignore_ascii_case("--help") {
        return Some(get(Id::Help));
    }
    let name = argument.strip_prefix(['-', '/'])?;
    let switch = find(name)?;
    // In the table, `--linux` has the name "-linux", but "/-linux" is no switch.
    (!switch.name.starts_with('-') || argument.starts_with('-')).then_some(switch)
}

/// Fails if an argument looks like a switch, but is not in the table.
fn refuse_unknown_switch(argument: &str) -> Result<(), UsageError> {
    let unknown = argument.starts_with('-') && argument.len() > 1;
    if !unknown {
        return Ok(());
    }
    let known = |given: &str| find(given).map(|s| format!(" (did you mean -{}?)", s.name));
    let lone = argument.trim_start_matches('-');
    let hint = known(lone).or_else(|| lone.get(..2).and_then(known));
    Err(UsageError(format!(
        "{argument} is not a switch{}; -? lists them",
        hint.unwrap_or_default()
    )))
}

/// Whether the next argument is the optional number of `switch`, and not the target. Fails if it can be neither: in `-r 6 77`
/// the 6 is no number of clones, and would be a target with a file that is called 77.
fn is_own_number(
    switch: &Switch,
    most: u32,
    rest: &[String],
    given: &Arguments,
    dialect: Dialect,
) -> Result<bool, UsageError> {
    // In ProcDump for Linux, -e has no number.
    let has_number = dialect == Dialect::Windows || switch.id != Id::Exception;
    let Some((number, after)) = rest.split_first().filter(|_| has_number) else {
        return Ok(false);
    };
    let Ok(number) = number.parse::<u32>() else {
        return Ok(false);
    };
    let follows = target_after(after);
    let is_pid = |word: &str| word.parse::<u32>().is_ok();
    match (1..=most).contains(&number) {
        true => Ok(is_target_given(given) || follows.is_some()),
        false if follows.is_some_and(is_pid) => {
            Err(outside(switch.name, &(1..=most), &number.to_string()))
        }
        false => Ok(false),
    }
}

/// Whether the arguments so far name the target, or do not need one.
fn is_target_given(given: &Arguments) -> bool {
    let needs_no_word = [Id::Install, Id::PostMortem, Id::Help];
    !given.words.is_empty() || needs_no_word.iter().any(|id| given.has(*id))
}

/// Returns the target among these arguments: a word that is not the value of a switch, or a switch that needs none. A
/// number that could be either is the target: in `-e 1 -r 1`, the last 1 is.
fn target_after(arguments: &[String]) -> Option<&str> {
    let mut rest = arguments;
    while let [first, after @ ..] = rest {
        let Some(switch) = as_switch(first) else {
            return Some(first);
        };
        let values = match switch.shape {
            Shape::Values(names) => names.len(),
            Shape::Rest(_) => return Some(first),
            _ => 0,
        };
        if switch.id == Id::Install {
            return Some(first);
        }
        rest = after.get(values..).unwrap_or_default();
    }
    None
}

/// Fails if a switch with a value is given twice, because it is unclear which of the two is meant. The
/// values of filters are added up.
fn single_values(given: &Arguments) -> Result<(), UsageError> {
    for id in given.ids() {
        let switch = get(id);
        let adds_up = matches!(id, Id::Include | Id::Exclude | Id::Signal);
        let times = given.switches.iter().filter(|(other, _)| *other == id);
        if matches!(switch.shape, Shape::Values(_)) && !adds_up && times.count() > 1 {
            return Err(UsageError(format!("-{} is given twice", switch.name)));
        }
    }
    Ok(())
}
