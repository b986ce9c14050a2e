//! Several dumps of one process, compared.

mod text;
mod threads;
mod wire;

use super::open::{Opened, Walked};
use super::page::Page;
use analysis::compare::{Comparison, Moment, compare, is_same_process};
use snapshot::Process;
use std::time::Duration;

/// The dumps of a series in the order in which they were taken, with their stacks, and what changed between them.
pub(super) struct Series<'a> {
    dumps: Vec<(&'a Opened, Walked<'a>)>,
    pub(super) compared: Comparison,
}

impl<'a> Series<'a> {
    pub(super) fn of(opened: &'a [Opened]) -> Self {
        let mut dumps: Vec<(&Opened, Walked)> =
            opened.iter().map(|one| (one, one.walk())).collect();
        dumps.sort_by_key(|(opened, _)| opened.dump.snapshot.taken.0);
        let moments: Vec<Moment> = dumps.iter().map(moment).collect();
        let compared = compare(&moments);
        Self { dumps, compared }
    }

    /// The text that is printed.
    pub(super) fn text(&self, has_colours: bool) -> String {
        text::text(self, has_colours)
    }

    /// Adds which dumps these are, and what the threads did between them.
    pub(super) fn changes(&self, page: &mut Page) {
        text::changes(page, self);
    }

    /// Adds what of the memory has grown.
    pub(super) fn memory(&self, page: &mut Page) {
        text::memory(page, self);
    }

    /// What the page is about.
    pub(super) fn title(&self) -> String {
        text::title(self)
    }

    /// One JSON object.
    pub(super) fn json(&self) -> anyhow::Result<String> {
        wire::json(self)
    }

    /// The time between each dump and the next.
    fn intervals(&self) -> Vec<Duration> {
        let taken = |(opened, _): &(&Opened, Walked)| opened.dump.snapshot.taken.0;
        let pairs = self.dumps.windows(2);
        let between = |a: i64, b: i64| Duration::from_nanos(b.saturating_sub(a).max(0) as u64);
        pairs
            .map(|pair| between(taken(&pair[0]), taken(&pair[1])))
            .collect()
    }

    fn is_of_one_process(&self) -> bool {
        let processes = self
            .dumps
            .iter()
            .map(|(opened, _)| &opened.dump.snapshot.process);
        let processes: Vec<&Process> = processes.collect();
        let mut same = processes
            .windows(2)
            .map(|pair| is_same_process(pair[0], pair[1]));
        same.all(|same| same)
    }

    /// The dump that was taken last.
    pub(super) fn last(&self) -> &(&'a Opened, Walked<'a>) {
        // There are at least two.
        &self.dumps[self.dumps.len() - 1]
    }
}

fn moment<'s>((opened, walked): &'s (&Opened, Walked)) -> Moment<'s> {
    Moment {
        snapshot: &opened.dump.snapshot,
        stacks: walked.threads.iter().map(|(_, stack)| stack).collect(),
    }
}
