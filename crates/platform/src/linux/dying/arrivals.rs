//! What [who catches](super::catcher) tells, and what becomes of it.

use super::{
    Coming, Dying, LOOK, catcher, gone, keep, lose, lost,
    message::{Kept, Message},
    take_caught,
};
use crate::{
    Facts, HostEvent, HostSink,
    linux::{
        bpf_programs::{Catching, Caught, HeldThread},
        death_watch::DeathWatch,
        facts, list,
        proc::{ProcDir, bounds},
        sys::{
            channel::Helper,
            wake::{Wake, sleep, wait_for},
        },
    },
};
use snapshot::Warning;
use std::{
    io,
    os::fd::AsFd,
    time::{Duration, Instant},
};

/// How long the kernel's mark of a killed thread is waited for if who catches has not seen it.
const MARKED: Duration = Duration::from_millis(200);

/// How long to wait until who catches is ready, and before another one is started where one has ended.
const READY: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_secs(1);

/// How long to wait for its end.
const ENDING: Duration = Duration::from_secs(1);

/// Starts who catches.
pub(super) fn begin(catching: Catching) -> io::Result<Helper> {
    let helper = catcher::start(&catching.files())?;
    let failed = || io::Error::other("the process of firstchance that does it could not begin");
    if !wait_for(helper.channel(), READY)? {
        return Err(failed());
    }
    match Message::receive(helper.channel()) {
        Ok(Message::Ready) => catching.begin().map(|()| helper),
        _ => Err(failed()),
    }
}

/// Takes what is told by who catches, and starts another one when that has ended, until `ends` is told.
pub(super) fn receive(catching: Catching, mut helper: Helper, ends: &Wake, sink: &HostSink) {
    loop {
        while let Ok(message) = receive_soon(&helper, ends) {
            if let Some(message) = message {
                take_message(catching, message, sink);
            }
            lose(sink, Coming::is_old);
        }
        catching.end();
        if ends.take() {
            return helper.end(ENDING);
        }
        sink(HostEvent::CatchesAnew);
        lose(sink, |_| true);
        let Some(next) = begin_again(catching, ends) else {
            return;
        };
        helper = next;
    }
}

/// Starts another one, as often as it takes. `None` if `ends` is told.
fn begin_again(catching: Catching, ends: &Wake) -> Option<Helper> {
    loop {
        if wait_for(ends.as_fd(), PAUSE).unwrap_or(true) {
            return None;
        }
        if let Ok(helper) = begin(catching) {
            return Some(helper);
        }
    }
}

/// Waits a moment for a message.
///
/// # Errors
/// If who catches has ended, or is to end.
fn receive_soon(helper: &Helper, ends: &Wake) -> io::Result<Option<Message>> {
    sleep(
        &[helper.channel(), ends.as_fd()],
        Some(Instant::now() + LOOK),
    );
    if wait_for(ends.as_fd(), Duration::ZERO)? {
        return Err(io::ErrorKind::Interrupted.into());
    }
    match wait_for(helper.channel(), Duration::ZERO)? {
        true => Message::receive(helper.channel()).map(Some),
        false => Ok(None),
    }
}

fn take_message(catching: Catching, message: Message, sink: &HostSink) {
    // Each was told here before it was told to who catches.
    catching.pass_on();
    match message {
        Message::Ready => {}
        Message::Lost(pid) => lost(pid, sink),
        Message::Kept(kept) => {
            let held = (!kept.is_whole).then(|| catching.held(kept.thread));
            let Some(caught) = take_caught(kept.key.pid) else {
                return;
            };
            let caught = CaughtAndKept { kept, caught, held };
            if caught.kept.is_whole {
                return caught.report(true, sink);
            }
            let sink = sink.clone();
            // This one may take as long as the process has made it.
            std::thread::spawn(move || caught.report_if_it_dies(&sink));
        }
    }
}

/// A process that was caught, and what was kept of it.
struct CaughtAndKept {
    kept: Box<Kept>,
    caught: Caught,
    /// If not all has been read yet.
    held: Option<HeldThread>,
}

impl CaughtAndKept {
    /// Reads the rest, and reports the process, unless it lives on.
    fn report_if_it_dies(mut self, sink: &HostSink) {
        let Kept {
            thread,
            proc,
            space,
            ..
        } = &mut *self.kept;
        // The lower half is the thread's id.
        let dies = space.dies_of(proc, *thread as u32 as i32, MARKED);
        // First, as they cannot be had when the parent has waited.
        let has_flags = dies && space.renew_flags(proc);
        if !dies || space.keep_maps(proc).is_err() {
            drop(self.held);
            return lost(self.kept.key.pid, sink);
        }
        self.report(has_flags, sink);
    }

    fn report(self, has_flags: bool, sink: &HostSink) {
        let Self { kept, caught, held } = self;
        let Kept {
            key,
            descriptors,
            is_whole,
            mut proc,
            space,
            ..
        } = *kept;
        let facts = facts_at_death(&mut proc, is_whole);
        let entry = list::entry_of(&proc);
        let (Ok(facts), Ok(entry)) = (facts, entry) else {
            drop(held);
            return lost(key.pid, sink);
        };
        let dying = Dying {
            lacking: without_descriptors(facts.handles.len() as u64, descriptors.unwrap_or(0)),
            watch: DeathWatch::at_death(space, caught.deaths, has_flags),
            proc,
            facts,
        };
        keep(key, dying);
        caught.others.tell();
        // Told before the end of the process can be.
        sink(HostEvent::Dying(Box::new(entry)));
        drop(held);
        gone(key.pid);
    }
}

/// Returns a warning if it was gone before all of its descriptors were read.
fn without_descriptors(read: u64, open: u64) -> Option<Warning> {
    let most = bounds::DESCRIPTORS as u64;
    (read < open.min(most)).then(|| {
        format!(
            "{read} of its {open} open descriptors are told: it was gone before all could be read"
        )
    })
}

/// Returns the facts of a process that dies, and that counts as gone then.
fn facts_at_death(proc: &mut ProcDir, is_whole: bool) -> io::Result<Facts> {
    let living = (!is_whole).then(|| facts::gather(proc).ok()).flatten();
    proc.is_gone = true;
    match living.filter(|facts| !facts.modules.is_empty()) {
        Some(facts) => Ok(facts),
        None => facts::gather(proc),
    }
}
