//! The rules that the settings mean: one for each program that has values of its own, and one for all
//! others. What happens at a crash is what its rule says.

use super::{Settings, Values, is_windows};
use platform::Result;
use policy::{
    Action, Chance, Clause, Condition, DumpRequest, ExceptionFilter, Follow, Identity, Limits,
    Match, Pattern, Retention, Rule, Target,
};
use snapshot::{DumpFormat, Exception};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// How long the same crash is only counted if no `--repeat-window` was given.
const REPEAT_WINDOW: Duration = Duration::from_secs(60 * 60);
const SIGQUIT: u32 = 3;

/// Values in the settings, and the processes that they are for.
pub(crate) struct Entry<'s> {
    /// The name or the path of the program; `None` for the values for all programs.
    pub(crate) program: Option<&'s str>,
    pub(crate) target: Target,
    pub(crate) values: &'s Values,
}

/// The rule that an entry means.
#[derive(Clone, Debug)]
pub(crate) struct CrashRule {
    pub(crate) rule: Rule,
    /// The format of its dumps, which is no part of a rule.
    pub(crate) format: DumpFormat,
}

impl CrashRule {
    /// Where its dumps go.
    pub(crate) fn folder(&self) -> PathBuf {
        self.rule.folder.clone().unwrap_or_default().into()
    }

    /// The dump that it asks for at a crash; `None` if it wants none of that crash.
    pub(crate) fn at_crash(&self, who: &Identity, fault: &Exception) -> Option<DumpRequest> {
        policy::at_crash(&self.rule, who, fault.clone())
    }
}

impl Settings {
    /// All entries, in the order in which they are asked: programs by their path, then programs by
    /// their name, then the values for all programs (none with `--only-listed`). The first that
    /// means a process is the one for it.
    pub(crate) fn entries(&self) -> Vec<Entry<'_>> {
        let programs = self.programs.iter().map(|(program, values)| Entry {
            program: Some(program),
            target: target(program),
            values,
        });
        let mut entries: Vec<_> = programs.collect();
        entries.sort_by_key(|entry| !matches!(entry.target, Target::Image(_)));
        let all = Entry {
            program: None,
            target: Target::CommandLine(Pattern::new("*")),
            values: &self.default,
        };
        entries.extend((!self.only_listed).then_some(all));
        entries
    }

    /// The rules of all entries, in the same order.
    pub(crate) fn rules(&self) -> Result<Vec<CrashRule>> {
        let entries = self.entries();
        entries.iter().map(|entry| self.rule(entry)).collect()
    }

    /// The rule about a process; `None` if no entry is about it.
    pub(crate) fn rule_about(&self, who: &Identity) -> Result<Option<CrashRule>> {
        let entries = self.entries();
        let first = policy::first_about(entries.iter().map(|entry| &entry.target), who);
        let rejected = &entries[..first.unwrap_or(entries.len())];
        for Entry { target, .. } in rejected {
            let why = target.mismatch(who).unwrap_or_default();
            log::debug!("the rule about {target} does not apply: {why}");
        }
        let rule = first.map(|at| self.rule(&entries[at])).transpose()?;
        match &rule {
            Some(rule) => log::debug!("this rule applies: {}", rule.rule),
            None => log::debug!("no rule is about the process"),
        }
        Ok(rule)
    }

    /// The rule that an entry means: on PROGRAM, when unhandled exception, do TYPE dump, into FOLDER,
    /// within these limits.
    pub(crate) fn rule(&self, entry: &Entry<'_>) -> Result<CrashRule> {
        let values = self.resolve(entry.values)?;
        let action = match entry.values.exclude {
            true => Action::None,
            false => values.kind.into(),
        };
        let clause = Clause::new(vec![self.condition()], action);
        let mut rule = Rule::new(entry.target.clone(), vec![clause]);
        rule.name = match entry.program {
            Some(program) => format!("postmortem of {program}"),
            None => "postmortem".to_owned(),
        };
        rule.follow = Follow::Each;
        if !entry.values.exclude {
            rule.folder = Some(values.folder.display().to_string());
            rule.compress = values.compress;
            rule.limits = Limits {
                repeat_window: self.repeat_window(),
                keep: values.keep,
                ..Limits::default()
            };
        }
        Ok(CrashRule {
            rule,
            format: values.format,
        })
    }

    /// The limits of all entries whose dumps go to `folder`.
    pub(crate) fn limits_of(&self, folder: &Path) -> Result<Vec<Retention>> {
        let all = self.programs.values().chain([&self.default]);
        let resolved = all.map(|values| self.resolve(values));
        let resolved = resolved.collect::<Result<Vec<_>>>()?.into_iter();
        let here = resolved.filter(|values| super::expand(&values.folder) == folder);
        Ok(here.map(|values| values.keep).collect())
    }

    /// SIGQUIT is no crash unless `--quit` says so.
    fn condition(&self) -> Condition {
        let exclude = match self.quit || is_windows() {
            true => Vec::new(),
            false => vec![Match::Code(SIGQUIT)],
        };
        Condition::Exception(ExceptionFilter {
            chance: Chance::Unhandled,
            include: Vec::new(),
            exclude,
        })
    }

    /// How long the same crash is only counted; `None` if each is stored. Windows counts none.
    pub(super) fn repeat_window(&self) -> Option<Duration> {
        let text = self.repeat_window.as_deref();
        let window = text.and_then(|text| policy::parse_duration(text).ok());
        let window = window.unwrap_or(REPEAT_WINDOW);
        (!window.is_zero() && !is_windows()).then_some(window)
    }
}

