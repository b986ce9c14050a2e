//! The notes of a core, sorted into those of the process and those of each thread.

use super::extended_notes::{self, NT_X86_SHSTK, NT_X86_XSAVE_LAYOUT};
use super::{NT_MORE_REGISTERS, NT_RECORD, NT_SNAPSHOT, OWNER, bsd, thread_notes::NT_386_TLS};
use crate::bytes::{Take, Width};
use crate::elf::{Note, Segment, notes};
use crate::registers;
use object::elf;
use snapshot::{Architecture, ForeignSystem, Registers, SparseBytes, Thread, XsaveLayout, xsave};
use std::time::Duration;

/// The contents of all notes of a core.
#[derive(Default)]
pub(super) struct Notes<'a> {
    pub(super) threads: Vec<ThreadNotes<'a>>,
    pub(super) process: Option<&'a [u8]>,
    pub(super) auxv: Option<&'a [u8]>,
    pub(super) files: Option<&'a [u8]>,
    pub(super) record: Option<&'a [u8]>,
    pub(super) snapshot: Option<&'a [u8]>,
    /// The system that wrote them, if it is not Linux; then all its notes, and nothing in the fields above.
    pub(super) foreign: Option<ForeignSystem>,
    pub(super) all: Vec<Note<'a>>,
    /// Where the threads' XSAVE areas have their components, if the file tells it.
    layout: Option<&'a [u8]>,
}

/// The notes of one thread: its `NT_PRSTATUS`, and those that follow up to the next `NT_PRSTATUS`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ThreadNotes<'a> {
    status: &'a [u8],
    floating: Option<&'a [u8]>,
    fxsave: Option<&'a [u8]>,
    xstate: Option<&'a [u8]>,
    shadow_stack: Option<&'a [u8]>,
    more: Option<&'a [u8]>,
    tls: Option<&'a [u8]>,
    siginfo: Option<&'a [u8]>,
    tls_segments: Option<&'a [u8]>,
}

impl<'a> Notes<'a> {
    /// The notes of all note segments of a file, as far as `bytes` hold them.
    pub(super) fn of(bytes: &'a [u8], table: &[Segment]) -> Self {
        let segments = table.iter().filter(|s| s.kind == elf::PT_NOTE.0);
        let all = segments.flat_map(|segment| {
            let contents = part(bytes, segment.offset, segment.file_size);
            notes(contents, segment.align)
        });
        let mut sorted = Self::default();
        for note in all {
            sorted.foreign = sorted.foreign.or_else(|| bsd::system(&note));
            match sorted.foreign {
                Some(_) => sorted.all.push(note),
                None => sorted.add(note),
            }
        }
        sorted
    }

    pub(super) fn add(&mut self, note: Note<'a>) {
        let descriptor = note.descriptor;
        if note.owner == OWNER.as_bytes() {
            match (note.kind, self.threads.last_mut()) {
                (NT_RECORD, _) => self.record = Some(descriptor),
                (NT_SNAPSHOT, _) => self.snapshot = Some(descriptor),
                (NT_MORE_REGISTERS, Some(thread)) => thread.more = Some(descriptor),
                _ => {}
            }
            return;
        }
        match elf::NoteType(note.kind) {
            elf::NoteType(NT_X86_XSAVE_LAYOUT) => self.layout = Some(descriptor),
            elf::NT_PRSTATUS => self.threads.push(ThreadNotes {
                status: descriptor,
                ..ThreadNotes::default()
            }),
            elf::NT_PRPSINFO => self.process = Some(descriptor),
            elf::NT_AUXV => self.auxv = Some(descriptor),
            elf::NT_FILE => self.files = Some(descriptor),
            kind => {
                if let Some(thread) = self.threads.last_mut() {
                    thread.add(kind, descriptor);
                }
            }
        }
    }
}

impl Notes<'_> {
    /// All threads; those whose `NT_PRSTATUS` is too short are left out.
    pub(super) fn threads(&self, architecture: Architecture) -> impl Iterator<Item = Thread> {
        let layout = self.layout.map(extended_notes::read_layout);
        self.threads.iter().filter_map(move |notes| {
            let mut thread = notes.thread(architecture)?;
            let extended = notes.extended(architecture, layout.as_ref());
            thread.extended = SparseBytes::new(&extended);
            Some(thread)
        })
    }
}

