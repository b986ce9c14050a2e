//! The options of `watch` and `run`, and the rules that they mean.

use super::{Job, Start};
use crate::{
    rules,
    ui::{console, exit::Usage, values},
};
use collector::{Destination, DumpOptions, WindowsOptions};
use platform::{Error, ErrorKind, Existing, HoldOptions, Stop};
use policy::{
    Action, Clause, Condition, Follow, Free, Gauge, Level, Limit, Limits, Retention, Rule, Target,
    Window, parse_when,
};
use snapshot::{Compression, DumpFormat, DumpKind, OperatingSystem};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Options of `watch`.
#[derive(Debug, clap::Args)]
pub(crate) struct WatchArgs {
    /// PID, process name, image:PATH, service:NAME, container:ID, group:PGID or cmdline:"glob"
    #[arg(
        value_name = "TARGET",
        required_unless_present = "rules",
        allow_negative_numbers = true
    )]
    target: Option<String>,
    /// Further targets, which are refused: a watch has one, or a file of rules
    #[arg(hide = true, allow_negative_numbers = true)]
    further: Vec<String>,
    /// A file of rules, instead of a target and conditions
    #[arg(long, value_name = "FILE", conflicts_with_all = ["target", "when"])]
    rules: Option<PathBuf>,
    /// Wait for the next process that matches to start
    #[arg(long)]
    wait: bool,
    /// Watch every process that matches, now and later, until -n dumps were taken in all
    #[arg(long)]
    each: bool,
    /// Another name of --each (follow = "all" in a file of rules is something else)
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    common: Common,
}

/// Options of `run`.
#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    common: Common,
    /// Program to start, and its arguments
    #[arg(required = true, trailing_var_arg = true)]
    program: Vec<String>,
}

/// Options of `watch` and `run`.
#[derive(Debug, clap::Args)]
pub(crate) struct Common {
    /// When to act: `cpu > 85% for 10s`, `memory >= 2GiB`, `exception "NotFound"`, `unhandled exception`, `exit` …;
    /// several mean "or" [default of watch: at once; run needs one]
    #[arg(short, long, value_name = "CONDITION")]
    when: Vec<String>,
    /// What to do then: `full dump`, `mini dump`, `plus dump`, `triage dump`, `mini and full dump`, `log stack`, `none` …
    #[arg(long = "do", value_name = "ACTION", default_value = "mini dump")]
    action: String,
    /// Number of dumps, 0 for no limit [default: 1]. Where the action takes no dump, how often it is done
    /// [default: no limit]
    #[arg(short = 'n', long, value_name = "N")]
    number: Option<u32>,
    /// Watch child processes too
    #[arg(long)]
    children: bool,
    /// Time between two samples of levels such as cpu and memory
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = values::duration)]
    poll: Duration,
    /// Folder, or file name, in which PROCESSNAME COMMANDNAME PID YYMMDD HHMMSS EXCEPTIONCODE TRIGGER are replaced
    /// [default: the current folder]
    #[arg(short, long, value_name = "PATH")]
    output: Option<String>,
    /// Replace an existing file of the same name; otherwise the dump gets the next free name
    #[arg(long)]
    overwrite: bool,
    /// core or minidump [default: core for full, plus and custom; minidump for mini and triage]
    #[arg(long, value_parser = values::format)]
    format: Option<DumpFormat>,
    /// Compress dumps while they are written: zstd, or zstd:LEVEL with a level of 1 (the default) to 19
    #[arg(long, value_name = "zstd[:LEVEL]", value_parser = str::parse::<Compression>)]
    compress: Option<Compression>,
    /// Text to be stored in the dumps
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// Give up a dump after this time and release the target; what was written is kept as NAME.partial
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    timeout: Option<Duration>,
    /// Skip a trigger rather than make the target wait for a dump that is still being written
    #[arg(long)]
    avoid_outage: bool,
    /// Limit of dumps in any stretch of time: 10m=3 is three in any ten minutes
    #[arg(long, value_name = "TIME=N")]
    max_dumps_per: Vec<Window>,
    /// Limit of the size of all dumps in the folder; the oldest are deleted
    #[arg(long, value_name = "SIZE", value_parser = values::size)]
    max_folder: Option<u64>,
    /// Space on the disk that stays free: 5% or 10GiB
    #[arg(long, value_name = "SPACE")]
    keep_free: Option<Free>,
    /// Use hardware breakpoints to see C++ exceptions if probes are not permitted (Linux): the
    /// target dies if firstchance is killed at the wrong moment
    #[arg(long)]
    unsafe_breakpoints: bool,
    /// How long a thread that throws may stand in all while dumps of other threads are taken (Linux). Then it goes on,
    /// and its dump says how late it was taken
    #[arg(long, value_name = "TIME", value_parser = values::duration, default_value = "1s")]
    max_hold: Duration,
    /// Take no dump for which the process is expected to stand longer: 500ms
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    max_pause: Option<Duration>,
    /// Print one JSON object per event on standard output
    #[arg(long)]
    json: bool,
}

