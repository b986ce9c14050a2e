//! Shortens stacks: threads with the same stack become one group, and repeated frames one line.

use analysis::{Frame, LanguageFrame, Stack};
use snapshot::Thread;
use std::collections::HashMap;

/// Threads whose stacks have the same frames.
pub(super) struct Group<'a> {
    pub(super) threads: Vec<&'a Thread>,
    pub(super) stack: &'a Stack,
}

/// Groups the threads. The groups of threads that are `remarkable` come first, then that of the first thread, then those with a
/// thread that runs or hangs in the kernel, as a user looks for these; within that, the largest group comes first.
pub(super) fn groups<'a>(threads: &'a [(&'a Thread, Stack)], remarkable: &[u32]) -> Vec<Group<'a>> {
    let mut places: HashMap<Vec<(u64, &[LanguageFrame])>, usize> = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for (thread, stack) in threads {
        let mut key: Vec<(u64, &[LanguageFrame])> = stack.frames.iter().map(place).collect();
        // Threads without any frame are not alike.
        if key.is_empty() {
            key = vec![(0, &[]), (thread.id.into(), &[])];
        }
        let at = *places.entry(key).or_insert_with(|| {
            groups.push(Group {
                threads: Vec::new(),
                stack,
            });
            groups.len() - 1
        });
        groups[at].threads.push(thread);
    }
    if let Some(others) = groups.get_mut(1..) {
        let is_busy = |group: &Group| group.threads.iter().any(|t| matches!(t.letter, 'R' | 'D'));
        others.sort_by_key(|group| std::cmp::Reverse((is_busy(group), group.threads.len())));
    }
    let is_remarkable = |group: &Group| group.threads.iter().any(|t| remarkable.contains(&t.id));
    groups.sort_by_key(|group| !is_remarkable(group));
    groups
}

/// Where a frame is: in the code, and in the functions of an interpreter that it runs.
fn place(frame: &Frame) -> (u64, &[LanguageFrame]) {
    (frame.ip, &frame.language)
}

/// A line of a stack that is shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum StackLine<'a> {
    /// A frame and its number.
    Frame(usize, &'a Frame),
    /// The last `frames` frames are repeated `times` more times.
    Repeated { frames: usize, times: usize },
    /// This many frames are left out.
    More(usize),
}

/// The longest cycle of recursion that is looked for, in frames: `a` calls `b` calls `c` calls `a`
/// is 3.
const LONGEST_PERIOD: usize = 6;

/// Frames that repeat fewer times than this are shown in full.
const FEWEST_REPETITIONS: usize = 3;

/// The lines of a stack, with at most `limit` frames. An endless recursion takes only a few lines.
pub(super) fn lines(stack: &Stack, limit: usize) -> Vec<StackLine<'_>> {
    let Some(left) = stack.left_out else {
        return lines_of(&stack.frames, 0, limit);
    };
    let (inner, outer) = stack.frames.split_at(left.behind.min(stack.frames.len()));
    let mut lines = lines_of(inner, 0, limit);
    let rest = left.frames + outer.len();
    match lines.last_mut() {
        // The limit was reached before.
        Some(StackLine::More(count)) => *count += rest,
        _ => {
            lines.push(StackLine::More(left.frames));
            lines.extend(lines_of(outer, left.behind + left.frames, limit));
        }
    }
    lines
}

/// The lines of frames of which the first has the number `first`.
fn lines_of(frames: &[Frame], first: usize, limit: usize) -> Vec<StackLine<'_>> {
    let mut lines = Vec::new();
    let (mut at, mut shown) = (0, 0);
    while at < frames.len() {
        // A line "1 more frame" would be as long as the frame itself.
        if shown >= limit && frames.len() - at > 1 {
            lines.push(StackLine::More(frames.len() - at));
            break;
        }
        let (period, times) = repetition(&frames[at..]);
        let numbered = frames.iter().enumerate().skip(at).take(period);
        lines.extend(numbered.map(|(number, frame)| StackLine::Frame(first + number, frame)));
        if times > 1 {
            lines.push(StackLine::Repeated {
                frames: period,
                times: times - 1,
            });
        }
        shown += period;
        at += period * times;
    }
    lines
}

