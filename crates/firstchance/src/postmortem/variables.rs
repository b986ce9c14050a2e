//! Folders whose names begin with a variable (`%LOCALAPPDATA%\CrashDumps`), as LocalDumps allows:
//! each account has its own folder.

use super::is_windows;
use std::{
    io,
    path::{Path, PathBuf},
};

/// A folder as it is saved: as an absolute path, unless it begins with a variable, which each
/// account that writes there replaces by its own value.
pub(crate) fn absolute(folder: &Path) -> io::Result<PathBuf> {
    match has_variable(folder) {
        true => Ok(folder.to_owned()),
        false => std::path::absolute(folder),
    }
}

/// Whether the name begins with a variable, so that each account has another folder.
pub(super) fn has_variable(folder: &Path) -> bool {
    is_windows() && folder.to_string_lossy().starts_with('%')
}

/// A folder with the variables of this process replaced (Windows only).
pub(crate) fn expand(folder: &Path) -> PathBuf {
    match folder.to_str() {
        Some(text) if is_windows() => fill_in(text, &|name| std::env::var(name).ok()).into(),
        _ => folder.to_owned(),
    }
}

/// Replaces each `%NAME%` by its value; unknown ones stay as they are.
fn fill_in(text: &str, value: &dyn Fn(&str) -> Option<String>) -> String {
    let named = text.split_once('%').and_then(|(before, rest)| {
        let (name, behind) = rest.split_once('%')?;
        Some((before, name, behind))
    });
    let Some((before, name, behind)) = named else {
        return text.to_owned();
    };
    match value(name) {
        Some(value_of_it) => format!("{before}{value_of_it}{}", fill_in(behind, value)),
        None => format!("{before}%{name}{}", fill_in(&format!("%{behind}"), value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in_where_they_stand_for_something() {
        let value = |name: &str| (name == "A").then(|| "x".to_owned());
        for (text, filled) in [
            (r"%A%\d", r"x\d"),
            (r"%B%\%A%", r"%B%\x"),
            ("100%", "100%"),
            ("plain", "plain"),
        ] {
            assert_eq!(fill_in(text, &value), filled);
        }
    }
}
