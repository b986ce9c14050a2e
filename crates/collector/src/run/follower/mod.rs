//! The thread of one followed process: it waits for what the process does, names it, asks the
//! filters, tells the rules, and obeys while the process stands.

mod arming;
mod copies;
mod dumps;
mod first_stack;
mod kinds;
mod pace;
mod places;
mod signals;
mod throttle;
mod throws;

use super::{
    arms::{Arm, Arms},
    event::{Event, FollowerEvent, FollowerId},
    order::Order,
    stacks,
    turns::Turns,
};
use copies::Copies;
use first_stack::{FirstStacks, Thrower};
use platform::{ErrorKind, Follow, Happened, Host, Result, Standing, Waker};
use policy::WakeFor;
use snapshot::{EndStatus, TargetEvent};
use std::{
    collections::HashSet,
    sync::{
        Arc, OnceLock,
        mpsc::{Receiver, Sender, TryRecvError},
    },
    time::Instant,
};
use throttle::Throttle;
use throws::Panicked;

/// What a follower is given.
pub(super) struct Task {
    pub(super) id: FollowerId,
    pub(super) wake: WakeFor,
    pub(super) arms: Arms,
    pub(super) turns: Turns,
    pub(super) inbox: Receiver<Order>,
    /// Filled with what wakes the follower from its wait.
    pub(super) waker: Arc<OnceLock<Waker>>,
    pub(super) events: Sender<Event>,
}

/// Follows one process to its end, or until nobody wants to know.
///
/// # Errors
/// Where the process cannot be followed, or no longer.
pub(super) fn follow(host: &dyn Host, task: Task) -> Result<()> {
    let process = host.follow(task.id.key)?;
    // From here on orders wake us; those that came before are seen before the first wait.
    let _ = task.waker.set(process.waker());
    let mut follower = Follower {
        process,
        arms: task.arms,
        turns: task.turns,
        wake: task.wake,
        throttle: Throttle::default(),
        at: Standing::default(),
        dumped: false,
        is_gone: false,
        has_more_to_tell: false,
        ends: false,
        end_status: None,
        panicked: None,
        first_stacks: FirstStacks::default(),
        copies: Copies::default(),
        is_last_moment: false,
        unread: 0,
        said: HashSet::new(),
        inbox: task.inbox,
        tell: Teller {
            id: task.id,
            events: task.events,
        },
    };
    let result = match follower.begin()? {
        Then::Stay => follower.run(),
        Then::Leave => Ok(()),
    };
    let Follower {
        process,
        mut first_stacks,
        ..
    } = follower;
    // Stacks are walked with copies: the process need not wait for them.
    drop(process);
    first_stacks.finish();
    result
}

struct Follower {
    process: Box<dyn Follow>,
    arms: Arms,
    turns: Turns,
    wake: WakeFor,
    throttle: Throttle,
    /// Where the process stands for the event at hand.
    at: Standing,
    /// Whether a dump was taken for the event at hand.
    dumped: bool,
    /// Whether the process has ended; what is left to tell is told.
    is_gone: bool,
    /// Whether the event at hand is told as two, and this is the first.
    has_more_to_tell: bool,
    /// Whether the process has begun to end itself.
    ends: bool,
    /// How it ends, once that is known.
    end_status: Option<EndStatus>,
    panicked: Option<Panicked>,
    first_stacks: FirstStacks,
    copies: Copies,
    /// Whether the process dies after the event at hand: there is no later for its dump.
    is_last_moment: bool,
    /// Throws that no filter could judge, as their messages could not be read in time.
    unread: u64,
    /// Notices that were given; each is given once.
    said: HashSet<String>,
    inbox: Receiver<Order>,
    tell: Teller,
}

/// Reports to the loop.
#[derive(Clone)]
struct Teller {
    id: FollowerId,
    events: Sender<Event>,
}

impl Teller {
    fn tell(&self, event: FollowerEvent) {
        // Nobody listens any more when the run is over.
        let _ = self.events.send(Event::Follower(self.id, event));
    }
}

