//! What stands on the command line, by the table: switches with their values, and bare words.

use super::{
    Dialect, UsageError,
    switches::{Id, Shape, Switch, find, get},
};

/// What was given.
#[derive(Debug, Default)]
pub(super) struct Given {
    switches: Vec<(Id, Vec<String>)>,
    /// Target, and file or folder.
    pub(super) words: Vec<String>,
}

impl Given {
    pub(super) fn has(&self, id: Id) -> bool {
        self.switches.iter().any(|(given, _)| *given == id)
    }

    /// The values of a switch; of the last one, where several were given.
    pub(super) fn values(&self, id: Id) -> Option<&[String]> {
        let found = self.switches.iter().rev().find(|(given, _)| *given == id);
        found.map(|(_, values)| &values[..])
    }

    /// The first value of a switch.
    pub(super) fn value(&self, id: Id) -> Option<&str> {
        self.values(id)?.first().map(String::as_str)
    }

    /// The values of all occurrences of a switch, cut at commas.
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

/// How many of the arguments are ProcDump's own: behind `-x FOLDER IMAGE` stands another program's
/// command line.
pub(super) fn before_launch(arguments: &[String]) -> usize {
    let is_launch = |a: &String| as_switch(a).is_some_and(|s| s.id == Id::Launch);
    let launch = arguments.iter().position(is_launch);
    launch.map_or(arguments.len(), |at| at + 1)
}

/// Reads all arguments.
pub(super) fn read(arguments: &[String], dialect: Dialect) -> Result<Given, UsageError> {
    let mut given = Given::default();
    let mut rest = arguments;
    while let [first, behind @ ..] = rest {
        rest = behind;
        let Some(switch) = as_switch(first) else {
            is_word(first)?;
            given.words.push(first.clone());
            continue;
        };
        let count = match switch.shape {
            Shape::Flag => 0,
            Shape::Values(names) => names.len(),
            Shape::UpTo(most) => usize::from(is_own_number(switch, most, rest, &given, dialect)),
            Shape::Word(word) => usize::from(rest.first().is_some_and(|w| w == word)),
            Shape::Rest(names) => rest.len().max(names.len()),
        };
        let Some((values, behind)) = rest.split_at_checked(count) else {
            let usage = switch.usage();
            return Err(UsageError(format!("{first} needs more behind it: {usage}")));
        };
        given.switches.push((switch.id, values.to_vec()));
        rest = behind;
    }
    single_values(&given)?;
    Ok(given)
}

/// The switch that an argument is. A `/` may begin a path as well, so that only what is a switch
/// to the letter is one.
fn as_switch(argument: &str) -> Option<&'static Switch> {
    let name = argument.strip_prefix(['-', '/'])?;
    let switch = find(name)?;
    // The table has `--linux` as "-linux"; "/-linux" is none.
    (switch.id != Id::Linux || argument.starts_with('-')).then_some(switch)
}

fn is_word(argument: &str) -> Result<(), UsageError> {
    let unknown = argument.starts_with('-') && argument.len() > 1;
    if !unknown {
        return Ok(());
    }
    let known = |given: &str| find(given).map(|s| format!(" (did you mean -{}?)", s.name));
    let lone = argument.trim_start_matches('-');
    let hint = known(lone).or_else(|| lone.get(..2).and_then(known));
    Err(UsageError(format!(
        "{argument} is no switch{}; -? lists them",
        hint.unwrap_or_default()
    )))
}

/// Whether the next argument is the number of a switch that may have one.
fn is_own_number(
    switch: &Switch,
    most: u32,
    rest: &[String],
    given: &Given,
    dialect: Dialect,
) -> bool {
    // ProcDump for Linux's -e has no number.
    let has_number = dialect == Dialect::Windows || switch.id != Id::Exception;
    let number = rest.first().and_then(|word| word.parse::<u32>().ok());
    let fits = number.is_some_and(|number| (1..=most).contains(&number));
    has_number && fits && (is_target_given(given) || target_follows(&rest[1..]))
}

fn is_target_given(given: &Given) -> bool {
    let whole = [Id::Group, Id::Install, Id::PostMortem, Id::Help];
    !given.words.is_empty() || whole.iter().any(|id| given.has(*id))
}

/// Whether a target stands among these arguments: a word that is no switch's own value. Of a
/// number that may be one, the target has the first claim: in `-e 1 -r 1` the last is it.
fn target_follows(arguments: &[String]) -> bool {
    let mut rest = arguments;
    while let [first, behind @ ..] = rest {
        let Some(switch) = as_switch(first) else {
            return true;
        };
        let values = match switch.shape {
            Shape::Values(names) => names.len(),
            Shape::Rest(_) => return true,
            _ => 0,
        };
        if [Id::Group, Id::Install].contains(&switch.id) {
            return true;
        }
        rest = behind.get(values..).unwrap_or_default();
    }
    false
}

/// A value given twice is a mistake: which of the two is meant? Filters add up.
fn single_values(given: &Given) -> Result<(), UsageError> {
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
