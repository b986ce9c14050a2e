//! Dumps as other programs write them, made from their parts.

/// A minidump: streams by their types, behind each other.
pub(crate) fn minidump(streams: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let mut file = Vec::new();
    let count = streams.len() as u32;
    for word in [0x504d_444d, 0xa793, count, 32, 0, 1_600_000_000, 0, 0] {
        file.extend(u32::to_le_bytes(word));
    }
    let mut at = 32 + 12 * count;
    for (kind, bytes) in streams {
        for word in [*kind, bytes.len() as u32, at] {
            file.extend(word.to_le_bytes());
        }
        at += bytes.len() as u32;
    }
    streams.iter().for_each(|(_, bytes)| file.extend(bytes));
    file
}

/// Where the first stream of a minidump with so many begins.
pub(crate) const fn first_stream(count: u32) -> u32 {
    32 + 12 * count
}

/// `MINIDUMP_SYSTEM_INFO`, without a text.
pub(crate) fn system_info(processor: u16, platform: u32, version: [u32; 3]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(processor.to_le_bytes());
    out.extend([0; 4]);
    out.extend([4, 0]);
    version.iter().for_each(|n| out.extend(n.to_le_bytes()));
    out.extend(platform.to_le_bytes());
    out.resize(56, 0);
    out
}

/// `MINIDUMP_EXCEPTION_STREAM`.
pub(crate) fn exception(
    thread: u32,
    code: u32,
    flags: u32,
    address: u64,
    words: &[u64],
) -> Vec<u8> {
    let mut out = Vec::new();
    for word in [thread, 0, code, flags] {
        out.extend(word.to_le_bytes());
    }
    out.extend([0; 8]);
    out.extend(address.to_le_bytes());
    out.extend((words.len() as u32).to_le_bytes());
    out.extend([0; 4]);
    words.iter().for_each(|word| out.extend(word.to_le_bytes()));
    out.resize(168, 0);
    out
}

/// A list of threads with one, of which nothing but the id is told.
pub(crate) fn one_thread(id: u32) -> Vec<u8> {
    let mut out = [1, id].map(u32::to_le_bytes).concat();
    out.resize(4 + 48, 0);
    out
}

/// A note of a core.
pub(crate) fn note(owner: &str, kind: u32, descriptor: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for word in [owner.len() as u32 + 1, descriptor.len() as u32, kind] {
        out.extend(word.to_le_bytes());
    }
    out.extend(owner.as_bytes());
    out.push(0);
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend(descriptor);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

/// A core of 64 bits with these notes, and one page of memory at `0x10000`.
pub(crate) fn core(machine: u16, notes: &[Vec<u8>]) -> Vec<u8> {
    let notes = notes.concat();
    let mut out = b"\x7fELF\x02\x01\x01".to_vec();
    out.resize(16, 0);
    out.extend([4, 0]);
    out.extend(machine.to_le_bytes());
    out.extend(1u32.to_le_bytes());
    for word in [0u64, 64, 0] {
        out.extend(word.to_le_bytes());
    }
    out.extend(0u32.to_le_bytes());
    for half in [64u16, 56, 2, 0, 0, 0] {
        out.extend(half.to_le_bytes());
    }
    let start = 64 + 2 * 56;
    let end = start + notes.len() as u64;
    let memory = end.next_multiple_of(0x1000);
    let mut segment = |kind: u32, flags: u32, offset, address, size: u64| {
        out.extend(kind.to_le_bytes());
        out.extend(flags.to_le_bytes());
        for word in [offset, address, 0, size, size, 4] {
            out.extend(u64::to_le_bytes(word));
        }
    };
    segment(4, 0, start, 0, notes.len() as u64);
    segment(1, 5, memory, 0x1_0000, 0x1000);
    out.extend(notes);
    out.resize(memory as usize + 0x1000, 7);
    out
}

/// `struct netbsd_elfcore_procinfo` of a process with two threads, of which the second got SIGSEGV.
pub(crate) fn netbsd() -> Vec<u8> {
    let mut info = vec![0; 160];
    let mut put = |at: usize, word: u32| info[at..at + 4].copy_from_slice(&word.to_le_bytes());
    for (at, word) in [
        (0, 1),
        (4, 160),
        (8, 11),
        (12, 32767),
        (80, 622),
        (84, 1),
        (88, 622),
    ] {
        put(at, word);
    }
    for (at, word) in [(96, 1000), (100, 1000), (108, 100), (120, 2), (156, 2)] {
        put(at, word);
    }
    info[124..128].copy_from_slice(b"shop");
    let registers = |rip: u64| {
        let mut words = [0u64; 26];
        (words[0], words[21], words[24]) = (0xd1, rip, 0x1_0800);
        words
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    core(
        62,
        &[
            note("NetBSD-CORE", 1, &info),
            note("NetBSD-CORE@1", 33, &registers(0x1_0100)),
            note("NetBSD-CORE@2", 33, &registers(0x1_0200)),
        ],
    )
}

/// A minidump as Crashpad writes it on macOS: lists with padding, and annotations of the process.
pub(crate) fn crashpad_on_macos() -> Vec<u8> {
    const STREAMS: u32 = 5;
    const MEMORY: u64 = 0x7000_0000_1000;
    let system = system_info(9, 0x8101, [13, 6, 1]);
    let exception = exception(775, 1, 2, 0x45, &[]);
    let at = first_stream(STREAMS) + (system.len() + exception.len()) as u32;
    let mut threads = [1u32, 0].map(u32::to_le_bytes).concat();
    threads.extend(775u32.to_le_bytes());
    threads.resize(8 + 48, 0);
    let mut list = [1u32, 0].map(u32::to_le_bytes).concat();
    list.extend(MEMORY.to_le_bytes());
    let text = at + (threads.len() + list.len() + 8) as u32 + 52;
    list.extend([16u32, text].map(u32::to_le_bytes).concat());
    let mut info = 1u32.to_le_bytes().to_vec();
    info.resize(36, 0);
    // A dictionary with one entry lies behind, then its texts.
    for word in [12, text, 0, 0] {
        info.extend(u32::to_le_bytes(word));
    }
    for word in [1, text + 12, text + 12 + 7] {
        info.extend(u32::to_le_bytes(word));
    }
    for part in ["ver", "1.4.3"] {
        info.extend((part.len() as u32).to_le_bytes());
        info.extend(part.as_bytes());
    }
    minidump(&[
        (7, system),
        (6, exception),
        (3, threads),
        (5, list),
        (0x4350_0001, info),
    ])
}
