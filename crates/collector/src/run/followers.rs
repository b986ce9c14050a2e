//! The threads that follow processes, one for each: a tracer is one thread, and one process's
//! trouble is no other's.

use super::{
    arms::Arms,
    event::{Event, FollowerEvent, FollowerId},
    follower::{self, Task},
    options::Machine,
    order::{Order, last_report},
    turns::Turns,
};
use platform::{HoldOptions, Waker};
use policy::WakeFor;
use snapshot::ProcessKey;
use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        mpsc::{Sender, channel},
    },
};

/// The processes that are followed.
pub(super) struct Followers {
    machine: Machine,
    holds: HoldOptions,
    events: Sender<Event>,
    turns: Turns,
    current: HashMap<ProcessKey, Follower>,
    /// How many threads have not told their last.
    living: usize,
    last: u64,
}

/// The thread of one process, as the loop sees it.
struct Follower {
    number: u64,
    inbox: Inbox,
    /// What it was told to wait for last.
    wake: WakeFor,
    /// Whether the process stands for something it did, and waits to be let go on.
    stands: bool,
}

/// Where its orders go.
struct Inbox {
    orders: Sender<Order>,
    /// Set by the thread once it follows; until then it looks at its orders by itself.
    waker: Arc<OnceLock<Waker>>,
}

impl Inbox {
    /// Whether the thread is there to obey; an order that comes back is dropped, and so answered.
    fn send(&self, order: Order) -> bool {
        let is_there = self.orders.send(order).is_ok();
        self.wake();
        is_there
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake();
        }
    }
}

impl Followers {
    pub(super) fn new(machine: Machine, holds: HoldOptions, events: Sender<Event>) -> Self {
        Self {
            machine,
            holds,
            events,
            turns: Turns::default(),
            current: HashMap::new(),
            living: 0,
            last: 0,
        }
    }

    /// Follows a process as far as these events need it; or says what is needed now.
    pub(super) fn follow(&mut self, key: ProcessKey, wake: WakeFor) {
        if let Some(follower) = self.current.get_mut(&key) {
            follower.wake = wake.clone();
            follower.inbox.send(Order::Wake(Box::new(wake)));
            return;
        }
        self.last += 1;
        let id = FollowerId {
            key,
            number: self.last,
        };
        let follower = self.begin(id, wake);
        self.current.insert(key, follower);
    }

    fn begin(&mut self, id: FollowerId, wake: WakeFor) -> Follower {
        let (orders, inbox) = channel();
        let waker = Arc::new(OnceLock::new());
        let task = Task {
            id,
            wake: wake.clone(),
            arms: Arms::new(self.holds),
            turns: self.turns.clone(),
            inbox,
            waker: waker.clone(),
            events: self.events.clone(),
        };
        let machine = self.machine.clone();
        let report = last_report(id, &self.events);
        self.living += 1;
        std::thread::spawn(move || {
            let ended = follower::follow(&*machine(), task);
            report.answer(Event::Follower(id, FollowerEvent::Ended(ended.err())));
        });
        Follower {
            number: id.number,
            inbox: Inbox { orders, waker },
            wake,
            stands: false,
        }
    }

    /// Leaves a process alone.
    pub(super) fn leave(&mut self, key: ProcessKey) {
        if let Some(Follower { inbox, .. }) = self.current.remove(&key) {
            // The thread sees that nobody gives it orders any more.
            drop(inbox.orders);
            if let Some(waker) = inbox.waker.get() {
                waker.wake();
            }
        }
    }

    /// Leaves every process alone.
    pub(super) fn leave_all(&mut self) {
        let all: Vec<ProcessKey> = self.current.keys().copied().collect();
        all.into_iter().for_each(|key| self.leave(key));
    }

    /// A thread has told its last. Returns what it waited for if it was the one that follows the process now.
    pub(super) fn ended(&mut self, id: FollowerId) -> Option<WakeFor> {
        self.living = self.living.saturating_sub(1);
        let current = self.is_current(id).then(|| self.current.remove(&id.key));
        Some(current??.wake)
    }

    /// Whether this is the following of the process that goes on now.
    pub(super) fn is_current(&self, id: FollowerId) -> bool {
        let follower = self.current.get(&id.key);
        follower.is_some_and(|follower| follower.number == id.number)
    }

    /// Whether a process is followed.
    pub(super) fn has(&self, key: ProcessKey) -> bool {
        self.current.contains_key(&key)
    }

    /// Whether no thread is left that has something to tell.
    pub(super) fn is_empty(&self) -> bool {
        self.living == 0
    }

    /// Gives the thread of a process an order; whether there is one to obey it.
    pub(super) fn tell(&self, key: ProcessKey, order: Order) -> bool {
        let follower = self.current.get(&key);
        follower.is_some_and(|follower| follower.inbox.send(order))
    }

    /// A process stands for something it did.
    pub(super) fn stands(&mut self, key: ProcessKey) {
        if let Some(follower) = self.current.get_mut(&key) {
            follower.stands = true;
        }
    }

    /// Whether a process stands for something it did.
    pub(super) fn is_standing(&self, key: ProcessKey) -> bool {
        let follower = self.current.get(&key);
        follower.is_some_and(|follower| follower.stands)
    }

    /// Tells the thread of a process that stands that no more orders come for the event: it obeys those
    /// it has, and lets the process go on.
    pub(super) fn go_on(&mut self, key: ProcessKey) {
        if let Some(follower) = self.current.get_mut(&key)
            && std::mem::take(&mut follower.stands)
        {
            follower.inbox.send(Order::GoOn);
        }
    }
}
