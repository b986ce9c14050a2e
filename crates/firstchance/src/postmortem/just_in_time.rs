//! A crash, as Windows tells its just-in-time debugger of it (`procdump -j`).

use super::lost;
use crate::procdump::{self, Dialect, PostMortem};
use collector::{Crash, Destination, Request};
use platform::{JustInTime, Stop};
use snapshot::DumpFormat;
use std::{path::PathBuf, process::ExitCode};

/// A process has crashed, and Windows waits for us. There is nobody to tell but the log.
///
/// Ending without a word lets Windows go on with its own reports, and then the process ends as it
/// would have; so it is left even where the dump failed.
pub(crate) fn just_in_time(call: &PostMortem) -> anyhow::Result<ExitCode> {
    platform::become_crash_handler()?;
    match record(call) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            lost::log(call.pid, &error);
            Err(error)
        }
    }
}

fn record(call: &PostMortem) -> anyhow::Result<()> {
    let host = platform::this_machine();
    let told = JustInTime {
        pid: call.pid,
        event: call.event,
        information: call.information,
    };
    let mut crash = Crash::told(&*host, &told)?;
    let collected = crash.collect(&request(call));
    if call.kill_after {
        host.kill(crash.key())?;
    }
    match collected.error {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

fn request(call: &PostMortem) -> Request {
    let format = DumpFormat::Minidump;
    let template = procdump::template(None, Dialect::Windows, format.extension());
    let kinds = call.kinds.iter().map(|kind| (*kind, format));
    Request {
        kinds: kinds.collect(),
        destination: Destination::File(PathBuf::from(&call.folder).join(template)),
        overwrite: false,
        reason: String::new(),
        rule: "just-in-time debugger".to_owned(),
        comment: None,
        timeout: call.timeout,
        stop: Stop::Threads,
        keep: policy::Retention::default(),
        number: 1,
        exception: None,
        thread: None,
        signature: None,
        reader: None,
        cancel: platform::Cancel::of_process(),
    }
}
