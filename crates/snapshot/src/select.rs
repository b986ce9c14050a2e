mod chosen;
mod custom;
mod files;
mod image_data;
mod interrupted;

use crate::{
    Architecture, Detail, DumpKind, FileFacts, Memory, Range, Region, RegionKind, Registers,
    Snapshot, Thread, coalesce, total_bytes, without,
};
pub use chosen::{added_in_vain, modules_on_stacks, select_chosen};
use custom::custom;
pub use files::mapped_bytes;
use files::{Whole, whole};
use image_data::image_data;

/// The memory that goes into a dump, and how much metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The memory: ascending, without overlaps, only pages that exist.
    pub ranges: Vec<Range>,
    /// The part of `ranges` that is to be read from the files behind the mappings ([`Region::file`]), which can be
    /// done when the process has gone on: ascending, without overlaps.
    pub from_files: Vec<Range>,
    /// The files of which a full dump has nothing but what the process changed.
    pub absent: Vec<AbsentFile>,
    /// What a dump of all memory does not have, though there may be content ([`Region::unseen`]): ascending.
    pub unseen: Vec<Range>,
    /// How much metadata.
    pub detail: Detail,
    /// What was asked for.
    pub kind: DumpKind,
}

impl Selection {
    /// Adds what else of the memory is wanted, as far as it may be in a dump at all.
    pub fn add(&mut self, wanted: &[Range], snapshot: &Snapshot) {
        let mut ranges = std::mem::take(&mut self.ranges);
        for &range in wanted {
            let regions = regions_in(snapshot, range).filter(|region| !is_forbidden(region));
            ranges.extend(regions.filter_map(|region| region.range.intersect(range)));
        }
        self.ranges = coalesce(ranges, 0);
    }

    /// Whether any of these addresses are read from files.
    pub fn is_from_files(&self, range: Range) -> bool {
        let next = self
            .from_files
            .partition_point(|file| file.end <= range.start);
        let next = self.from_files.get(next);
        next.is_some_and(|file| file.intersect(range).is_some())
    }
}

/// A file that was mapped and is too large to be in the dump.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AbsentFile {
    /// Its path, as the process sees it.
    pub name: String,
    /// Its inode.
    pub inode: u64,
    /// Its size and the time of its last change, by which it can be told whether it still is the same.
    pub facts: FileFacts,
}

/// How much of one stack a mini dump takes, from the stack pointer up, in bytes. An endless
/// recursion fills 8 MiB; its newest and its oldest frames are enough.
const MINI_STACK: u64 = 1 << 20;
const TRIAGE_STACK: u64 = 256 << 10;
/// How much it takes of the other end of a longer stack, in bytes.
const STACK_TAIL: u64 = 64 << 10;
/// How much of a stack one function may take, in bytes: more than a whole stack has by default.
const LARGEST_FRAME: u64 = 16 << 20;
/// The area below the stack pointer that leaf functions may use, in bytes (System V ABI for x86-64
/// §3.2.2).
const RED_ZONE: u64 = 128;
/// How much memory is taken before and after the address of a pointer, in bytes. dbghelp takes 1
/// KiB around it for `MiniDumpWithIndirectlyReferencedMemory`.
const BEFORE: u64 = 256;
const AFTER: u64 = 768;
/// How much code is taken on each side of an instruction pointer, in bytes.
const CODE: u64 = 256;
/// The most data of images (variables, relocated tables) in a mini dump, in bytes.
const MINI_DATA: u64 = 16 << 20;
/// The most referenced memory of a mini dump, in bytes, so that it stays small for every process.
const MINI_REFERENCED: u64 = 64 << 20;

