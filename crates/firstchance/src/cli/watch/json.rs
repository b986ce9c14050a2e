//! Events for programs: one JSON object a line.

use super::ended::Ended;
use crate::{
    cli::dump::DumpJson,
    ui::{LineWriter, console},
};
use collector::{ExceptionRow, RunEvent, Step};
use policy::{Finish, Why};
use serde_json::{Value, json};
use std::time::Duration;

/// How often all values are told: 500 processes every second would cost more than watching them.
pub(crate) const STATUS_EVERY: Duration = Duration::from_secs(60);

/// Tells a program what it wants to know of an event.
pub(crate) fn tell(writer: &LineWriter, event: &RunEvent, status: Option<i32>) {
    if let RunEvent::Dumped(dumps) = event {
        for dump in dumps {
            let mut event = serde_json::to_value(DumpJson::of(dump)).unwrap_or_default();
            event["event"] = json!("dump");
            emit(writer, event);
        }
        return;
    }
    if let Some(object) = object(event, status) {
        emit(writer, object);
    }
}

/// What a run that was killed had left is gone.
pub(crate) fn cleared(writer: &LineWriter, path: &str) {
    emit(writer, json!({ "event": "cleared", "path": path }));
}

/// The last event.
pub(crate) fn end(writer: &LineWriter, ended: &Ended) {
    let why = match () {
        () if ended.cancelled => "cancelled",
        () if ended.cancelled_by_pid => "asked to",
        () => "over",
    };
    emit(
        writer,
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
        Finish::Refused => "refused",
        Finish::Failed => "failed",
        Finish::Removed => "removed",
    }
}

fn object(event: &RunEvent, status: Option<i32>) -> Option<Value> {
    Some(match event {
        RunEvent::Watching(process) => json!({ "event": "watching", "pid": process.pid }),
        RunEvent::Armed(process) => json!({ "event": "armed", "pid": process.pid }),
        RunEvent::Effective => json!({ "event": "effective" }),
        RunEvent::Exited(process) => {
            json!({ "event": "exited", "pid": process.pid, "status": status })
        }
        RunEvent::Trigger { process, trigger } => json!({
            "event": "trigger",
            "pid": process.pid,
            "kind": trigger.kind().word(),
            "reason": trigger.to_string(),
        }),
        RunEvent::DumpFailed {
            number,
            process,
            error,
        } => json!({
            "event": "dump-failed",
            "number": number,
            "pid": process.pid,
            "error": error.to_string(),
        }),
        RunEvent::Suppressed(suppressed) => json!({
            "event": "suppressed",
            "pid": suppressed.process.pid,
            "kind": suppressed.trigger.kind().word(),
            "reason": suppressed.trigger.to_string(),
            "why": suppressed_why(suppressed.why),
            "times": suppressed.times,
        }),
        RunEvent::RuleFinished { rule, why, dumps } => json!({
            "event": "rule-finished",
            "rule": rule.0,
            "why": finish_why(why),
            "dumps": dumps,
        }),
        RunEvent::Status(status) => {
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
        RunEvent::Step(Step::Released { pause: Some(pause) }) => {
            json!({ "event": "released", "pause-ms": pause.as_secs_f64() * 1e3 })
        }
        RunEvent::Failed(error) => json!({ "event": "failed", "error": error.to_string() }),
        RunEvent::Refused { process, error } => json!({
            "event": "refused",
            "pid": process.pid,
            "error": error.to_string(),
        }),
        RunEvent::Notice { process, lines } => {
            json!({ "event": "note", "pid": process.pid, "lines": lines })
        }
        RunEvent::Stack { process, lines } => {
            json!({ "event": "stack", "pid": process.pid, "lines": lines })
        }
        RunEvent::FirstStack {
            process,
            name,
            frames,
        } => {
            json!({ "event": "first-stack", "pid": process.pid, "name": name, "frames": frames })
        }
        RunEvent::Exceptions { process, table } => {
            let table: Vec<Value> = table.iter().map(row).collect();
            json!({ "event": "exceptions", "pid": process.pid, "table": table })
        }
        RunEvent::Log { process, text } => {
            json!({ "event": "log", "pid": process.pid, "text": text })
        }
        RunEvent::Storm {
            process,
            active,
            rate,
        } => json!({ "event": "storm", "pid": process.pid, "active": active, "rate": rate }),
        RunEvent::Step(_) | RunEvent::Dumped(_) => return None,
    })
}

fn row(row: &ExceptionRow) -> Value {
    json!({
        "name": row.name,
        "count": row.count,
        "unhandled": row.unhandled,
        "first": collector::local_time::rfc3339(row.first),
        "last": collector::local_time::rfc3339(row.last),
    })
}

/// `dropped` tells how many events nobody has read in time before this one.
fn emit(writer: &LineWriter, mut event: Value) {
    event["time"] = json!(console::now_rfc3339());
    writer.say(|dropped| {
        if dropped > 0 {
            event["dropped"] = json!(dropped);
        }
        event.to_string()
    });
}
