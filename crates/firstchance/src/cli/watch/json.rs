//! Events for programs: one JSON object a line.

use crate::cli::{console, dump::Line};
use collector::{Ended, Happening, Step};
use policy::{Finish, Why};
use serde_json::{Value, json};

/// Prints what a program wants to know of a happening.
pub(crate) fn print(happening: &Happening) {
    if let Happening::Dumped(dumps) = happening {
        for dump in dumps {
            let mut event = serde_json::to_value(Line::of(dump)).unwrap_or_default();
            event["event"] = json!("dump");
            emit(event);
        }
        return;
    }
    if let Some(event) = event(happening) {
        emit(event);
    }
}

/// The last event.
pub(crate) fn end(ended: &Ended) {
    let why = match () {
        () if ended.cancelled => "cancelled",
        () if ended.cancelled_by_pid => "asked to",
        () => "over",
    };
    emit(json!({ "event": "end", "why": why, "dumps": ended.dumps }));
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
        Happening::Step(_) | Happening::Dumped(_) | Happening::Command(_) => return None,
    })
}

fn emit(mut event: Value) {
    event["time"] = json!(console::now_rfc3339());
    // A reader that has gone is no reason to lose a dump.
    let _ = console::print(&event.to_string());
}