/// Selects the memory for a dump of `kind`. For mini dumps the stacks are read from `memory`, to
/// follow their pointers; they also contain the ranges in `extra` (data of the dynamic loader).
pub fn select(
    kind: DumpKind,
    snapshot: &Snapshot,
    memory: &dyn Memory,
    extra: &[Range],
) -> Selection {
    let part = |ranges| Whole {
        ranges,
        ..Whole::default()
    };
    let taken = match kind {
        DumpKind::Triage => part(triage(snapshot, memory, extra)),
        // Without its routine; what that chooses is selected by `select_chosen`.
        DumpKind::Mini | DumpKind::Callback => part(mini(snapshot, memory, extra)),
        DumpKind::Custom(mask) => part(custom(snapshot, memory, mask, extra)),
        DumpKind::Plus => part(regions(snapshot, plus_part)),
        DumpKind::Full | DumpKind::Filtered => whole(snapshot),
    };
    let ranges = coalesce(taken.ranges, 0);
    let unseen = match kind {
        DumpKind::Full | DumpKind::Plus => unseen(&snapshot.regions, &ranges),
        _ => Vec::new(),
    };
    Selection {
        ranges,
        unseen,
        from_files: coalesce(taken.from_files, 0),
        absent: taken.absent,
        detail: kind.detail(),
        kind,
    }
}

fn unseen(regions: &[Region], taken: &[Range]) -> Vec<Range> {
    let regions = regions.iter().filter(|region| region.unseen);
    let ranges = regions.flat_map(|region| without(&[region.range], taken));
    ranges.collect()
}

/// The pages of a region that can be read without a risk: if its file's server may hang, only the
/// process's own copies.
fn safe_pages(region: &Region) -> &[Range] {
    match (is_forbidden(region), region.remote) {
        (true, _) => &[],
        (false, true) => &region.private_pages,
        (false, false) => &region.resident,
    }
}

fn is_forbidden(region: &Region) -> bool {
    region.untouchable || region.dont_dump || is_vvar(region)
}

/// Whether this is the kernel's page of clock data, which cannot be read.
fn is_vvar(region: &Region) -> bool {
    region.kind == RegionKind::Kernel && region.name != "[vdso]"
}

fn regions(snapshot: &Snapshot, part: impl Fn(&Region) -> Vec<Range>) -> Vec<Range> {
    snapshot.regions.iter().flat_map(part).collect()
}

fn plus_part(region: &Region) -> Vec<Range> {
    match region.kind {
        RegionKind::Image | RegionKind::Mapped if !region.protection.write => {
            let mut pages = within(safe_pages(region), &region.private_pages);
            pages.extend(header_page(region));
            pages
        }
        _ => safe_pages(region).to_vec(),
    }
}

/// The first page of an image, which identifies it; `None` if it cannot be read.
fn header_page(region: &Region) -> Option<Range> {
    if region.kind != RegionKind::Image || region.offset != 0 {
        return None;
    }
    let page = Range::new(region.range.start, region.range.start + 4096);
    safe_pages(region)
        .iter()
        .find_map(|resident| resident.intersect(page))
}

fn within(pages: &[Range], others: &[Range]) -> Vec<Range> {
    let mut both = Vec::new();
    let mut others = others.iter().peekable();
    for page in pages {
        while let Some(other) = others.peek() {
            both.extend(page.intersect(**other));
            if other.end > page.end {
                break;
            }
            others.next();
        }
    }
    both
}

/// The stacks, and what identifies the modules: without it a debugger shows no symbols.
fn triage(snapshot: &Snapshot, memory: &dyn Memory, extra: &[Range]) -> Vec<Range> {
    let mut ranges = stacks(snapshot, memory, TRIAGE_STACK, true);
    ranges.extend(module_data(snapshot, memory, extra));
    ranges
}

/// How many images' headers are in a small dump: a process may map one file as an image thousands of times.
const MOST_HEADERS: usize = 4096;

