//! No file contains a path that exists only on its author's machine.

use super::Problem;
use super::source::Source;
use crate::shell::root;

/// Finds the home folder and the workspace's own folder.
pub(super) fn check(source: &Source) -> Vec<Problem> {
    let folders = private_folders();
    let lines = source.text.lines().enumerate();
    let found = lines.filter(|(_, line)| folders.iter().any(|folder| names(line, folder)));
    let problem = |(at, _)| Problem {
        file: source.path.clone(),
        line: at + 1,
        text: "contains a path of one machine".to_owned(),
    };
    found.map(problem).collect()
}

fn private_folders() -> Vec<String> {
    let home = std::env::var("HOME").ok().filter(|home| home.len() > 1);
    let own = root().display().to_string();
    // In two parts, or this file would contain them itself.
    let usual = [concat!("/wo", "rk"), concat!("/ro", "ot")].map(str::to_owned);
    let mut folders: Vec<String> = home.into_iter().chain([own]).chain(usual).collect();
    folders.iter_mut().for_each(|folder| folder.push('/'));
    folders
}

/// Whether `line` contains the path `folder`, and not as a part of a longer path.
fn names(line: &str, folder: &str) -> bool {
    let starts = line
        .match_indices(folder)
        .map(|(at, _)| line[..at].chars().next_back());
    starts
        .into_iter()
        .any(|before| before.is_none_or(|c| !(c.is_alphanumeric() || "})>*_-.".contains(c))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_inside_a_longer_one_is_another() {
        assert!(names("see /home/me/notes", "/home/me/"));
        assert!(names("`/home/me/notes`", "/home/me/"));
        assert!(!names("/proc/{pid}/home/me/notes", "/home/me/"));
        assert!(!names("/container/home/me/notes", "/home/me/"));
    }
}
