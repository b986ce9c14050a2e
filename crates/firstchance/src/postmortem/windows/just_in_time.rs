//! A crash that Windows reports to its just-in-time debugger (`procdump -j`).

use crate::{
    postmortem::lost,
    procdump::{self, Dialect, PostMortem},
};
use collector::{Collected, Crash, Destination, Request};
use platform::JustInTime;
use policy::{Action, Chance, Clause, Condition, ExceptionFilter, Identity, Rule, Target};
use snapshot::DumpFormat;
use std::{path::PathBuf, process::ExitCode};

/// Takes the dumps of a process that has crashed, while Windows waits for us. What goes wrong is
/// told in the system's log: nobody reads our output.
///
/// When we end, Windows goes on with its own reports, and then the process ends as it would have
/// without us; also when the dump failed.
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
    let collected = request(call, &crash).map(|request| crash.collect(&request, &mut || {}));
    if call.kill_after {
        host.kill(crash.key())?;
    }
    match collected {
        Some(Collected {
            error: Some(error), ..
        }) => Err(error.into()),
        _ => Ok(()),
    }
}

/// The request that the rule asks for at this crash.
fn request(call: &PostMortem, crash: &Crash) -> Option<Request> {
    let format = DumpFormat::Minidump;
    let template = procdump::template(None, false, Dialect::Windows, format.extension());
    let file = Destination::File(PathBuf::from(&call.folder).join(template));
    let who = Identity {
        key: crash.key(),
        ..Identity::default()
    };
    let rule = rule(call);
    let asked = policy::at_crash(&rule, &who, crash.exception.clone())?;
    let (windows, warnings) = call.windows.options_at_crash();
    Some(Request {
        timeout: call.timeout,
        windows,
        warnings,
        command_line: Some(crate::ui::command_line()),
        ..Request::of_rule(&asked, &rule, |_| format, file)
    })
}

/// The rule that the command line means: on PID, when unhandled exception, do these dumps.
fn rule(call: &PostMortem) -> Rule {
    let crash = Condition::Exception(ExceptionFilter {
        chance: Chance::Unhandled,
        ..ExceptionFilter::default()
    });
    let action: Action = call.kinds.iter().copied().collect();
    Rule {
        name: "just-in-time debugger".to_owned(),
        compress: call.compress,
        ..Rule::new(
            Target::Pid(call.pid),
            vec![Clause::new(vec![crash], action)],
        )
    }
}
