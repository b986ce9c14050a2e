//! What [who catches](super::catcher) tells, and what becomes of it.

use super::{
    Coming, Dying, LOOK, catcher, gone, keep, lose, lost,
    message::{Kept, Message},
    take_caught,
};
use crate::{
    Facts, HostEvent, HostSink,
    linux::{
        bpf_programs::{Catching, Caught, Deaths, HeldThread, Others},
        death_watch::DeathWatch,
        facts, facts_aside, list,
        proc::{ProcDir, bounds},
        sys::{
            channel::Helper,
            wake::{Wake, sleep, wait_for},
        },
    },
    lock,
};
use snapshot::Warning;
use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::Mutex,
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
            let Caught { deaths, others, .. } = caught;
            let caught = CaughtAndKept { kept, deaths, held };
            if caught.kept.is_whole {
                return caught.report(&others, sink);
            }
            let sink = sink.clone();
            // The kernel's mark may take a moment.
            std::thread::spawn(move || caught.report_if_it_dies(&others, &sink));
        }
    }
}

/// A process that was caught, and what was kept of it. What has not been read yet is read when somebody asks for it: often
/// nobody wants the process, and whoever runs it has made it as large as he likes.
pub(super) struct CaughtAndKept {
    kept: Box<Kept>,
    deaths: Deaths,
    /// If not all has been read yet.
    held: Option<HeldThread>,
}

/// Held by who reads the rest of one: mappings may take tens of megabytes while they are read.
static READING: Mutex<()> = Mutex::new(());

impl CaughtAndKept {
    /// Reports the process, unless it lives on.
    fn report_if_it_dies(self, others: &Others, sink: &HostSink) {
        let Kept {
            key,
            thread,
            proc,
            space,
            ..
        } = &*self.kept;
        // The lower half is the thread's id.
        match space.dies_of(proc, *thread as u32 as i32, MARKED) {
            true => self.report(others, sink),
            false => lost(key.pid, sink),
        }
    }

    fn report(mut self, others: &Others, sink: &HostSink) {
        let key = self.kept.key;
        // Who it is stands in what was kept.
        self.kept.proc.is_gone = true;
        let Ok(entry) = list::entry_of(&self.kept.proc) else {
            drop(self);
            return lost(key.pid, sink);
        };
        keep(key, self);
        others.tell();
        // Told before the end of the process can be.
        sink(HostEvent::Dying(Box::new(entry)));
        gone(key.pid);
    }

    /// Reads the rest. Returns `None` if that cannot be had any more.
    pub(super) fn read(self) -> Option<Dying> {
        let Self { kept, deaths, held } = self;
        let Kept {
            descriptors,
            is_whole,
            mut proc,
            space,
            ..
        } = *kept;
        let _only_one = (!is_whole).then(|| lock(&READING));
        proc.is_gone = is_whole;
        proc.is_ending = !is_whole;
        // First, as they cannot be had when the parent has waited.
        let has_flags = is_whole || space.renew_flags(&mut proc);
        if !is_whole {
            space.keep_maps(&mut proc).ok()?;
        }
        let mut facts = facts_of_dying(&mut proc, is_whole).ok()?;
        drop(held);
        let lacking = without_descriptors(facts.handles.len() as u64, descriptors.unwrap_or(0));
        facts_aside::put(&mut proc, &mut facts);
        Some(Dying {
            lacking,
            watch: DeathWatch::at_death(space, deaths, has_flags),
            proc,
            facts,
        })
    }

    /// Returns a pidfd of the process.
    pub(super) fn process(&self) -> Option<OwnedFd> {
        self.kept.space.process.try_clone().ok()
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
fn facts_of_dying(proc: &mut ProcDir, is_whole: bool) -> io::Result<Facts> {
    let living = (!is_whole).then(|| facts::gather(proc).ok()).flatten();
    proc.is_gone = true;
    match living.filter(|facts| !facts.modules.is_empty()) {
        Some(facts) => Ok(facts),
        None => facts::gather(proc),
    }
}
