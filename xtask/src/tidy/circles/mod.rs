//! Circles between modules: `a` uses `b`, and `b` uses `a`, directly or through others.
//!
//! Modules that use each other can only be read together. Every circle that exists must be listed
//! in [`ALLOWED`] with the reason why it stays; everything else is a problem. Only neighbours are
//! compared (the modules of one folder, each with all that lies below it): a module and its parent
//! always know each other.

mod allowed;
mod graph;
mod modules;
mod paths;

use std::collections::BTreeMap;

use super::Problem;
use super::source::Source;
use allowed::{ALLOWED, Allowed};
use graph::{Graph, Use};
use modules::Modules;

/// Modules of one folder that use each other.
struct Circle {
    /// The folder, relative to the workspace: `crates/policy/src`.
    folder: String,
    /// Names of the modules, ascending.
    modules: Vec<String>,
    /// For each pair of them where one uses the other: the first place where it does.
    uses: Vec<Use>,
}

/// Compares the circles of all crates with the table; also returns one line for each that is
/// allowed.
pub(super) fn check(sources: &[Source]) -> (Vec<Problem>, Vec<String>) {
    compare(&circles(sources), ALLOWED)
}

fn compare(circles: &[Circle], table: &[Allowed]) -> (Vec<Problem>, Vec<String>) {
    let (mut problems, mut allowed) = (Vec::new(), Vec::new());
    for circle in circles {
        match table.iter().find(|entry| entry.is_for(circle)) {
            Some(entry) => allowed.push(format!("{}: {}", circle.name(), entry.reason)),
            None => problems.push(circle.problem()),
        }
    }
    let stale = table
        .iter()
        .filter(|entry| !circles.iter().any(|circle| entry.is_for(circle)));
    problems.extend(stale.map(Allowed::problem));
    (problems, allowed)
}

fn circles(sources: &[Source]) -> Vec<Circle> {
    let mut folders: BTreeMap<&str, Vec<&Source>> = BTreeMap::new();
    for source in sources.iter().filter(|s| s.is_rust() && !s.is_test) {
        if let Some((folder, _)) = modules::split(&source.path) {
            folders.entry(folder).or_default().push(source);
        }
    }
    let crates = folders.into_iter();
    crates
        .flat_map(|(folder, sources)| circles_of_crate(folder, &sources))
        .collect()
}

fn circles_of_crate(src: &str, sources: &[&Source]) -> Vec<Circle> {
    let modules = Modules::new(sources);
    let mut graphs: BTreeMap<Vec<String>, Graph> = BTreeMap::new();
    for (parent, step) in modules.uses() {
        graphs.entry(parent).or_default().add(step);
    }
    let of_folder = |(parent, graph): (Vec<String>, Graph)| {
        let path = std::iter::once(src.to_owned()).chain(parent);
        let folder = path.collect::<Vec<_>>().join("/");
        graph.circles().into_iter().map(move |modules| Circle {
            folder: folder.clone(),
            uses: graph.uses_among(&modules),
            modules,
        })
    };
    graphs.into_iter().flat_map(of_folder).collect()
}

impl Circle {
    fn name(&self) -> String {
        format!("{}: {}", self.folder, self.modules.join(" ↔ "))
    }

    fn problem(&self) -> Problem {
        let uses: Vec<String> = self.uses.iter().map(Use::to_string).collect();
        let text = format!(
            "{} use each other ({}); cut the circle, or list it in tidy/circles/allowed.rs",
            self.modules.join(", "),
            uses.join("; ")
        );
        Problem {
            file: self.folder.clone(),
            line: 0,
            text,
        }
    }
}

#[cfg(test)]
mod tests;
