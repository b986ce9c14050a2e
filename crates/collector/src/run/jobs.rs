//! Work on processes that are not followed: dumps and stacks, each in a thread of its own.

use super::{
    event::Event,
    options::Machine,
    order::{DumpOrder, StackOrder},
    stacks,
};
use crate::{Step, collect};
use policy::DumpId;
use snapshot::ProcessKey;

/// The work that is being done, and that waits for other work on the same process.
pub(super) struct Jobs {
    machine: Machine,
    running: Vec<Running>,
    waiting: Vec<Waiting>,
}

struct Running {
    what: Kind,
    process: ProcessKey,
    /// Whether the process was let go already, and only the file has still to be finished.
    is_released: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Dump(DumpId),
    Stack,
}

struct Waiting {
    process: ProcessKey,
    /// The dump that it comes behind; a stack comes behind all.
    behind: Option<DumpId>,
    work: Work,
}

enum Work {
    Dump(DumpOrder),
    Stack(StackOrder),
}

impl Jobs {
    pub(super) fn new(machine: Machine) -> Self {
        Self {
            machine,
            running: Vec::new(),
            waiting: Vec::new(),
        }
    }

    /// Whether nothing is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty()
    }

    /// Whether somebody holds the process, so that nobody else can trace it now.
    pub(super) fn holds(&self, process: ProcessKey) -> bool {
        let mut running = self.running.iter();
        running.any(|job| job.process == process && !job.is_released)
    }

    /// Takes a dump, after the one that it comes behind.
    pub(super) fn dump(&mut self, process: ProcessKey, order: DumpOrder, behind: Option<DumpId>) {
        let is_running = |id: &DumpId| self.is_running(Kind::Dump(*id));
        let behind = behind.filter(is_running);
        self.begin_or_wait(Waiting {
            process,
            behind,
            work: Work::Dump(order),
        });
    }

    /// Tells stacks, when nobody else holds the process.
    pub(super) fn stack(&mut self, process: ProcessKey, order: StackOrder) {
        self.begin_or_wait(Waiting {
            process,
            behind: None,
            work: Work::Stack(order),
        });
    }

    /// A dump moved on.
    pub(super) fn step(&mut self, id: DumpId, step: &Step) {
        if let Step::Released { .. } = step {
            let job = self.running.iter_mut();
            let job = { job }.find(|job| job.what == Kind::Dump(id));
            job.into_iter().for_each(|job| job.is_released = true);
        }
    }

    /// A dump is over; what waited for it begins.
    pub(super) fn dumped(&mut self, id: DumpId) {
        self.running.retain(|job| job.what != Kind::Dump(id));
        self.begin_waiting();
    }

    /// The stack of a process was told; what waited for it begins.
    pub(super) fn stacked(&mut self, process: ProcessKey) {
        let is_it = |job: &Running| job.what == Kind::Stack && job.process == process;
        if let Some(at) = self.running.iter().position(is_it) {
            self.running.remove(at);
        }
        self.begin_waiting();
    }

    fn is_running(&self, what: Kind) -> bool {
        self.running.iter().any(|job| job.what == what)
    }

    fn begin_or_wait(&mut self, job: Waiting) {
        match self.may_begin(&job) {
            true => self.begin(job),
            false => self.waiting.push(job),
        }
    }

    fn may_begin(&self, job: &Waiting) -> bool {
        let stack = |other: &Running| other.process == job.process && other.what == Kind::Stack;
        match (&job.work, job.behind) {
            (Work::Stack(_), _) => !self.holds(job.process),
            (Work::Dump(_), Some(id)) => !self.is_running(Kind::Dump(id)),
            (Work::Dump(_), None) => !self.running.iter().any(stack),
        }
    }

    fn begin_waiting(&mut self) {
        for job in std::mem::take(&mut self.waiting) {
            self.begin_or_wait(job);
        }
    }

    fn begin(&mut self, job: Waiting) {
        let Waiting { process, work, .. } = job;
        let what = match &work {
            Work::Dump(order) => Kind::Dump(order.id),
            Work::Stack(_) => Kind::Stack,
        };
        self.running.push(Running {
            what,
            process,
            is_released: false,
        });
        let machine = self.machine.clone();
        std::thread::spawn(move || match work {
            Work::Dump(order) => take_dump(&machine, process, order),
            Work::Stack(order) => tell_stack(&machine, process, order),
        });
    }
}

fn take_dump(machine: &Machine, process: ProcessKey, order: DumpOrder) {
    let (id, events) = (order.id, order.events.clone());
    let collected = collect(&*machine(), process, &order.request, &mut |step| {
        // Nobody listens any more when the run is over.
        let _ = events.send(Event::Step(id, process, step));
    });
    order.finish(process, collected);
}

fn tell_stack(machine: &Machine, process: ProcessKey, order: StackOrder) {
    let lines = match machine().attach(process) {
        Ok(mut target) => stacks::lines(&mut *target, order.thread),
        Err(error) => vec![error.to_string()],
    };
    order.finish(lines);
}
