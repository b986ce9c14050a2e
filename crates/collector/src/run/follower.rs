//! The thread of one attached process: waits for what it does, tells the rules, and obeys while it
//! stands.

use super::{
    arms::{Arm, Arms, Ended, ended},
    attached::{News, Order},
    dumps::Finished,
    first::{First, Standing},
    kinds::Kinds,
    pace::Pace,
};
use crate::{Collected, Request, collect::collect_attached};
use analysis::{places::ThrowPlace, thrown};
use platform::{ErrorKind, Host, Result, Target};
use policy::{DumpId, WakeFor};
use snapshot::{Exception, Memory, OperatingSystem, ProcessKey, TargetEvent};
use std::{
    collections::{BTreeMap, HashSet},
    sync::mpsc::{Receiver, Sender, TryRecvError},
    time::{Duration, Instant},
};

/// How soon a thread sees that it has orders.
const LOOK: Duration = Duration::from_millis(50);

const SIGABRT: u32 = 6;

/// Follows one process to its end, or until nobody wants to know.
pub(super) fn follow(
    host: &dyn Host,
    key: ProcessKey,
    (wake, arms): (WakeFor, Arms),
    inbox: &Receiver<Order>,
    tell: &Sender<News>,
) -> Result<()> {
    let mut follower = Follower {
        target: host.attach(key)?,
        key,
        arms,
        kinds: Kinds::default(),
        wake,
        storm: false,
        pace: Pace::default(),
        dumped: false,
        gone: false,
        more_to_tell: false,
        looked: false,
        counted: BTreeMap::new(),
        ends: false,
        panicked: None,
        first: First::default(),
        said: HashSet::new(),
        inbox,
        tell,
    };
    follower.arm()?;
    follower.run()
}

struct Follower<'f> {
    target: Box<dyn Target>,
    key: ProcessKey,
    arms: Arms,
    kinds: Kinds,
    wake: WakeFor,
    /// Exceptions come so fast that one a second is looked at.
    storm: bool,
    pace: Pace,
    /// A dump was taken for the event at hand.
    dumped: bool,
    /// The process has ended; what is left is told.
    gone: bool,
    /// What it stands for is told in two events; this is the first.
    more_to_tell: bool,
    /// During a storm: whether one exception has been looked at in this time, and those that were
    /// only counted.
    looked: bool,
    counted: BTreeMap<String, u64>,
    /// It has begun to end itself.
    ends: bool,
    panicked: Option<Panicked>,
    first: First,
    /// Sentences that were said.
    said: HashSet<String>,
    inbox: &'f Receiver<Order>,
    tell: &'f Sender<News>,
}

/// The last panic of Rust, of which the process dies with `panic=abort`.
struct Panicked {
    what: Exception,
    /// Where the function's frame begins, and what lies there: where it returns to.
    frame: u64,
    returns_to: Option<u64>,
}

impl Panicked {
    fn at(frame: u64, what: &Exception, memory: &dyn Memory) -> Self {
        Self {
            what: what.clone(),
            frame,
            returns_to: memory.read_u64(frame),
        }
    }

    /// Whether a thread with this stack still is in it: the frame of one that was caught has gone.
    fn goes_on(&self, stack: u64, memory: &dyn Memory) -> bool {
        stack < self.frame && memory.read_u64(self.frame) == self.returns_to
    }
}

/// Whether the process is followed any longer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Stay,
    Leave,
}

