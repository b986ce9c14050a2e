use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

/// Whether somebody asked this program to stop (Ctrl-C, SIGTERM, SIGHUP, a console being closed).
#[derive(Clone, Copy, Debug, Default)]
pub struct Cancel;

static CANCELLED: AtomicBool = AtomicBool::new(false);

/// How long a wait may sleep between two looks at the flag.
const LOOK: Duration = Duration::from_millis(20);

impl Cancel {
    /// Whether it was asked.
    pub fn is_asked(self) -> bool {
        CANCELLED.load(Ordering::Relaxed)
    }

    /// Asks for it.
    pub fn ask(self) {
        CANCELLED.store(true, Ordering::Relaxed);
    }

    /// Sleeps for `duration`, or until it is asked; says whether it was.
    pub fn wait(self, duration: Duration) -> bool {
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
/// Ctrl-C, SIGTERM and SIGHUP set [`Cancel`]; a closed pipe and a file-size limit become errors of
/// the write instead of a death that leaves the target to chance; no core of ourselves.
pub fn init() {
    crate::os::init_process();
}
