//! The verdict and the cause in JSON.

use super::Verdict;
use analysis::cause::{
    Abort, Access, Cause, Complaint, Fault, Kind, Mapping, Origin, Overflow, Place,
};
use analysis::thrown::Thrown;
use serde::Serialize;
use std::collections::BTreeMap;

/// What is to be said of a dump first.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(in super::super) struct VerdictWire<'a> {
    /// `crash`, `exception`, `hang`, `cpu`, `memory`, `exit`, `condition` or `on-demand`.
    kind: &'static str,
    /// What is remarkable, in a sentence or two.
    text: &'a str,
    /// Why that is thought.
    facts: &'a [String],
    /// What to look at next; empty if nothing is wrong.
    next: &'a str,
}

impl<'a> From<&'a Verdict> for VerdictWire<'a> {
    fn from(verdict: &'a Verdict) -> Self {
        Self {
            kind: verdict.kind.word(),
            text: &verdict.text,
            facts: &verdict.facts,
            next: &verdict.next,
        }
    }
}

/// Why the process died.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(in super::super) struct CauseWire<'a> {
    /// `access`, `stack-overflow`, `misaligned`, `trap`, `illegal-instruction`, `privileged-instruction`, `breakpoint`,
    /// `divide-by-zero`, `divide-overflow`, `divide`, `arithmetic`, `forbidden-call`, `assertion`, `heap-corruption`,
    /// `stack-smashing`, `buffer-overflow`, `abort`, `uncaught-exception`, `terminate`, `signal`, `fast-fail`, `thrown` or `other`.
    kind: &'static str,
    thread: u32,
    /// The number of the frame of the thread that did it.
    frame: usize,
    /// The crash signature.
    signature: &'a str,
    /// The signal that the kernel sent first, where a handler of the program ended it.
    handled_signal: Option<String>,
    instruction: Option<InstructionWire<'a>>,
    access: Option<AccessWire<'a>>,
    stack: Option<StackWire>,
    /// What the C library said.
    message: Option<&'a str>,
    exception: Option<ExceptionWire<'a>>,
    sender: Option<SenderWire<'a>>,
    /// The system call that a filter forbade.
    call: Option<NamedNumber>,
    /// The code of `__fastfail`.
    fast_fail: Option<NamedNumber>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
struct InstructionWire<'a> {
    address: String,
    text: &'a str,
}

/// An access to memory that failed.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
struct AccessWire<'a> {
    address: String,
    /// Whether the system told the address; else it was computed from the registers.
    reported: bool,
    /// `read`, `write` or `execute`.
    verb: Option<String>,
    bytes: Option<u64>,
    /// The address as the instruction has it.
    expression: Option<&'a str>,
    registers: BTreeMap<&'a str, String>,
    /// `null`, `non-canonical`, `kernel`, `unmapped`, `protected`, `not-in-file`, `accessible`, `misaligned` or `unknown`.
    place: &'static str,
    /// Bytes from the null pointer.
    null_offset: Option<i64>,
    /// Bytes behind the end of `region`.
    behind: Option<u64>,
    region: Option<MappingWire<'a>>,
    /// What the pointer looks like.
    suspicion: Option<String>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
struct MappingWire<'a> {
    start: String,
    end: String,
    access: String,
    name: &'a str,
}

/// The stack that was full.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
struct StackWire {
    start: String,
    end: String,
    frames: usize,
    /// Whether there are no more frames than these.
    whole: bool,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
struct ExceptionWire<'a> {
    name: &'a str,
    bases: &'a [String],
    message: &'a str,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
struct SenderWire<'a> {
    pid: Option<u32>,
    uid: Option<u32>,
    /// Its name when the dump was taken.
    name: Option<&'a str>,
    /// Whether it is the process itself.
    own: bool,
    kernel: bool,
    /// `kill`, `tgkill` or `sigqueue`.
    call: Option<&'static str>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
struct NamedNumber {
    number: u64,
    name: Option<&'static str>,
}

fn hex(value: u64) -> String {
    format!("{value:#x}")
}

impl<'a> CauseWire<'a> {
    /// The cause. `sender` is the name of the process that sent its signal.
    pub(in super::super) fn new(cause: &'a Cause, sender: Option<&'a str>) -> Self {
        let empty = Self {
            kind: word(&cause.kind),
            thread: cause.thread,
            frame: cause.frame,
            signature: &cause.signature,
            handled_signal: cause
                .handled
                .map(|signal| snapshot::signal_name(signal).into_owned()),
            instruction: cause
                .instruction
                .as_ref()
                .map(|instruction| InstructionWire {
                    address: hex(instruction.address),
                    text: &instruction.text,
                }),
            access: None,
            stack: None,
            message: None,
            exception: None,
            sender: None,
            call: None,
            fast_fail: None,
        };
        with_kind(empty, &cause.kind, sender)
    }
}

fn with_kind<'a>(wire: CauseWire<'a>, kind: &'a Kind, name: Option<&'a str>) -> CauseWire<'a> {
    match kind {
        Kind::Access(fault) => CauseWire {
            access: Some(fault.into()),
            ..wire
        },
        Kind::Misaligned(access) => CauseWire {
            access: Some(misaligned(access)),
            ..wire
        },
        Kind::StackOverflow(full) => CauseWire {
            stack: Some(full.into()),
            ..wire
        },
        Kind::ForbiddenCall { number, name } => CauseWire {
            call: Some(NamedNumber {
                number: (*number).into(),
                name: *name,
            }),
            ..wire
        },
        Kind::FastFail { code, name } => CauseWire {
            fast_fail: Some(NamedNumber {
                number: *code,
                name: *name,
            }),
            ..wire
        },
        Kind::Abort(Abort::Message(_, text)) => CauseWire {
            message: Some(text),
            ..wire
        },
        Kind::Abort(Abort::Uncaught(thrown)) | Kind::Thrown(thrown) => CauseWire {
            exception: Some(thrown.into()),
            ..wire
        },
        Kind::Sent(origin) => CauseWire {
            sender: Some(sender(origin, name)),
            ..wire
        },
        _ => wire,
    }
}

