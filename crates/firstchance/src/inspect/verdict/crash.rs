//! The verdict on a dump of an exception.

use super::super::groups::recursion;
use super::super::lines::{LONGEST_NAME, Places, source};
use super::super::open::{Opened, Walked};
use super::super::waits::named;
use super::{Kind, Verdict, access, ended, place};
use crate::ui::console;
use analysis::cause::{Cause, Kind as Why, Overflow, Verb, is_of_runtime};
use analysis::{Frame, Stack};
use snapshot::{Exception, signal_name};

/// So few frames are no recursion that went on for too long.
const FEW: usize = 50;

/// The crash, while it is put into words.
struct Crash<'a> {
    opened: &'a Opened,
    walked: &'a Walked<'a>,
    cause: &'a Cause,
    stack: Option<&'a Stack>,
    /// The printed name of the signal or exception.
    name: String,
}

/// The verdict on a dump with this cause.
pub(super) fn verdict(opened: &Opened, walked: &Walked, cause: &Cause) -> Verdict {
    let exception = opened.dump.snapshot.exception.as_ref();
    let threads = walked.threads.iter();
    let mut stacks = threads.filter(|(thread, _)| thread.id == cause.thread);
    let crash = Crash {
        opened,
        walked,
        cause,
        stack: stacks.next().map(|(_, stack)| stack),
        name: exception.map_or(String::new(), |exception| name(opened, exception)),
    };
    let is_first = exception.is_some_and(|exception| exception.first_chance);
    let head = match is_first {
        true => "Taken at the first chance, before any handler of the program",
        false => "The process died",
    };
    let who = named(&opened.dump.snapshot, walked, cause.thread);
    Verdict {
        kind: if is_first {
            Kind::Exception
        } else {
            Kind::Crash
        },
        text: format!("{head}: {who} {}{}.", crash.sentence(), crash.named()),
        facts: crash.facts(),
        next: crash.next(),
        threads: vec![cause.thread],
    }
}

/// The name of the signal: that by which the process ended, where the exception has another name.
fn name(opened: &Opened, exception: &Exception) -> String {
    match &exception.signal[..] {
        "" => opened.fault_name(exception),
        signal => signal.to_owned(),
    }
}

