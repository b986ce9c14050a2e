//! Cores of NetBSD, FreeBSD and OpenBSD: whose they are, the process, the signal, and the threads with their general
//! registers (core(5) of NetBSD, `sys/procfs.h` of FreeBSD, `sys/exec_elf.h` of OpenBSD). Modules are not read.

use crate::bytes::{Take, c_text};
use crate::elf::Note;
use crate::registers;
use snapshot::{
    Aarch64, Architecture, Exception, ForeignSystem, OperatingSystem, Process, ProcessKey,
    Registers, Snapshot, System, Thread, Told, User, Warning, X86_64,
};

/// `NT_NETBSDCORE_PROCINFO` and `NT_OPENBSD_PROCINFO`.
const NETBSD_PROCINFO: u32 = 1;
const OPENBSD_PROCINFO: u32 = 10;
/// The registers of a thread on OpenBSD; on NetBSD its numbers are those of `PT_GETREGS` of each processor.
const OPENBSD_REGISTERS: u32 = 20;
const NETBSD_REGISTERS: [(Architecture, u32); 2] =
    [(Architecture::X86_64, 33), (Architecture::Aarch64, 32)];
/// Notes of FreeBSD.
const NT_PRSTATUS: u32 = 1;
const NT_PRPSINFO: u32 = 3;
const NT_THRMISC: u32 = 7;

/// The system whose note this is; `None` for those of Linux.
pub(super) fn system(note: &Note<'_>) -> Option<ForeignSystem> {
    Some(match owner(note).0 {
        b"NetBSD-CORE" => ForeignSystem::NetBsd,
        b"FreeBSD" => ForeignSystem::FreeBsd,
        b"OpenBSD" => ForeignSystem::OpenBsd,
        _ => return None,
    })
}

/// The owner of a note, and the thread that follows it behind an `@`.
fn owner<'n>(note: &Note<'n>) -> (&'n [u8], Option<u32>) {
    let at = note.owner.iter().position(|&byte| byte == b'@');
    let Some(at) = at else {
        return (note.owner, None);
    };
    let (name, id) = note.owner.split_at(at);
    let id = std::str::from_utf8(&id[1..]).ok();
    (name, id.and_then(|id| id.parse().ok()))
}

/// What the notes tell, so far.
#[derive(Default)]
struct Found {
    process: Process,
    threads: Vec<Thread>,
    signal: u32,
    /// The thread that got the signal.
    faulting: Option<u32>,
}

