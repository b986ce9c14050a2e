use snapshot::DumpKind;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Dumps, one of each kind, smallest first (ProcDump's `-mm -ma`). They count as one.
    Dump(Vec<DumpKind>),
    /// The stack of the thread goes to the log.
    LogStack,
    /// The exception goes to the log.
    LogException,
    /// Nothing; it is counted.
    None,
    /// A program is started; its path, then its arguments, with blanks between them. Rule files
    /// that the administrator owns are the only ones that may ask for it.
    Run(String),
}

impl Action {
    /// The kinds of dumps it takes, smallest first; none for other actions.
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
    /// Sorted, each kind once.
    fn from_iter<I: IntoIterator<Item = DumpKind>>(kinds: I) -> Self {
        let mut kinds: Vec<_> = kinds.into_iter().collect();
        kinds.sort();
        kinds.dedup();
        Action::Dump(kinds)
    }
}
