//! What a run is given.

use crate::{
    Destination, WindowsOptions,
    collect::output_folder,
    store::keep::{LeftOver, clear_left_over},
};
use platform::{Cancel, Error, ErrorKind, Existing, HoldOptions, Host, Stop};
use policy::{Action, Rule, Settings};
use snapshot::{DumpFormat, DumpKind};
use std::{collections::BTreeSet, fmt, path::PathBuf, sync::Arc, time::Duration};

/// How the dumps of a rule are written.
#[derive(Clone, Debug)]
pub struct DumpOptions {
    /// Where to, where the rule names no folder.
    pub destination: Destination,
    /// What is done if there is a file of that name.
    pub existing: Existing,
    /// A text of the user's that is kept in the dumps.
    pub comment: Option<String>,
    /// How long a dump may take before it is given up.
    pub timeout: Option<Duration>,
    /// Whether the target is stopped.
    pub stop: Stop,
    /// How long it may be expected to stand; where that is longer, no dump is taken.
    pub max_pause: Option<Duration>,
    /// Which format a kind is written in.
    pub format: fn(DumpKind) -> DumpFormat,
    /// Whether the target is ended after the last dump of the rule (ProcDump's `-k`).
    pub kill_after: bool,
    /// Whether the dumps of each process have numbers of their own, and not those of the rule.
    pub numbers_each_process: bool,
    /// The command line that asked for the dumps, for their comments; `None` if none did.
    pub command_line: Option<String>,
    /// What only Windows has.
    pub windows: WindowsOptions,
}

impl fmt::Display for DumpOptions {
    /// For the debug log: where they go, and what differs from the default.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.destination)?;
        f.write_str(match self.existing {
            Existing::NextName => "",
            Existing::Replace => ", replacing an existing file",
            Existing::Refuse => ", leaving an existing file",
        })?;
        f.write_str(match self.stop {
            Stop::Clone | Stop::OnlyClone => ", from a clone",
            Stop::Hold => ", in place",
            Stop::Nothing => ", without a stop",
            Stop::Threads => "",
        })?;
        if let Some(timeout) = self.timeout {
            write!(f, ", within {timeout:?}")?;
        }
        f.write_str(if self.kill_after {
            ", then killing it"
        } else {
            ""
        })
    }
}

impl DumpOptions {
    /// Where the dumps of `rule` go: its own folder, where it names one.
    pub(crate) fn destination_of(&self, rule: &Rule) -> Destination {
        match &rule.folder {
            Some(folder) => Destination::Folder(folder.into()),
            None => self.destination.clone(),
        }
    }
}

/// Makes the machine for each thread that works on a process.
pub type Machine = Arc<dyn Fn() -> Box<dyn Host> + Send + Sync>;

/// What a [`Runner`](super::Runner) is made of.
pub struct Setup {
    /// How often levels are sampled, and on how many processors.
    pub settings: Settings,
    /// How often [`RunEvent::Status`](super::RunEvent) tells how every condition stands; the first
    /// time after one poll.
    pub status: Option<Duration>,
    /// The machine.
    pub machine: Machine,
    /// How threads are held at places in the code.
    pub holds: HoldOptions,
    /// Cuts dumps short that are under way. The runner itself ends by
    /// [`RunnerHandle::cancel`](super::RunnerHandle::cancel).
    pub cancel: Cancel,
}

/// Makes sure that the rules' dumps can be written and their programs started, and clears away what runs that were killed
/// have left in their folders; returns what became of that.
///
/// # Errors
/// Where a folder does not exist or cannot be written to, a command line of `run` is none or names a program that is not
/// there, or nobody chooses the content of a callback dump.
pub fn prepare(rules: &[(Rule, DumpOptions)]) -> Result<Vec<LeftOver>, Error> {
    let destinations = rules
        .iter()
        .map(|(rule, options)| options.destination_of(rule));
    let folders: BTreeSet<PathBuf> = destinations.filter_map(|d| output_folder(&d)).collect();
    for (rule, options) in rules {
        rule.actions().try_for_each(expect_command)?;
        expect_callback(rule, options)?;
    }
    let mut cleared = Vec::new();
    for folder in folders {
        platform::expect_writable(&folder)?;
        cleared.extend(clear_left_over(&folder));
    }
    Ok(cleared)
}

/// Checks that there is a routine for a dump that one is to choose.
fn expect_callback(rule: &Rule, options: &DumpOptions) -> Result<(), Error> {
    let mut kinds = rule.actions().flat_map(Action::kinds);
    match kinds.any(|kind| *kind == DumpKind::Callback) && options.windows.callback.is_none() {
        true => Err(Error::new(
            ErrorKind::Unsupported,
            "a callback dump is what a DLL chooses, and none is named",
        )
        .advise("`firstchance procdump -md DLL` names one.")),
        false => Ok(()),
    }
}

/// Checks the command line of an action that starts a program: at the event it would be too late.
fn expect_command(action: &Action) -> Result<(), Error> {
    match action {
        Action::Run(text) => platform::expect_command(text),
        _ => Ok(()),
    }
}