/// The snapshot of a core of that system, without its address space.
pub(super) fn snapshot(
    system: ForeignSystem,
    notes: &[Note<'_>],
    architecture: Architecture,
    warnings: &mut Vec<Warning>,
) -> Snapshot {
    let mut found = Found::default();
    for note in notes {
        // A note that is too short tells nothing.
        let _ = found.add(system, note, architecture);
    }
    let fault = found.faulting;
    found.threads.sort_by_key(|thread| Some(thread.id) != fault);
    let os = OperatingSystem::Foreign(system);
    let name = os.name();
    warnings.push(format!(
        "this is a core of {name}: its modules are not read here, but by lldb"
    ));
    if found.threads.iter().all(|t| t.registers.is_none()) {
        warnings.push(format!("no registers of {name} are read on this processor"));
    }
    Snapshot {
        system: System {
            os,
            architecture,
            page_size: 4096,
            ..System::default()
        },
        exception: found.exception(),
        process: found.process,
        threads: found.threads,
        ..Snapshot::default()
    }
}

impl Found {
    fn add(
        &mut self,
        system: ForeignSystem,
        note: &Note<'_>,
        architecture: Architecture,
    ) -> Option<()> {
        match (system, owner(note), note.kind) {
            (ForeignSystem::NetBsd, (_, None), NETBSD_PROCINFO) => self.netbsd(note.descriptor),
            (ForeignSystem::NetBsd, (_, Some(id)), kind) => {
                let is_registers = NETBSD_REGISTERS.contains(&(architecture, kind));
                let words = note.descriptor;
                let registers = || netbsd_registers(architecture, words);
                self.thread(id, is_registers.then(registers).flatten());
                Some(())
            }
            (ForeignSystem::OpenBsd, (_, None), OPENBSD_PROCINFO) => self.openbsd(note.descriptor),
            (ForeignSystem::OpenBsd, (_, Some(id)), OPENBSD_REGISTERS) => {
                self.thread(id, None);
                Some(())
            }
            (ForeignSystem::FreeBsd, _, NT_PRSTATUS) => {
                self.freebsd_thread(note.descriptor, architecture)
            }
            (ForeignSystem::FreeBsd, _, NT_PRPSINFO) => self.freebsd(note.descriptor),
            (ForeignSystem::FreeBsd, _, NT_THRMISC) => {
                let thread = self.threads.last_mut()?;
                thread.name = c_text(note.descriptor.get(..20)?);
                Some(())
            }
            _ => None,
        }
    }

    /// Adds a thread, or the registers of one that was added already.
    fn thread(&mut self, id: u32, registers: Option<Registers>) {
        if self.threads.last().map(|thread| thread.id) != Some(id) {
            self.threads.push(Thread {
                id,
                letter: ' ',
                ..Thread::default()
            });
        }
        if let Some(thread) = self.threads.last_mut() {
            thread.registers = registers.or(thread.registers);
        }
    }

    /// `struct netbsd_elfcore_procinfo`: version and size, signal and code, four sets of signals with 16 bytes each, ids,
    /// the number of threads, the name, the thread that got the signal.
    fn netbsd(&mut self, bytes: &[u8]) -> Option<()> {
        self.proc_info(bytes, 4 * 16)?;
        let name = bytes.get(124..156)?;
        self.set_name(name);
        self.faulting = Take(bytes.get(156..)?).u32().filter(|&id| id != 0);
        Some(())
    }

    /// `struct elfcore_procinfo`: as that of NetBSD, with sets of 4 bytes, and without the thread.
    fn openbsd(&mut self, bytes: &[u8]) -> Option<()> {
        self.proc_info(bytes, 4 * 4)?;
        self.set_name(bytes.get(72..104)?);
        Some(())
    }

    fn proc_info(&mut self, bytes: &[u8], sets: usize) -> Option<()> {
        let mut fields = Take(bytes);
        let _version_and_size = fields.bytes(8)?;
        self.signal = fields.u32()?;
        // The code of the signal is whatever was on the kernel's stack in cores of NetBSD 8.
        let _code = fields.u32()?;
        fields.bytes(sets)?;
        let mut next = || fields.u32();
        self.process = Process {
            key: ProcessKey {
                pid: next()?,
                start: 0,
            },
            parent: next()?,
            group: next()?,
            session: next()?,
            state: ' ',
            ..Process::default()
        };
        let (uid, euid, _saved) = (next()?, next()?, next()?);
        let (gid, egid) = (next()?, next()?);
        self.process.user = User {
            uid,
            gid,
            euid,
            egid,
            name: uid.to_string(),
        };
        Some(())
    }

    fn set_name(&mut self, bytes: &[u8]) {
        self.process.comm = c_text(bytes);
        self.process.name.clone_from(&self.process.comm);
    }

    /// `struct prpsinfo`: version, size, name, arguments, pid.
    fn freebsd(&mut self, bytes: &[u8]) -> Option<()> {
        self.set_name(bytes.get(16..33)?);
        let arguments = c_text(bytes.get(33..114)?);
        let words = arguments.split_whitespace();
        self.process.command_line = words.map(str::to_owned).collect();
        self.process.state = ' ';
        self.process.key.pid = Take(bytes.get(116..)?).u32()?;
        Some(())
    }

    /// `struct prstatus`: version, three sizes, the release of the system, the signal, the thread, its registers. The thread
    /// that got the signal comes first.
    fn freebsd_thread(&mut self, bytes: &[u8], architecture: Architecture) -> Option<()> {
        let mut fields = Take(bytes.get(36..)?);
        let (signal, id) = (fields.u32()?, fields.u32()?);
        let registers = bytes.get(48..)?;
        let registers = match architecture {
            Architecture::X86_64 => freebsd_x86_64(registers),
            Architecture::Aarch64 => freebsd_aarch64(registers),
            _ => None,
        };
        if self.threads.is_empty() {
            (self.signal, self.faulting) = (signal, Some(id));
        }
        self.thread(id, registers);
        Some(())
    }

    fn exception(&self) -> Option<Exception> {
        let first = self.threads.first().map(|thread| thread.id);
        (self.signal != 0).then(|| Exception {
            thread: self.faulting.or(first).unwrap_or(0),
            code: self.signal,
            told: Told::OnlySignal,
            ..Exception::default()
        })
    }
}

/// `struct reg` of NetBSD (`amd64/include/frame_regs.h`, `aarch64/include/reg.h`).
fn netbsd_registers(architecture: Architecture, bytes: &[u8]) -> Option<Registers> {
    if architecture == Architecture::Aarch64 {
        return registers::read(architecture, bytes);
    }
    let mut words = Take(bytes);
    let mut next = || words.u64();
    Some(Registers::X86_64(X86_64 {
        rdi: next()?,
        rsi: next()?,
        rdx: next()?,
        rcx: next()?,
        r8: next()?,
        r9: next()?,
        r10: next()?,
        r11: next()?,
        r12: next()?,
        r13: next()?,
        r14: next()?,
        r15: next()?,
        rbp: next()?,
        rbx: next()?,
        rax: next()?,
        gs: next()? as u16,
        fs: next()? as u16,
        es: next()? as u16,
        ds: next()? as u16,
        rip: {
            let (_trap, _error) = (next()?, next()?);
            next()?
        },
        cs: next()? as u16,
        rflags: next()?,
        rsp: next()?,
        ss: next()? as u16,
        orig_rax: u64::MAX,
        ..X86_64::default()
    }))
}

/// `struct reg` of FreeBSD (`x86/include/reg.h`).
fn freebsd_x86_64(bytes: &[u8]) -> Option<Registers> {
    let mut words = Take(bytes);
    let mut next = || words.u64();
    let mut r = X86_64 {
        r15: next()?,
        r14: next()?,
        r13: next()?,
        r12: next()?,
        r11: next()?,
        r10: next()?,
        r9: next()?,
        r8: next()?,
        rdi: next()?,
        rsi: next()?,
        rbp: next()?,
        rbx: next()?,
        rdx: next()?,
        rcx: next()?,
        rax: next()?,
        orig_rax: u64::MAX,
        ..X86_64::default()
    };
    let _trap = words.u32()?;
    (r.fs, r.gs) = (words.u16()?, words.u16()?);
    let _error = words.u32()?;
    (r.es, r.ds) = (words.u16()?, words.u16()?);
    (r.rip, r.cs, r.rflags) = (words.u64()?, words.u64()? as u16, words.u64()?);
    (r.rsp, r.ss) = (words.u64()?, words.u64()? as u16);
    Some(Registers::X86_64(r))
}

/// `struct reg` of FreeBSD (`arm64/include/reg.h`): X0 to X29, the link register, the stack pointer, the program counter, the
/// state.
fn freebsd_aarch64(bytes: &[u8]) -> Option<Registers> {
    let mut words = Take(bytes);
    let mut r = Aarch64::default();
    for x in &mut r.x {
        *x = words.u64()?;
    }
    (r.sp, r.pc) = (words.u64()?, words.u64()?);
    r.pstate = words.u32()?.into();
    Some(Registers::Aarch64(r))
}