/// What a debugger needs to find the modules: their headers, the dynamic loader's list, and the
/// vdso, which is in no file.
fn module_data(snapshot: &Snapshot, memory: &dyn Memory, extra: &[Range]) -> Vec<Range> {
    let is_vdso = |region: &&Region| region.name == "[vdso]";
    let headers = snapshot.regions.iter().filter_map(header_page);
    let headers = headers.take(MOST_HEADERS);
    let vdso = snapshot.regions.iter().filter(is_vdso).flat_map(safe_pages);
    let mut ranges: Vec<Range> = headers.chain(vdso.copied()).collect();
    ranges.extend(existing(snapshot, memory, extra));
    ranges
}

fn mini(snapshot: &Snapshot, memory: &dyn Memory, extra: &[Range]) -> Vec<Range> {
    let stacks = stacks(snapshot, memory, MINI_STACK, false);
    let mut ranges = stacks.clone();
    ranges.extend(module_data(snapshot, memory, extra));
    ranges.extend(image_data(snapshot));
    let mut roots = vec![];
    for thread in &snapshot.threads {
        let Some(registers) = thread.registers else {
            continue;
        };
        ranges.extend(existing(snapshot, memory, &[code_around(&registers)]));
        roots.extend(registers.pointers());
        let teb = teb_of(thread).map(|teb| existing(snapshot, memory, &[teb]));
        ranges.extend(teb.unwrap_or_default());
    }
    let mut budget = MINI_REFERENCED;
    let direct = referenced(snapshot, memory, &stacks, &roots, &mut budget);
    let indirect = referenced(snapshot, memory, &direct, &[], &mut budget);
    ranges.extend(direct);
    ranges.extend(indirect);
    ranges
}

/// The code around the instruction that a thread executes.
fn code_around(registers: &Registers) -> Range {
    let ip = registers.ip();
    Range::new(ip.saturating_sub(CODE), ip.saturating_add(CODE))
}

/// The TEB of a thread, as long as that of a 64-bit one; `None` if it has none.
fn teb_of(thread: &Thread) -> Option<Range> {
    (thread.teb != 0).then(|| Range::new(thread.teb, thread.teb.saturating_add(8192)))
}

/// The writable memory around the addresses in `roots` and in the words of `ranges`.
fn referenced(
    snapshot: &Snapshot,
    memory: &dyn Memory,
    ranges: &[Range],
    roots: &[u64],
    budget: &mut u64,
) -> Vec<Range> {
    let mut found = Referenced {
        memory,
        regions: writable_regions(snapshot),
        near: None,
        windows: Vec::new(),
        join_at: FIRST_JOIN,
        last: 0,
        budget: *budget,
    };
    roots.iter().for_each(|&word| found.add(word));
    let pointer = snapshot.system.architecture.pointer_size() as usize;
    let mut buffer = vec![0; WORDS];
    for &range in ranges {
        each_word(memory, range, pointer, &mut buffer, |word| found.add(word));
        if found.budget == 0 {
            break;
        }
    }
    let windows = coalesce(found.windows, 0);
    *budget = budget.saturating_sub(total_bytes(&windows));
    windows
}

/// The memory around addresses, while they are collected.
struct Referenced<'a> {
    memory: &'a dyn Memory,
    /// Those that can be written to, and are no stacks; ascending. A process of two thousand threads has twice as many others,
    /// and most addresses on a stack point into it.
    regions: Vec<&'a Region>,
    /// The region that was found last: neighbours on a stack often point into the same one.
    near: Option<&'a Region>,
    windows: Vec<Range>,
    /// The windows are joined when there are this many, so that a hundred thousand pointers into
    /// one page do not cost more than one window.
    join_at: usize,
    last: u64,
    /// How many bytes may still be taken; 0 if there is enough.
    budget: u64,
}

/// How many bytes of words are read at once.
const WORDS: usize = 64 << 10;
const FIRST_JOIN: usize = 16_384;

fn writable_regions(snapshot: &Snapshot) -> Vec<&Region> {
    let is_writable =
        |region: &&Region| region.protection.write && region.kind != RegionKind::Stack;
    snapshot.regions.iter().filter(is_writable).collect()
}

