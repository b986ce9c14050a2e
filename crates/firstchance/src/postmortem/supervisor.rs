//! The program that the kernel starts for each crash. It starts another one that does the work, and lives on if that one
//! dies or hangs: a line in the log says so, and the kernel's core is kept.

use super::{
    call::Call,
    handler::{self, HandlerArgs},
    lost,
};
use platform::{CrashWorker, Error, ErrorKind, WorkerEnd};
use std::{io::Read, process::ExitCode, time::Duration};

/// The longest that a worker may take: it waits for a slot for a minute, and gives a dump up after five.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// Lets a worker handle a crash.
pub(crate) fn handle(args: &HandlerArgs) -> anyhow::Result<ExitCode> {
    platform::become_crash_handler()?;
    let call = Call::parse(&args.words)?;
    let mut worker = match CrashWorker::start(&words()) {
        Ok(worker) => worker,
        Err(error) => {
            let what = format!("the crash handler could not be started: {error}");
            return Ok(fail(&call, None, what));
        }
    };
    let what = match worker.wait(LONGEST)? {
        WorkerEnd::Exited(code) => return Ok(code.into()),
        WorkerEnd::Killed(signal) => {
            format!(
                "the crash handler was ended by {}",
                snapshot::signal_name(signal)
            )
        }
        WorkerEnd::Hung => format!("the crash handler did not end within {LONGEST:?}"),
    };
    Ok(fail(&call, Some(worker), what))
}

/// The words of our own command line, options for the debug log included, for the worker.
fn words() -> Vec<String> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(word) = words.iter_mut().find(|word| *word == "crash-handler") {
        *word = "crash-worker".to_owned();
    }
    words
}

/// Tells that the work has failed, removes what the worker has left, and keeps what can be kept.
fn fail(call: &Call, worker: Option<CrashWorker>, what: String) -> ExitCode {
    let error = Error::new(ErrorKind::Other, what);
    let settings = handler::settings();
    settings.iter().for_each(handler::clear_left_over);
    let taken: Option<Box<dyn Read>> = match worker {
        None => Some(Box::new(std::io::empty())),
        Some(worker) => worker.taken().map(|taken| Box::new(taken) as Box<dyn Read>),
    };
    let kept = taken.map(|taken| {
        settings.and_then(|settings| handler::keep_rest(&settings, call, taken, &error))
    });
    lost::log_failure(call.pid, &error, kept);
    ExitCode::FAILURE
}
