//! Which IIS application pool a process works for, so that nobody has to tell `w3wp#2` from `w3wp#3`.

use crate::ui::console;
use platform::ProcessEntry;

/// Its pool.
pub(crate) fn of(entry: &ProcessEntry) -> Option<String> {
    collector::identity(entry).pool().map(str::to_owned)
}

/// The command line, with the pool before it. Azure App Service runs its SCM site (Kudu) in a pool
/// of its own beside that of the application, with `~1` before the name: hardly ever the one that
/// is meant.
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
