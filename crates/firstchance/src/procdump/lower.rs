//! From what was given to what it means.

use super::{
    Command, Dialect, Install, Invocation, Launch, LogTo, Monitor, PostMortem, UsageError,
    arguments::Given,
    switches::{BUILT, CLONES, Id, Support, get},
    triggers::{Triggers, parsed},
};
use policy::{Action, Clause, Condition, Follow, Limit, Pattern, Rule, Scope, Target, Window};
use snapshot::{DumpKind, OperatingSystem};
use std::time::Duration;

type Result<T> = std::result::Result<T, UsageError>;

/// Dumps when `-n`, seconds when `-s` is not given.
const COUNT: u32 = 1;
const SECONDS: u32 = 10;

pub(super) fn lower(
    given: &Given,
    dialect: Dialect,
    system: OperatingSystem,
) -> Result<Invocation> {
    let lowered = Lower {
        given,
        dialect,
        system,
    };
    if given.has(Id::Help) {
        let examples = given.has(Id::Exception);
        return Ok(lowered.invocation(Command::Help { examples }, vec![]));
    }
    let warnings = lowered.meaningless()?;
    let command = lowered.command()?;
    Ok(lowered.invocation(command, warnings))
}

struct Lower<'a> {
    given: &'a Given,
    dialect: Dialect,
    system: OperatingSystem,
}

