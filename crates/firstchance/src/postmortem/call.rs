//! What the kernel tells its handler of a crash, on the command line.

use crate::ui::exit::Usage;
use platform::{Error, ErrorKind};
use snapshot::Exception;

/// What the kernel puts on our command line (core(5)); `%F` is last, as older kernels have none.
pub(super) const LETTERS: &str = "%P %I %s %u %g %d %c %t %F";

/// The answer to whoever else calls the handler. A file that has this sentence in it is a copy of firstchance.
pub(super) const SIGN: &str =
    "the kernel calls this, as `firstchance postmortem enable` tells it to";

/// What the kernel says of a crash.
#[derive(Clone, Debug, Default)]
pub(super) struct Call {
    pub(super) pid: u32,
    pub(super) thread: u32,
    pub(super) signal: i32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Who may dump the process (prctl(2), `PR_SET_DUMPABLE`): 1 its user, 2 only root.
    pub(super) dumpable: u32,
    /// `RLIMIT_CORE`, as the kernel writes it.
    pub(super) limit: String,
    pub(super) time: u64,
    pub(super) descriptor: Option<i32>,
}

impl Call {
    /// Reads the nine words of [`LETTERS`]; the last may be missing or empty.
    pub(super) fn parse(words: &[String]) -> Result<Self, Usage> {
        let refuse = || Usage(SIGN.into());
        let number = |at: usize| words.get(at)?.parse::<u64>().ok();
        let small = |at: usize| {
            number(at)
                .and_then(|n| u32::try_from(n).ok())
                .ok_or_else(refuse)
        };
        if !(8..=9).contains(&words.len()) {
            return Err(refuse());
        }
        Ok(Self {
            pid: small(0)?,
            thread: small(1)?,
            signal: small(2)? as i32,
            uid: small(3)?,
            gid: small(4)?,
            dumpable: small(5)?,
            limit: words[6].clone(),
            time: number(7).ok_or_else(refuse)?,
            descriptor: words.get(8).and_then(|word| word.parse().ok()),
        })
    }

    /// The crash as far as the kernel's words tell it; without its address, its sender or what was
    /// thrown.
    pub(super) fn exception(&self) -> Exception {
        Exception {
            code: self.signal as u32,
            name: snapshot::signal_name(self.signal).into_owned(),
            thread: self.thread,
            first_chance: false,
            ..Exception::default()
        }
    }

    /// The error for a process that was killed, or whose pid is another's, before it could be looked
    /// at.
    pub(super) fn raced(&self) -> Error {
        let what = format!(
            "process {} was killed before it could be looked at",
            self.pid
        );
        Error::new(ErrorKind::TargetDied, what)
    }
}
