use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// A request to stop: whoever works looks at it, whoever has a clone can ask.
///
/// A token that was made from another one is asked with it; see [`Cancel::child`].
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<Token>);

#[derive(Debug, Default)]
struct Token {
    asked: AtomicBool,
    parent: Option<Cancel>,
    /// Ctrl-C and its like ask this token too.
    of_process: bool,
}

/// Set by the handler of Ctrl-C, SIGTERM and SIGHUP, which may do little more than that.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// How long a wait may sleep between two looks at the token.
const LOOK: Duration = Duration::from_millis(20);

impl Cancel {
    /// The token that Ctrl-C, SIGTERM, SIGHUP and a console being closed ask.
    pub fn of_process() -> Self {
        Self(Arc::new(Token {
            of_process: true,
            ..Token::default()
        }))
    }

    /// A token that is asked when this one is, and can be asked alone.
    pub fn child(&self) -> Self {
        Self(Arc::new(Token {
            parent: Some(self.clone()),
            ..Token::default()
        }))
    }

    /// Whether somebody asked.
    pub fn is_asked(&self) -> bool {
        let token = &self.0;
        token.asked.load(Ordering::Relaxed)
            || token.of_process && is_interrupted()
            || token.parent.as_ref().is_some_and(Self::is_asked)
    }

    /// Asks whoever works under this token, or under one made from it, to stop.
    pub fn ask(&self) {
        self.0.asked.store(true, Ordering::Relaxed);
    }

    /// Sleeps for `duration`, or until somebody asks; returns whether somebody did.
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
/// Ctrl-C, SIGTERM and SIGHUP ask [`Cancel::of_process`]; a closed pipe (SIGPIPE) and a file-size
/// limit (SIGXFSZ) become errors of the write, instead of a death that leaves the target to chance.
pub fn init() {
    crate::os::init_process();
}

/// Calls `act` in a thread of its own as soon as Ctrl-C, SIGTERM or SIGHUP comes, or at once if it
/// has come already. It is called once. Without [`init`] it is never called.
///
/// # Errors
/// Where the system has no room for what this needs.
pub fn on_interrupt(act: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    crate::os::on_interrupt(Box::new(act))
}

/// Notes that the process was asked to stop; safe in a signal handler (an atomic store).
pub(crate) fn interrupt() {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// Whether the process was asked to stop.
pub(crate) fn is_interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

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