/// The `size` bytes at `offset`, or as many of them as the file has.
fn part(bytes: &[u8], offset: u64, size: u64) -> &[u8] {
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    let there = bytes.get(start..).unwrap_or_default();
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    &there[..there.len().min(size)]
}

impl<'a> ThreadNotes<'a> {
    fn add(&mut self, kind: elf::NoteType, descriptor: &'a [u8]) {
        let place = match kind {
            elf::NT_FPREGSET => &mut self.floating,
            elf::NT_PRXFPREG => &mut self.fxsave,
            elf::NT_X86_XSTATE => &mut self.xstate,
            elf::NoteType(NT_X86_SHSTK) => &mut self.shadow_stack,
            elf::NoteType(NT_386_TLS) => &mut self.tls_segments,
            elf::NT_ARM_TLS => &mut self.tls,
            elf::NT_SIGINFO => &mut self.siginfo,
            _ => return,
        };
        *place = Some(descriptor);
    }

    /// The thread without its extended registers; `None` if its `NT_PRSTATUS` is too short.
    pub(super) fn thread(&self, architecture: Architecture) -> Option<Thread> {
        let width = Width::of(architecture);
        let mut status = Take(self.status);
        // struct elf_siginfo.
        status.bytes(12)?;
        let signal = status.u16()?;
        status.u16()?;
        let (pending, blocked) = (status.word(width)?, status.word(width)?);
        let id = status.u32()?;
        // pr_ppid, pr_pgrp, pr_sid.
        status.bytes(12)?;
        let (user_time, kernel_time) = (timeval(&mut status, width)?, timeval(&mut status, width)?);
        let registers = self
            .status
            .get(super::thread_notes::registers_offset(architecture)..)?;
        Some(Thread {
            id,
            letter: ' ',
            registers: self.registers(architecture, registers),
            tls_segments: self.tls_segments.unwrap_or_default().to_vec(),
            siginfo: self.siginfo.map(<[u8]>::to_vec),
            signal: signal.into(),
            pending,
            blocked,
            user_time,
            kernel_time,
            ..Thread::default()
        })
    }

    fn registers(&self, architecture: Architecture, words: &[u8]) -> Option<Registers> {
        let mut registers = registers::read(architecture, words)?;
        if let (Registers::Aarch64(r), Some(tls)) = (&mut registers, self.tls) {
            r.tls = Take(tls).u64().unwrap_or_default();
        }
        Some(registers)
    }

    /// The thread's extended registers, as [`Thread::extended`] has them. `layout` is where its
    /// XSAVE area has its components; it is guessed if that is not known.
    pub(super) fn extended(
        &self,
        architecture: Architecture,
        layout: Option<&XsaveLayout>,
    ) -> Vec<u8> {
        let without = match architecture {
            Architecture::X86 => self.fxsave,
            _ => self.floating,
        };
        let is_sane = |area: &&[u8]| area.len() <= MOST_EXTENDED;
        let Some(area) = self.xstate.filter(is_sane) else {
            return without.filter(is_sane).unwrap_or_default().to_vec();
        };
        let mut area = match layout {
            Some(layout) => layout.to_standard(area),
            None => {
                let mask = xsave::mask_at(area, xsave::XCR0_AT);
                XsaveLayout::guess(mask, area.len()).to_standard(area)
            }
        };
        extended_notes::add_shadow_stack(&mut area, self.shadow_stack.unwrap_or_default());
        extended_notes::add_more(&mut area, self.more.unwrap_or_default());
        area
    }
}

/// The largest area of extended registers, in bytes; the largest that exists has 11,008.
const MOST_EXTENDED: usize = 64 << 10;

fn timeval(words: &mut Take<'_>, width: Width) -> Option<Duration> {
    let (seconds, micros) = (words.word(width)?, words.word(width)?);
    Some(Duration::from_secs(seconds).saturating_add(Duration::from_micros(micros)))
}
