//! The modules of one crate, and what the paths in them lead to.

use std::collections::BTreeMap;

use super::super::source::Source;
use super::graph::Use;
use super::paths::{self, Path};

/// Names that lead through more `use`s than this lead in a ring.
const MOST_IMPORTS: usize = 8;

/// A module by the words of its path from the crate's root, which is `[]`.
type Name = Vec<String>;

/// The modules of one crate, each with its file and the paths that stand in it.
pub(super) struct Modules<'a>(BTreeMap<Name, (&'a str, Vec<Path>)>);

/// The folder of the crate's root and the module's name, from a file's path; `None` where the file
/// is not of a crate's `src`.
pub(super) fn split(path: &str) -> Option<(&str, Name)> {
    let (krate, inside) = path.split_once("/src/")?;
    let folder = &path[..krate.len() + "/src".len()];
    let mut words: Name = inside
        .strip_suffix(".rs")?
        .split('/')
        .map(str::to_owned)
        .collect();
    let last = words.last().map(String::as_str);
    if matches!(last, Some("mod")) || (words.len() == 1 && matches!(last, Some("lib" | "main"))) {
        words.pop();
    }
    Some((folder, words))
}

impl<'a> Modules<'a> {
    /// The modules in these files, all of one crate.
    pub(super) fn new(sources: &[&'a Source]) -> Self {
        let module = |source: &&'a Source| {
            let (_, name) = split(&source.path)?;
            Some((name, (source.path.as_str(), paths::paths(&source.tokens))))
        };
        Modules(sources.iter().filter_map(module).collect())
    }

    /// Every use of one neighbour by another, with the module that both are in.
    pub(super) fn uses(&self) -> Vec<(Name, Use)> {
        let mut uses = Vec::new();
        for (name, (file, paths)) in &self.0 {
            for path in paths {
                let targets = self.targets(name, &path.words, 0);
                let steps = targets.iter().filter_map(|target| {
                    let (parent, from, to) = neighbours(name, target)?;
                    let (file, line) = ((*file).to_owned(), path.line);
                    Some((
                        parent,
                        Use {
                            from,
                            to,
                            file,
                            line,
                        },
                    ))
                });
                uses.extend(steps);
            }
        }
        uses
    }

    /// The modules that a path in module `from` leads through, but for those it lies in.
    fn targets(&self, from: &Name, words: &[String], depth: usize) -> Vec<Name> {
        let Some((mut current, rest)) = self.start(from, words) else {
            return Vec::new();
        };
        let mut targets = Vec::new();
        for (index, word) in rest.iter().enumerate() {
            let mut child = current.clone();
            child.push(word.clone());
            if !self.0.contains_key(&child) {
                targets.extend(self.imported(&current, &rest[index..], depth));
                break;
            }
            targets.push(child.clone());
            current = child;
        }
        targets
    }

    /// The module where a path begins, and the words that lead on from there; `None` where it
    /// leads into another crate.
    fn start<'w>(&self, from: &Name, words: &'w [String]) -> Option<(Name, &'w [String])> {
        let (first, rest) = words.split_first()?;
        match first.as_str() {
            "crate" => Some((Vec::new(), rest)),
            "self" => Some((from.clone(), rest)),
            "super" => {
                let (mut module, mut rest) = (parent(from)?, rest);
                while let Some((first, after)) = rest.split_first()
                    && first == "super"
                {
                    (module, rest) = (parent(&module)?, after);
                }
                Some((module, rest))
            }
            _ => {
                let mut child = from.clone();
                child.push(first.clone());
                self.0.contains_key(&child).then(|| (from.clone(), words))
            }
        }
    }

    /// Where the first of `words` leads if module `current` has it by a `use` of its own.
    fn imported(&self, current: &Name, words: &[String], depth: usize) -> Vec<Name> {
        let Some((_, paths)) = self.0.get(current).filter(|_| depth < MOST_IMPORTS) else {
            return Vec::new();
        };
        let imports = paths
            .iter()
            .filter(|path| path.name.as_ref() == words.first());
        let follow = |import: &Path| {
            let words = [&import.words, &words[1..]].concat();
            self.targets(current, &words, depth + 1)
        };
        imports.flat_map(follow).collect()
    }
}

fn parent(name: &Name) -> Option<Name> {
    let (_, parent) = name.split_last()?;
    Some(parent.to_vec())
}

/// The module that both are in, and their names in it; `None` where one lies in the other.
fn neighbours(a: &Name, b: &Name) -> Option<(Name, String, String)> {
    let common = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (from, to) = (a.get(common)?, b.get(common)?);
    Some((a[..common].to_vec(), from.clone(), to.clone()))
}
