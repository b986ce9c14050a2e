//! Finds the processes that a user names by pid, name, service, container or command line.

use crate::ui::{console, exit::Usage};
use platform::{Detail, Error, ErrorKind, Host, ProcessEntry};
use policy::{Follow, Rule, Target};
use snapshot::{ProcessKey, fold_case};

/// The processes that `targets` mean, each once. Fails if a target means none, or means several and
/// `all` is false.
pub(crate) fn resolve(
    host: &dyn Host,
    targets: &[String],
    all: bool,
) -> anyhow::Result<Vec<ProcessKey>> {
    let mut found = Vec::new();
    for text in targets {
        let keys = resolve_one(host, text, all)?;
        found.extend(
            keys.into_iter()
                .filter(|key| !found.contains(key))
                .collect::<Vec<_>>(),
        );
    }
    Ok(found)
}

/// A target as the user named it, without the mark that its text in a rule has.
pub(crate) fn name(target: &Target) -> String {
    match target {
        Target::Name(name) => name.clone(),
        other => other.to_string(),
    }
}

/// The one process that a target means now. Fails if there is none, or several: `advice` says then how one is chosen, or
/// all.
pub(crate) fn one_of(host: &dyn Host, target: &Target, advice: &str) -> anyhow::Result<ProcessKey> {
    if let Target::Pid(pid) = target
        && host.entry(*pid).is_ok_and(|entry| entry.kernel)
    {
        // It would be watched for ever: it has no memory, and no end.
        let what = format!("process {pid} is a thread of the kernel and has no memory to dump");
        return Err(Error::new(ErrorKind::NotPermitted, what).into());
    }
    let keys = matching(host, target, &name(target), Several::Refused(advice))?;
    Ok(keys[0])
}

/// The processes that a target means now. Fails if there is none.
pub(crate) fn some_of(host: &dyn Host, target: &Target) -> anyhow::Result<Vec<ProcessKey>> {
    matching(host, target, &name(target), Several::Wanted)
}

/// The processes that a rule is about from its beginning: none if it waits for the next one. Instead of a program
/// that is not started yet, it is firstchance itself: they will be in the same control groups.
pub(crate) fn at_beginning(host: &dyn Host, rule: &Rule) -> anyhow::Result<Vec<ProcessKey>> {
    if let Target::Launch(_) = rule.target {
        return Ok(vec![host.find(std::process::id())?]);
    }
    if rule.follow == Follow::Next || !is_there(host, &rule.target)? {
        return Ok(Vec::new());
    }
    some_of(host, &rule.target)
}

/// Turns a name that no process has, but a service, into that service: ProcDump accepts both in the
/// same place.
pub(crate) fn or_service(host: &dyn Host, target: &mut Target) -> anyhow::Result<()> {
    if let Target::Name(name) = target {
        let service = Target::Service(name.clone());
        if !is_there(host, target)? && is_there(host, &service)? {
            log::debug!("no process is called {target}, but {service} is there: it is meant");
            *target = service;
        }
    }
    Ok(())
}

/// Whether the target means any process now.
pub(crate) fn is_there(host: &dyn Host, target: &Target) -> anyhow::Result<bool> {
    if let Target::Pid(pid) = target {
        return Ok(host.find(*pid).is_ok());
    }
    let listed = host.processes(Detail::Identity)?;
    Ok(listed
        .iter()
        .any(|entry| is_candidate(entry) && target.matches(&collector::identity(entry))))
}

/// Whether a target can mean this process: not firstchance itself, no kernel thread, and none that has ended.
fn is_candidate(entry: &ProcessEntry) -> bool {
    entry.key.pid != std::process::id() && !entry.kernel && !entry.has_ended()
}

fn resolve_one(host: &dyn Host, text: &str, all: bool) -> anyhow::Result<Vec<ProcessKey>> {
    let several = match all {
        true => Several::Wanted,
        false => Several::Refused("Name one by its pid, or take --all"),
    };
    matching(host, &parse(text)?, text, several)
}

/// What is done if a target means several processes.
#[derive(Clone, Copy)]
enum Several<'a> {
    Wanted,
    /// It is an error, with this advice.
    Refused(&'a str),
}