/// The functions that call each other again and again at the inner end of a stack, the innermost first, as they are shown without
/// offsets. Above them may be a few frames that are no part of that.
pub(super) fn recursion(frames: &[Frame]) -> Vec<String> {
    const ABOVE: usize = 16;
    let starts = 0..frames.len().min(ABOVE);
    let found = starts.map(|at| (at, repetition(&frames[at..])));
    let found = found
        .max_by_key(|(_, (_, times))| *times)
        .filter(|(_, (_, times))| *times > 1);
    let Some((at, (period, _))) = found else {
        return Vec::new();
    };
    let mut names: Vec<String> = Vec::new();
    for frame in &frames[at..at + period] {
        let name = without_offset(frame);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn without_offset(frame: &Frame) -> String {
    match (&frame.module, &frame.symbol) {
        (Some(module), Some(symbol)) => format!("{module}!{}", symbol.name),
        _ => frame.to_string(),
    }
}

/// The length of the cycle that the stack begins with, in frames, and how many times it is there.
/// Returns (1, 1) if it begins with no cycle.
fn repetition(frames: &[Frame]) -> (usize, usize) {
    let same = |a: &[Frame], b: &[Frame]| a.iter().map(place).eq(b.iter().map(place));
    (1..=LONGEST_PERIOD.min(frames.len()))
        .map(|period| {
            let first = &frames[..period];
            let chunks = frames.chunks_exact(period);
            (
                period,
                chunks.take_while(|chunk| same(chunk, first)).count(),
            )
        })
        .find(|(_, times)| *times >= FEWEST_REPETITIONS)
        .unwrap_or((1, 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use analysis::{End, How};

    fn stack(ips: &[u64]) -> Stack {
        let frame = |&ip: &u64| Frame {
            ip,
            sp: 0,
            module: None,
            offset: ip,
            symbol: None,
            how: How::Cfi,
            is_signal_frame: false,
            language: Vec::new(),
        };
        Stack::whole(ips.iter().map(frame).collect(), End::Root)
    }

    fn text(line: &StackLine) -> String {
        match line {
            StackLine::Frame(number, frame) => format!("{number}:{}", frame.ip),
            StackLine::Repeated { frames, times } => format!("({frames}x{times})"),
            StackLine::More(count) => format!("+{count}"),
        }
    }

    fn shown(ips: &[u64], limit: usize) -> String {
        let stack = stack(ips);
        let lines: Vec<String> = lines(&stack, limit).iter().map(text).collect();
        lines.join(" ")
    }

    #[test]
    fn a_recursion_takes_a_line_and_the_rest_is_shown() {
        assert_eq!(shown(&[1, 2, 2, 2, 2, 3], 10), "0:1 1:2 (1x3) 5:3");
        assert_eq!(
            shown(&[9, 1, 2, 1, 2, 1, 2, 7], 10),
            "0:9 1:1 2:2 (2x2) 7:7"
        );
        assert_eq!(shown(&[1, 1, 2], 10), "0:1 1:1 2:2");
        assert_eq!(shown(&[1, 2, 3, 4, 5], 3), "0:1 1:2 2:3 +2");
        assert_eq!(shown(&[1, 2, 3, 4], 3), "0:1 1:2 2:3 3:4");
        assert_eq!(shown(&[], 3), "");
    }

    #[test]
    fn frames_that_are_left_out_are_counted_and_the_outermost_are_shown() {
        let mut deep = stack(&[7, 2, 2, 2, 2, 2, 2, 8, 9]);
        deep.left_out = Some(analysis::LeftOut {
            behind: 4,
            frames: 100,
        });
        let shown = |limit| {
            let lines = lines(&deep, limit);
            lines.iter().map(text).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shown(10), "0:7 1:2 (1x2) +100 104:2 (1x2) 107:8 108:9");
        assert_eq!(shown(1), "0:7 +108");
    }

    #[test]
    fn threads_with_one_stack_are_one_group_and_the_first_thread_leads_unless_others_are_remarkable()
     {
        let threads: Vec<Thread> = (1..=5)
            .map(|id| Thread {
                id,
                letter: if id == 4 { 'R' } else { 'S' },
                ..Thread::default()
            })
            .collect();
        let stacks = [&[7u64][..], &[1, 2], &[1, 2], &[3], &[]].map(stack);
        let walked: Vec<(&Thread, Stack)> = threads.iter().zip(stacks).collect();
        let ids = |remarkable: &[u32]| -> Vec<Vec<u32>> {
            let groups = groups(&walked, remarkable);
            let ids = groups
                .iter()
                .map(|group| group.threads.iter().map(|t| t.id).collect());
            ids.collect()
        };
        assert_eq!(ids(&[]), [vec![1], vec![4], vec![2, 3], vec![5]]);
        assert_eq!(ids(&[5, 3]), [vec![2, 3], vec![5], vec![1], vec![4]]);
    }
}