impl WatchArgs {
    /// The job that the options mean. Fails if a text cannot be parsed, or if the rule file cannot be used.
    pub(crate) fn job(&self) -> anyhow::Result<Job> {
        if let Some(file) = &self.rules {
            return self.job_of_file(file);
        }
        if !self.further.is_empty() {
            return Err(self.several_targets().into());
        }
        let text = self.target.as_deref().unwrap_or("");
        let target: Target = text.parse().map_err(|error| Usage(format!("{error}")))?;
        let follow = match () {
            () if self.each || self.all => Follow::Each,
            () if self.wait => Follow::Next,
            () => Follow::One,
        };
        self.common.job(target, follow, None)
    }

    fn several_targets(&self) -> Usage {
        let more = console::plain(&self.further.join(" "));
        Usage(format!(
            "a watch has one target, so {more} cannot be watched, too: --each watches all processes of a name, and \
             --rules FILE several targets, with a rule for each (`firstchance explain watch …` prints one). Or start a \
             watch of its own for each target"
        ))
    }

    fn job_of_file(&self, file: &Path) -> anyhow::Result<Job> {
        let rules = read_rules(file)?;
        let options = self.common.dump_options()?;
        let rules = rules.into_iter().map(|mut rule| {
            rule.compress = rule.compress.or(self.common.compress);
            (rule, options.clone())
        });
        let rules = rules.collect();
        Ok(self.common.job_of(rules))
    }
}

impl RunArgs {
    /// The job that the options mean. Fails if there is no condition.
    pub(crate) fn job(&self) -> anyhow::Result<Job> {
        if self.common.when.is_empty() {
            let what = "no condition: say when to take a dump, as in --when exit or --when 'memory > 1GiB'";
            return Err(Usage(what.to_owned()).into());
        }
        let (program, arguments) = self.program.split_first().ok_or(Usage(String::new()))?;
        let launch = (PathBuf::from(program), arguments.to_vec());
        self.common
            .job(Target::Launch(program.clone()), Follow::One, Some(launch))
    }
}

impl Common {
    fn job(
        &self,
        target: Target,
        follow: Follow,
        launch: Option<(PathBuf, Vec<String>)>,
    ) -> anyhow::Result<Job> {
        let mut clause = Clause::new(self.conditions()?, self.action()?);
        let takes_dumps = !clause.action.kinds().is_empty();
        let default = u32::from(takes_dumps);
        let number = self.number.unwrap_or(default);
        let number = (number > 0).then_some(number);
        clause.limit = number.filter(|_| !takes_dumps).map(Limit::in_all);
        let mut rule = Rule::new(target, vec![clause]);
        rule.follow = follow;
        rule.children = self.children;
        rule.compress = self.compress;
        rule.limits = Limits {
            max_dumps: number.filter(|_| takes_dumps),
            ..self.limits()
        };
        Ok(Job {
            launch: launch.map(|(path, words)| Start::Program(path, words)),
            ..self.job_of(vec![(rule, self.dump_options()?)])
        })
    }

    fn job_of(&self, rules: Vec<(Rule, DumpOptions)>) -> Job {
        Job {
            poll: self.poll,
            holds: HoldOptions {
                unsafe_breakpoints: self.unsafe_breakpoints,
                longest: self.max_hold,
            },
            json: self.json,
            ..Job::new(rules)
        }
    }

    fn conditions(&self) -> anyhow::Result<Vec<Condition>> {
        let mut conditions = Vec::new();
        for text in &self.when {
            conditions.extend(parse_when(text).map_err(|error| Usage(format!("--when: {error}")))?);
        }
        if conditions.is_empty() {
            conditions.push(Condition::Now);
        }
        Ok(conditions)
    }

    fn action(&self) -> anyhow::Result<Action> {
        let action = self.action.parse();
        action.map_err(|error: policy::ParseError| Usage(format!("--do: {error}")).into())
    }

