//! The right to dump, asked for before a watch begins and not at its trigger, when it is too late.

use crate::cli::target;
use platform::{Error, ErrorKind, Host};
use policy::{Rule, Target};

/// The first of the rule's processes that may not be dumped, as a warning: those that are found by a name may be replaced
/// by others. Returns `None` if there is none, or if the rule takes no dumps.
///
/// # Errors
/// If the rule is about the pid of one that may not be dumped.
pub(super) fn missing(host: &dyn Host, rule: &Rule) -> anyhow::Result<Option<Error>> {
    let takes_dumps = rule.actions().any(|action| !action.kinds().is_empty());
    if !takes_dumps || matches!(rule.target, Target::Launch(_)) {
        return Ok(None);
    }
    let processes = target::at_beginning(host, rule)?.into_iter();
    let refused = processes.filter_map(|key| host.expect_dumpable(key).err());
    let refused = { refused }.find(|error| error.kind == ErrorKind::NotPermitted);
    match (refused, &rule.target) {
        (Some(error), Target::Pid(_)) => Err(error.into()),
        (refused, _) => Ok(refused),
    }
}
