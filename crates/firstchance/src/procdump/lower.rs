//! Turns the arguments into a command: which one it is, and what has to be warned of or refused.
//! `monitor.rs` and `install.rs` read the options of the two large commands.

use super::{
    Command, Dialect, Invocation, UsageError,
    arguments::Arguments,
    numbers::{parsed, whole},
    switches::{BUILT, Id, Origin, Support, get},
};
use snapshot::{Compression, DumpKind, OperatingSystem};
use std::{
    num::{IntErrorKind, ParseIntError},
    ops::RangeInclusive,
};

pub(super) type Result<T> = std::result::Result<T, UsageError>;

/// The command that the arguments mean. Fails with a sentence for the user if they mean none.
pub(super) fn lower(
    arguments: &Arguments,
    dialect: Dialect,
    system: OperatingSystem,
) -> Result<Invocation> {
    let lowering = Lowering {
        arguments,
        dialect,
        system,
    };
    if arguments.has(Id::Help) {
        let examples = arguments.has(Id::Exception);
        return Ok(lowering.invocation(Command::Help { examples }, vec![]));
    }
    let warnings = lowering.warnings()?;
    let command = lowering.command()?;
    Ok(lowering.invocation(command, warnings))
}

/// Arguments that are being turned into a command.
pub(super) struct Lowering<'a> {
    pub(super) arguments: &'a Arguments,
    pub(super) dialect: Dialect,
    pub(super) system: OperatingSystem,
}

