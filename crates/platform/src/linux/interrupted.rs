//! System calls that a stop has interrupted. The program sees no EINTR that it would not have seen without us: the call is made
//! again. Its time begins anew then; a call that is interrupted again and again, by one dump after the other, ends at the stop at
//! which it has waited for its time.

use super::{
    arch::{Wait, interrupted::Call},
    proc::status,
    sys::memory::read_process,
};
use rustix::{
    net::sockopt::{self, Timeout},
    process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open},
};
use std::{
    collections::HashMap,
    io,
    sync::{LazyLock, Mutex},
    time::{Duration, Instant},
};

/// A call that has been made again.
struct Again {
    /// When it was first seen.
    since: Instant,
    /// How often its thread had given up the processor by itself (`voluntary_ctxt_switches`).
    switches: u64,
}

/// How many such calls are remembered.
const MOST: usize = 16 << 10;
/// What is counted from one stop to the next if the thread has done nothing but wait in the call that was made again: it gave
/// up the processor to wait, and to stop.
const SWITCHES: u64 = 2;

/// The calls of all threads, by thread id.
static AGAIN: LazyLock<Mutex<HashMap<i32, Again>>> = LazyLock::new(Mutex::default);

/// Has a stopped thread make its call again, if the stop has interrupted one of those that the kernel does not make again. Where
/// a handler of a signal is to run, the call returns EINTR.
pub(crate) fn settle(tid: i32) -> io::Result<()> {
    let Some(call) = Call::of(tid)? else {
        return Ok(());
    };
    match has_waited(tid, &call) {
        true => call.time_out(),
        false => call.restart(),
    }
}

/// Whether a call has waited for its whole time since it was first seen.
fn has_waited(tid: i32, call: &Call) -> bool {
    let text = std::fs::read(format!("/proc/{tid}/status")).unwrap_or_default();
    let Some(time) = time_of(&text, call) else {
        return false;
    };
    let switches = status::number(&text, "voluntary_ctxt_switches").unwrap_or_default();
    let mut again = crate::lock(&AGAIN);
    let before = again.remove(&tid);
    let before = before.filter(|before| before.switches + SWITCHES == switches);
    let since = before.map_or_else(Instant::now, |before| before.since);
    if since.elapsed() >= time {
        return true;
    }
    if again.len() >= MOST {
        again.clear();
    }
    again.insert(tid, Again { since, switches });
    false
}

/// How long a call waits in all; `None` if that is for ever, or not known. `text` is the status of its thread.
fn time_of(text: &[u8], call: &Call) -> Option<Duration> {
    match call.wait() {
        Wait::Milliseconds(number) => {
            let milliseconds = u64::try_from(call.argument(number) as i32).ok()?;
            Some(Duration::from_millis(milliseconds))
        }
        Wait::Time(number) => time_at(text, call.argument(number)),
        Wait::Receive => time_of_socket(text, call.argument(0), Timeout::Recv),
        Wait::Send => time_of_socket(text, call.argument(0), Timeout::Send),
        Wait::Unknown => None,
    }
}

fn process(text: &[u8]) -> Option<i32> {
    status::number(text, "Tgid")?.try_into().ok()
}

/// Reads a `struct timespec` of the process.
fn time_at(text: &[u8], address: u64) -> Option<Duration> {
    let mut bytes = [0; 16];
    let read = read_process(process(text)?, address, &mut bytes).ok()?;
    let word = |at: usize| u64::from_le_bytes(bytes[at..][..8].try_into().unwrap_or_default());
    let nanoseconds = u32::try_from(word(8)).ok().filter(|n| *n < 1_000_000_000);
    (read == bytes.len()).then(|| Duration::new(word(0), nanoseconds.unwrap_or_default()))
}

/// Returns how long a socket of the process may be waited for. The socket is ours, too, for the moment of the question.
fn time_of_socket(text: &[u8], number: u64, which: Timeout) -> Option<Duration> {
    let process = pidfd_open(Pid::from_raw(process(text)?)?, PidfdFlags::empty()).ok()?;
    let socket = pidfd_getfd(process, number as i32, PidfdGetfdFlags::empty()).ok()?;
    sockopt::socket_timeout(socket, which).ok().flatten()
}