/// Programs are called by their full path or by their name.
fn target(program: &str) -> Target {
    match program.contains(['/', '\\']) {
        true => Target::Image(program.to_owned()),
        false => Target::Name(program.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapshot::DumpKind;

    fn program(name: &str, image: &str) -> Identity {
        Identity {
            name: name.to_owned(),
            image: image.to_owned(),
            ..Identity::default()
        }
    }

    fn killed_by(signal: u32) -> Exception {
        Exception {
            code: signal,
            ..Exception::default()
        }
    }

    fn sentence(settings: &Settings, name: &str, image: &str) -> String {
        let rule = settings.rule_about(&program(name, image)).unwrap();
        rule.map_or("none".to_owned(), |rule| rule.rule.to_string())
    }

    #[test]
    fn a_programs_values_stand_before_those_for_all() {
        let text = "[default]\ncount = 3\ntype = \"full\"\nfolder = \"/a\"\n\
                    [program-values.nginx]\ncount = 5\n[program-values.bad]\nexclude = true\n\
                    [program-values.\"/usr/bin/x\"]\ntype = \"custom 0x33\"\n";
        let settings: Settings = toml::from_str(text).unwrap();
        let limits = "into \"/a\"; at most 1 dump per signature in 1h; keep at most";
        let crash = "when unhandled exception not code 0x3, do";
        for (name, image, expected) in [
            (
                "nginx",
                "/usr/sbin/nginx",
                format!(
                    "\"postmortem of nginx\": on each nginx, {crash} full dump; {limits} 5 dumps"
                ),
            ),
            (
                "x",
                "/usr/bin/x",
                format!(
                    "\"postmortem of /usr/bin/x\": on each image:/usr/bin/x, {crash} custom dump 0x33; \
                     {limits} 3 dumps"
                ),
            ),
            (
                "bad",
                "/bin/bad",
                format!("\"postmortem of bad\": on each bad, {crash} none"),
            ),
            (
                "y",
                "/bin/y",
                format!(
                    "\"postmortem\": on each cmdline:\"*\", {crash} full dump; {limits} 3 dumps"
                ),
            ),
        ] {
            assert_eq!(sentence(&settings, name, image), expected);
        }
        let again: Settings = toml::from_str(&toml::to_string(&settings).unwrap()).unwrap();
        assert_eq!(again, settings);
    }

    #[test]
    fn local_dumps_own_values_stand_where_nobody_says_anything() {
        let rule = Settings::default().rule_about(&program("x", "/x"));
        let rule = rule.unwrap().unwrap();
        let asked = rule.at_crash(&program("x", "/x"), &killed_by(11)).unwrap();
        assert_eq!(asked.kinds, [DumpKind::Mini]);
        assert_eq!(rule.format, DumpFormat::Minidump);
        assert_eq!(rule.rule.limits.keep.max_count, Some(10));
        let only_listed = Settings {
            only_listed: true,
            ..Settings::default()
        };
        assert_eq!(sentence(&only_listed, "x", "/x"), "none");
    }

    #[test]
    fn sigquit_and_repeats_are_as_the_options_say() {
        let who = program("x", "/x");
        let rule = |settings: &Settings| settings.rule_about(&who).unwrap().unwrap();
        let plain = rule(&Settings::default());
        assert!(plain.at_crash(&who, &killed_by(SIGQUIT)).is_none());
        let settings = Settings {
            quit: true,
            repeat_window: Some("0s".to_owned()),
            ..Settings::default()
        };
        let all = rule(&settings);
        assert!(all.at_crash(&who, &killed_by(SIGQUIT)).is_some());
        assert_eq!(all.rule.limits.repeat_window, None, "each is stored");
    }

    #[test]
    fn a_folder_has_the_limits_of_every_entry_that_uses_it() {
        let text = "[default]\nfolder = \"/a\"\n[program-values.x]\ncount = 2\n\
                    [program-values.y]\nfolder = \"/b\"\nmax-bytes = \"1GiB\"\n";
        let settings: Settings = toml::from_str(text).unwrap();
        let limits = |folder: &str| {
            let limits = settings.limits_of(Path::new(folder)).unwrap().into_iter();
            let limits = limits.map(|keep| (keep.max_count, keep.max_bytes));
            limits.collect::<Vec<_>>()
        };
        assert_eq!(limits("/a"), [(Some(2), None), (Some(10), None)]);
        assert_eq!(limits("/b"), [(Some(10), Some(1 << 30))]);
        assert_eq!(limits("/c"), []);
    }

    #[test]
    fn a_broken_entry_costs_only_the_programs_it_is_for() {
        let text = "[program-values.bad]\ntype = \"huge\"\n";
        let settings: Settings = toml::from_str(text).unwrap();
        assert!(settings.rule_about(&program("bad", "/bad")).is_err());
        assert!(settings.rule_about(&program("x", "/x")).is_ok());
    }
}
