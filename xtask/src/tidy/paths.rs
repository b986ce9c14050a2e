//! No file names a place on the machine of the one who wrote it.

use super::Problem;
use super::source::Source;
use crate::shell::root;

/// Looks for the home folder and the workspace's own folder.
pub(super) fn check(source: &Source) -> Vec<Problem> {
    let places = private_places();
    let lines = source.text.lines().enumerate();
    let found = lines.filter(|(_, line)| places.iter().any(|place| names(line, place)));
    let problem = |(at, _)| Problem {
        file: source.path.clone(),
        line: at + 1,
        text: "names a place on one machine".to_owned(),
    };
    found.map(problem).collect()
}

fn private_places() -> Vec<String> {
    let home = std::env::var("HOME").ok().filter(|home| home.len() > 1);
    let own = root().display().to_string();
    // In two parts, or this file would be found itself.
    let usual = [concat!("/wo", "rk"), concat!("/ro", "ot")].map(str::to_owned);
    let mut places: Vec<String> = home.into_iter().chain([own]).chain(usual).collect();
    places.iter_mut().for_each(|place| place.push('/'));
    places
}

/// Whether `line` has the path `place`, and not as the end of a longer one.
fn names(line: &str, place: &str) -> bool {
    let starts = line
        .match_indices(place)
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
