//! The IIS application pool of a worker process: all workers are called `w3wp.exe`.

use crate::ui::console;
use platform::ProcessEntry;

/// The pool that a process works for; `None` if it is no IIS worker.
pub(crate) fn of(entry: &ProcessEntry) -> Option<String> {
    collector::identity(entry).pool().map(str::to_owned)
}

/// The command line of a process, with its pool before it. Azure App Service runs the SCM site
/// (Kudu) of an application in a pool of its own, whose name begins with `~1`: it is marked, as it
/// is rarely the process that a user looks for.
pub(crate) fn marked_command(entry: &ProcessEntry) -> String {
    let command = console::command(entry);
    let Some(pool) = of(entry) else {
        return command;
    };
    let scm = if pool.starts_with("~1") {
        ", the SCM site"
    } else {
        ""
    };
    format!("[pool {}{scm}] {command}", console::plain(&pool))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_shown_with_its_pool_and_the_scm_site_is_told_apart() {
        let worker = |pool: &str| ProcessEntry {
            name: "w3wp.exe".to_owned(),
            command_line: ["w3wp.exe", "-ap", pool].map(str::to_owned).to_vec(),
            ..ProcessEntry::default()
        };
        assert_eq!(
            marked_command(&worker("shop")),
            "[pool shop] w3wp.exe -ap shop"
        );
        let scm = marked_command(&worker("~1shop"));
        assert_eq!(scm, "[pool ~1shop, the SCM site] w3wp.exe -ap ~1shop");
    }
}
