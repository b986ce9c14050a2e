//! Values in files of `/proc` and `/sys` that a counter names as `FILE[:KEY[.PART]]`; the notation is
//! described in [`counters`](super::counters).

use super::proc::{ProcDir, machine};
use std::{fs, path::PathBuf};

/// Returns the time that the processors have been busy so far, in seconds per processor
/// (`/proc/stat`, line `cpu`: user, nice, system, idle, iowait, irq, softirq, steal).
pub(super) fn busy_time_per_processor() -> Option<f64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let ticks: Vec<u64> = text
        .lines()
        .next()?
        .split_ascii_whitespace()
        .skip(1)
        .filter_map(|t| t.parse().ok())
        .collect();
    let busy: u64 = ticks.iter().take(8).sum::<u64>() - ticks.get(3)? - ticks.get(4)?;
    let cpus = text
        .lines()
        .filter(|line| line.starts_with("cpu"))
        .count()
        .max(2)
        - 1;
    Some(busy as f64 / machine::ticks() as f64 / cpus as f64)
}

/// Returns the value that `FILE[:KEY[.PART]]` names; `None` if there is none.
pub(super) fn look_up(dir: &ProcDir, path: &str) -> Option<f64> {
    let (file, key) = match path.split_once(':') {
        Some((file, key)) => (file, Some(key)),
        None => (path, None),
    };
    let text = read(dir, file)?;
    match key {
        None => first_number(text.split_ascii_whitespace()),
        Some(key) => find(&text, key),
    }
}

fn read(dir: &ProcDir, file: &str) -> Option<String> {
    if file.split('/').any(|part| part == "..") {
        return None;
    }
    if let Some(own) = file.strip_prefix("/proc/PID/") {
        return String::from_utf8(dir.read(own).ok()?).ok();
    }
    if let Some(name) = file.strip_prefix("cgroup/") {
        return fs::read_to_string(cgroup_folder(dir, name)?.join(name)).ok();
    }
    (file.starts_with("/proc/") || file.starts_with("/sys/"))
        .then(|| fs::read_to_string(file).ok())?
}

/// Returns the folder of the target's control group that has this file: in the unified hierarchy
/// (v2), else of the v1 controller with which the file's name begins (`memory.usage_in_bytes`:
/// memory).
fn cgroup_folder(dir: &ProcDir, name: &str) -> Option<PathBuf> {
    let text = String::from_utf8(dir.read("cgroup").ok()?).ok()?;
    let line = |wanted: &dyn Fn(&str) -> bool| {
        text.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':');
            let controllers = fields.nth(1)?;
            wanted(controllers).then(|| fields.next().map(str::to_owned))?
        })
    };
    let controller = name.split('.').next()?;
    let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
    let unified = line(&|controllers| controllers.is_empty());
    let folders = unified
        .into_iter()
        .flat_map(|path| roots.map(|root| join(root, &path)));
    let v1 = line(&|controllers| controllers.split(',').any(|c| c == controller));
    let v1 = v1.map(|path| join(&format!("/sys/fs/cgroup/{controller}"), &path));
    folders.chain(v1).find(|folder| folder.join(name).exists())
}

fn join(root: &str, path: &str) -> PathBuf {
    PathBuf::from(format!("{root}{path}"))
}

/// Returns the value for a key in the text of a file: a name as in `MemAvailable`, a name and a
/// part as in `some.avg10`, or the number of a column of the first line. Values in kB are returned
/// in bytes.
pub(crate) fn find(text: &str, key: &str) -> Option<f64> {
    if let Ok(column) = key.parse::<usize>() {
        // The name of a process in `stat` may contain blanks, so columns are counted from its end.
        let (skipped, rest) = match text.rfind(')') {
            Some(close) => (2, &text[close + 1..]),
            None => (0, text),
        };
        let at = column.checked_sub(skipped + 1)?;
        return rest.split_ascii_whitespace().nth(at)?.parse().ok();
    }
    let (name, part) = match key.split_once('.') {
        Some((name, part)) => (name, Some(part)),
        None => (key, None),
    };
    text.lines().find_map(|line| {
        let mut words = line.split([' ', '\t', ':']).filter(|word| !word.is_empty());
        if words.next()? != name {
            return None;
        }
        let rest: Vec<&str> = words.collect();
        match part {
            Some(part) => rest
                .iter()
                .find_map(|word| word.strip_prefix(part)?.strip_prefix('=')?.parse().ok()),
            None if rest.last() == Some(&"kB") => {
                first_number(rest.into_iter()).map(|n| n * 1024.0)
            }
            None => first_number(rest.into_iter()),
        }
    })
}

fn first_number<'w>(mut words: impl Iterator<Item = &'w str>) -> Option<f64> {
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn values_are_found_by_line_by_part_and_by_column() {
        let pressure = "some avg10=1.25 avg60=0.00 total=9\nfull avg10=0.50 avg60=0.00 total=3\n";
        assert_eq!(find(pressure, "full.avg10"), Some(0.5));
        assert_eq!(
            find("MemTotal: 10 kB\nMemAvailable:   4 kB\n", "MemAvailable"),
            Some(4096.0)
        );
        assert_eq!(
            find("usage_usec 77\nnr_throttled 3\n", "nr_throttled"),
            Some(3.0)
        );
        assert_eq!(find("1.50 0.70 0.30 1/99 123\n", "1"), Some(1.5));
        assert_eq!(find("9 (a b) c) S 1 2 3\n", "4"), Some(1.0));
        assert_eq!(find("x 1", "y"), None);
    }
}
