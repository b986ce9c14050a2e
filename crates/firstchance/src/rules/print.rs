//! Prints a rule as the text of a rule file.

use super::file::{default_follow, default_max_dumps};
use policy::{Clause, Follow, Limits, Rule, Scope, Series, print_duration, print_size, print_when};
use std::fmt::Display;

/// The text of one rule. Keys that have their default value are left out.
pub(super) fn rule(rule: &Rule) -> String {
    let mut lines = Toml(vec!["[[rule]]".to_owned()]);
    if !rule.name.is_empty() {
        lines.text("name", &rule.name);
    }
    lines.text("target", &rule.target);
    if rule.follow != default_follow(&rule.target) {
        lines.text("follow", follow(rule.follow));
    }
    lines.flag("children", rule.children);
    if let Some(folder) = &rule.folder {
        lines.text("folder", folder);
    }
    let compression = rule.compress.into_iter();
    compression.for_each(|compression| lines.text("compress", compression));
    limits(&mut lines, &rule.limits, default_max_dumps(&rule.clauses));
    let clauses = rule.clauses.iter().map(clause);
    lines
        .0
        .extend(clauses.flatten().map(|line| match line.is_empty() {
            true => line,
            false => format!("  {line}"),
        }));
    lines.0.join("\n") + "\n"
}

fn follow(follow: Follow) -> &'static str {
    match follow {
        Follow::One => "one",
        Follow::Next => "next",
        Follow::Each => "each",
        Follow::All => "all",
    }
}

fn limits(lines: &mut Toml, limits: &Limits, default_max: u32) {
    let max = limits.max_dumps.unwrap_or(0);
    if max != default_max {
        lines.plain("max-dumps", max);
    }
    match &limits.windows[..] {
        [] => {}
        [one] => lines.text("max-dumps-per", one),
        many => {
            let texts: Vec<_> = many.iter().map(quoted).collect();
            lines.plain("max-dumps-per", format!("[{}]", texts.join(", ")));
        }
    }
    let window = limits.repeat_window.map(print_duration);
    window
        .into_iter()
        .for_each(|window| lines.text("repeat-window", window));
    if limits.concurrent > 1 {
        lines.plain("dumps-at-once", limits.concurrent);
    }
    lines.flag("skip-while-busy", limits.avoid_outage);
    let keep = &limits.keep;
    keep.max_count
        .into_iter()
        .for_each(|n| lines.plain("keep-dumps", n));
    let size = keep.max_bytes.map(print_size);
    size.into_iter()
        .for_each(|size| lines.text("max-folder", size));
    let age = keep.max_age.map(print_duration);
    age.into_iter().for_each(|age| lines.text("max-age", age));
    keep.keep_free
        .into_iter()
        .for_each(|free| lines.text("keep-free", free));
}

fn clause(clause: &Clause) -> Vec<String> {
    let mut lines = Toml(vec![String::new(), "[[rule.on]]".to_owned()]);
    lines.text("when", print_when(&clause.when));
    lines.text("do", &clause.action);
    if let Some(limit) = clause.limit {
        let key = match limit.scope {
            Scope::Rule => "limit",
            Scope::Process => "limit-per-process",
        };
        lines.plain(key, limit.times);
    }
    if let Some(all) = &clause.series {
        lines.plain("series", series(all));
    }
    lines.0
}

fn series(series: &Series) -> String {
    let every = quoted(print_duration(series.every));
    let then = series.then.as_ref();
    let then = then.map(|action| format!(", then = {}", quoted(action)));
    format!(
        "{{ count = {}, every = {every}{} }}",
        series.count,
        then.unwrap_or_default()
    )
}

/// The lines of a file.
struct Toml(Vec<String>);

impl Toml {
    fn plain(&mut self, key: &str, value: impl Display) {
        self.0.push(format!("{key} = {value}"));
    }

    fn text(&mut self, key: &str, value: impl Display) {
        self.plain(key, quoted(value));
    }

    fn flag(&mut self, key: &str, value: bool) {
        if value {
            self.plain(key, value);
        }
    }
}

/// A value as a string of TOML, in the quotes that need the fewest escapes.
fn quoted(value: impl Display) -> String {
    toml::Value::String(value.to_string()).to_string()
}