fn word(kind: &Kind) -> &'static str {
    match kind {
        Kind::Access(_) => "access",
        Kind::StackOverflow(_) => "stack-overflow",
        Kind::Misaligned(_) => "misaligned",
        Kind::Trap => "trap",
        Kind::IllegalInstruction => "illegal-instruction",
        Kind::PrivilegedInstruction => "privileged-instruction",
        Kind::Breakpoint => "breakpoint",
        Kind::Division(Some(true)) => "divide-by-zero",
        Kind::Division(Some(false)) => "divide-overflow",
        Kind::Division(None) => "divide",
        Kind::Arithmetic => "arithmetic",
        Kind::ForbiddenCall { .. } => "forbidden-call",
        Kind::Abort(abort) => abort_word(abort),
        Kind::Sent(_) => "signal",
        Kind::FastFail { .. } => "fast-fail",
        Kind::HeapCorruption => "heap-corruption",
        Kind::Thrown(_) => "thrown",
        Kind::Other => "other",
    }
}

fn abort_word(abort: &Abort) -> &'static str {
    match abort {
        Abort::Message(Complaint::Assertion, _) | Abort::Assertion => "assertion",
        Abort::Message(Complaint::Heap, _) => "heap-corruption",
        Abort::Message(Complaint::StackSmashing, _) => "stack-smashing",
        Abort::Message(Complaint::Overflow, _) => "buffer-overflow",
        Abort::Message(Complaint::Other, _) | Abort::Called => "abort",
        Abort::Uncaught(_) => "uncaught-exception",
        Abort::Terminate => "terminate",
    }
}

impl<'a> From<&'a Fault> for AccessWire<'a> {
    fn from(fault: &'a Fault) -> Self {
        let access = fault.access.as_ref();
        let (place, null_offset, behind) = match &fault.place {
            Place::Null(offset) => ("null", Some(*offset), None),
            Place::NonCanonical => ("non-canonical", None, None),
            Place::Kernel => ("kernel", None, None),
            Place::Unmapped { above } => (
                "unmapped",
                None,
                above.as_ref().map(|(_, distance)| *distance),
            ),
            Place::Protected(_) => ("protected", None, None),
            Place::NotInFile(_) => ("not-in-file", None, None),
            Place::Accessible(_) => ("accessible", None, None),
            Place::Unknown => ("unknown", None, None),
        };
        let above = match &fault.place {
            Place::Unmapped {
                above: Some((mapping, _)),
            } => Some(mapping),
            _ => fault.mapping(),
        };
        Self {
            address: hex(fault.address),
            reported: fault.is_reported,
            verb: fault.verb.map(|verb| verb.to_string()),
            place,
            null_offset,
            behind,
            region: above.map(MappingWire::from),
            suspicion: fault.suspicion.as_ref().map(ToString::to_string),
            ..access.map_or(nothing(), computed)
        }
    }
}

fn misaligned(access: &Access) -> AccessWire<'_> {
    AccessWire {
        place: "misaligned",
        ..computed(access)
    }
}

/// What an instruction tells of an access.
fn computed(access: &Access) -> AccessWire<'_> {
    let registers = access.registers.iter();
    AccessWire {
        address: hex(access.address),
        verb: Some(access.verb.to_string()),
        bytes: Some(access.size),
        expression: Some(&access.expression),
        registers: registers
            .map(|(name, value)| (&name[..], hex(*value)))
            .collect(),
        ..nothing()
    }
}

fn nothing() -> AccessWire<'static> {
    AccessWire {
        address: String::new(),
        reported: false,
        verb: None,
        bytes: None,
        expression: None,
        registers: BTreeMap::new(),
        place: "unknown",
        null_offset: None,
        behind: None,
        region: None,
        suspicion: None,
    }
}

impl<'a> From<&'a Mapping> for MappingWire<'a> {
    fn from(mapping: &'a Mapping) -> Self {
        Self {
            start: hex(mapping.range.start),
            end: hex(mapping.range.end),
            access: mapping.protection.to_string(),
            name: &mapping.name,
        }
    }
}

impl From<&Overflow> for StackWire {
    fn from(full: &Overflow) -> Self {
        Self {
            start: hex(full.stack.start),
            end: hex(full.stack.end),
            frames: full.frames,
            whole: full.is_whole,
        }
    }
}

impl<'a> From<&'a Thrown> for ExceptionWire<'a> {
    fn from(thrown: &'a Thrown) -> Self {
        Self {
            name: &thrown.name,
            bases: &thrown.bases,
            message: &thrown.message,
        }
    }
}

fn sender<'a>(origin: &Origin, name: Option<&'a str>) -> SenderWire<'a> {
    let (pid, uid) = origin.sender.unzip();
    SenderWire {
        pid,
        uid,
        name,
        own: origin.is_own,
        kernel: origin.is_kernel,
        call: origin.call,
    }
}
