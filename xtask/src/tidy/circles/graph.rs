//! Which module uses which, among the modules of one folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// One module uses another.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Use {
    pub(super) from: String,
    pub(super) to: String,
    /// The file that does, relative to the workspace, and its line from 1.
    pub(super) file: String,
    pub(super) line: usize,
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Use {
            from,
            to,
            file,
            line,
        } = self;
        write!(f, "{from} uses {to} at {file}:{line}")
    }
}

/// The uses among the modules of one folder: the first place for each pair.
#[derive(Default)]
pub(super) struct Graph(BTreeMap<(String, String), Use>);

impl Graph {
    /// Adds a use, unless one between the same two is known.
    pub(super) fn add(&mut self, step: Use) {
        let pair = (step.from.clone(), step.to.clone());
        self.0.entry(pair).or_insert(step);
    }

    /// The sets of modules that all reach each other, each ascending.
    pub(super) fn circles(&self) -> Vec<Vec<String>> {
        let names: BTreeSet<&str> = self.0.keys().map(|(from, _)| from.as_str()).collect();
        let reached: BTreeMap<&str, BTreeSet<&str>> = names
            .iter()
            .map(|name| (*name, self.reached(name)))
            .collect();
        let circle_of = |name: &str| -> BTreeSet<String> {
            let others = reached[name].iter();
            let back = others.filter(|other| reached.get(*other).is_some_and(|r| r.contains(name)));
            back.map(|other| (*other).to_owned()).collect()
        };
        let circles: BTreeSet<_> = names.into_iter().map(circle_of).collect();
        let real = circles.into_iter().filter(|circle| !circle.is_empty());
        real.map(|circle| circle.into_iter().collect()).collect()
    }

    /// The uses between these modules.
    pub(super) fn uses_among(&self, modules: &[String]) -> Vec<Use> {
        let uses = self.0.values();
        let is_among = |step: &&Use| modules.contains(&step.from) && modules.contains(&step.to);
        uses.filter(is_among).cloned().collect()
    }

    /// All modules that `name` uses, directly or through others; itself only if in a circle.
    fn reached<'a>(&'a self, name: &str) -> BTreeSet<&'a str> {
        let (mut reached, mut open) = (BTreeSet::new(), vec![name]);
        while let Some(from) = open.pop() {
            let steps = self.0.keys().filter(|(start, _)| start == from);
            for (_, to) in steps {
                if reached.insert(to.as_str()) {
                    open.push(to);
                }
            }
        }
        reached
    }
}
