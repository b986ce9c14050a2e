//! The files and lines of frames that are shown.

use super::open::Walked;
use analysis::{Frame, LanguageFrame, Line, Lookup, Place, Runtime, Stack, Symbol, Trouble};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// Characters of a frame that are shown, at most: the names of C++ templates can be pages long.
pub(super) const LONGEST_NAME: usize = 120;

/// How long lookups may take, all together.
const LONGEST: Duration = Duration::from_secs(30);

/// How many are looked up at the same time.
const AT_ONCE: usize = 4;

/// Where frames are in the source, as far as debug information tells.
#[derive(Default)]
pub(super) struct Places {
    places: HashMap<u64, Place>,
    /// Those that the runtimes of languages tell, by instruction and stack pointer: one address of an interpreter runs all functions.
    told: HashMap<(u64, u64), Place>,
    /// Sentences about debug information that could not be read.
    pub(super) troubles: Vec<String>,
}

impl Places {
    /// Looks up the frames of these stacks, of each so many from the innermost on.
    pub(super) fn of<'s>(
        walked: &Walked,
        stacks: impl Iterator<Item = (&'s Stack, usize)>,
    ) -> Self {
        let mut addresses = BTreeSet::new();
        let mut told = HashMap::new();
        for (stack, limit) in stacks {
            for (number, frame) in stack.frames.iter().enumerate().take(limit) {
                match place(frame) {
                    Some(place) => drop(told.insert((frame.ip, frame.sp), place)),
                    None => drop(addresses.insert(stack.lookup(number))),
                }
            }
        }
        let addresses: Vec<u64> = addresses.into_iter().collect();
        let mut places = Self::run(walked.stacks.lookups(&addresses), LONGEST);
        places.told = told;
        places
    }

    /// Runs the lookups. What takes too long is left to itself: it ends with the program.
    fn run(lookups: Vec<Lookup>, longest: Duration) -> Self {
        let mut waiting: BTreeMap<usize, String> = lookups
            .iter()
            .map(|lookup| lookup.module().to_owned())
            .enumerate()
            .collect();
        let told = start(lookups);
        let mut places = Self::default();
        let end = Instant::now() + longest;
        let left = || end.saturating_duration_since(Instant::now());
        while let Ok((number, answer)) = told.recv_timeout(left()) {
            if let Some(module) = waiting.remove(&number) {
                places.add(&module, answer);
            }
        }
        let unanswered = waiting.into_values().map(|module| {
            let seconds = longest.as_secs();
            format!(
                "{module}: no lines, because its debug information was not read within {seconds} s"
            )
        });
        places.troubles.extend(unanswered);
        places
    }

    fn add(&mut self, module: &str, answer: Answer) {
        match answer {
            Some(Ok(found)) => self.places.extend(found),
            Some(Err(trouble)) => self.troubles.push(format!("{module}: {trouble}")),
            None => self.troubles.push(format!(
                "{module}: no lines, because a reader of debug information failed; this is an error in firstchance"
            )),
        }
    }

    /// The place of a frame, if it is known.
    pub(super) fn at(&self, stack: &Stack, number: usize) -> Option<&Place> {
        let frame = stack.frames.get(number)?;
        let told = self.told.get(&(frame.ip, frame.sp));
        told.or_else(|| self.places.get(&stack.lookup(number)))
    }
}

/// What a lookup found; `None` if it panicked.
type Answer = Option<Result<Vec<(u64, Place)>, Trouble>>;

/// Starts lookups, a few at a time: each may unpack hundreds of megabytes. They tell what they found with their numbers.
fn start(lookups: Vec<Lookup>) -> mpsc::Receiver<(usize, Answer)> {
    let (tell, told) = mpsc::channel();
    let at_once = lookups.len().min(AT_ONCE);
    let queue = Arc::new(Mutex::new(lookups.into_iter().enumerate()));
    for _ in 0..at_once {
        let (tell, queue) = (tell.clone(), queue.clone());
        thread::spawn(move || {
            while let Some((number, lookup)) = next(&queue) {
                let answer = thread::spawn(move || lookup.run()).join().ok();
                // Nobody listens any more when the time is over.
                if tell.send((number, answer)).is_err() {
                    break;
                }
            }
        });
    }
    told
}

fn next<T>(queue: &Mutex<impl Iterator<Item = T>>) -> Option<T> {
    platform::lock(queue).next()
}

/// The function of a frame: by its symbol, or by the debug information where that knows more.
pub(super) fn function(frame: &Frame, place: Option<&Place>) -> Option<Symbol> {
    let told = place.and_then(|place| Some((place.own.function.as_ref()?, place.start)));
    match (told, &frame.symbol) {
        (Some((name, Some(start))), _) => Some(Symbol {
            name: name.clone(),
            offset: frame.ip.wrapping_sub(start),
        }),
        (Some((name, None)), Some(symbol)) if is_part_of(&symbol.name, name) => Some(Symbol {
            name: name.clone(),
            offset: symbol.offset,
        }),
        (_, Some(symbol)) => Some(symbol.clone()),
        (Some((name, None)), None) => Some(Symbol {
            name: name.clone(),
            offset: 0,
        }),
        (None, None) => None,
    }
}

/// Whether a symbol is that of a part of a function, or of a variant of it, that the compiler made: `work.cold`, `work.part.0`.
fn is_part_of(symbol: &str, function: &str) -> bool {
    symbol
        .strip_prefix(function)
        .is_some_and(|rest| rest.starts_with('.'))
}

/// `(file.c:12)`, or as much of that as is known.
pub(super) fn source(line: &Line) -> String {
    let file = line
        .file
        .as_deref()
        .map(|file| file.rsplit(['/', '\\']).next().unwrap_or(file));
    match (file, line.line) {
        (Some(file), Some(number)) => format!("  ({file}:{number})"),
        (Some(file), None) => format!("  ({file})"),
        (None, _) => String::new(),
    }
}

/// Where a frame of compiled code is in the source, as the runtime of its language tells it. The functions that an interpreter runs
/// are no place of its own code.
pub(super) fn place(frame: &Frame) -> Option<Place> {
    let (own, inlined) = frame.language.split_last()?;
    matches!(own.language, Runtime::Go | Runtime::Jvm).then(|| Place {
        inlined: inlined.iter().map(line_of).collect(),
        own: line_of(own),
        start: None,
    })
}

pub(super) fn line_of(frame: &LanguageFrame) -> Line {
    Line {
        function: Some(frame.function.clone()),
        file: frame.file.clone(),
        line: frame.line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use analysis::How;

    #[test]
    fn a_part_of_a_function_has_the_name_of_the_function() {
        let frame = |name: &str| Frame {
            ip: 0x1010,
            sp: 0,
            module: None,
            offset: 0,
            symbol: Some(Symbol {
                name: name.to_owned(),
                offset: 4,
            }),
            how: How::Cfi,
            is_signal_frame: false,
            language: Vec::new(),
        };
        let place = |name: &str, start| Place {
            own: Line {
                function: Some(name.to_owned()),
                ..Line::default()
            },
            start,
            ..Place::default()
        };
        for (symbol, told, start, shown) in [
            ("work.cold", "work", None, "work+0x4"),
            ("work", "__work", None, "work+0x4"),
            ("exported", "inner", Some(0x1000), "inner+0x10"),
        ] {
            let place = place(told, start);
            let symbol = function(&frame(symbol), Some(&place));
            assert_eq!(
                symbol.map(|symbol| symbol.to_string()).as_deref(),
                Some(shown)
            );
        }
    }
}