    fn limits(&self) -> Limits {
        Limits {
            windows: self.max_dumps_per.clone(),
            avoid_outage: self.avoid_outage,
            keep: Retention {
                max_bytes: self.max_folder,
                keep_free: self.keep_free,
                ..Retention::default()
            },
            ..Limits::default()
        }
    }

    fn dump_options(&self) -> anyhow::Result<DumpOptions> {
        let output = crate::cli::dump::destination(self.output.as_deref())?;
        Ok(DumpOptions {
            existing: values::existing(self.overwrite),
            comment: self.comment.clone(),
            timeout: self.timeout,
            max_pause: self.max_pause,
            format: format_of(self.format),
            ..options_to(output)
        })
    }
}

/// Dumps into `destination`, with every option at its default.
pub(crate) fn options_to(destination: Destination) -> DumpOptions {
    DumpOptions {
        destination,
        existing: Existing::NextName,
        comment: None,
        timeout: None,
        stop: Stop::Threads,
        max_pause: None,
        format: format_of(None),
        kill_after: false,
        numbers_each_process: false,
        command_line: Some(crate::ui::command_line()),
        windows: WindowsOptions::default(),
    }
}

/// Chooses the format of a kind of dump: the one that was asked for, else the default of the kind.
pub(crate) fn format_of(asked: Option<DumpFormat>) -> fn(DumpKind) -> DumpFormat {
    match asked {
        Some(DumpFormat::Core) => |_| DumpFormat::Core,
        Some(DumpFormat::Minidump) => |_| DumpFormat::Minidump,
        None => |kind| crate::cli::dump::default_format(kind, &Destination::Stdout),
    }
}

/// Reads a file of rules. Refuses one that starts a program unless only the administrator can write
/// to it.
pub(crate) fn read_rules(file: &Path) -> anyhow::Result<Vec<Rule>> {
    let bytes = platform::read_trusted(file)?;
    let (path, only_administrator) = (file.display(), bytes.administrator);
    log::debug!("rules from {path}; only the administrator can change it: {only_administrator}");
    let text = String::from_utf8(bytes.bytes)
        .map_err(|_| Usage(format!("{} is not a text in UTF-8", file.display())))?;
    let rules = rules::parse(&text).map_err(|e| Usage(format!("{}: {e}", file.display())))?;
    if rules.is_empty() {
        return Err(without_rules(file).into());
    }
    if !bytes.administrator && rules.iter().any(rules::runs_programs) {
        let what = format!(
            "{} starts a program, which is permitted only in a file that nobody but the administrator can write to",
            file.display()
        );
        return Err(Usage(what).into());
    }
    Ok(rules)
}

/// A file without a rule is an error: it was cut off, or not written yet, and a watch of nothing would end as if all had
/// been done.
fn without_rules(file: &Path) -> Usage {
    let file = file.display();
    Usage(format!(
        "{file} has no rule: write a [[rule]] with a target and at least one [[rule.on]] into it; \
         `firstchance explain watch nginx --when 'cpu > 85%'` prints one"
    ))
}

/// Fails if a watch cannot carry out a rule, or cannot on this system.
pub(crate) fn refuse_unbuilt(rule: &Rule) -> anyhow::Result<()> {
    if rule.limits.repeat_window.is_some() {
        let what = "a watch does not know the signature of a crash: `per signature` \
                    (repeat-window) is a limit of postmortem rules alone";
        return Err(Usage(what.to_owned()).into());
    }
    rule.limits.keep.expect_room(None).map_err(Usage)?;
    let os = platform::OS;
    let conditions = rule.clauses.iter().flat_map(|clause| &clause.when);
    let unbuilt = |c: &&Condition| match os {
        OperatingSystem::Linux | OperatingSystem::Foreign(_) => false,
        OperatingSystem::Windows => is_of_linux(c),
    };
    match { conditions }.find(unbuilt) {
        Some(condition) => {
            let what = format!("the condition `{condition}` is not built yet");
            Err(Error::new(ErrorKind::Unsupported, what).into())
        }
        None => Ok(()),
    }
}

/// Whether only Linux has what the condition is about.
fn is_of_linux(condition: &Condition) -> bool {
    let is_gauge_of_linux = |level: &Level| match level {
        Level::Compare { gauge, .. } => {
            let of_linux = [Gauge::RssAndSwap, Gauge::CpuOfLimit, Gauge::MemoryOfLimit];
            of_linux.contains(gauge)
        }
        _ => false,
    };
    match condition {
        Condition::Signal(_) => true,
        Condition::Holds { all, .. } => all.iter().any(is_gauge_of_linux),
        _ => false,
    }
}