impl Crash<'_> {
    /// ` (SIGSEGV.SEGV_MAPERR)`; nothing where the sentence has the name already.
    fn named(&self) -> String {
        match &self.cause.kind {
            Why::Thrown(thrown) if thrown.name == self.name => String::new(),
            _ => format!(" ({})", self.name),
        }
    }

    fn frame(&self, further: usize) -> Option<&Frame> {
        self.stack?.frames.get(self.cause.frame + further)
    }

    fn place(&self, further: usize) -> Option<String> {
        self.frame(further).map(place)
    }

    /// ` in app!pay+0x4`, or ` in libc.so.6!memcpy+0x10, for app!pay+0x4`; nothing where that is not known.
    fn inside(&self) -> String {
        let Some(place) = self.place(0) else {
            return String::new();
        };
        match self.caller().filter(|at| *at > self.cause.frame) {
            Some(at) => format!(
                " in {place}, for {}",
                self.place(at - self.cause.frame).unwrap_or_default()
            ),
            None => format!(" in {place}"),
        }
    }

    /// The caller of the cause that is the program's own.
    fn next_caller(&self) -> Option<String> {
        let at = self.caller()?.max(self.cause.frame + 1);
        self.place(at - self.cause.frame)
    }

    /// The first frame from that of the cause on that is the program's own.
    fn caller(&self) -> Option<usize> {
        let frames = self.stack?.frames.iter().enumerate().skip(self.cause.frame);
        let mut own = frames.filter(|(_, frame)| frame.module.is_some() && !is_of_runtime(frame));
        own.next().map(|(at, _)| at)
    }

    /// What the thread did, behind its name.
    fn sentence(&self) -> String {
        let inside = self.inside();
        match &self.cause.kind {
            Why::Access(fault) => access::sentence(fault, &inside),
            Why::StackOverflow(full) => {
                format!("has used up its stack{inside}: {}", self.depth(full))
            }
            Why::Misaligned(access) => format!(
                "accessed {:#x}{inside}, where the instruction demands a multiple of {}",
                access.address, access.size
            ),
            Why::Trap => format!(
                "came to an instruction that ends the program{inside}: compilers put one where it must never come (__builtin_trap, unreachable code, a failed check)"
            ),
            Why::IllegalInstruction => format!(
                "executed what is no instruction of this processor{inside}: code for a newer one, or a jump into data"
            ),
            Why::PrivilegedInstruction => format!(
                "executed an instruction that only the kernel may{inside}: libraries such as musl end a program by one when they find their heap damaged"
            ),
            Why::Breakpoint => format!("came to a breakpoint{inside}, and no debugger was there"),
            Why::Division(Some(true)) => format!("divided by zero{inside}"),
            Why::Division(Some(false)) => format!(
                "divided{inside}, and the result does not fit (the smallest number divided by -1)"
            ),
            Why::Division(None) => format!("divided by zero, or the result does not fit{inside}"),
            Why::Arithmetic => format!("made an error in arithmetic{inside}"),
            Why::ForbiddenCall { number, name } => format!(
                "made the system call {}{inside}, which the seccomp filter of the process does not allow",
                name.map_or(number.to_string(), |name| format!("{name} ({number})"))
            ),
            Why::Abort(abort) => format!("ended the program{inside}: {}", ended::abort(abort)),
            Why::Sent(origin) => format!(
                "got a signal{inside}: {}",
                ended::origin(origin, self.sender())
            ),
            Why::FastFail { code, name } => format!(
                "ended the program at once{inside}, by fast fail {code} ({})",
                name.unwrap_or("a code without a name")
            ),
            Why::HeapCorruption => format!("found the heap damaged{inside}"),
            Why::Thrown(thrown) => format!("threw {}{inside}", ended::thrown(thrown)),
            Why::Other => format!("had an exception{inside}"),
        }
    }

    /// The name of the process that sent the signal, if it was noted.
    fn sender(&self) -> Option<&str> {
        self.opened.record.as_ref()?.sender.as_deref()
    }

    /// `100,003 frames in 8.4 MB; app!recurse calls itself`.
    fn depth(&self, full: &Overflow) -> String {
        let size = match full.stack.len() {
            0 => String::new(),
            bytes => format!(" in {}", console::size(bytes)),
        };
        let names = self
            .stack
            .map_or(Vec::new(), |stack| recursion(&stack.frames));
        let again = match &names[..] {
            [] => String::new(),
            [one] => format!("; {one} calls itself"),
            several => format!("; {} call each other", several.join(", ")),
        };
        let least = if full.is_whole { "" } else { "at least " };
        format!("{least}{} frames{size}{again}", full.frames)
    }

    fn facts(&self) -> Vec<String> {
        let mut facts = Vec::new();
        facts.extend(self.source());
        if let Some(instruction) = &self.cause.instruction {
            facts.push(format!(
                "Instruction: {}{}",
                instruction.text,
                self.registers()
            ));
        }
        if let Why::Access(fault) = &self.cause.kind {
            facts.extend(access::facts(fault));
            if fault.verb == Some(Verb::Execute) {
                facts.extend(
                    self.place(1)
                        .map(|caller| format!("It came from {caller}.")),
                );
            }
        }
        if let Some(signal) = self.cause.handled {
            facts.push(format!(
                "The kernel sent {}; a handler of the program took it, and ended the program.",
                signal_name(signal)
            ));
        }
        facts.extend(self.last_error());
        facts.push(format!("Signature: {}", self.cause.signature));
        facts
    }

    /// `Source: pay (shop.c:12)`, or `Source: check (shop.h:7), inlined in pay (shop.c:12)`: the place in the program's own code, as far
    /// as debug information tells.
    fn source(&self) -> Option<String> {
        let stack = self.stack?;
        let at = self.caller()?;
        let places = Places::of(self.walked, std::iter::once((stack, at + 1)));
        let place = places.at(stack, at)?;
        place.own.file.as_ref()?;
        let lines = place.inlined.iter().chain([&place.own]);
        let told = lines.map(|line| {
            let function = line.function.as_deref().unwrap_or("?");
            format!(
                "{} {}",
                console::cut(function, LONGEST_NAME),
                source(line).trim()
            )
        });
        let told: Vec<String> = told.collect();
        Some(format!("Source: {}", told.join(", inlined in ")))
    }

    /// `, with rdi = 0x0`.
    fn registers(&self) -> String {
        let access = match &self.cause.kind {
            Why::Access(fault) => fault.access.as_ref(),
            Why::Misaligned(access) => Some(access),
            _ => None,
        };
        let registers = access.map_or(&[][..], |access| &access.registers);
        let told = registers
            .iter()
            .map(|(name, value)| format!("{name} = {value:#x}"));
        let told: Vec<String> = told.collect();
        match told.is_empty() {
            true => String::new(),
            false => format!(", with {}", told.join(" and ")),
        }
    }

    /// The last error of the thread on Windows, unless there was none.
    fn last_error(&self) -> Option<String> {
        let snapshot = &self.opened.dump.snapshot;
        let thread = snapshot
            .threads
            .iter()
            .find(|thread| thread.id == self.cause.thread)?;
        let told = analysis::cause::last_error(snapshot, thread, &*self.opened.dump.memory)?;
        let status =
            analysis::status_name(told.status).map_or(String::new(), |name| format!(" ({name})"));
        (told != Default::default()).then(|| {
            format!(
                "The thread's last error is {}, its last status {:#010X}{status}.",
                told.error, told.status
            )
        })
    }

    fn next(&self) -> String {
        let here = self
            .place(0)
            .unwrap_or_else(|| "the stack below".to_owned());
        match &self.cause.kind {
            Why::Access(fault) => access::next(fault, self.next_caller()),
            Why::StackOverflow(full) if full.frames < FEW => format!(
                "the local variables of {here} and its callers: so few frames fill a stack only if they are large"
            ),
            Why::StackOverflow(_) => {
                "what should have ended the recursion, and the outermost frames, which began it"
                    .to_owned()
            }
            Why::Abort(abort) => ended::next(abort, &here),
            Why::Sent(origin) if !origin.is_own && origin.sender.is_some() => {
                "why that process sent it; the stacks only show what the program did then"
                    .to_owned()
            }
            Why::Sent(_) => "the stack below: what the thread did".to_owned(),
            Why::ForbiddenCall { .. } => {
                "the filter of the process, or the library that began to make this call".to_owned()
            }
            _ => format!("{here} and its callers"),
        }
    }
}
