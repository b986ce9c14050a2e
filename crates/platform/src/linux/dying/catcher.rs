//! The process of ours that catches others at their death, `firstchance catch-deaths`.
//!
//! Why a process: a thread that is held at its death keeps its processor, and nobody gets that who stands behind it. If it
//! is a thread of ours that has something which who catches needs — the lock of our address space, that of the allocator,
//! of the table of descriptors — the time is over before that can go on. In this process, all threads run before those of
//! others, and each stays on a processor of its own.
//!
//! It is given the kernel's tables through a channel, its standard input, and tells what it has kept there. When who has
//! started it is gone, so is it.

use super::message::{Kept, Message};
use crate::{
    linux::{
        bpf_programs::{Held, HeldDeaths},
        catch_budget::CatchBudget,
        facts, handles,
        kept_space::KeptSpace,
        proc::{self, ProcDir, bounds, status},
        sys::{
            allocator,
            channel::{self, Helper},
            keepers,
            pin::Pin,
            places::Place,
            priority::{processors, raise_priority_of_all, stay_on},
            signals,
        },
    },
    lock,
};
use rustix::{
    io::fcntl_dupfd_cloexec,
    process::{Resource, getrlimit},
};
use std::{
    io,
    os::fd::BorrowedFd,
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

/// The word for this program to become this process.
const WORD: &str = "catch-deaths";

/// What may be read of a process before all other threads get to run: page tables of so many bytes, which have room for
/// half a gigabyte of memory, and so many descriptors.
const SMALL_TABLES: u64 = 1 << 20;
const FEW_DESCRIPTORS: u64 = 100;

/// For how long a user is refused at least.
const REFUSED: Duration = Duration::from_millis(200);

/// How many threads wait, each on a processor of its own.
const MOST_THREADS: usize = 8;

/// How long the kernel's mark of a killed thread is waited for. The thread that dies may have lost its processor before the
/// mark.
const MARKED: Duration = Duration::from_millis(5);

/// How long reading the flags of mappings may take: a process may have 65,530 mappings.
const FLAGS: Duration = Duration::from_millis(5);

static BUDGET: Mutex<Option<CatchBudget>> = Mutex::new(None);

/// Starts the process, and sends it the kernel's tables.
///
/// # Errors
/// If this program cannot be started again.
pub(super) fn start(files: &[BorrowedFd<'_>]) -> io::Result<Helper> {
    let helper = Helper::start(WORD)?;
    channel::send(helper.channel(), files, &[0])?;
    Ok(helper)
}

/// Returns the processors at which it will wait, two at least.
pub(super) fn enough_processors() -> io::Result<Vec<usize>> {
    let all: Vec<usize> = processors().into_iter().take(MOST_THREADS).collect();
    match all.len() {
        0 | 1 => Err(io::Error::other("there is only one processor for us")),
        _ => Ok(all),
    }
}

/// If this process was started as this one, it serves until the one that started it is gone. Returns whether it was.
pub(crate) fn serve_if_started_so() -> bool {
    let is_one = channel::is_helper(WORD);
    if is_one {
        signals::block_all();
        // What failed is seen by who waits for us to be ready.
        let _ = serve(rustix::stdio::stdin());
    }
    is_one
}

fn serve(channel: BorrowedFd<'static>) -> io::Result<()> {
    let (files, _) = channel::receive(channel)?;
    let processors = enough_processors()?;
    make_room_for_descriptors();
    keepers::begin()?;
    let deaths = HeldDeaths::begin(files, processors.len() as u32)?;
    let deaths: &'static HeldDeaths = Box::leak(Box::new(deaths));
    for processor in processors {
        let thread = std::thread::Builder::new().name("dying".to_owned());
        thread.spawn(move || keep_all(processor, deaths, channel))?;
    }
    Message::Ready.send(channel)?;
    // Nothing more is sent: this is the end of who has started us, and with it ours.
    let ended = channel::receive(channel).map(|_| ());
    keepers::end();
    ended
}

/// Has the table of our descriptors be as large as it will be. To enlarge it later takes until every processor has done
/// something else, also that of a thread that is held (`expand_fdtable` in fs/file.c waits for RCU).
fn make_room_for_descriptors() {
    const MOST: i32 = 4096;
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let last = limit.min(MOST as u64) as i32 - 1;
    // Without it, one may be missed.
    let _ = fcntl_dupfd_cloexec(rustix::stdio::stdin(), last);
}

/// Keeps what is caught, for ever. The thread that is held has its processor for itself: whoever is woken on another one
/// is there in time.
fn keep_all(processor: usize, deaths: &HeldDeaths, channel: BorrowedFd<'_>) {
    // Where this processor has gone, the thread runs on any.
    let _ = stay_on(processor);
    raise_priority_of_all();
    allocator::warm_up();
    let mut refused = Vec::new();
    loop {
        let until = refused.iter().map(|(_, until)| *until).min();
        let held = deaths.wait(until);
        refused.retain_mut(|(user, until)| {
            let is_refused = !has_time_left(*user, Instant::now());
            match is_refused {
                // Looked at again later, and not at once: nothing else gets this processor meanwhile.
                true => *until = (*until).max(Instant::now() + REFUSED),
                false => deaths.allow(*user),
            }
            is_refused
        });
        if let Some(user) = held.and_then(|held| keep(&held, channel)) {
            deaths.refuse(user);
            refused.push((user, Instant::now() + REFUSED));
        }
    }
}

/// Keeps a process whose thread is held, as far as that cannot wait, and tells that. Returns its user if he has used up our
/// time.
fn keep(held: &Held<'_>, channel: BorrowedFd<'_>) -> Option<u32> {
    let start = Instant::now();
    held.look_at();
    let owner = owner_of(held.pid);
    let kept = owner.as_ref().and_then(|owner| kept(held, owner, start));
    let is_left_to_others = kept.as_ref().is_some_and(|kept| !kept.is_whole);
    let message = kept.map_or(Message::Lost(held.pid), |kept| {
        Message::Kept(Box::new(kept))
    });
    if message.send(channel).is_err() || !is_left_to_others {
        held.let_go();
    }
    let user = owner?.user;
    spend(user, start);
    (!has_time_left(user, Instant::now())).then_some(user)
}

/// Keeps what can be kept. `None` if the process was killed meanwhile, or its user has no time or place left.
fn kept(held: &Held<'_>, owner: &Owner, start: Instant) -> Option<Kept> {
    if !has_time_left(owner.user, start) {
        return None;
    }
    let place = Place::of(owner.user, owner.resident)?;
    let mut kept = pinned(held, place)?;
    let is_marked = || kept.space.dies_of(&kept.proc, held.thread, MARKED);
    if is_small(owner, &kept) && is_marked() {
        kept.is_whole = read_rest(&mut kept).is_ok();
    }
    Some(kept)
}

/// Keeps the address space. What is read here has bounds, because no other thread gets this processor meanwhile.
fn pinned(held: &Held<'_>, place: Place) -> Option<Kept> {
    let mut proc = ProcDir::open_pid(held.pid).ok()?;
    proc.look_by(held.thread).ok()?;
    let space = keep_space(&mut proc, place).ok()?;
    keep_texts(&mut proc).ok()?;
    Some(Kept {
        thread: held.number,
        key: proc.key,
        descriptors: proc.descriptors(),
        is_whole: false,
        proc,
        space,
    })
}

fn keep_space(proc: &mut ProcDir, place: Place) -> io::Result<KeptSpace> {
    proc.keep(&["auxv"])?;
    proc.keep_environment()?;
    KeptSpace::keep(proc, |mem, address| Pin::at_once(mem, address, place))
}

/// Keeps small files, for when the process is gone before it has been looked at.
fn keep_texts(proc: &mut ProcDir) -> io::Result<()> {
    for name in ["stat", "status", "cgroup"] {
        let text = proc.read(name)?;
        proc.keep_text(name, &text)?;
    }
    // It may be in pages that somebody else has to provide.
    let command_line = proc::read_file_up_to(proc.fd(), "cmdline", bounds::COMMAND_LINE);
    proc.keep_text("cmdline", &command_line.unwrap_or_default())?;
    let exe = proc.link("exe").unwrap_or_default();
    proc.keep_text("exe", exe.as_bytes())
}

/// Returns whether everything that is read of a process can be read within a millisecond or two. The kernel looks at each
/// entry of its page tables for that. Whoever reads it before all other threads keeps others from dying meanwhile, whom
/// nobody would see: not as many can be held at once as may want to.
fn is_small(owner: &Owner, kept: &Kept) -> bool {
    let tables = owner.page_tables.is_some_and(|bytes| bytes <= SMALL_TABLES);
    tables
        && kept
            .descriptors
            .is_some_and(|count| count <= FEW_DESCRIPTORS)
}

/// Keeps all that is told of a process which is gone.
///
/// # Errors
/// If it is gone by now, or has so many mappings that this takes long.
fn read_rest(kept: &mut Kept) -> io::Result<()> {
    let proc = &mut kept.proc;
    // First, as they cannot be had when the parent has waited.
    kept.space.keep_flags(proc, Some(Instant::now() + FLAGS))?;
    kept.space.keep_maps(proc)?;
    for name in facts::PLAIN_FILES {
        if let Ok(text) = proc.read(name) {
            proc.keep_text(name, &text)?;
        }
    }
    handles::keep(proc)
}

/// Who a process runs as, and how much memory and how large page tables it has, in bytes.
struct Owner {
    user: u32,
    resident: u64,
    page_tables: Option<u64>,
}

/// Returns who a process runs as; `None` if it is gone. The owner of its folder would be root for one that has changed its
/// user.
fn owner_of(pid: u32) -> Option<Owner> {
    let dir = proc::open_dir(pid).ok()?;
    let status = proc::read_file(dir, "status").ok()?;
    let (user, _) = status::ids(&status, "Uid")?;
    Some(Owner {
        user,
        resident: status::bytes(&status, "VmRSS").unwrap_or(0),
        page_tables: status::bytes(&status, "VmPTE"),
    })
}

fn spend(user: u32, since: Instant) {
    let now = Instant::now();
    let spent = now.saturating_duration_since(since);
    budget().get_or_insert_default().spend(user, spent, now);
}

fn has_time_left(user: u32, now: Instant) -> bool {
    budget().get_or_insert_default().allows(user, now)
}

fn budget() -> MutexGuard<'static, Option<CatchBudget>> {
    lock(&BUDGET)
}
