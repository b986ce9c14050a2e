//! Events for programs: one JSON object a line.

use crate::{
    cli::dump::DumpJson,
    ui::{LineWriter, console},
};
use collector::{Ended, ExceptionRow, Happening, Step};
use policy::{Command, Finish, Why};
use serde_json::{Value, json};
use std::time::Duration;

/// How often all values are told: 500 processes every second would cost more than watching them.
pub(crate) const STATUS_EVERY: Duration = Duration::from_secs(60);

/// Tells a program what it wants to know of a happening.
pub(crate) fn tell(outlet: &LineWriter, happening: &Happening) {
    if let Happening::Dumped(dumps) = happening {
        for dump in dumps {
            let mut event = serde_json::to_value(DumpJson::of(dump)).unwrap_or_default();
            event["event"] = json!("dump");
            emit(outlet, event);
        }
        return;
    }
    if let Some(event) = event(happening) {
        emit(outlet, event);
    }
}

/// What a run that was killed had left is gone.
pub(crate) fn cleared(outlet: &LineWriter, path: &str) {
    emit(outlet, json!({ "event": "cleared", "path": path }));
}

/// The last event.
pub(crate) fn end(outlet: &LineWriter, ended: &Ended) {
    let why = match () {
        () if ended.cancelled => "cancelled",
        () if ended.cancelled_by_pid => "asked to",
        () => "over",
    };
    emit(
        outlet,
        json!({ "event": "end", "why": why, "dumps": ended.dumps }),
    );
}

fn suppressed_why(why: Why) -> &'static str {
    match why {
        Why::ClauseLimit(_) => "clause-limit",
        Why::RuleLimit(_) => "rule-limit",
        Why::Window(_) => "window",
        Why::Busy => "busy",
        Why::Resting(_) => "resting",
        Why::Storm => "storm",
    }
}

fn finish_why(why: &Finish) -> &'static str {
    match why {
        Finish::CountReached => "count-reached",
        Finish::TargetExited => "exited",
        Finish::Failed => "failed",
        Finish::Removed => "removed",
    }
}

fn event(happening: &Happening) -> Option<Value> {
    Some(match happening {
        Happening::Watching(process) => json!({ "event": "watching", "pid": process.pid }),
        Happening::Armed(process) => json!({ "event": "armed", "pid": process.pid }),
        Happening::Exited { process, status } => {
            json!({ "event": "exited", "pid": process.pid, "status": status })
        }
        Happening::Trigger { process, reason } => {
            json!({ "event": "trigger", "pid": process.pid, "reason": reason })
        }
        Happening::DumpFailed { number, error } => {
            json!({ "event": "dump-failed", "number": number, "error": error })
        }
        Happening::Suppressed(suppressed) => json!({
            "event": "suppressed",
            "pid": suppressed.process.pid,
            "reason": suppressed.reason,
            "why": suppressed_why(suppressed.why),
            "times": suppressed.times,
        }),
        Happening::RuleFinished { rule, why, dumps } => json!({
            "event": "rule-finished",
            "rule": rule.0,
            "why": finish_why(why),
            "dumps": dumps,
        }),
        Happening::Status(status) => {
            let lines: Vec<Value> = status
                .iter()
                .map(|s| {
                    json!({
                        "pid": s.process.pid,
                        "condition": s.condition.to_string(),
                        "value": s.value,
                        "held-seconds": s.held.as_secs_f64(),
                        "dumps": s.dumps,
                    })
                })
                .collect();
            json!({ "event": "status", "conditions": lines })
        }
        Happening::Step(Step::Released { pause: Some(pause) }) => {
            json!({ "event": "released", "pause-ms": pause.as_secs_f64() * 1e3 })
        }
        Happening::Failed(error) => json!({ "event": "failed", "error": error }),
        Happening::Lacking { process, lines } => {
            json!({ "event": "note", "pid": process.pid, "lines": lines })
        }
        Happening::Stack { process, lines } => {
            json!({ "event": "stack", "pid": process.pid, "lines": lines })
        }
        Happening::FirstStack {
            process,
            name,
            frames,
        } => {
            json!({ "event": "first-stack", "pid": process.pid, "name": name, "frames": frames })
        }
        Happening::Exceptions { process, table } => {
            let table: Vec<Value> = table.iter().map(row).collect();
            json!({ "event": "exceptions", "pid": process.pid, "table": table })
        }
        Happening::Command(command) => return command_event(command),
        Happening::Step(_) | Happening::Dumped(_) => return None,
    })
}

fn row(row: &ExceptionRow) -> Value {
    json!({
        "name": row.name,
        "count": row.count,
        "unhandled": row.unhandled,
        "first": console::rfc3339(row.first),
        "last": console::rfc3339(row.last),
    })
}

fn command_event(command: &Command) -> Option<Value> {
    Some(match command {
        Command::Log { process, text } => {
            json!({ "event": "log", "pid": process.pid, "text": text })
        }
        Command::LogException(note) => {
            json!({ "event": "log", "pid": note.process.pid, "text": note.reason })
        }
        Command::Storm {
            process,
            active,
            rate,
        } => json!({ "event": "storm", "pid": process.pid, "active": active, "rate": rate }),
        _ => return None,
    })
}

/// `dropped` tells how many events nobody has read in time before this one.
fn emit(outlet: &LineWriter, mut event: Value) {
    event["time"] = json!(console::now_rfc3339());
    outlet.say(|dropped| {
        if dropped > 0 {
            event["dropped"] = json!(dropped);
        }
        event.to_string()
    });
}