impl Follower<'_> {
    fn arm(&mut self) -> Result<()> {
        self.arms.look(&mut *self.target, &self.wake)?;
        self.arm_what_is_there()?;
        let _ = self.tell.send(News::Armed(self.key));
        Ok(())
    }

    /// One that is ending has nothing to be looked at, but may have more to tell: what it dies of.
    fn unless_it_ends(&mut self, work: impl FnOnce(&mut Self) -> Result<Then>) -> Result<Then> {
        match work(self) {
            Err(error) if error.kind == ErrorKind::NoSuchProcess => Ok(Then::Stay),
            other => other,
        }
    }

    fn arm_anew(&mut self) -> Result<Then> {
        self.arm().map(|()| Then::Stay)
    }

    /// The same, in the images that were just looked at.
    fn arm_what_is_there(&mut self) -> Result<()> {
        let (arming, mut lacking) = self.arms.plan(self.key, &*self.target, &self.wake);
        lacking.extend(self.target.arm(&arming)?);
        self.say(lacking);
        Ok(())
    }

    /// Says what cannot be had, or what it costs; each once, however often is armed anew.
    fn say(&mut self, mut lines: Vec<String>) {
        lines.retain(|line| self.said.insert(line.clone()));
        if !lines.is_empty() {
            let _ = self.tell.send(News::Lacking(self.key, lines));
        }
    }

    fn run(&mut self) -> Result<()> {
        let mut looked = Instant::now();
        loop {
            // A process that never rests must not keep us from hearing what we are told.
            if looked.elapsed() > LOOK {
                looked = Instant::now();
                if self.between_events()? == Then::Leave {
                    return Ok(());
                }
            }
            let then = match self.target.wait(LOOK)? {
                TargetEvent::Timeout => {
                    looked = Instant::now();
                    self.between_events()?
                }
                event @ TargetEvent::Exited { .. } => {
                    self.tell_the_rest();
                    let _ = self.tell.send(News::Event(self.key, event));
                    Then::Leave
                }
                event => {
                    let start = Instant::now();
                    let then = self.unless_it_ends(|follower| follower.event(event))?;
                    self.target.go_on();
                    // A dump that was asked for takes the time it takes.
                    if !std::mem::take(&mut self.dumped) {
                        self.paused_for(start.elapsed());
                    }
                    then
                }
            };
            self.look_at_time();
            if then == Then::Leave {
                return Ok(());
            }
        }
    }

    fn between_events(&mut self) -> Result<Then> {
        if self.gone {
            self.tell_the_rest();
            let (status, at) = (0, crate::store::keep::now());
            let event = TargetEvent::Exited { status, at };
            let _ = self.tell.send(News::Event(self.key, event));
            return Ok(Then::Leave);
        }
        match self.inbox.try_recv() {
            Err(TryRecvError::Empty) => Ok(Then::Stay),
            Err(TryRecvError::Disconnected) => {
                self.tell_the_rest();
                Ok(Then::Leave)
            }
            Ok(order) => self.obey(order),
        }
    }

    fn obey(&mut self, order: Order) -> Result<Then> {
        match order {
            Order::Dump(id, request) => self.dump(id, &request),
            Order::Wake(wake) => {
                self.wake = *wake;
                self.kinds.forget(&mut *self.target);
                return self.unless_it_ends(Self::arm_anew);
            }
            Order::LookAgain => return self.unless_it_ends(Self::arm_anew),
            Order::Storm(active) => self.storm(active),
            Order::Stack(thread) => self.stack(thread),
            Order::Gone => self.gone = true,
            Order::GoOn => {}
        }
        Ok(Then::Stay)
    }

    /// Something happened, and a thread stands for it.
    fn event(&mut self, event: TargetEvent) -> Result<Then> {
        match event {
            TargetEvent::Breakpoint { place, thread, .. } => match self.arms.at(place) {
                Some(Arm::Throw(place)) => self.thrown(place, thread),
                Some(Arm::Place(number)) => self.breakpoint(number, thread),
                Some(Arm::Loader) => self.loaded(),
                None => Ok(Then::Stay),
            },
            TargetEvent::Exception(exception) => self.signal(exception),
            TargetEvent::Executed => {
                self.arms.forget();
                self.kinds = Kinds::default();
                let then = self.report(event)?;
                self.arm()?;
                Ok(then)
            }
            TargetEvent::ModuleLoad { .. } | TargetEvent::ModuleUnload { .. } => self.module(event),
            TargetEvent::Exiting { .. } if !self.wake.wants_end() => Ok(Then::Stay),
            TargetEvent::DebugString { ref text } if !self.wake.acts_on(text) => {
                let _ = self.tell.send(News::Seen(self.key, event));
                Ok(Then::Stay)
            }
            other => self.report(other),
        }
    }

    /// Tells the rules, and does what they order before they let the process go on. With the last
    /// dump it goes on as soon as its memory is copied.
    fn report(&mut self, event: TargetEvent) -> Result<Then> {
        self.target.stay()?;
        let _ = self.tell.send(News::Event(self.key, event));
        let mut orders = Vec::new();
        loop {
            match self.inbox.recv() {
                Ok(Order::GoOn) => break,
                Ok(order) => orders.push(order),
                Err(_) => return Ok(Then::Leave),
            }
        }
        let last = orders.iter().rposition(|o| matches!(o, Order::Dump(..)));
        let may_go = last.is_some_and(|last| last + 1 == orders.len()) && !self.more_to_tell;
        for (at, order) in orders.into_iter().enumerate() {
            self.target.go_on_with_capture(may_go && Some(at) == last);
            self.obey(order)?;
        }
        Ok(Then::Stay)
    }

    /// A thread stands where its language throws.
    fn thrown(&mut self, place: ThrowPlace, thread: u32) -> Result<Then> {
        let Some(registers) = self.target.registers() else {
            return Ok(Then::Stay);
        };
        // It dies once, though several threads see to it.
        if place.thrower.ends_process() && std::mem::replace(&mut self.ends, true) {
            return Ok(Then::Stay);
        }
        let memory = self.target.memory();
        let kind = self.target.kind();
        let Some(thrown) = thrown::thrown(&place, kind, &registers, &*memory) else {
            self.kinds.count_late(kind);
            return Ok(Then::Stay);
        };
        // What comes by a `std::exception_ptr` is told by the object's address, another time
        // another kind.
        let object = place.object.and_then(|object| object.value(&registers));
        let kind = kind.filter(|_| kind != object);
        let late = !self.wake.acts && !self.target.is_standing();
        if late && self.kinds.count_late(kind) {
            return Ok(Then::Stay);
        }
        let exception = Exception {
            thread,
            address: registers.ip(),
            first_chance: !place.thrower.is_last(),
            name: thrown.name,
            bases: thrown.bases,
            message: thrown.message,
            ..Exception::default()
        };
        let wanted = self.wake.wakes_for(&exception);
        if wanted {
            self.met(&exception.name, thread);
        }
        let may_abort = place.thrower.may_abort() && self.wake.wants_unhandled();
        if may_abort {
            self.panicked = Some(Panicked::at(registers.sp(), &exception, &*memory));
        }
        if let Some(kind) = kind {
            let varies = thrown.message_varies && self.wake.reads_messages();
            let always = !varies && !may_abort;
            let pass = self.storm || self.pace.is_spent() || !wanted && always;
            self.kinds.learn(kind, &exception.name, wanted);
            self.target.pass(kind, pass);
        }
        let event = TargetEvent::Exception(exception);
        match (wanted, self.wake.acts) {
            (false, _) => Ok(Then::Stay),
            (true, true) => self.report(event),
            (true, false) => {
                let _ = self.tell.send(News::Seen(self.key, event));
                Ok(Then::Stay)
            }
        }
    }

    /// A thread is about to get a signal that is an exception: once before any handler, and once
    /// more if nobody handles it.
    fn signal(&mut self, mut exception: Exception) -> Result<Then> {
        let memory = self.target.memory();
        analysis::name_exception(
            &mut exception,
            platform::OS,
            platform::ARCHITECTURE,
            &*memory,
        );
        if platform::OS == OperatingSystem::Windows {
            return self.told_once(exception);
        }
        let deadly = self.target.is_deadly();
        let uncaught = self.uncaught(&exception, deadly);
        if uncaught.is_none() && self.wants(&exception) {
            self.met(&exception.name, exception.thread);
            let first = TargetEvent::Exception(exception.clone());
            self.more_to_tell = deadly;
            let then = self.report(first)?;
            self.more_to_tell = false;
            if then == Then::Leave {
                return Ok(Then::Leave);
            }
        }
        let mut last = uncaught.unwrap_or(exception);
        last.first_chance = false;
        if deadly && !self.ends && self.wants(&last) {
            self.met(&last.name, last.thread);
            return self.report(TargetEvent::Exception(last));
        }
        Ok(Then::Stay)
    }

    /// Windows tells of the last chance by itself. During a storm only some of the others are looked
    /// at.
    fn told_once(&mut self, exception: Exception) -> Result<Then> {
        if !self.wants(&exception) {
            return Ok(Then::Stay);
        }
        if exception.first_chance && self.storm && self.looked {
            *self.counted.entry(exception.name).or_default() += 1;
            return Ok(Then::Stay);
        }
        self.looked = true;
        self.met(&exception.name, exception.thread);
        let acts = self.wake.acts_on_exception(&exception);
        let event = TargetEvent::Exception(exception);
        if !acts {
            let _ = self.tell.send(News::Seen(self.key, event));
            return Ok(Then::Stay);
        }
        self.report(event)
    }

    /// A thread came to a breakpoint.
    fn breakpoint(&mut self, number: u32, thread: u32) -> Result<Then> {
        let ends = match self.ended_at(number) {
            Some(Ended::Process(handle)) => self.target.process_of(handle),
            Some(Ended::Itself) => Some(self.key.pid),
            None => None,
        };
        let itself = ends == Some(self.key.pid);
        if itself && std::mem::replace(&mut self.ends, true) {
            return Ok(Then::Stay);
        }
        self.report(TargetEvent::Breakpoint {
            place: number,
            thread,
            ends: ends.filter(|_| !itself),
        })
    }

    /// Whom the thread that stands at a breakpoint is about to end.
    fn ended_at(&self, number: u32) -> Option<Ended> {
        let mut places = self.wake.breakpoints.iter();
        let (_, place) = places.find(|(known, _)| *known == number)?;
        let registers = self.target.registers()?;
        let here = platform::OS == OperatingSystem::Windows;
        here.then(|| ended(place, &registers)).flatten()
    }

    /// An image came or went, as Windows tells.
    fn module(&mut self, event: TargetEvent) -> Result<Then> {
        if let TargetEvent::ModuleUnload { path, base } = &event {
            self.arms.unmapped(*base, path);
        }
        let comes = matches!(event, TargetEvent::ModuleLoad { .. });
        let wanted = self.wake.wants_module(&event);
        if wanted && self.report(event)? == Then::Leave {
            return Ok(Then::Leave);
        }
        if comes && !self.wake.breakpoints.is_empty() {
            self.arms.look(&mut *self.target, &self.wake)?;
            self.arm_what_is_there()?;
        }
        Ok(Then::Stay)
    }

    fn wants(&self, exception: &Exception) -> bool {
        let signal = exception.first_chance && self.wake.signals.contains(&(exception.code as i32));
        signal || self.wake.wakes_for(exception)
    }

    /// The exception of the language that nobody caught, of which a program dies by SIGABRT.
    fn uncaught(&self, signal: &Exception, deadly: bool) -> Option<Exception> {
        if !deadly || signal.code != SIGABRT {
            return None;
        }
        let memory = self.target.memory();
        let registers = self.target.registers()?;
        if let Some(thrown) = thrown::uncaught(&registers, &*memory) {
            return Some(Exception {
                name: thrown.name,
                bases: thrown.bases,
                message: thrown.message,
                ..signal.clone()
            });
        }
        let panicked = self.panicked.as_ref()?;
        let same_thread = panicked.what.thread == signal.thread;
        let goes_on = same_thread && panicked.goes_on(registers.sp(), &*memory);
        goes_on.then(|| Exception {
            code: signal.code,
            flags: signal.flags,
            ..panicked.what.clone()
        })
    }

    /// The loader has mapped or unmapped images.
    fn loaded(&mut self) -> Result<Then> {
        self.target.stay()?;
        let changes = self.arms.look(&mut *self.target, &self.wake)?;
        for event in changes {
            if self.wake.wants_module(&event) && self.report(event)? == Then::Leave {
                return Ok(Then::Leave);
            }
        }
        self.arm_what_is_there()?;
        let _ = self.tell.send(News::Armed(self.key));
        Ok(Then::Stay)
    }

    fn storm(&mut self, active: bool) {
        self.storm = active;
        self.kinds.pass_wanted(&mut *self.target, active);
    }

    /// Looking at what it throws has kept the process from its work for so long. When that gets too
    /// much, what is wanted is only counted until the second is over: a service must stay one.
    fn paused_for(&mut self, time: Duration) {
        if self.pace.spend(time) {
            self.kinds.pass_wanted(&mut *self.target, true);
        }
    }

    /// Once a second what was only counted is told, and exceptions are looked at again: one of them
    /// during a storm.
    fn look_at_time(&mut self) {
        if !self.pace.is_over() {
            return;
        }
        if self.pace.renew() || self.storm {
            self.tell_counts();
            self.kinds.pass_wanted(&mut *self.target, false);
        }
    }

    /// An exception that is wanted: where it came from, if it is the first of its name.
    fn met(&mut self, name: &str, thread: u32) {
        let Some(registers) = self.target.registers() else {
            return;
        };
        let standing = Standing {
            key: self.key,
            thread,
            registers,
            memory: self.target.memory(),
            modules: self.arms.modules(),
        };
        self.first.met(name, standing, self.tell);
    }

    /// Everything that is not told yet, before it is left.
    fn tell_the_rest(&mut self) {
        self.first.finish();
        self.tell_counts();
    }

    /// Tells how many exceptions have gone by since the last time.
    fn tell_counts(&mut self) {
        let mut counts = self.kinds.counts(&*self.target);
        counts.extend(std::mem::take(&mut self.counted));
        self.looked = false;
        if !counts.is_empty() {
            let _ = self.tell.send(News::Counted(self.key, counts));
        }
        let missed = self.target.missed();
        if missed > 0 {
            let text = format!("{missed} more came faster than they could be looked at");
            let _ = self.tell.send(News::Lacking(self.key, vec![text]));
        }
    }

    fn stack(&mut self, thread: Option<u32>) {
        let lines = super::stacks::lines(&mut *self.target, self.key, thread);
        let _ = self.tell.send(News::Stack(self.key, lines));
    }

    fn dump(&mut self, id: DumpId, request: &Request) {
        self.dumped = true;
        let steps = self.tell.clone();
        let collected = collect_attached(&mut *self.target, request, &mut |step| {
            let _ = steps.send(News::Step(step));
        });
        let Collected { dumps, error } = collected;
        let finished = Finished {
            id,
            number: request.number,
            dumps,
            error,
        };
        let _ = self.tell.send(News::Finished(finished));
    }
}