impl<'a> Referenced<'a> {
    /// The region of an address.
    fn region_at(&mut self, address: u64) -> Option<&'a Region> {
        let contains = |region: &&Region| region.range.contains(address);
        if self.near.is_none_or(|near| !contains(&near)) {
            let at = self
                .regions
                .partition_point(|region| region.range.end <= address);
            let found = self.regions.get(at).copied().filter(contains)?;
            self.near = Some(found);
        }
        self.near
    }

    fn add(&mut self, word: u64) {
        // A stack often holds the same pointer several times in a row.
        let page = word >> 7;
        if page == self.last || self.budget == 0 {
            return;
        }
        self.last = page;
        let Some(region) = self.region_at(word) else {
            return;
        };
        let window = Range::new(word.saturating_sub(BEFORE), word.saturating_add(AFTER));
        self.windows.extend(pages_in(region, self.memory, window));
        if self.windows.len() >= self.join_at {
            self.join();
        }
    }

    fn join(&mut self) {
        self.windows = coalesce(std::mem::take(&mut self.windows), 0);
        self.join_at = FIRST_JOIN.max(self.windows.len() * 2);
        if total_bytes(&self.windows) >= self.budget {
            self.budget = 0;
        }
    }
}

/// Calls `each` with the value of each word that can be read, by way of `buffer`: to have one for each of two thousand
/// stacks took as long as reading them.
fn each_word(
    memory: &dyn Memory,
    range: Range,
    size: usize,
    buffer: &mut [u8],
    mut each: impl FnMut(u64),
) {
    let mut at = range.start.next_multiple_of(size as u64);
    while at < range.end {
        let want = (range.end - at).min(buffer.len() as u64) as usize;
        let got = memory.read(at, &mut buffer[..want]);
        for word in buffer[..got].chunks_exact(size) {
            let bytes = word.iter().rev();
            each(bytes.fold(0, |value, &byte| value << 8 | u64::from(byte)));
        }
        at += if got == 0 {
            4096.min(want as u64)
        } else {
            want as u64
        };
    }
}

/// The used part of every thread's stack. With `no_arguments`, the area of arguments and
/// environment on the initial stack is left out; it is directly above the first frame.
/// A thread that handles a signal on an alternate stack has two.
fn stacks(snapshot: &Snapshot, memory: &dyn Memory, limit: u64, no_arguments: bool) -> Vec<Range> {
    stacks_of(
        snapshot.threads.iter(),
        snapshot,
        memory,
        limit,
        no_arguments,
    )
}

/// The same of these threads.
fn stacks_of<'t>(
    threads: impl Iterator<Item = &'t Thread>,
    snapshot: &Snapshot,
    memory: &dyn Memory,
    limit: u64,
    no_arguments: bool,
) -> Vec<Range> {
    let architecture = snapshot.system.architecture;
    let end = |sp| stack_region(snapshot, sp).map(|region| region.range.end);
    let sps = |thread: &Thread| {
        let sp = thread.registers.map(|registers| registers.sp());
        let interrupted = |sp| interrupted::stack_pointers(architecture, memory, sp, end);
        let interrupted = sp.map(interrupted).unwrap_or_default();
        sp.into_iter().chain(interrupted)
    };
    let sps = threads.flat_map(sps);
    sps.flat_map(|sp| stack_from(snapshot, memory, sp, limit, no_arguments))
        .collect()
}

