//! Prints events for programs: one JSON object a line (`--json`).

use super::summary::RunSummary;
use crate::{
    cli::dump::DumpJson,
    ui::{LineWriter, console},
};
use collector::{ExceptionRow, LeftOver, ProgramStep, RunEvent, Step};
use policy::{FinishReason, SuppressReason};
use serde_json::{Value, json};
use snapshot::EndStatus;
use std::time::Duration;

/// The time between two `status` events. To print the values of 500 processes every second would cost more
/// than to watch them.
pub(crate) const STATUS_EVERY: Duration = Duration::from_secs(60);

/// Prints an event. `status` is how a process ended that firstchance launched, if the event is its end and
/// does not tell that itself.
pub(crate) fn print_event(writer: &LineWriter, event: &RunEvent, status: Option<EndStatus>) {
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

/// Prints what became of a file that an earlier run had left behind when it was killed.
pub(crate) fn print_cleared(writer: &LineWriter, left: &LeftOver, path: &str) {
    let event = match left {
        LeftOver::Deleted(_) => "cleared",
        LeftOver::Named(_) => "named",
    };
    emit(writer, json!({ "event": event, "path": path }));
}

/// Prints the last event.
pub(crate) fn print_end(writer: &LineWriter, summary: &RunSummary) {
    let why = match () {
        () if summary.cancelled => "cancelled",
        () if summary.cancelled_by_pid => "asked to",
        () => "over",
    };
    emit(
        writer,
        json!({ "event": "end", "why": why, "dumps": summary.dumps }),
    );
}

/// The word for the reason of a suppressed trigger.
fn suppress_word(why: SuppressReason) -> &'static str {
    match why {
        SuppressReason::ClauseLimit(_) => "clause-limit",
        SuppressReason::RuleLimit(_) => "rule-limit",
        SuppressReason::Window(..) => "window",
        SuppressReason::Busy => "busy",
        SuppressReason::Copying(_) => "copying",
        SuppressReason::Together => "together",
        SuppressReason::Resting(_) => "resting",
        SuppressReason::Storm => "storm",
    }
}

/// The word for the reason why a rule is over.
fn finish_word(why: FinishReason) -> &'static str {
    match why {
        FinishReason::CountReached => "count-reached",
        FinishReason::TargetExited => "exited",
        FinishReason::Refused => "refused",
        FinishReason::Failed => "failed",
        FinishReason::Removed => "removed",
    }
}

/// The object of an event. Returns `None` for events that are not printed as JSON here.
fn object(event: &RunEvent, status: Option<EndStatus>) -> Option<Value> {
    Some(match event {
        RunEvent::Watching(process) => json!({ "event": "watching", "pid": process.pid }),
        RunEvent::Armed(process) => json!({ "event": "armed", "pid": process.pid }),
        RunEvent::Effective => json!({ "event": "effective" }),
        RunEvent::Missed { pid, name } => json!({ "event": "missed", "pid": pid, "name": name }),
        RunEvent::Unseen(count) => json!({ "event": "unseen", "processes": count }),
        RunEvent::Nameless(count) => json!({ "event": "nameless", "processes": count }),
        RunEvent::Exited {
            process,
            status: seen,
        } => {
            let status = seen.or(status).map(EndStatus::number);
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
            "why": suppress_word(suppressed.why),
            "times": suppressed.times,
        }),
        RunEvent::RuleFinished { rule, why, dumps } => json!({
            "event": "rule-finished",
            "rule": rule.0,
            "why": finish_word(*why),
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
        RunEvent::Remark(text) => json!({ "event": "note", "lines": [text] }),
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
        RunEvent::Log {
            process,
            text,
            came,
        } => {
            let time = console::rfc3339(console::at(*came));
            json!({ "event": "log", "time": time, "pid": process.pid, "text": text })
        }
        RunEvent::Storm {
            process,
            active,
            rate,
        } => json!({ "event": "storm", "pid": process.pid, "active": active, "rate": rate }),
        RunEvent::Program {
            process,
            pid,
            program,
            step,
        } => {
            let mut object = program_step(step);
            object["pid"] = json!(process.pid);
            object["program-pid"] = json!(pid);
            object["program"] = json!(program);
            object
        }
        RunEvent::Step(_) | RunEvent::Dumped(_) | RunEvent::Done(_) => return None,
    })
}

/// What a program did that a rule has started.
fn program_step(step: &ProgramStep) -> Value {
    match step {
        ProgramStep::Started => json!({ "event": "program-started" }),
        ProgramStep::GoesOn => json!({ "event": "program-goes-on" }),
        ProgramStep::Ended {
            status,
            took,
            last_line,
        } => json!({
            "event": "program-ended",
            "status": status.map(EndStatus::number),
            "seconds": took.as_secs_f64(),
            "last-line": last_line,
        }),
    }
}

/// The object of one row in the table of exceptions.
fn row(row: &ExceptionRow) -> Value {
    json!({
        "name": row.name,
        "count": row.count,
        "unhandled": row.unhandled,
        "first": collector::local_time::rfc3339(row.first),
        "last": collector::local_time::rfc3339(row.last),
    })
}

/// Prints an object, with the time. If the reader is too slow, events are dropped; the next one that is printed
/// has their number as `dropped`.
fn emit(writer: &LineWriter, mut event: Value) {
    // What happened before it was looked at has a time of its own.
    if event.get("time").is_none() {
        event["time"] = json!(console::now_rfc3339());
    }
    writer.say(|dropped| {
        if dropped > 0 {
            event["dropped"] = json!(dropped);
        }
        event.to_string()
    });
}
