//! Threads with the same stack are one group; frames that repeat are one line.

use analysis::{Frame, Stack};
use snapshot::Thread;
use std::collections::HashMap;

/// Threads that stand at the same place, called from the same places.
pub(super) struct Group<'a> {
    pub(super) threads: Vec<&'a Thread>,
    pub(super) stack: &'a Stack,
}

/// The group of the first thread first; then those that run or hang in the kernel, which is what
/// one looks for; then by size, largest first.
pub(super) fn groups<'a>(threads: &'a [(&'a Thread, Stack)]) -> Vec<Group<'a>> {
    let mut places: HashMap<Vec<u64>, usize> = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for (thread, stack) in threads {
        let ips: Vec<u64> = stack.frames.iter().map(|frame| frame.ip).collect();
        // Without a single frame there is nothing to be the same.
        let key = if ips.is_empty() {
            vec![0, u64::from(thread.id)]
        } else {
            ips
        };
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
    groups
}

/// What is shown of a stack, line by line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// A frame and its number.
    Frame(usize, &'a Frame),
    /// The frames shown right before, so many, come that often again.
    Repeated { frames: usize, times: usize },
    /// So many frames are left out.
    More(usize),
}

/// The longest circle of functions that is looked for: `a` calls `b` calls `c` calls `a` …
const LONGEST_PERIOD: usize = 6;

/// Fewer repetitions than this are shown as they are.
const FEWEST_REPETITIONS: usize = 3;

/// At most `limit` frames; an endless recursion takes only a few lines of them.
pub(super) fn lines(stack: &Stack, limit: usize) -> Vec<Line<'_>> {
    let frames = &stack.frames;
    let mut lines = Vec::new();
    let (mut at, mut shown) = (0, 0);
    while at < frames.len() {
        // A line that says "1 more" takes the room of the one.
        if shown >= limit && frames.len() - at > 1 {
            lines.push(Line::More(frames.len() - at));
            break;
        }
        let (period, times) = repetition(&frames[at..]);
        let numbered = frames.iter().enumerate().skip(at).take(period);
        lines.extend(numbered.map(|(number, frame)| Line::Frame(number, frame)));
        if times > 1 {
            lines.push(Line::Repeated {
                frames: period,
                times: times - 1,
            });
        }
        shown += period;
        at += period * times;
    }
    lines
}

/// How many frames the stack begins with that come again and again, and how often they are there;
/// (1, 1) when it begins with nothing of the kind.
fn repetition(frames: &[Frame]) -> (usize, usize) {
    let same = |a: &[Frame], b: &[Frame]| a.iter().zip(b).all(|(a, b)| a.ip == b.ip);
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
        };
        Stack {
            frames: ips.iter().map(frame).collect(),
            end: End::Root,
        }
    }

    fn shown(ips: &[u64], limit: usize) -> String {
        let text = |line: &Line| match line {
            Line::Frame(number, frame) => format!("{number}:{}", frame.ip),
            Line::Repeated { frames, times } => format!("({frames}x{times})"),
            Line::More(count) => format!("+{count}"),
        };
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
    fn threads_with_one_stack_are_one_group_and_the_first_thread_leads() {
        let threads: Vec<Thread> = (1..=5)
            .map(|id| Thread {
                id,
                letter: if id == 4 { 'R' } else { 'S' },
                ..Thread::default()
            })
            .collect();
        let stacks = [&[7u64][..], &[1, 2], &[1, 2], &[3], &[]].map(stack);
        let walked: Vec<(&Thread, Stack)> = threads.iter().zip(stacks).collect();
        let ids: Vec<Vec<u32>> = groups(&walked)
            .iter()
            .map(|group| group.threads.iter().map(|t| t.id).collect())
            .collect();
        assert_eq!(ids, [vec![1], vec![4], vec![2, 3], vec![5]]);
    }
}