fn stack_from(
    snapshot: &Snapshot,
    memory: &dyn Memory,
    sp: u64,
    limit: u64,
    no_arguments: bool,
) -> Vec<Range> {
    let Some(region) = stack_region(snapshot, sp) else {
        return vec![];
    };
    let mut end = region.range.end;
    if no_arguments && region.range.contains(snapshot.process.stack_start) {
        end = snapshot.process.stack_start;
    }
    let red_zone = if snapshot.system.architecture == Architecture::X86_64 {
        RED_ZONE
    } else {
        0
    };
    let start = sp.saturating_sub(red_zone).max(region.range.start);
    let head = Range::new(start, end.min(start.saturating_add(limit)));
    let tail = Range::new(end.saturating_sub(STACK_TAIL).max(head.end), end);
    // Long regions are arenas, such as Go's heap with its stacks: their other end is not of this
    // stack.
    let is_stack = region.kind == RegionKind::Stack;
    let parts = [head, if is_stack { tail } else { Range::default() }];
    parts
        .iter()
        .flat_map(|&part| pages_in(region, memory, part))
        .collect()
}

/// The region of a stack. The stack pointer may be below it, if the stack is about to grow or has run into its guard page: by
/// as much as one function takes for its variables.
fn stack_region(snapshot: &Snapshot, sp: u64) -> Option<&Region> {
    let usable = |r: &&Region| r.protection.read && r.protection.write;
    snapshot.region_at(sp).filter(usable).or_else(|| {
        let above = snapshot.regions.partition_point(|r| r.range.start <= sp);
        let near = snapshot.regions[above..].iter();
        near.take_while(|r| r.range.start - sp < LARGEST_FRAME)
            .find(usable)
    })
}

/// Returns the ids of threads whose stack is not in the dump: their stack pointer points to no memory that they could write
/// to, nor below any. Threads in which only the kernel works have none.
pub fn without_stack(snapshot: &Snapshot, selection: &Selection) -> Vec<u32> {
    let has_stack = |sp: u64| {
        stack_region(snapshot, sp).is_some_and(|region| {
            let stack = Range::new(sp.max(region.range.start), region.range.end);
            let after = selection
                .ranges
                .partition_point(|range| range.end <= stack.start);
            let first = selection.ranges.get(after);
            first.is_some_and(|range| range.start < stack.end)
        })
    };
    let threads = snapshot.threads.iter();
    let threads = threads.filter(|thread| !is_only_of_kernel(thread));
    let lacking = threads.filter(|thread| thread.registers.is_some_and(|r| !has_stack(r.sp())));
    lacking.map(|thread| thread.id).collect()
}

/// The registers of such a thread are zeros.
fn is_only_of_kernel(thread: &Thread) -> bool {
    let is_nowhere = |registers: Registers| (registers.ip(), registers.sp()) == (0, 0);
    thread.is_kernel_worker && thread.registers.is_some_and(is_nowhere)
}

/// The parts of `wanted` that can be read without a risk.
fn existing(snapshot: &Snapshot, memory: &dyn Memory, wanted: &[Range]) -> Vec<Range> {
    let mut parts = Vec::new();
    for &range in wanted {
        regions_in(snapshot, range)
            .for_each(|region| parts.extend(pages_in(region, memory, range)));
    }
    parts
}

/// The regions that reach into a range.
fn regions_in(snapshot: &Snapshot, range: Range) -> impl Iterator<Item = &Region> {
    let regions = &snapshot.regions;
    let first = regions.partition_point(|region| region.range.end <= range.start);
    regions[first..]
        .iter()
        .take_while(move |region| region.range.start < range.end)
}

/// The pages of a region in a range that can be read without a risk.
fn pages_in(region: &Region, memory: &dyn Memory, wanted: Range) -> Vec<Range> {
    let Some(inside) = wanted.intersect(region.range) else {
        return Vec::new();
    };
    match memory.pages(inside).filter(|_| !is_forbidden(region)) {
        Some(pages) => pages,
        None => parts_of(safe_pages(region), inside),
    }
}

fn parts_of(pages: &[Range], wanted: Range) -> Vec<Range> {
    let first = pages.partition_point(|page| page.end <= wanted.start);
    let overlapping = pages[first..]
        .iter()
        .take_while(|page| page.start < wanted.end);
    overlapping
        .filter_map(|page| page.intersect(wanted))
        .collect()
}

#[cfg(test)]
mod tests;