impl Lowering<'_> {
    fn invocation(&self, command: Command, warnings: Vec<String>) -> Invocation {
        let not_built_yet = match command {
            Command::Help { .. } => Vec::new(),
            Command::Uninstall if get(Id::Install).since > BUILT => {
                vec!["-u: not built yet".to_owned()]
            }
            _ => self.not_built_yet(),
        };
        Invocation {
            command,
            warnings,
            not_built_yet,
            dialect: self.dialect,
            linux_switch: self.linux_switch(),
        }
    }

    /// The first switch that only ProcDump for Linux has.
    fn linux_switch(&self) -> Option<String> {
        let of_linux = |id: &Id| {
            let ours = [Id::Linux, Id::Each].contains(id);
            get(*id).origin == Origin::Linux && !ours
        };
        let id = self.arguments.ids().into_iter().find(of_linux)?;
        Some(format!("-{}", get(id).name))
    }

    fn command(&self) -> Result<Command> {
        let arguments = self.arguments;
        if let Some(pid) = arguments.value(Id::Cancel) {
            return parsed(Id::Cancel, pid, "a pid").map(Command::Cancel);
        }
        if arguments.has(Id::PostMortem) {
            return self.post_mortem().map(Command::PostMortem);
        }
        if arguments.has(Id::Install) {
            return self.install().map(Box::new).map(Command::Install);
        }
        if self.is_uninstall() {
            return Ok(Command::Uninstall);
        }
        self.monitor().map(Box::new).map(Command::Monitor)
    }

    /// Whether `-u` is meant as a command. Beside other switches, it changes the meaning of `-c`.
    fn is_uninstall(&self) -> bool {
        let ids = self.arguments.ids();
        let allowed = |id: &Id| {
            matches!(
                id,
                Id::CoreOrUninstall | Id::Eula | Id::Linux | Id::ExitCodes
            )
        };
        ids.contains(&Id::CoreOrUninstall)
            && ids.iter().all(allowed)
            && self.arguments.words.is_empty()
    }

    /// One line for each switch that has no meaning here. Fails if a trigger or a target is not possible
    /// on this system.
    fn warnings(&self) -> Result<Vec<String>> {
        let mut warnings = Vec::new();
        let system = self.system.name();
        for id in self.arguments.ids() {
            let name = get(id).name;
            match get(id).support(self.system) {
                Support::Yes => {}
                Support::Nothing(why) => {
                    warnings.push(format!("-{name} means nothing on {system}: {why}"));
                }
                Support::Never(why) => {
                    let message = format!("-{name} is not possible on {system}: {why}");
                    return Err(UsageError(message));
                }
            }
        }
        warnings.extend(self.warnings_of_missing_switches());
        Ok(warnings)
    }

    /// One line for each switch that only changes the meaning of another one, which is missing.
    fn warnings_of_missing_switches(&self) -> Vec<String> {
        let has = |id| self.arguments.has(id);
        let any = |ids: &[Id]| ids.iter().any(|id| has(*id));
        let cpu = any(&[Id::Cpu, Id::CpuBelow]);
        let filtered = self.is_filtered();
        let leaks = has(Id::Leaks);
        let cases = [
            (Id::CoreOrUninstall, cpu || self.is_uninstall(), "-c or -cl"),
            (Id::Include, filtered, "-e, -l, -ld or -ud"),
            (Id::Exclude, filtered || leaks, "-e, -l, -ld or -ud"),
            (Id::Breakpoints, has(Id::Exception), "-e"),
            (Id::LeakRate, leaks, "-restrack"),
            (Id::Each, self.is_named_wait(), "-w in the Linux dialect"),
        ];
        let useless = cases.iter().filter(|(id, needed, _)| has(*id) && !needed);
        useless
            .map(|(id, _, other)| format!("-{} means nothing without {other}", get(*id).name))
            .collect()
    }

    /// Whether there is a trigger to which filters apply.
    pub(super) fn is_filtered(&self) -> bool {
        let filtered = [
            Id::Exception,
            Id::DebugString,
            Id::ModuleLoad,
            Id::ModuleUnload,
        ];
        filtered.iter().any(|id| self.arguments.has(*id))
    }

    /// Whether every process of a name is watched.
    pub(super) fn is_named_wait(&self) -> bool {
        self.arguments.has(Id::Wait) && self.dialect == Dialect::Linux
    }

    /// One line for each switch that is not built yet.
    fn not_built_yet(&self) -> Vec<String> {
        let here = |id: &Id| get(*id).support(self.system) == Support::Yes;
        let missing = |id: &Id| get(*id).since > BUILT && here(id);
        let ids = self.arguments.ids().into_iter();
        ids.filter(missing)
            .map(|id| format!("-{}: not built yet", get(id).name))
            .collect()
    }

    /// The value of a switch as a whole number of these. Returns `None` if the switch is not there.
    pub(super) fn number(&self, id: Id, range: RangeInclusive<u32>) -> Result<Option<u32>> {
        let text = self.arguments.value(id);
        text.map(|text| whole(id, text, range, "a whole number"))
            .transpose()
    }

    /// How the dumps are compressed.
    pub(super) fn compression(&self) -> Result<Option<Compression>> {
        let text = self.arguments.value(Id::Compress);
        text.map(|text| {
            text.parse()
                .map_err(|error| UsageError(format!("--compress: {error}")))
        })
        .transpose()
    }

    /// The kind of dump if none is asked for.
    pub(super) fn default_kind(&self) -> DumpKind {
        match self.dialect {
            Dialect::Windows => DumpKind::Mini,
            Dialect::Linux => DumpKind::Filtered,
        }
    }

    /// The kinds of dump that are asked for, or this one.
    pub(super) fn kinds(&self, default: DumpKind) -> Result<Vec<DumpKind>> {
        let flags = [
            (Id::Mini, DumpKind::Mini),
            (Id::Full, DumpKind::Full),
            (Id::Triage, DumpKind::Triage),
            (Id::Plus, DumpKind::Plus),
        ];
        let flags = flags.iter().filter(|(id, _)| self.arguments.has(*id));
        let mut kinds: Vec<_> = flags.map(|(_, kind)| *kind).collect();
        kinds.extend(self.callback().map(|_| DumpKind::Callback));
        if let Some(mask) = self.arguments.value(Id::Mask) {
            let digits = mask.strip_prefix("0x").unwrap_or(mask);
            let number = u64::from_str_radix(digits, 16);
            kinds.push(DumpKind::Custom(
                number.map_err(|error| wrong_mask(mask, &error))?,
            ));
        }
        if kinds.is_empty() {
            kinds.push(default);
        }
        Ok(kinds)
    }
}

fn wrong_mask(mask: &str, error: &ParseIntError) -> UsageError {
    UsageError(match error.kind() {
        IntErrorKind::PosOverflow => {
            format!("-mc takes a mask of at most 16 hexadecimal digits, not {mask}")
        }
        _ => format!("-mc MASK: `{mask}` is not a hexadecimal number"),
    })
}
