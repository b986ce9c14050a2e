//! The command line of this run, for the comments of its dumps.

use super::console;
use std::path::Path;

/// Returns the command line as it was typed, beginning with the name of the program without its
/// folder. On Linux the shell has taken the quotes away: words have them where they need them.
pub(crate) fn command_line() -> String {
    let program = std::env::args().next().unwrap_or_default();
    let stem = Path::new(&program).file_stem();
    let stem = stem.map_or(String::new(), |stem| stem.to_string_lossy().into_owned());
    let arguments = platform::typed_arguments().unwrap_or_else(quoted_arguments);
    format!("{stem} {arguments}")
}

/// Returns a command line of ProcDump as it was typed, beginning with `procdump` also where firstchance was called with
/// that word.
pub(crate) fn procdump_line() -> String {
    let arguments = platform::typed_arguments().unwrap_or_else(quoted_arguments);
    let is_word = std::env::args()
        .nth(1)
        .is_some_and(|word| word == "procdump");
    let own = arguments.trim_start();
    let own = own
        .strip_prefix("procdump")
        .filter(|_| is_word)
        .unwrap_or(own);
    format!("procdump {}", own.trim_start())
}

fn quoted_arguments() -> String {
    let words = std::env::args().skip(1);
    let words: Vec<String> = words.map(|word| console::quoted(&word)).collect();
    words.join(" ")
}
