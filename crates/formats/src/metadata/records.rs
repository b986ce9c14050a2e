//! The records of the format: the fields of the snapshot's types.

use super::Container;
use super::value::{Item, Value, field, fields};
use crate::registers;
use snapshot::*;

/// Writes and reads all fields of a type, each under its own name. If a field is added to the type,
/// this does not compile until it is listed here.
macro_rules! record {
    ($($type:ident { $($name:ident),* $(,)? })*) => {$(
        impl Value for $type {
            fn put(&self, out: &mut Vec<u8>) {
                $(field(out, stringify!($name), &self.$name);)*
            }

            fn get(bytes: &[u8]) -> Option<Self> {
                let known = fields(bytes);
                Some($type {
                    $($name: known.get(stringify!($name)),)*
                })
            }
        }

        impl Item for $type {}
    )*};
}

record! {
    Process {
        key, parent, group, session, name, comm, exe, exe_deleted, command_line, environment,
        user, started, user_time, kernel_time, children_user_time, children_kernel_time, flags,
        state, nice, auxv, stack_start, inner_pid,
        container, service, files, peb,
    }
    ProcessKey { pid, start }
    User { uid, gid, euid, egid, name }
    System {
        os, architecture, release, version, distribution, host, cpu_vendor, cpu_model,
        cpu_signature, cpu_features, processor_features, product_type, suites, cpus, page_size, memory_total, memory_available, uptime,
    }
    Module {
        range, path, build_id, codeview, version, soname, timestamp, checksum, deleted,
    }
    FunctionTable { addresses, base, functions, native }
    CodeView { guid, age, file }
    Region {
        range, protection, kind, shared, name, offset, device, inode, deleted, remote, hugetlb,
        dont_dump, untouchable, guarded, unseen, resident, private_pages, file, allocation_base, windows,
    }
    FileFacts { size, modified }
    Protection { read, write, execute }
    Handle { number, kind, name, position, flags, attributes, handle_count, pointer_count }
    Exception { thread, code, flags, address, parameters, first_chance, name, bases, message, signal, told }
}

/// Writes and reads the variants of a type by names. The default is not written; it is read for a
/// name that is not known.
macro_rules! names {
    ($($type:ident { $($variant:ident = $name:literal),* $(,)? })*) => {$(
        impl Value for $type {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(match self {
                    $($type::$variant => $name,)*
                }.as_bytes());
            }

            fn get(bytes: &[u8]) -> Option<Self> {
                [$(($type::$variant, $name)),*]
                    .into_iter()
                    .find_map(|(variant, name)| (name.as_bytes() == bytes).then_some(variant))
            }
        }
    )*};
}

names! {
    Told { All = "all", NoReason = "no reason", OnlySignal = "only signal" }
    Architecture {
        X86 = "x86", X86_64 = "x86-64", X32 = "x32", Arm = "arm", Aarch64 = "aarch64",
        RiscV64 = "riscv64",
    }
    RegionKind {
        Private = "private", Heap = "heap", Stack = "stack", Image = "image", Mapped = "mapped",
        Kernel = "kernel",
    }
}

impl Value for OperatingSystem {
    fn put(&self, out: &mut Vec<u8>) {
        self.name().to_lowercase().put(out);
    }

    fn get(bytes: &[u8]) -> Option<Self> {
        let foreign = ForeignSystem::ALL.map(OperatingSystem::Foreign);
        let mut all = [OperatingSystem::Linux, OperatingSystem::Windows]
            .into_iter()
            .chain(foreign);
        all.find(|system| system.name().to_lowercase().as_bytes() == bytes)
    }
}

const UNSTOPPED: &str = "unstopped: ";

impl Value for ThreadState {
    fn put(&self, out: &mut Vec<u8>) {
        let text = match self {
            ThreadState::Stopped => "stopped".to_owned(),
            ThreadState::AlreadyStopped => "already stopped".to_owned(),
            ThreadState::Unstopped(why) => format!("{UNSTOPPED}{why}"),
        };
        text.put(out);
    }

    fn get(bytes: &[u8]) -> Option<Self> {
        let text = String::get(bytes)?;
        Some(match text.strip_prefix(UNSTOPPED) {
            Some(why) => ThreadState::Unstopped(why.to_owned()),
            None if text == "already stopped" => ThreadState::AlreadyStopped,
            None => ThreadState::Stopped,
        })
    }
}

/// A thread, with or without its registers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ThreadRecord {
    thread: Thread,
}

impl ThreadRecord {
    pub(super) fn new(thread: &Thread, container: Container) -> Self {
        let mut thread = thread.clone();
        // They stand elsewhere in the file.
        thread.extended = SparseBytes::default();
        if container == Container::Core {
            thread.registers = None;
        }
        Self { thread }
    }
}

impl From<ThreadRecord> for Thread {
    fn from(record: ThreadRecord) -> Thread {
        record.thread
    }
}

impl Item for ThreadRecord {}

/// The fields of a thread, for writing and reading.
macro_rules! thread_fields {
    ($each:ident) => {
        $each!(
            id,
            name,
            state,
            letter,
            extended,
            tls_segments,
            siginfo,
            signal,
            pending,
            blocked,
            user_time,
            kernel_time,
            priority,
            teb,
            start_address,
            began,
            ended,
            exit_code,
            affinity,
            syscall,
            is_kernel_worker
        )
    };
}

impl Value for ThreadRecord {
    fn put(&self, out: &mut Vec<u8>) {
        let thread = &self.thread;
        macro_rules! put {
            ($($name:ident),*) => { $(field(out, stringify!($name), &thread.$name);)* };
        }
        thread_fields!(put);
        field(out, "registers", &thread.registers.map(RegisterWords::from));
    }

    fn get(bytes: &[u8]) -> Option<Self> {
        let known = fields(bytes);
        macro_rules! get {
            ($($name:ident),*) => {
                Thread {
                    $($name: known.get(stringify!($name)),)*
                    registers: known
                        .get::<Option<RegisterWords>>("registers")
                        .and_then(|words| words.registers()),
                }
            };
        }
        let thread = thread_fields!(get);
        Some(Self { thread })
    }
}

/// Registers in the order of the kernel's `user_regs_struct`, and those that it does not have.
#[derive(Clone, Debug, Default, PartialEq)]
struct RegisterWords {
    architecture: Architecture,
    words: Vec<u8>,
    /// `TPIDR_EL0` on ARM, the debug registers on x86-64.
    more: Vec<u64>,
}

record! { RegisterWords { architecture, words, more } }

impl From<Registers> for RegisterWords {
    fn from(registers: Registers) -> Self {
        Self {
            architecture: registers.architecture(),
            words: registers::write(&registers),
            more: match registers {
                Registers::X86_64(r) if r.debug != [0; 6] => r.debug.to_vec(),
                Registers::Aarch64(r) => vec![r.tls],
                _ => vec![],
            },
        }
    }
}

impl RegisterWords {
    fn registers(self) -> Option<Registers> {
        let mut registers = registers::read(self.architecture, &self.words)?;
        match &mut registers {
            Registers::X86_64(r) => r.debug = self.more.try_into().unwrap_or_default(),
            Registers::Aarch64(r) => r.tls = self.more.first().copied().unwrap_or_default(),
            Registers::X86(_) | Registers::Arm(_) | Registers::RiscV64(_) => {}
        }
        Some(registers)
    }
}