/// Whether the process is followed any longer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Stay,
    Leave,
}

impl Follower {
    fn run(&mut self) -> Result<()> {
        if self.obey_all()? == Then::Leave {
            return Ok(());
        }
        loop {
            let until = match self.is_gone {
                // Nothing more happens: what has been reported is taken, and no more is waited for.
                true => Some(Instant::now()),
                false => self.throttle.deadline(),
            };
            let then = match self.process.wait(until)? {
                Happened::Woken => self.obey_all()?,
                Happened::Executed => self.executed()?,
                Happened::TimedOut if self.is_gone => self.tell_end(None),
                Happened::TimedOut => Then::Stay,
                Happened::Event(TargetEvent::Exited { status, .. }, _) => self.tell_end(status),
                Happened::Event(event, standing) => self.happened(event, standing)?,
            };
            if then == Then::Leave {
                self.tell_counts();
                return Ok(());
            }
            self.throttle_if_due();
        }
    }

    /// Something happened, and a thread stands for it until this returns.
    fn happened(&mut self, event: TargetEvent, standing: Standing) -> Result<Then> {
        let start = Instant::now();
        self.at = standing;
        let then = self.unless_it_ends(|follower| follower.event(event))?;
        self.process.go_on();
        self.at = Standing::default();
        // A dump that was asked for takes the time it takes.
        if !std::mem::take(&mut self.dumped) {
            self.throttle.spend(start.elapsed(), &mut *self.process);
        }
        Ok(then)
    }

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
                self.arms.program_replaced();
                self.forget_kinds();
                match self.report(event)? {
                    Then::Stay => self.arm(),
                    Then::Leave => Ok(Then::Leave),
                }
            }
            TargetEvent::ModuleLoad { .. } | TargetEvent::ModuleUnload { .. } => self.module(event),
            TargetEvent::Exiting { status, .. } if !self.wake.wants_end() => {
                self.end_status = Some(status);
                Ok(Then::Stay)
            }
            TargetEvent::DebugString { ref text } if !self.wake.acts_on(text) => {
                self.tell.tell(FollowerEvent::Seen(event, self.at.since));
                Ok(Then::Stay)
            }
            other => self.report(other),
        }
    }

    /// Tells the rules, and does what they order before they let the process go on. With the last
    /// dump it goes on as soon as its memory is copied.
    fn report(&mut self, event: TargetEvent) -> Result<Then> {
        self.process.stay()?;
        self.is_last_moment = is_last_moment(&event);
        self.tell.tell(FollowerEvent::Did(event, self.at.since));
        let mut orders = Vec::new();
        let then = loop {
            match self.inbox.recv() {
                Ok(Order::GoOn) => break Then::Stay,
                Ok(order) => orders.push(order),
                // The rule is over with what was ordered last.
                Err(_) => break Then::Leave,
            }
        };
        let last = orders.iter().rposition(|o| matches!(o, Order::Dump(_)));
        let is_last = last.is_some_and(|last| last + 1 == orders.len());
        let may_go = is_last && !self.has_more_to_tell;
        for (at, order) in orders.into_iter().enumerate() {
            match order {
                Order::Dump(order) => self.dump(order, may_go && Some(at) == last),
                other => drop(self.obey(other)?),
            }
        }
        self.is_last_moment = false;
        Ok(then)
    }

    /// Obeys what has been ordered. However often it is to be looked again: that is done once.
    fn obey_all(&mut self) -> Result<Then> {
        let mut looks_again = false;
        loop {
            match self.inbox.try_recv() {
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Ok(Then::Leave),
                Ok(Order::LookAgain) => looks_again = true,
                Ok(order) => {
                    if self.obey(order)? == Then::Leave {
                        return Ok(Then::Leave);
                    }
                }
            }
        }
        match looks_again {
            true => self.obey(Order::LookAgain),
            false => Ok(Then::Stay),
        }
    }

    fn obey(&mut self, order: Order) -> Result<Then> {
        match order {
            Order::Dump(order) => self.dump(order, false),
            Order::Wake(wake) => {
                self.wake = *wake;
                self.forget_kinds();
                return self.unless_it_ends(Self::begin);
            }
            Order::LookAgain if self.process.hears_of_executions() => {}
            Order::LookAgain => return self.unless_it_ends(Self::begin),
            Order::Storm(active) => self.throttle.set_storm(active, &mut *self.process),
            Order::Stack(order) => {
                let lines = stacks::lines(&mut *self.process, order.thread);
                order.finish(lines);
            }
            Order::Gone => self.is_gone = true,
            Order::GoOn => {}
        }
        Ok(Then::Stay)
    }

    /// Says what cannot be had, or what it costs; each once, however often is armed anew.
    fn notice(&mut self, mut lines: Vec<String>) {
        lines.retain(|line| self.said.insert(line.clone()));
        if !lines.is_empty() {
            self.tell.tell(FollowerEvent::Notice(lines));
        }
    }

    /// One that is ending has nothing to be looked at, but may have more to tell: what it dies of.
    fn unless_it_ends(&mut self, work: impl FnOnce(&mut Self) -> Result<Then>) -> Result<Then> {
        match work(self) {
            Err(error) if error.kind == ErrorKind::NoSuchProcess => Ok(Then::Stay),
            other => other,
        }
    }

    /// An exception that is wanted was met; where it came from, if it is the first of its name.
    fn met(&mut self, name: &str, thread: u32) {
        let Some(registers) = self.at.registers else {
            return;
        };
        if !self.first_stacks.wants(name) {
            return;
        }
        // Where no rule is about images, they have not been looked at. And whoever dies may have executed another program
        // since they were.
        let mut modules = self.arms.modules().to_vec();
        if modules.is_empty() || self.at.is_deadly {
            modules = self.process.modules().unwrap_or(modules);
        }
        let thrower = Thrower {
            thread,
            registers,
            memory: self.process.memory(),
            modules: &modules,
            files: self.process.image_files(),
        };
        self.first_stacks.met(name, thrower, &self.tell);
    }

    fn throttle_if_due(&mut self) {
        if self.throttle.turn(&mut *self.process) {
            self.tell_counts();
        }
    }

    fn tell_end(&mut self, status: Option<EndStatus>) -> Then {
        self.tell_the_rest();
        let at = crate::store::keep::now();
        let status = status.or(self.end_status);
        let event = TargetEvent::Exited { status, at };
        self.tell.tell(FollowerEvent::Did(event, None));
        Then::Leave
    }

    /// Everything that is not told yet, before the process is left.
    fn tell_the_rest(&mut self) {
        self.first_stacks.finish();
        self.tell_counts();
    }

    /// Each kind of exception is looked at anew.
    fn forget_kinds(&mut self) {
        self.tell_counts();
        self.throttle.forget_kinds(&mut *self.process);
    }

    /// Tells how many exceptions have gone by since the last time.
    fn tell_counts(&mut self) {
        let counts = self.throttle.counts(&*self.process);
        if !counts.is_empty() {
            self.tell.tell(FollowerEvent::Counted(counts));
        }
        let missed = self.process.missed();
        if missed > 0 {
            let text = format!("{missed} more came faster than they could be looked at");
            self.tell.tell(FollowerEvent::Notice(vec![text]));
        }
        self.unread += self.throttle.unread();
        let unread = std::mem::take(&mut self.unread);
        if unread > 0 {
            let text = format!(
                "{unread} exceptions went by whose message could not be read in time, and may be among those that are wanted"
            );
            self.tell.tell(FollowerEvent::Notice(vec![text]));
        }
    }
}

/// Whether the process dies after an event.
fn is_last_moment(event: &TargetEvent) -> bool {
    match event {
        TargetEvent::Exception(exception) => !exception.first_chance,
        TargetEvent::Exiting { .. } => true,
        _ => false,
    }
}
