//! What a rule does when its condition is met.

use snapshot::DumpKind;

/// What a rule does when its condition is met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Takes a dump of each of these kinds, smallest first (ProcDump's `-mm -ma`). Limits count them as one
    /// dump.
    Dump(Vec<DumpKind>),
    /// Shows the stack of the thread that met the condition, or of all threads.
    LogStack,
    /// Shows the exception.
    LogException,
    /// Does nothing, but counts as an action.
    None,
    /// Starts a program: its path and its arguments, cut into words as the system's shell does. Only a rule file that nobody but
    /// the administrator can change may ask for this.
    Run(String),
}

impl Action {
    /// The kinds of dump that the action takes, smallest first. Empty for an action that takes none.
    pub fn kinds(&self) -> &[DumpKind] {
        match self {
            Action::Dump(kinds) => kinds,
            _ => &[],
        }
    }
}

impl From<DumpKind> for Action {
    fn from(kind: DumpKind) -> Self {
        Action::Dump(vec![kind])
    }
}

impl FromIterator<DumpKind> for Action {
    /// The action that takes a dump of each kind, once.
    fn from_iter<I: IntoIterator<Item = DumpKind>>(kinds: I) -> Self {
        let mut kinds: Vec<_> = kinds.into_iter().collect();
        kinds.sort();
        kinds.dedup();
        Action::Dump(kinds)
    }
}
