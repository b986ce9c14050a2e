//! Dependencies that nothing uses: they cost time to compile and to check, and mislead readers.

use std::collections::HashSet;

use anyhow::{Context as _, Result};
use toml::{Table, Value};

use super::Problem;
use super::source::Source;

/// Compares what each manifest names with the code beside it, and what the workspace offers with
/// what its manifests take.
pub(super) fn check(sources: &[Source]) -> Result<Vec<Problem>> {
    let manifests = sources.iter().filter(|s| s.path.ends_with("/Cargo.toml"));
    let (mut problems, mut taken) = (Vec::new(), HashSet::new());
    for manifest in manifests {
        let folder = manifest.path.trim_end_matches("/Cargo.toml");
        let names = dependencies(&parse(&manifest.path, &manifest.text)?);
        let words = words(folder, sources);
        let unused = names.iter().filter(|name| !words.contains(&ident(name)));
        problems.extend(unused.map(|name| problem(&manifest.path, name, "crate")));
        taken.extend(names);
    }
    let offered = offered(sources)?;
    let unused = offered.iter().filter(|name| !taken.contains(*name));
    problems.extend(unused.map(|name| problem("Cargo.toml", name, "workspace")));
    Ok(problems)
}

fn parse(path: &str, text: &str) -> Result<Table> {
    text.parse().with_context(|| path.to_owned())
}

fn problem(file: &str, name: &str, user: &str) -> Problem {
    Problem {
        file: file.to_owned(),
        line: 0,
        text: format!("the {user} does not use {name}"),
    }
}

/// The names in all tables of dependencies, those of tests and of single systems too.
fn dependencies(manifest: &Table) -> Vec<String> {
    let mut names = Vec::new();
    for (key, value) in manifest {
        let Some(table) = value.as_table() else {
            continue;
        };
        match key.as_str() {
            "dependencies" | "dev-dependencies" | "build-dependencies" => {
                names.extend(table.keys().cloned());
            }
            "target" => names.extend(
                table
                    .values()
                    .filter_map(Value::as_table)
                    .flat_map(dependencies),
            ),
            _ => {}
        }
    }
    names
}

/// The names that the workspace's own manifest offers to the others.
fn offered(sources: &[Source]) -> Result<Vec<String>> {
    let Some(source) = sources.iter().find(|s| s.path == "Cargo.toml") else {
        return Ok(Vec::new());
    };
    let manifest = parse(&source.path, &source.text)?;
    let workspace = manifest.get("workspace").and_then(Value::as_table);
    Ok(workspace.map(dependencies).unwrap_or_default())
}

/// The name of a crate as it stands in code.
fn ident(name: &str) -> String {
    name.replace('-', "_")
}

/// All words of the code in a folder.
fn words(folder: &str, sources: &[Source]) -> HashSet<String> {
    let sources = sources.iter().filter(|source| source.is_in(folder));
    let tokens = sources.flat_map(|source| &source.all_tokens);
    tokens.map(|token| token.text.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_without_a_use_is_found() {
        let workspace =
            "[workspace.dependencies]\nserde-json = \"1\"\nused = \"1\"\nnobody = \"1\"";
        let manifest = "[dependencies]\nserde-json.workspace = true\nlonely = \"1\"\n\
                        [target.'cfg(unix)'.dependencies]\nlibc = \"1\"\n\
                        [dev-dependencies]\nused.workspace = true";
        let source = |path, text| Source::new(path, text).unwrap();
        let sources = [
            source("Cargo.toml", workspace),
            source("crates/x/Cargo.toml", manifest),
            source(
                "crates/x/src/lib.rs",
                "use serde_json::Value; fn f() { libc::f() }",
            ),
            source("crates/x/tests/a.rs", "use used::A; // lonely"),
            source("crates/y/src/lib.rs", "use lonely::B;"),
        ];
        let problems = check(&sources).unwrap();
        let texts: Vec<&str> = problems.iter().map(|p| p.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "the crate does not use lonely",
                "the workspace does not use nobody"
            ]
        );
    }
}
