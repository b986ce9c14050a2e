//! Processes that are attached to, so that their end can be seen while their memory stands.
//! Each has a thread of its own, which also takes the dumps: a tracer is one thread.

use super::{ShowStep, dumps::Finished};
use crate::{Collected, Request, Step, collect::collect_attached};
use platform::{Error, Host, Target};
use policy::DumpId;
use snapshot::{ProcessKey, TargetEvent};
use std::{
    collections::{HashMap, HashSet},
    sync::mpsc::{Receiver, Sender, TryRecvError, channel},
    time::Duration,
};

/// How soon a thread sees that it is not needed any more.
const LOOK: Duration = Duration::from_millis(50);

/// How long a program that we start waits for us to be attached.
const ARMING: Duration = Duration::from_secs(5);

/// The attached processes.
pub(crate) struct Exits {
    machine: fn() -> Box<dyn Host>,
    attached: HashMap<ProcessKey, Sender<Order>>,
    /// Those that stand in their end.
    ending: HashSet<ProcessKey>,
    /// Dumps that are being taken by these threads.
    dumping: Vec<DumpId>,
    tell: Sender<News>,
    news: Receiver<News>,
}

/// What the thread of a process is told while that stands.
enum Order {
    Dump(DumpId, Box<Request>),
    GoOn,
}

/// What such a thread tells.
pub(crate) enum News {
    /// A process is attached.
    Armed,
    /// It did this, and stands if it is about to end.
    Event(ProcessKey, TargetEvent),
    /// A dump of it moved on.
    Step(Step),
    /// A dump of it is over.
    Finished(ProcessKey, Finished),
    /// It could not be attached to.
    Failed(ProcessKey, Error),
}

impl Exits {
    pub(crate) fn new(machine: fn() -> Box<dyn Host>) -> Self {
        let (tell, news) = channel();
        Self {
            machine,
            attached: HashMap::new(),
            ending: HashSet::new(),
            dumping: Vec::new(),
            tell,
            news,
        }
    }

    /// Attaches to a process and waits for its end.
    pub(crate) fn attach(&mut self, key: ProcessKey) {
        if self.attached.contains_key(&key) {
            return;
        }
        let (orders, inbox) = channel();
        self.attached.insert(key, orders);
        let (machine, tell) = (self.machine, self.tell.clone());
        std::thread::spawn(move || {
            let host = machine();
            if let Err(error) = follow(&*host, key, &inbox, &tell) {
                let _ = tell.send(News::Failed(key, error));
            }
        });
    }

    /// Waits until the process that was just attached is followed, or cannot be.
    pub(crate) fn wait_until_armed(&mut self) {
        if let Ok(news @ News::Failed(..)) = self.news.recv_timeout(ARMING) {
            let _ = self.tell.send(news);
        }
    }

    /// Leaves a process alone.
    pub(crate) fn detach(&mut self, key: ProcessKey) {
        self.attached.remove(&key);
    }

    /// Whether a process stands in its end.
    pub(crate) fn is_ending(&self, key: ProcessKey) -> bool {
        self.ending.contains(&key)
    }

    /// Whether a dump is being taken of any.
    pub(crate) fn is_busy(&self) -> bool {
        !self.dumping.is_empty()
    }

    /// Whether anything is attached at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.attached.is_empty()
    }

    /// Takes a dump of a process that is attached; the request comes back for one that is not.
    pub(crate) fn dump(
        &mut self,
        id: DumpId,
        key: ProcessKey,
        request: Request,
    ) -> Result<(), Box<Request>> {
        let request = Box::new(request);
        let Some(orders) = self.attached.get(&key) else {
            return Err(request);
        };
        if orders.send(Order::Dump(id, request.clone())).is_err() {
            return Err(request);
        }
        self.dumping.push(id);
        Ok(())
    }

    /// Lets a process that stands go on.
    pub(crate) fn go_on(&mut self, key: ProcessKey) {
        self.ending.remove(&key);
        if let Some(orders) = self.attached.remove(&key) {
            let _ = orders.send(Order::GoOn);
        }
    }

    /// What has happened since.
    pub(crate) fn take(&mut self, show: ShowStep<'_>) -> Vec<News> {
        let mut news = Vec::new();
        while let Ok(one) = self.news.try_recv() {
            match one {
                News::Step(step) => show(step),
                News::Finished(key, finished) => {
                    self.dumping.retain(|id| *id != finished.id);
                    news.push(News::Finished(key, finished));
                }
                News::Event(key, event) => {
                    if matches!(event, TargetEvent::Exiting { .. }) {
                        self.ending.insert(key);
                    }
                    news.push(News::Event(key, event));
                }
                other => news.push(other),
            }
        }
        news
    }
}

/// Follows one process to its end, or until nobody wants to know.
fn follow(
    host: &dyn Host,
    key: ProcessKey,
    inbox: &Receiver<Order>,
    tell: &Sender<News>,
) -> platform::Result<()> {
    let mut target = host.attach(key)?;
    target.arm_exit()?;
    let _ = tell.send(News::Armed);
    loop {
        match target.wait(LOOK)? {
            TargetEvent::Timeout => match inbox.try_recv() {
                Err(TryRecvError::Empty) => {}
                Ok(Order::Dump(id, request)) => {
                    dump(&mut *target, id, &request, tell);
                    target.arm_exit()?;
                }
                Ok(Order::GoOn) | Err(TryRecvError::Disconnected) => return Ok(()),
            },
            event @ TargetEvent::Exiting { .. } => {
                let _ = tell.send(News::Event(key, event));
                obey(&mut *target, inbox, tell);
                return Ok(());
            }
            event => {
                let _ = tell.send(News::Event(key, event));
                return Ok(());
            }
        }
    }
}

/// Does what is ordered while the process stands; it goes on when this returns.
fn obey(target: &mut dyn Target, inbox: &Receiver<Order>, tell: &Sender<News>) {
    while let Ok(Order::Dump(id, request)) = inbox.recv() {
        dump(target, id, &request, tell);
    }
}

fn dump(target: &mut dyn Target, id: DumpId, request: &Request, tell: &Sender<News>) {
    let steps = tell.clone();
    let collected = collect_attached(target, request, &mut |step| {
        let _ = steps.send(News::Step(step));
    });
    let Collected { dumps, error } = collected;
    let finished = Finished {
        id,
        number: request.number,
        dumps,
        error,
    };
    let _ = tell.send(News::Finished(target.key(), finished));
}
