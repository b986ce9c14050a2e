//! Dumps under way, each in a thread of its own.

use super::ShowStep;
use crate::{Collected, Request, Step, Written, collect};
use platform::{Error, Host};
use policy::DumpId;
use snapshot::ProcessKey;
use std::{
    sync::mpsc::{Receiver, Sender, channel},
    time::Duration,
};

/// How long is waited for a dump to move on, at the end of a run.
const PATIENCE: Duration = Duration::from_millis(50);

/// The dumps that are being taken.
pub(crate) struct Dumps {
    machine: fn() -> Box<dyn Host>,
    running: Vec<DumpId>,
    /// Those that come after another one of the same process.
    waiting: Vec<(DumpId, Order)>,
    tell: Sender<News>,
    news: Receiver<News>,
}

struct Order {
    id: DumpId,
    process: ProcessKey,
    request: Request,
}

enum News {
    Step(Step),
    Finished(Finished),
}

/// A request that is over.
pub(crate) struct Finished {
    pub(crate) id: DumpId,
    pub(crate) number: u32,
    pub(crate) dumps: Vec<Written>,
    pub(crate) error: Option<Error>,
}

impl Dumps {
    pub(crate) fn new(machine: fn() -> Box<dyn Host>) -> Self {
        let (tell, news) = channel();
        Self {
            machine,
            running: Vec::new(),
            waiting: Vec::new(),
            tell,
            news,
        }
    }

    /// Whether none is under way.
    pub(crate) fn is_empty(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty()
    }

    /// Takes a dump, after the one it is behind.
    pub(crate) fn start(
        &mut self,
        id: DumpId,
        process: ProcessKey,
        request: Request,
        behind: Option<DumpId>,
    ) {
        let order = Order {
            id,
            process,
            request,
        };
        match behind.filter(|other| self.running.contains(other)) {
            Some(other) => self.waiting.push((other, order)),
            None => self.begin(order),
        }
    }

    fn begin(&mut self, order: Order) {
        self.running.push(order.id);
        let (tell, machine) = (self.tell.clone(), self.machine);
        std::thread::spawn(move || {
            let steps = tell.clone();
            let host = machine();
            let collected = collect(&*host, order.process, &order.request, &mut |step| {
                let _ = steps.send(News::Step(step));
            });
            let Collected { dumps, error } = collected;
            let number = order.request.number;
            let _ = tell.send(News::Finished(Finished {
                id: order.id,
                number,
                dumps,
                error,
            }));
        });
    }

    /// What has happened since, without waiting.
    pub(crate) fn take(&mut self, show: ShowStep<'_>) -> Vec<Finished> {
        let mut finished = Vec::new();
        while let Ok(news) = self.news.try_recv() {
            finished.extend(self.one(news, show));
        }
        finished
    }

    /// The same, but waits a little for the first of it.
    pub(crate) fn wait(&mut self, show: ShowStep<'_>) -> Vec<Finished> {
        let mut finished = Vec::new();
        if let Ok(news) = self.news.recv_timeout(PATIENCE) {
            finished.extend(self.one(news, show));
        }
        finished.extend(self.take(show));
        finished
    }

    fn one(&mut self, news: News, show: ShowStep<'_>) -> Option<Finished> {
        match news {
            News::Step(step) => {
                show(step);
                None
            }
            News::Finished(finished) => {
                self.running.retain(|id| *id != finished.id);
                let (next, rest) = std::mem::take(&mut self.waiting)
                    .into_iter()
                    .partition(|(behind, _)| *behind == finished.id);
                self.waiting = rest;
                let next: Vec<(DumpId, Order)> = next;
                next.into_iter().for_each(|(_, order)| self.begin(order));
                Some(finished)
            }
        }
    }
}
