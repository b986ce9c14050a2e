//! How work is cancelled: a token that whoever works checks, and that Ctrl-C, SIGTERM and SIGHUP
//! set.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// A cancel token. Whoever works checks it now and then; whoever has a clone can cancel the work.
///
/// A token can be made from another one, and is then cancelled with it; see [`Cancel::child`].
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<Token>);

#[derive(Debug, Default)]
struct Token {
    asked: AtomicBool,
    parent: Option<Cancel>,
    /// Whether Ctrl-C, SIGTERM and SIGHUP cancel this token too.
    of_process: bool,
}

/// Set by the handler of Ctrl-C, SIGTERM and SIGHUP. A signal handler may do little more than that
/// (signal-safety(7)).
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// When Ctrl-C came first, in milliseconds of any clock; 0 as long as it has not come.
static FIRST: AtomicU64 = AtomicU64::new(0);

/// For how long each further Ctrl-C is one request with the first: whoever ends us with all of a process group sends it twice,
/// and is to find no file half cleaned up.
const ONE_REQUEST: Duration = Duration::from_secs(2);

/// How long [`Cancel::wait`] sleeps between two checks of the token.
const LOOK: Duration = Duration::from_millis(20);

impl Cancel {
    /// Makes a token that Ctrl-C, SIGTERM, SIGHUP and the closing of the console cancel.
    pub fn of_process() -> Self {
        Self(Arc::new(Token {
            of_process: true,
            ..Token::default()
        }))
    }

    /// Makes a token that is cancelled with this one, and can also be cancelled alone.
    pub fn child(&self) -> Self {
        Self(Arc::new(Token {
            parent: Some(self.clone()),
            ..Token::default()
        }))
    }

    /// Returns whether the work was cancelled.
    pub fn is_asked(&self) -> bool {
        let token = &self.0;
        token.asked.load(Ordering::Relaxed)
            || token.of_process && is_interrupted()
            || token.parent.as_ref().is_some_and(Self::is_asked)
    }

    /// Cancels the work that checks this token, or a token made from it.
    pub fn ask(&self) {
        self.0.asked.store(true, Ordering::Relaxed);
    }

    /// Sleeps for `duration` or until the work is cancelled. Returns whether it was cancelled.
    pub fn wait(&self, duration: Duration) -> bool {
        let end = Instant::now() + duration;
        while !self.is_asked() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            std::thread::sleep(left.min(LOOK));
        }
        true
    }
}

/// Prepares this process: call it once, first thing in `main`.
///
/// Afterwards Ctrl-C, SIGTERM and SIGHUP cancel [`Cancel::of_process`]. A write to a closed pipe
/// (SIGPIPE) or beyond the file size limit (SIGXFSZ) fails with an error, instead of killing us
/// while we hold a target.
///
/// `Break` says that this process has nothing else to do: it was started by this program to keep the memory of another one
/// (Linux), and that is over.
pub fn init() -> ControlFlow<()> {
    crate::os::init_process()
}

/// Calls `act` once, in a thread of its own, as soon as Ctrl-C, SIGTERM or SIGHUP comes, or at once
/// if it has come already. It is never called without [`init`].
///
/// # Errors
/// If the thread cannot be started.
pub fn on_interrupt(act: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    crate::os::on_interrupt(Box::new(act))
}

/// Notes that this process was asked to stop. Safe in a signal handler: it is an atomic store.
pub(crate) fn interrupt() {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// Returns whether a Ctrl-C that comes now ends this process at once, as the second one does that somebody means. `now` is the
/// time of any clock. Safe in a signal handler.
pub(crate) fn ends_at_once(now: Duration) -> bool {
    is_second(&FIRST, now)
}

fn is_second(first: &AtomicU64, now: Duration) -> bool {
    let now = (now.as_millis() as u64).max(1);
    let before = first.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
    before.is_err_and(|first| now.saturating_sub(first) > ONE_REQUEST.as_millis() as u64)
}

/// Returns whether this process was asked to stop.
pub(crate) fn is_interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n45_a_second_ctrl_c_ends_us_at_once_only_after_two_seconds() {
        let first = AtomicU64::new(0);
        let answers = [0, 1, 1_900, 2_100, 5_000].map(|ms| {
            let now = Duration::from_millis(ms);
            is_second(&first, now)
        });
        assert_eq!(answers, [false, false, false, true, true]);
    }

    #[test]
    fn a_token_is_asked_with_its_parent_and_alone() {
        let parent = Cancel::default();
        let (one, two) = (parent.child(), parent.child());
        one.ask();
        assert!(one.is_asked() && !two.is_asked() && !parent.is_asked());
        parent.ask();
        assert!(two.wait(Duration::from_secs(60)));
    }
}
