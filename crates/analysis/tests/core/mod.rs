//! Just enough of an ELF core to walk its stacks, read on its own: `formats` is another crate, and
//! a reader that shares nothing with it cannot share its mistakes.

use object::LittleEndian as LE;
use object::elf::{FileHeader64, PF_W, PF_X, PT_LOAD, PT_NOTE};
use object::read::elf::{FileHeader as _, ProgramHeader as _};
use snapshot::{
    Memory, Module, Process, Protection, Range, Region, Registers, Snapshot, Thread, X86_64,
};

/// The memory of a core file.
pub(crate) struct CoreMemory {
    bytes: Vec<u8>,
    /// Address, offset in the file, length.
    parts: Vec<(u64, usize, usize)>,
}

impl Memory for CoreMemory {
    fn read(&self, address: u64, buf: &mut [u8]) -> usize {
        let mut done = 0;
        while done < buf.len() {
            let at = address + done as u64;
            let holds = |p: &&(u64, usize, usize)| at >= p.0 && at - p.0 < p.2 as u64;
            let Some((start, offset, len)) = self.parts.iter().find(holds) else {
                break;
            };
            let skip = (at - start) as usize;
            let count = (len - skip).min(buf.len() - done);
            buf[done..done + count].copy_from_slice(&self.bytes[offset + skip..][..count]);
            done += count;
        }
        done
    }
}

/// Threads, modules (of `NT_FILE`, without build-ids), regions and auxv of an x86-64 core.
pub(crate) fn read(bytes: Vec<u8>) -> (Snapshot, CoreMemory) {
    let mut snapshot = Snapshot::default();
    let mut parts = Vec::new();
    let header = FileHeader64::<LE>::parse(&bytes[..]).unwrap();
    for program in header.program_headers(LE, &bytes[..]).unwrap() {
        let (offset, len) = program.file_range(LE);
        match program.p_type(LE) {
            PT_LOAD => {
                let start = program.p_vaddr(LE);
                parts.push((start, offset as usize, len as usize));
                snapshot.regions.push(region(start, program));
            }
            PT_NOTE => {
                let mut notes = program.notes(LE, &bytes[..]).unwrap().unwrap();
                while let Some(note) = notes.next().unwrap() {
                    add(&mut snapshot, note.n_type(LE).0, note.desc());
                }
            }
            _ => {}
        }
    }
    snapshot.modules.sort_by_key(|m| m.range.start);
    (snapshot, CoreMemory { bytes, parts })
}

fn region(start: u64, program: &object::elf::ProgramHeader64<LE>) -> Region {
    let flags = program.p_flags(LE);
    Region {
        range: Range::new(start, start + program.p_memsz(LE)),
        protection: Protection {
            read: true,
            write: (flags & PF_W).0 != 0,
            execute: (flags & PF_X).0 != 0,
        },
        ..Region::default()
    }
}

const NT_PRSTATUS: u32 = 1;
const NT_AUXV: u32 = 6;
const NT_FILE: u32 = 0x4649_4c45;

fn add(snapshot: &mut Snapshot, kind: u32, desc: &[u8]) {
    let words = |from: usize| {
        let words = desc[from..].as_chunks::<8>().0;
        words
            .iter()
            .map(|w| u64::from_le_bytes(*w))
            .collect::<Vec<_>>()
    };
    match kind {
        NT_PRSTATUS => snapshot.threads.push(thread(&words(0))),
        NT_AUXV => {
            let pairs = words(0).chunks_exact(2).map(|p| (p[0], p[1])).collect();
            snapshot.process = Process {
                auxv: pairs,
                ..Process::default()
            };
        }
        NT_FILE => add_modules(snapshot, desc, &words(0)),
        _ => {}
    }
}

fn thread(words: &[u64]) -> Thread {
    // elf_prstatus: the pid is at 32, the registers at 112.
    let r = &words[14..];
    Thread {
        id: words[4] as u32,
        registers: Some(Registers::X86_64(X86_64 {
            r15: r[0],
            r14: r[1],
            r13: r[2],
            r12: r[3],
            rbp: r[4],
            rbx: r[5],
            r11: r[6],
            r10: r[7],
            r9: r[8],
            r8: r[9],
            rax: r[10],
            rcx: r[11],
            rdx: r[12],
            rsi: r[13],
            rdi: r[14],
            rip: r[16],
            rsp: r[19],
            ..X86_64::default()
        })),
        ..Thread::default()
    }
}

fn add_modules(snapshot: &mut Snapshot, desc: &[u8], words: &[u64]) {
    let count = words[0] as usize;
    let names = desc[16 + count * 24..].split(|&b| b == 0);
    for (entry, name) in words[2..].chunks_exact(3).zip(names) {
        let path = String::from_utf8_lossy(name).into_owned();
        match snapshot.modules.iter_mut().find(|m| m.path == path) {
            Some(module) => module.range.end = module.range.end.max(entry[1]),
            None => snapshot.modules.push(Module {
                range: Range::new(entry[0], entry[1]),
                path,
                ..Module::default()
            }),
        }
    }
}