/// The processes that `target` means: at least one, and exactly one if several are refused.
fn matching(
    host: &dyn Host,
    target: &Target,
    text: &str,
    wanted: Several<'_>,
) -> anyhow::Result<Vec<ProcessKey>> {
    if let Target::Pid(pid) = target {
        return Ok(vec![host.find(*pid)?]);
    }
    let listed = host.processes(Detail::Identity)?;
    let (ended, listed): (Vec<_>, Vec<_>) = listed.into_iter().partition(|e| e.has_ended());
    let others: Vec<ProcessEntry> = listed.into_iter().filter(is_candidate).collect();
    let matching: Vec<&ProcessEntry> = others.iter().filter(|entry| means(target, entry)).collect();
    match (matching.as_slice(), wanted) {
        ([], _) => {
            let living = || match target {
                Target::Group(group) => no_group(*group),
                _ => in_another_case(target, &others)
                    .or_else(|| run_by_interpreter(target, &others))
                    .unwrap_or_else(|| none_matches(text, &others)),
            };
            Err(only_ended(target, &ended).unwrap_or_else(living).into())
        }
        ([one], _) => Ok(vec![one.key]),
        (several, Several::Wanted) => Ok(several.iter().map(|entry| entry.key).collect()),
        (several, Several::Refused(advice)) => Err(ambiguous(host, text, several, advice)?.into()),
    }
}

/// Whether the target means a process; why not is logged.
fn means(target: &Target, entry: &ProcessEntry) -> bool {
    let mismatch = target.mismatch(&collector::identity(entry));
    let key = entry.key;
    match &mismatch {
        None => log::debug!("process {key} is {target}"),
        Some(why) => log::debug!("process {key} is not {target}: {why}"),
    }
    mismatch.is_none()
}

fn parse(text: &str) -> anyhow::Result<Target> {
    let number = text.trim().parse::<i64>();
    match number {
        Ok(pid) if pid <= 0 || pid > i64::from(u32::MAX >> 1) => {
            Err(Error::new(ErrorKind::NoSuchProcess, format!("{pid} is no process id")).into())
        }
        _ => text
            .parse()
            .map_err(|error| Usage(format!("{error}")).into()),
    }
}

/// The error where all that a target means have ended, and wait for their parents.
fn only_ended(target: &Target, ended: &[ProcessEntry]) -> Option<Error> {
    let meant: Vec<&ProcessEntry> = ended.iter().filter(|entry| means(target, entry)).collect();
    let first = meant.first()?;
    let of_group = match target {
        Target::Group(group) => format!(" of the process group {group}"),
        _ => String::new(),
    };
    let process = format!("{} (pid {})", console::plain(&first.name), first.key.pid);
    let what = match meant.len() {
        1 => format!(
            "{process}{of_group} has ended and waits for its parent (a zombie): it has no memory left"
        ),
        all => format!(
            "all {all} processes{of_group}, {process} among them, have ended and wait for their parents (zombies): they have no memory left"
        ),
    };
    Some(Error::new(ErrorKind::NoSuchProcess, what))
}

fn no_group(group: u32) -> Error {
    let what = format!("no process is in the process group {group}");
    Error::new(ErrorKind::NoSuchProcess, what)
        .advise("`ps -e -o pgid,pid,comm` lists the groups with their processes.")
}

/// The error where only the case of a name is another one; names one or two of those that are there.
fn in_another_case(target: &Target, others: &[ProcessEntry]) -> Option<Error> {
    let others = running_in_another_case(target, others)?;
    let what = format!("no process is named {}; {others}", name(target));
    let error = Error::new(ErrorKind::NoSuchProcess, what);
    Some(error.advise("Case counts in names."))
}

/// Processes that the target would mean if case did not count: `foo (pid 12) is running`.
fn running_in_another_case(target: &Target, others: &[ProcessEntry]) -> Option<String> {
    let means = |entry: &&ProcessEntry| target.matches_in_another_case(&collector::identity(entry));
    let found: Vec<&ProcessEntry> = others.iter().filter(means).collect();
    let first = found.first()?;
    let shown = format!("{} (pid {})", console::plain(&first.name), first.key.pid);
    Some(match found.len() - 1 {
        0 => format!("{shown} is running"),
        more => format!("{shown} and {more} more are running"),
    })
}

