//! Processes that are attached to. Each has a thread of its own, which also takes the dumps while
//! the process stands: a tracer is one thread.

use super::{ShowStep, arms::Arms, dumps::Finished, follower, stacks};
use crate::{Request, Step};
use platform::{Error, Host};
use policy::{DumpId, WakeFor};
use snapshot::{ProcessKey, TargetEvent};
use std::{
    collections::{HashMap, HashSet},
    sync::mpsc::{Receiver, Sender, channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// How long a program that we start waits for us to be attached.
const ARMING: Duration = Duration::from_secs(5);

/// How long leaving a process takes at most.
const LEAVING: Duration = Duration::from_secs(3);

/// The attached processes.
pub(crate) struct Attached {
    machine: fn() -> Box<dyn Host>,
    unsafe_breakpoints: bool,
    orders: HashMap<ProcessKey, Sender<Order>>,
    /// Their threads.
    threads: Vec<JoinHandle<()>>,
    /// Those that stand for something they did.
    standing: HashSet<ProcessKey>,
    /// Dumps that are being taken by these threads.
    dumping: Vec<DumpId>,
    tell: Sender<News>,
    news: Receiver<News>,
    /// Stacks that were asked for and have not come yet.
    stacks: usize,
    /// News that was waited for.
    first: Option<News>,
}

/// What the thread of a process is told.
pub(super) enum Order {
    /// Report this, and nothing else.
    Wake(Box<WakeFor>),
    /// Take a dump.
    Dump(DumpId, Box<Request>),
    /// Put stacks into the log: of one thread, or of all.
    Stack(Option<u32>),
    /// Count exceptions and look at one a second; or look at each again.
    Storm(bool),
    /// It may have become another program, or have other images.
    LookAgain,
    /// Let it go on.
    GoOn,
    /// It is gone: tell what is left to tell.
    Gone,
}

/// What such a thread tells.
pub(crate) enum News {
    /// Everything that could be had is armed in a process.
    Armed(ProcessKey),
    /// What could not be had, or what it costs.
    Lacking(ProcessKey, Vec<String>),
    /// It did this, and stands, unless it is gone.
    Event(ProcessKey, TargetEvent),
    /// It did this and goes on: nothing is to be done but to show it.
    Seen(ProcessKey, TargetEvent),
    /// Exceptions that went by without being looked at.
    Counted(ProcessKey, Vec<(String, u64)>),
    /// A stack was asked for.
    Stack(ProcessKey, Vec<String>),
    /// Where an exception of this name came from first.
    FirstStack(ProcessKey, String, Vec<String>),
    /// A dump of it moved on.
    Step(Step),
    /// A dump of it is over.
    Finished(Finished),
    /// It is not attached any more, or could not be.
    Failed(ProcessKey, Error),
}

impl Attached {
    pub(crate) fn new(machine: fn() -> Box<dyn Host>, unsafe_breakpoints: bool) -> Self {
        let (tell, news) = channel();
        Self {
            machine,
            unsafe_breakpoints,
            orders: HashMap::new(),
            threads: Vec::new(),
            standing: HashSet::new(),
            dumping: Vec::new(),
            stacks: 0,
            tell,
            news,
            first: None,
        }
    }

    /// Attaches to a process as far as these events need it; or says what is needed now.
    pub(crate) fn attach(&mut self, key: ProcessKey, wake: WakeFor) {
        if let Some(orders) = self.orders.get(&key) {
            let _ = orders.send(Order::Wake(Box::new(wake)));
            return;
        }
        let (orders, inbox) = channel();
        self.orders.insert(key, orders);
        let (machine, tell) = (self.machine, self.tell.clone());
        let unsafe_breakpoints = self.unsafe_breakpoints;
        self.threads.retain(|thread| !thread.is_finished());
        let thread = std::thread::spawn(move || {
            let host = machine();
            let arms = Arms::new(unsafe_breakpoints);
            if let Err(error) = follower::follow(&*host, key, (wake, arms), &inbox, &tell) {
                let _ = tell.send(News::Failed(key, error));
            }
        });
        self.threads.push(thread);
    }

    /// Leaves every process alone, and waits until each is as it was: on Windows our end would leave
    /// breakpoints behind.
    pub(crate) fn leave_all(&mut self) {
        self.orders.clear();
        self.standing.clear();
        let end = Instant::now() + LEAVING;
        let busy = |thread: &JoinHandle<()>| !thread.is_finished();
        while self.threads.iter().any(busy) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until the process that was just attached is followed, or cannot be.
    pub(crate) fn wait_until_armed(&mut self) {
        match self.news.recv_timeout(ARMING) {
            Ok(News::Armed(_)) | Err(_) => {}
            Ok(other) => {
                let _ = self.tell.send(other);
            }
        }
    }

    /// Leaves a process alone.
    pub(crate) fn detach(&mut self, key: ProcessKey) {
        self.orders.remove(&key);
        self.standing.remove(&key);
    }

    /// Tells the thread of a process; whether it has one.
    pub(crate) fn tell(&self, key: ProcessKey, order: Order) -> bool {
        let orders = self.orders.get(&key);
        orders.is_some_and(|orders| orders.send(order).is_ok())
    }

    /// Asks for the stack of a thread, or of all; a process that is not attached is, for that.
    pub(crate) fn stack(&mut self, key: ProcessKey, thread: Option<u32>) {
        self.stacks += 1;
        if self.tell(key, Order::Stack(thread)) {
            return;
        }
        let (machine, tell) = (self.machine, self.tell.clone());
        std::thread::spawn(move || {
            let news = match machine().attach(key) {
                Ok(mut target) => News::Stack(key, stacks::lines(&mut *target, key, thread)),
                Err(error) => News::Stack(key, vec![error.to_string()]),
            };
            let _ = tell.send(news);
        });
    }

    /// Whether a dump is being taken of any, or a stack.
    pub(crate) fn is_busy(&self) -> bool {
        !self.dumping.is_empty() || self.stacks > 0
    }

    /// Whether a process is attached.
    pub(crate) fn has(&self, key: ProcessKey) -> bool {
        self.orders.contains_key(&key)
    }

    /// Whether a process stands for something it did.
    pub(crate) fn is_standing(&self, key: ProcessKey) -> bool {
        self.standing.contains(&key)
    }

    /// Whether anything is attached at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.orders.is_empty()
    }

    /// Takes a dump of a process that is attached; the request comes back for one that is not.
    pub(crate) fn dump(
        &mut self,
        id: DumpId,
        key: ProcessKey,
        request: Request,
    ) -> Result<(), Box<Request>> {
        let request = Box::new(request);
        let Some(orders) = self.orders.get(&key) else {
            return Err(request);
        };
        if orders.send(Order::Dump(id, request.clone())).is_err() {
            return Err(request);
        }
        self.dumping.push(id);
        Ok(())
    }

    /// Lets a process that stands go on, when it has done what it was told.
    pub(crate) fn go_on(&mut self, key: ProcessKey) {
        if self.standing.remove(&key) {
            self.tell(key, Order::GoOn);
        }
    }

    /// Waits for news.
    pub(crate) fn wait(&mut self, limit: Duration) {
        if self.first.is_none() {
            self.first = self.news.recv_timeout(limit).ok();
        }
    }

    /// The next of what has happened since.
    pub(crate) fn next(&mut self, show: ShowStep<'_>) -> Option<News> {
        loop {
            let news = self.first.take().or_else(|| self.news.try_recv().ok())?;
            match news {
                News::Step(step) => show(step),
                News::Finished(finished) => {
                    self.dumping.retain(|id| *id != finished.id);
                    return Some(News::Finished(finished));
                }
                News::Stack(key, lines) => {
                    self.stacks = self.stacks.saturating_sub(1);
                    return Some(News::Stack(key, lines));
                }
                News::Event(key, event) => {
                    if self.orders.contains_key(&key) {
                        self.standing.insert(key);
                    }
                    return Some(News::Event(key, event));
                }
                other => return Some(other),
            }
        }
    }
}
