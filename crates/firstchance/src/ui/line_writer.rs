//! Writes lines in a thread of its own, so that a reader who stops reading holds nobody up.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Lines that wait to be written, at most; further ones are dropped and counted.
const MOST_WAITING: usize = 1000;
/// At the end: how long to wait for a reader that reads no line in that time.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often progress is looked for meanwhile.
const INTERVAL: Duration = Duration::from_millis(5);

/// A thread that writes, and the lines on their way to it. A reader that stops reading (a pager, a
/// log shipper that hangs) must not stop the rules.
pub(crate) struct LineWriter {
    lines: Option<Sender<String>>,
    waiting: Arc<AtomicUsize>,
    /// Lines dropped since the last one that was accepted.
    dropped: Cell<u64>,
    writer: JoinHandle<()>,
}

impl LineWriter {
    /// Starts the thread. It writes each line by calling `write`; after an error it drops all
    /// further lines, as a closed pipe is no reason to end the program.
    pub(crate) fn to(write: impl FnMut(&str) -> std::io::Result<()> + Send + 'static) -> Self {
        let (lines, inbox) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let left = waiting.clone();
        let writer = std::thread::spawn(move || write_all(&inbox, &left, write));
        Self {
            lines: Some(lines),
            waiting,
            dropped: Cell::new(0),
            writer,
        }
    }

    /// Hands a line to the thread and returns at once. `line` makes the line, from the number of
    /// lines that were dropped before it; it is not called if this one is dropped too.
    pub(crate) fn say(&self, line: impl FnOnce(u64) -> String) {
        if self.waiting.load(Ordering::Relaxed) >= MOST_WAITING {
            self.dropped.set(self.dropped.get() + 1);
            return;
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let line = line(self.dropped.take());
        let _ = self.lines.as_ref().map(|lines| lines.send(line));
    }
}

impl Drop for LineWriter {
    /// Waits until all lines are written, as long as the reader goes on reading.
    fn drop(&mut self) {
        drop(self.lines.take());
        let mut moved = (usize::MAX, Instant::now());
        while !self.writer.is_finished() && moved.1.elapsed() < PATIENCE {
            let waiting = self.waiting.load(Ordering::Relaxed);
            if waiting != moved.0 {
                moved = (waiting, Instant::now());
            }
            std::thread::sleep(INTERVAL);
        }
    }
}

fn write_all(
    inbox: &Receiver<String>,
    waiting: &AtomicUsize,
    mut write: impl FnMut(&str) -> std::io::Result<()>,
) {
    let mut reads = true;
    for line in inbox {
        reads = reads && write(&line).is_ok();
        waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn what_nobody_reads_is_counted_and_told_with_the_next_line() {
        let (go_on, wait) = channel::<()>();
        let written = Arc::new(Mutex::new(Vec::new()));
        let shown = written.clone();
        let writer = LineWriter::to(move |line| {
            let _ = wait.recv();
            shown.lock().expect("not poisoned").push(line.to_owned());
            Ok(())
        });
        for number in 0..MOST_WAITING + 7 {
            writer.say(|dropped| format!("{number} after {dropped}"));
        }
        // From here on `write` returns at once, and everything is written.
        drop(go_on);
        while writer.waiting.load(Ordering::Relaxed) > 0 {
            std::thread::yield_now();
        }
        writer.say(|dropped| format!("the last after {dropped}"));
        drop(writer);
        let written = written.lock().expect("not poisoned");
        assert_eq!(written.len(), MOST_WAITING + 1);
        assert_eq!(written[0], "0 after 0");
        assert_eq!(written[MOST_WAITING], "the last after 7");
    }
}