/// What to tell whoever waits for a process, if it is running under a name in another case.
pub(crate) fn hint_of_case(host: &dyn Host, target: &Target) -> Option<String> {
    let listed = host.processes(Detail::Identity).ok()?.into_iter();
    let others: Vec<ProcessEntry> = listed.filter(is_candidate).collect();
    let is_meant = |entry: &ProcessEntry| target.matches(&collector::identity(entry));
    if others.iter().any(is_meant) {
        return None;
    }
    let others = running_in_another_case(target, &others)?;
    Some(format!("{others}, but case counts in names"))
}

/// The error where an interpreter runs a program of this name: `python3` has the name, and `srv.py` is in its command line.
fn run_by_interpreter(target: &Target, others: &[ProcessEntry]) -> Option<Error> {
    let Target::Name(name) = target else {
        return None;
    };
    let runs_it =
        |entry: &&ProcessEntry| snapshot::script_of(&entry.name, &entry.command_line) == Some(name);
    let first = others.iter().find(runs_it)?;
    let (by, pid, name) = (
        console::plain(&first.name),
        first.key.pid,
        console::plain(name),
    );
    let what = format!("no process is named {name}; {by} (pid {pid}) runs it");
    // ProcDump's command line has no such target.
    let advice =
        format!("Name it by the pid; `dump` and `watch` also take 'cmdline:\"*{name}*\"'.");
    Some(Error::new(ErrorKind::NoSuchProcess, what).advise(advice))
}

fn none_matches(text: &str, others: &[ProcessEntry]) -> Error {
    let error = Error::new(
        ErrorKind::NoSuchProcess,
        format!("no process matches \"{text}\""),
    );
    let similar = similar_names(text, others);
    if similar.is_empty() {
        return error.advise("`firstchance ps` lists the processes.");
    }
    error.advise(format!("Similar names: {}.", similar.join(", ")))
}

/// Up to five names of processes that contain the text, or differ from it in at most two letters.
fn similar_names(text: &str, others: &[ProcessEntry]) -> Vec<String> {
    let wanted = text.rsplit(':').next().unwrap_or(text);
    let wanted = fold_case(wanted.trim_matches('"'));
    let mut similar: Vec<(usize, String)> = others
        .iter()
        .map(|entry| {
            (
                distance(&wanted, &fold_case(&entry.name)),
                console::plain(&entry.name),
            )
        })
        .filter(|(far, name)| *far <= 2 || wanted.len() > 2 && fold_case(name).contains(&wanted))
        .collect();
    similar.sort();
    similar.dedup_by(|a, b| a.1 == b.1);
    similar.into_iter().take(5).map(|(_, name)| name).collect()
}

/// Levenshtein distance of the first 64 letters: how many are inserted, deleted or replaced.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().take(64).enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let changed = corner + usize::from(letter != *other);
            corner = row[j + 1];
            row[j + 1] = changed.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

fn ambiguous(
    host: &dyn Host,
    text: &str,
    several: &[&ProcessEntry],
    advice: &str,
) -> Result<Error, Error> {
    // The matching processes were listed without their user and start time.
    let listed = host.processes(Detail::Figures)?;
    let is_one = |entry: &&ProcessEntry| several.iter().any(|one| one.key == entry.key);
    let lines: Vec<String> = listed.iter().filter(is_one).take(20).map(line).collect();
    let more = several.len().saturating_sub(lines.len());
    let more = if more > 0 {
        format!("\n  … and {more} more")
    } else {
        String::new()
    };
    let what = format!("{} processes match \"{text}\"", several.len());
    Ok(Error::new(ErrorKind::NoSuchProcess, what).advise(format!(
        "{advice}:\n  {:>7}  {:<19}  {:<12}  COMMAND\n{}{more}",
        "PID",
        "STARTED",
        "USER",
        lines.join("\n")
    )))
}

fn line(entry: &ProcessEntry) -> String {
    let command = super::pool::marked_command(entry);
    let started = console::date_time(entry.started);
    format!(
        "  {:>7}  {started:<19}  {:<12}  {command}",
        entry.key.pid, entry.user
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_typing_error_is_similar() {
        assert_eq!(distance("ngnix", "nginx"), 2);
        let entry = ProcessEntry {
            name: "nginx".to_owned(),
            ..ProcessEntry::default()
        };
        assert_eq!(similar_names("ngnix", &[entry]), ["nginx"]);
    }
}