impl Lower<'_> {
    fn invocation(&self, command: Command, warnings: Vec<String>) -> Invocation {
        let not_built_yet = match command {
            Command::Help { .. } => Vec::new(),
            Command::Uninstall if get(Id::Install).since > BUILT => {
                vec!["-u: not built yet".to_owned()]
            }
            // Whoever handles crashes only has to end: Windows' own reports come next by themselves.
            Command::Install(_) | Command::PostMortem(_) => self.not_built_yet(&[Id::Wer]),
            _ => self.not_built_yet(&[]),
        };
        Invocation {
            command,
            warnings,
            not_built_yet,
        }
    }

    fn command(&self) -> Result<Command> {
        let given = self.given;
        if let Some(pid) = given.value(Id::Cancel) {
            return parsed(Id::Cancel, pid, "a pid").map(Command::Cancel);
        }
        if given.has(Id::PostMortem) {
            return self.post_mortem().map(Command::PostMortem);
        }
        if given.has(Id::Install) {
            return self.install().map(Box::new).map(Command::Install);
        }
        if self.is_uninstall() {
            return Ok(Command::Uninstall);
        }
        self.monitor().map(Box::new).map(Command::Monitor)
    }

    fn is_uninstall(&self) -> bool {
        let ids = self.given.ids();
        let silent = |id: &Id| matches!(id, Id::CoreOrUninstall | Id::Eula | Id::Linux);
        ids.contains(&Id::CoreOrUninstall) && ids.iter().all(silent) && self.given.words.is_empty()
    }

    /// Warns of switches that mean nothing here, and refuses triggers that cannot be had.
    fn meaningless(&self) -> Result<Vec<String>> {
        let mut warnings = Vec::new();
        let system = match self.system {
            OperatingSystem::Linux => "Linux",
            OperatingSystem::Windows => "Windows",
        };
        for id in self.given.ids() {
            let name = get(id).name;
            match get(id).support(self.system) {
                Support::Yes => {}
                Support::Nothing(why) => {
                    warnings.push(format!("-{name} means nothing on {system}: {why}"));
                }
                Support::Never(why) => {
                    let message = format!("-{name} cannot be had on {system}: {why}");
                    return Err(UsageError(message));
                }
            }
        }
        warnings.extend(self.useless());
        Ok(warnings)
    }

    /// Switches that say something about others which are not there.
    fn useless(&self) -> Vec<String> {
        let has = |id| self.given.has(id);
        let any = |ids: &[Id]| ids.iter().any(|id| has(*id));
        let cpu = any(&[Id::Cpu, Id::CpuBelow]);
        let filtered = any(&[
            Id::Exception,
            Id::DebugString,
            Id::ModuleLoad,
            Id::ModuleUnload,
        ]);
        let leaks = has(Id::Leaks);
        let cases = [
            (Id::CoreOrUninstall, cpu || self.is_uninstall(), "-c or -cl"),
            (Id::Include, filtered, "-e, -l, -ld or -ud"),
            (Id::Exclude, filtered || leaks, "-e, -l, -ld or -ud"),
            (Id::Breakpoints, has(Id::Exception), "-e"),
            (Id::LeakRate, leaks, "-restrack"),
        ];
        let clone = "-r: clones are not built yet; the target is copied where it stands";
        let here = self.system == OperatingSystem::Linux;
        let clone = (has(Id::Clone) && here && !CLONES).then(|| clone.to_owned());
        let useless = cases.iter().filter(|(id, needed, _)| has(*id) && !needed);
        useless
            .map(|(id, _, other)| format!("-{} means nothing without {other}", get(*id).name))
            .chain(clone)
            .collect()
    }

    fn not_built_yet(&self, but: &[Id]) -> Vec<String> {
        let here = |id: &Id| get(*id).support(self.system) == Support::Yes && !but.contains(id);
        let missing = |id: &Id| get(*id).since > BUILT && here(id);
        let ids = self.given.ids().into_iter();
        ids.filter(missing)
            .map(|id| format!("-{}: not built yet", get(id).name))
            .collect()
    }

    fn monitor(&self) -> Result<Monitor> {
        let given = self.given;
        self.conflicts()?;
        let count = self.count()?;
        let seconds = self.number(Id::Seconds)?.unwrap_or(SECONDS);
        let (target, place, launch) = self.target()?;
        let mut rule = Rule::new(target, self.clauses(count, seconds)?);
        rule.follow = self.follow();
        rule.children = given.has(Id::Tree);
        rule.folder = launch.is_some().then(|| place.clone()).flatten();
        let clones = self.clones()?;
        rule.limits.concurrent = clones.unwrap_or(1);
        rule.limits.avoid_outage = given.has(Id::AvoidOutage);
        rule.limits.windows = self.pause(&rule, seconds);
        Ok(Monitor {
            rule,
            dialect: self.dialect,
            wait: given.has(Id::Wait),
            launch,
            place,
            comment: given.value(Id::Comment).map(str::to_owned),
            overwrite: given.has(Id::Overwrite),
            clones,
            kill_after: given.has(Id::Kill),
            timeout: self.timeout()?,
            kernel: given.has(Id::Kernel),
            callback: given.value(Id::Callback).map(str::to_owned),
            wer: given.has(Id::Wer),
            wide: given.has(Id::Wide),
            native: given.has(Id::Native),
            breakpoints: given.has(Id::Breakpoints),
            debug_strings: given.has(Id::DebugString),
            poll: self.poll()?,
            log: self.log()?,
            seconds,
            count,
        })
    }

    /// What cannot stand together.
    fn conflicts(&self) -> Result<()> {
        let has = |id| self.given.has(id);
        let fault = |text: &str| Err(UsageError(text.to_owned()));
        if has(Id::AvoidOutage) && !has(Id::Clone) {
            return fault("-a needs -r: without clones there is no limit of clones");
        }
        if has(Id::Kernel) && has(Id::Clone) {
            return fault("-mk and -r do not go together: a clone has no kernel stacks");
        }
        if has(Id::Launch) && (has(Id::Wait) || has(Id::Group) || !self.given.words.is_empty()) {
            return fault("-x starts the target itself; name no other");
        }
        let lists = self
            .given
            .list(Id::Memory)
            .len()
            .max(self.given.list(Id::MemoryBelow).len());
        if has(Id::Count) && lists > 1 {
            return fault("-n does not go with a list of thresholds: each takes one dump");
        }
        Ok(())
    }

    /// Whom, where to, and what to start.
    fn target(&self) -> Result<(Target, Option<String>, Option<Launch>)> {
        if let Some([folder, image, arguments @ ..]) = self.given.values(Id::Launch) {
            let launch = Launch {
                image: image.clone(),
                arguments: arguments.to_vec(),
            };
            let target = Target::Launch(image.clone());
            return Ok((target, Some(folder.clone()), Some(launch)));
        }
        let mut words = self.given.words.iter();
        let target = match self.given.value(Id::Group) {
            Some(group) => Target::Group(parsed(Id::Group, group, "a process group")?),
            None => self.named(words.next())?,
        };
        let place = words.next().cloned();
        match words.next() {
            None => Ok((target, place, None)),
            Some(word) => Err(UsageError(format!(
                "`{word}` is one word too many: a target, and a file or a folder"
            ))),
        }
    }

    fn named(&self, word: Option<&String>) -> Result<Target> {
        let missing = "whom? Name a process, a service or a pid; -? shows how";
        let word = word.filter(|word| !word.is_empty());
        let word = word.ok_or_else(|| UsageError(missing.to_owned()))?;
        if !word.chars().all(|c| c.is_ascii_digit()) {
            return Ok(Target::Name(word.clone()));
        }
        if self.given.has(Id::Wait) {
            return Err(UsageError(format!(
                "-w waits for a name; nobody can wait for the pid {word}"
            )));
        }
        let too_big = |_| UsageError(format!("{word} is no pid"));
        word.parse().map(Target::Pid).map_err(too_big)
    }

    /// ProcDump for Linux goes on with every process of a name or a group.
    fn follow(&self) -> Follow {
        let several = self.given.has(Id::Wait) && self.dialect == Dialect::Linux;
        match several || self.given.has(Id::Group) {
            true => Follow::Each,
            false => Follow::One,
        }
    }

    fn clauses(&self, count: u32, seconds: u32) -> Result<Vec<Clause>> {
        let period = Duration::from_secs(seconds.into());
        let triggers = Triggers {
            given: self.given,
            dialect: self.dialect,
            lasting: match self.dialect {
                Dialect::Windows => period,
                Dialect::Linux => Duration::ZERO,
            },
        };
        let (mut together, each) = triggers.read()?;
        if together.is_empty() && each.is_empty() {
            together.push(match count {
                1 => Condition::Now,
                _ => Condition::Every(period),
            });
        }
        let action: Action = self.kinds()?.into_iter().collect();
        let scope = match self.follow() {
            Follow::Each => Scope::Process,
            _ => Scope::Rule,
        };
        let clause = |when, times| {
            let limit = Some(Limit { times, scope });
            Clause {
                limit,
                ..Clause::new(when, action.clone())
            }
        };
        let each = each.into_iter().map(|condition| clause(vec![condition], 1));
        let together = (!together.is_empty()).then(|| clause(together, count));
        Ok(together.into_iter().chain(each).collect())
    }

    fn kinds(&self) -> Result<Vec<DumpKind>> {
        let flags = [
            (Id::Mini, DumpKind::Mini),
            (Id::Full, DumpKind::Full),
            (Id::Triage, DumpKind::Triage),
            (Id::Plus, DumpKind::Plus),
        ];
        let flags = flags.iter().filter(|(id, _)| self.given.has(*id));
        let mut kinds: Vec<_> = flags.map(|(_, kind)| *kind).collect();
        if let Some(mask) = self.given.value(Id::Mask) {
            let digits = mask.strip_prefix("0x").unwrap_or(mask);
            let wrong = |_| UsageError(format!("-mc MASK: `{mask}` is no hexadecimal number"));
            let mask = u64::from_str_radix(digits, 16).map_err(wrong)?;
            kinds.push(DumpKind::Custom(mask));
        }
        if kinds.is_empty() {
            kinds.push(match self.dialect {
                Dialect::Windows => DumpKind::Mini,
                Dialect::Linux => DumpKind::Full,
            });
        }
        Ok(kinds)
    }

    fn count(&self) -> Result<u32> {
        match self.number(Id::Count)? {
            Some(0) => Err(UsageError("-n 0: at least one dump".to_owned())),
            // The beginning and the end of the collection.
            None if self.given.has(Id::GcGeneration) => Ok(2),
            count => Ok(count.unwrap_or(COUNT)),
        }
    }

    /// ProcDump for Linux's `-s`: what lies between two dumps that a trigger sets off.
    fn pause(&self, rule: &Rule, seconds: u32) -> Vec<Window> {
        let levels = |c: &Condition| matches!(c, Condition::Holds { .. });
        let mut conditions = rule.clauses.iter().flat_map(|clause| &clause.when);
        let applies = self.dialect == Dialect::Linux && seconds > 0;
        match applies && conditions.any(levels) {
            true => vec![Window {
                count: 1,
                within: Duration::from_secs(seconds.into()),
            }],
            false => Vec::new(),
        }
    }

    fn clones(&self) -> Result<Option<u32>> {
        let Some(values) = self.given.values(Id::Clone) else {
            return Ok(None);
        };
        let count = values
            .first()
            .map_or(Ok(1), |n| parsed(Id::Clone, n, "a number"));
        count.map(Some)
    }

    fn timeout(&self) -> Result<Option<Duration>> {
        match self.number(Id::Timeout)? {
            Some(0) => Err(UsageError(
                "-at 0: no dump is written in no time".to_owned(),
            )),
            seconds => Ok(seconds.map(|s| Duration::from_secs(s.into()))),
        }
    }

    fn poll(&self) -> Result<Option<Duration>> {
        match self.number(Id::Poll)? {
            Some(0) => Err(UsageError("-pf 0: at least a millisecond".to_owned())),
            milliseconds => Ok(milliseconds.map(|ms| Duration::from_millis(ms.into()))),
        }
    }

    fn log(&self) -> Result<Option<LogTo>> {
        let Some(text) = self.given.value(Id::Log) else {
            return Ok(None);
        };
        match &text.to_ascii_lowercase()[..] {
            "syslog" => Ok(Some(LogTo::Syslog)),
            "stdout" => Ok(Some(LogTo::Stdout)),
            _ => Err(UsageError(format!("-log {text}: it is syslog or stdout"))),
        }
    }

    fn number(&self, id: Id) -> Result<Option<u32>> {
        let text = self.given.value(id);
        text.map(|text| parsed(id, text, "a whole number"))
            .transpose()
    }

    fn install(&self) -> Result<Install> {
        let allowed = |id: &Id| {
            use super::switches::Group;
            let others = [
                Id::Install,
                Id::Clone,
                Id::AvoidOutage,
                Id::Timeout,
                Id::Kill,
                Id::Wer,
                Id::Eula,
                Id::Linux,
                Id::Wide,
            ];
            get(*id).group == Group::Kind || others.contains(id)
        };
        if let Some(id) = self.given.ids().into_iter().find(|id| !allowed(id)) {
            let name = get(id).name;
            let message = format!("-{name} does not go with -i: every crash is a trigger then");
            return Err(UsageError(message));
        }
        let folder = match &self.given.words[..] {
            [] => None,
            [folder] => Some(folder.clone()),
            [_, word, ..] => {
                let message = format!("`{word}` is one word too many: -i takes a folder");
                return Err(UsageError(message));
            }
        };
        let action: Action = self.kinds()?.into_iter().collect();
        let kinds = action.kinds().to_vec();
        let crash = "unhandled exception".parse().map_err(|_| unreadable())?;
        let everybody = Target::CommandLine(Pattern::new("*"));
        let mut rule = Rule::new(everybody, vec![Clause::new(vec![crash], action)]);
        rule.follow = Follow::Each;
        rule.folder = folder.clone();
        Ok(Install {
            rule,
            kinds,
            folder,
            timeout: self.timeout()?,
            kill_after: self.given.has(Id::Kill),
        })
    }

    fn post_mortem(&self) -> Result<PostMortem> {
        let Some([folder, pid, event, address]) = self.given.values(Id::PostMortem) else {
            return Err(unreadable());
        };
        let digits = address.trim_start_matches("0x");
        let information = u64::from_str_radix(digits, 16).map_err(|_| unreadable())?;
        let action: Action = self.kinds()?.into_iter().collect();
        Ok(PostMortem {
            kinds: action.kinds().to_vec(),
            folder: folder.clone(),
            pid: parsed(Id::PostMortem, pid, "a pid")?,
            event: parsed(Id::PostMortem, event, "a handle")?,
            information,
            timeout: self.timeout()?,
            kill_after: self.given.has(Id::Kill),
        })
    }
}

fn unreadable() -> UsageError {
    UsageError("-j is for Windows itself: FOLDER PID EVENT ADDRESS".to_owned())
}
