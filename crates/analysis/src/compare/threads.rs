//! The threads of a series.

use super::Moment;
use crate::Stack;
use snapshot::Thread;
use std::collections::BTreeMap;
use std::time::Duration;

/// A thread that is in any of the dumps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenThread {
    /// Its id.
    pub id: u32,
    /// Its name, in the last dump that has it.
    pub name: String,
    /// The processor time that it has used when each dump was taken; `None` where it is not in the dump.
    pub used: Vec<Option<Duration>>,
    /// In which dumps it stood at the same place as in the last one.
    pub stood: Stood,
}

/// Where a thread stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stood {
    /// It has ended before the last dump, or its stack is not known there.
    Unknown,
    /// The stack in the last dump is another one than in the dump before.
    Moved,
    /// Its stack has been the same, frame by frame and at the same addresses, since the dump with this index.
    Since(usize),
}

impl SeenThread {
    /// The processor time between each dump and the next; `None` where it is not in both.
    pub fn used_between(&self) -> Vec<Option<Duration>> {
        let pairs = self.used.windows(2);
        pairs
            .map(|pair| Some(pair[1]?.saturating_sub(pair[0]?)))
            .collect()
    }

    /// The processor time between the first and the last dump that it is in.
    pub fn used_in_all(&self) -> Duration {
        self.used_between().into_iter().flatten().sum()
    }

    /// The index of the first dump that it is in.
    pub fn first(&self) -> usize {
        self.used.iter().position(Option::is_some).unwrap_or(0)
    }

    /// The index of the last dump that it is in.
    pub fn last(&self) -> usize {
        self.used.iter().rposition(Option::is_some).unwrap_or(0)
    }
}

/// A thread with its stack, in each of the dumps.
type Seen<'a> = Vec<Option<(&'a Thread, &'a Stack)>>;

pub(super) fn compare(moments: &[Moment]) -> Vec<SeenThread> {
    let mut all: BTreeMap<u32, Seen> = BTreeMap::new();
    for (at, moment) in moments.iter().enumerate() {
        for (thread, stack) in moment.snapshot.threads.iter().zip(&moment.stacks) {
            let seen = all.entry(thread.id);
            seen.or_insert_with(|| vec![None; moments.len()])[at] = Some((thread, stack));
        }
    }
    all.into_iter().map(|(id, seen)| of(id, &seen)).collect()
}

fn of(id: u32, seen: &Seen) -> SeenThread {
    let last = seen.iter().flatten().next_back();
    let used = |(thread, _): &(&Thread, &Stack)| thread.used_time();
    SeenThread {
        id,
        name: last.map_or_else(String::new, |(thread, _)| thread.name.clone()),
        used: seen.iter().map(|seen| seen.as_ref().map(used)).collect(),
        stood: stood(seen),
    }
}

fn stood(seen: &Seen) -> Stood {
    let Some(Some((_, last))) = seen.last().filter(|seen| has_stack(seen)) else {
        return Stood::Unknown;
    };
    let is_same = |seen: &&Option<(&Thread, &Stack)>| seen.is_some_and(|(_, s)| is_same(s, last));
    let count = seen.iter().rev().take_while(is_same).count();
    match count {
        0 | 1 => Stood::Moved,
        _ => Stood::Since(seen.len() - count),
    }
}

fn has_stack(seen: &Option<(&Thread, &Stack)>) -> bool {
    seen.is_some_and(|(_, stack)| !stack.frames.is_empty())
}

fn is_same(a: &Stack, b: &Stack) -> bool {
    let places = |stack: &Stack| -> Vec<(u64, u64)> {
        let frames = stack.frames.iter();
        frames.map(|frame| (frame.ip, frame.sp)).collect()
    };
    places(a) == places(b)
}
