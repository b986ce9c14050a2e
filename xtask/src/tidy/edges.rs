//! Which crate may use which: the drawing in ARCHITECTURE.md, as data.

use std::path::Path;

use anyhow::{Context as _, Result};
use toml::{Table, Value};

use super::Problem;

/// A crate, and all crates of this workspace that it may use.
struct Edges {
    name: &'static str,
    uses: &'static [&'static str],
}

#[rustfmt::skip]
const EDGES: &[Edges] = &[
    Edges { name: "snapshot", uses: &[] },
    Edges { name: "formats", uses: &["snapshot"] },
    Edges { name: "policy", uses: &["snapshot"] },
    Edges { name: "analysis", uses: &["snapshot"] },
    Edges { name: "platform", uses: &["snapshot"] },
    Edges { name: "pages", uses: &["snapshot"] },
    Edges { name: "collector", uses: &["snapshot", "formats", "policy", "analysis", "platform"] },
    Edges { name: "firstchance", uses: &["snapshot", "formats", "policy", "analysis", "platform", "collector", "pages"] },
    Edges { name: "victim", uses: &[] },
];

/// Libraries that call the system, and the crates that may use them.
const SYSTEM: &[&str] = &["libc", "rustix", "nix", "windows", "windows-sys"];
const MAY_SPEAK: &[&str] = &["platform", "victim"];

/// Libraries that only the program `firstchance` may use.
const PROGRAM_ONLY: &[&str] = &["tokio", "axum", "clap", "indicatif", "anyhow"];

/// Libraries for serialising, and the crates that may use them: those that write output and
/// records.
const SERDE: &[&str] = &["serde", "serde_json", "toml"];
const MAY_SERIALISE: &[&str] = &["collector", "firstchance"];

/// The facade of the debug log (`-v`, `--log`), for decisions and what was rejected. The crates below
/// return such decisions as values, so that they stay pure and the caller says them.
const LOGGING: &[&str] = &["log", "tracing"];
const MAY_LOG: &[&str] = &["collector", "firstchance"];

/// Compares the manifest of every crate with the drawing.
pub(super) fn check(root: &Path) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for folder in std::fs::read_dir(root.join("crates"))? {
        let folder = folder?.file_name().to_string_lossy().into_owned();
        let file = format!("crates/{folder}/Cargo.toml");
        if let Ok(text) = std::fs::read_to_string(root.join(&file)) {
            let manifest: Table = text.parse().with_context(|| file.clone())?;
            let problem = |text| Problem {
                file: file.clone(),
                line: 0,
                text,
            };
            problems.extend(
                manifest_problems(&folder, &manifest)
                    .into_iter()
                    .map(problem),
            );
        }
    }
    Ok(problems)
}

fn manifest_problems(name: &str, manifest: &Table) -> Vec<String> {
    let Some(edges) = EDGES.iter().find(|edges| edges.name == name) else {
        return vec![format!("the drawing has no crate {name}")];
    };
    let uses = dependencies(manifest);
    let mut problems: Vec<String> = uses
        .iter()
        .filter_map(|used| forbidden(edges, used))
        .collect();
    if name != "platform" && name != "victim" && manifest.contains_key("target") {
        problems.push("only crates/platform has dependencies of one system".to_owned());
    }
    problems
}

/// The names of all dependencies, also those for a single operating system; those of tests are not
/// restricted.
fn dependencies(manifest: &Table) -> Vec<String> {
    let mut tables = vec![
        manifest.get("dependencies"),
        manifest.get("build-dependencies"),
    ];
    let targets = manifest.get("target").and_then(Value::as_table);
    tables.extend(
        targets
            .into_iter()
            .flat_map(|t| t.values())
            .map(|t| t.get("dependencies")),
    );
    let tables = tables.into_iter().flatten().filter_map(Value::as_table);
    tables.flat_map(|table| table.keys().cloned()).collect()
}

fn forbidden(edges: &Edges, used: &str) -> Option<String> {
    let name = edges.name;
    let is_ours = EDGES.iter().any(|other| other.name == used);
    if is_ours && !edges.uses.contains(&used) {
        return Some(format!("{name} may not use {used}"));
    }
    if SYSTEM.contains(&used) && !MAY_SPEAK.contains(&name) {
        return Some(format!("{name} may not call the system by {used}"));
    }
    if SERDE.contains(&used) && !MAY_SERIALISE.contains(&name) {
        return Some(format!("{used} belongs to the edge, not to {name}"));
    }
    if LOGGING.contains(&used) && !MAY_LOG.contains(&name) {
        return Some(format!(
            "{name} returns its decisions, and logs none by {used}"
        ));
    }
    if PROGRAM_ONLY.contains(&used) && name != "firstchance" {
        return Some(format!("{used} belongs to the program, not to {name}"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(name: &str, manifest: &str) -> usize {
        manifest_problems(name, &manifest.parse().unwrap()).len()
    }

    #[test]
    fn an_edge_against_the_drawing_is_found() {
        assert_eq!(
            problems("policy", "[dependencies]\nsnapshot.workspace = true"),
            0
        );
        assert_eq!(
            problems("policy", "[dependencies]\nformats.workspace = true"),
            1
        );
        assert_eq!(
            problems("policy", "[dev-dependencies]\nformats.workspace = true"),
            0
        );
        assert_eq!(
            problems("collector", "[dependencies]\nfirstchance.workspace = true"),
            1
        );
    }

    #[test]
    fn system_libraries_are_for_platform() {
        let manifest = "[target.'cfg(unix)'.dependencies]\nlibc = \"0.2\"";
        assert_eq!(problems("platform", manifest), 0);
        assert_eq!(problems("collector", manifest), 2);
    }

    #[test]
    fn pure_crates_do_not_log() {
        let manifest = "[dependencies]\nlog = \"0.4\"";
        assert_eq!(problems("policy", manifest), 1);
        assert_eq!(problems("collector", manifest), 0);
    }

    #[test]
    fn a_new_crate_enters_the_drawing_first() {
        assert_eq!(problems("helpers", ""), 1);
    }
}
