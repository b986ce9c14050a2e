//! What another `postmortem enable` has changed, and what stays as it was set before.

use super::{Settings, enable_args::PROGRAM};
use std::collections::BTreeMap;

/// What is not shown: it is no option, or is told elsewhere.
const NOT_SHOWN: [&str; 4] = ["registered", "previous", "program-values", "default"];

/// Lines for a person: what is new, each with its old value, and what was set before and stays. None where nothing was
/// set before.
pub(super) fn lines(before: &Settings, now: &Settings) -> Vec<String> {
    let (old, new) = (values(before), values(now));
    let unset = values(&Settings::default());
    let is_first = old == unset && before.programs.is_empty();
    if is_first {
        return Vec::new();
    }
    let changed = new
        .iter()
        .filter(|(key, value)| old.get(*key) != Some(value));
    let changed = changed.map(|(key, value)| {
        let old = old.get(key).map_or("the default", String::as_str);
        format!("{key} {value} (was {old})")
    });
    let is_kept = |(key, value): &(&String, &String)| {
        old.get(*key) == Some(value) && unset.get(*key) != Some(value)
    };
    let kept = new.iter().filter(is_kept);
    let kept = kept.map(|(key, value)| format!("{key} {value}"));
    let programs = match now.programs.len() {
        0 => None,
        count => Some(format!(
            "the values of {}",
            policy::print_count(count as u64, "program")
        )),
    };
    [
        line("Changed", changed.collect()),
        line("Kept as it was set", kept.chain(programs).collect()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn line(title: &str, parts: Vec<String>) -> Option<String> {
    (!parts.is_empty()).then(|| format!("{title}: {}", parts.join(", ")))
}

/// The values by the names of their options.
fn values(settings: &Settings) -> BTreeMap<String, String> {
    let table = toml::Table::try_from(settings).unwrap_or_default();
    let of_all = table
        .get("default")
        .and_then(toml::Value::as_table)
        .cloned();
    let all = table.into_iter().chain(of_all.unwrap_or_default());
    let shown = all.filter(|(key, _)| !NOT_SHOWN.contains(&&key[..]));
    let mut values: BTreeMap<_, _> = shown.map(|(key, value)| (key, text(&value))).collect();
    let folder = settings
        .resolve(&settings.default)
        .map(|values| values.folder);
    if let Ok(folder) = folder {
        values.insert("folder".to_owned(), folder.display().to_string());
    }
    if settings.program.as_os_str().is_empty() {
        values.insert("program".to_owned(), PROGRAM.to_owned());
    }
    values
}

fn text(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Boolean(true) => "yes".to_owned(),
        toml::Value::Boolean(false) => "no".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n39_what_was_changed_and_what_stays_is_told() {
        let first: Settings = toml::from_str(
            "forward = true\n[default]\nfolder = \"/y\"\ncount = 3\ntype = \"full\"\n[program-values.a]\n",
        )
        .expect("settings");
        assert_eq!(lines(&Settings::default(), &first), [""; 0]);
        let mut second = first.clone();
        second.default.folder = Some("/x".into());
        second.repeat_window = Some("2h".to_owned());
        let told = [
            "Changed: folder /x (was /y), repeat-window 2h (was the default)",
            "Kept as it was set: count 3, forward yes, type full, the values of 1 program",
        ];
        assert_eq!(lines(&first, &second), told);
        assert_eq!(lines(&first, &first).len(), 1, "nothing has changed");
    }
}
