//! Names of exceptions: `CODE.NAME` on Windows, `SIGNAL.REASON` on Linux, `EXCEPTION.CODE` of Mach.

mod bsd;
mod gcc;
mod mach;
mod signals;
mod status;
mod thrown;

use snapshot::{
    Architecture, Exception, ForeignSystem, Memory, OperatingSystem, Told, signal_name,
};

pub use status::status_name;

/// The name of an exception, which is printed and which filters match: `SIGSEGV.SEGV_MAPERR`,
/// `C0000005.ACCESS_VIOLATION`, `E06D7363.?AVNotFound@@`. A code without a name is written as a
/// number: `SIGSEGV.99`, `E0001234`. A signal whose reason the dump does not tell has only its own name, and a dump
/// that the program asked for itself is called `DUMP_REQUESTED`, or on Windows `0517A7ED.SIMULATED`.
///
/// On Windows the type of a thrown C++ object is read from `memory`, which may be
/// [`snapshot::NoMemory`].
pub fn exception_name(
    exception: &Exception,
    os: OperatingSystem,
    architecture: Architecture,
    memory: &dyn Memory,
) -> String {
    match os {
        OperatingSystem::Linux | OperatingSystem::Foreign(_) if exception.is_dump_request() => {
            "DUMP_REQUESTED".to_owned()
        }
        OperatingSystem::Linux if exception.told != Told::All => {
            signal_name(exception.code as i32).into_owned()
        }
        OperatingSystem::Linux => signals::name(exception.code as i32, exception.flags as i32),
        OperatingSystem::Foreign(system) => foreign_name(system, exception, architecture),
        OperatingSystem::Windows => {
            let code = exception.code;
            let thrown = thrown::type_name(exception, architecture, memory);
            match thrown.or_else(|| status_name(code).map(str::to_owned)) {
                Some(name) => format!("{code:08X}.{name}"),
                None => format!("{code:08X}"),
            }
        }
    }
}

fn foreign_name(
    system: ForeignSystem,
    exception: &Exception,
    architecture: Architecture,
) -> String {
    match system {
        ForeignSystem::MacOs | ForeignSystem::Ios => mach::name(exception, architecture),
        ForeignSystem::Unknown => format!("exception {:#x}", exception.code),
        _ => bsd::name(exception),
    }
}

/// Sets the name of an exception, and on Windows also the base classes of the thrown object and, if
/// it derives from `std::exception`, its message.
pub fn name_exception(
    exception: &mut Exception,
    os: OperatingSystem,
    architecture: Architecture,
    memory: &dyn Memory,
) {
    exception.name = exception_name(exception, os, architecture, memory);
    if os != OperatingSystem::Windows {
        return;
    }
    if let Some(thrown) = gcc::thrown(exception, memory) {
        let kind = thrown.name.trim_start_matches("CXX.");
        exception.name = format!("{:08X}.{kind}", exception.code);
        exception.bases = thrown.bases;
        exception.message = thrown.message;
    } else if let Some((bases, message)) = thrown::details(exception, architecture, memory) {
        exception.bases = bases;
        exception.message = message;
    }
}

/// What caused an exception, as the end of a sentence: `writing to 0x10`, `at 0x7ff612341000`.
/// `None` if nothing is known beyond the name.
pub fn exception_detail(exception: &Exception, os: OperatingSystem) -> Option<String> {
    let at_address = || format!("at address {:#x}", exception.address);
    match os {
        OperatingSystem::Linux | OperatingSystem::Foreign(_) if exception.is_dump_request() => {
            Some("by the program itself: nothing had failed".to_owned())
        }
        OperatingSystem::Linux => {
            let (signal, code) = (exception.code as i32, exception.flags as i32);
            let has_address = match exception.told {
                Told::All => signals::has_address(signal, code),
                Told::NoReason => signals::may_have_address(signal),
                Told::OnlySignal => false,
            };
            has_address.then(at_address)
        }
        OperatingSystem::Foreign(ForeignSystem::MacOs | ForeignSystem::Ios) => {
            match mach::has_address(exception) {
                true => Some(at_address()),
                // That of the instruction.
                false => (exception.address != 0).then(|| format!("at {:#x}", exception.address)),
            }
        }
        OperatingSystem::Foreign(_) => None,
        OperatingSystem::Windows => status::access(exception)
            .or_else(|| (exception.address != 0).then(|| format!("at {:#x}", exception.address))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapshot::NoMemory;

    fn linux(signal: u32, code: i32) -> String {
        let exception = Exception {
            code: signal,
            flags: code as u32,
            ..Exception::default()
        };
        exception_name(
            &exception,
            OperatingSystem::Linux,
            Architecture::X86_64,
            &NoMemory,
        )
    }

    #[test]
    fn signals_are_named_with_their_reason() {
        for (signal, code, name) in [
            (11, 1, "SIGSEGV.SEGV_MAPERR"),
            (11, 128, "SIGSEGV.SI_KERNEL"),
            (6, -6, "SIGABRT.SI_TKILL"),
            (15, 0, "SIGTERM.SI_USER"),
            (8, 1, "SIGFPE.FPE_INTDIV"),
            (7, 2, "SIGBUS.BUS_ADRERR"),
            (5, 6, "SIGTRAP.TRAP_PERF"),
            (31, 1, "SIGSYS.SYS_SECCOMP"),
            (11, 99, "SIGSEGV.99"),
            (36, -1, "SIGRTMIN+2.SI_QUEUE"),
            (64, 0, "SIGRTMAX.SI_USER"),
            (99, 0, "SIG99.SI_USER"),
        ] {
            assert_eq!(linux(signal, code), name);
        }
    }

    #[test]
    fn what_the_dump_does_not_tell_of_a_signal_is_not_made_up() {
        let os = OperatingSystem::Linux;
        let segv = |told| Exception {
            code: 11,
            address: 0x45,
            told,
            ..Exception::default()
        };
        let name = |e: &Exception| exception_name(e, os, Architecture::X86_64, &NoMemory);
        for (told, detail) in [
            (Told::NoReason, Some("at address 0x45".to_owned())),
            (Told::OnlySignal, None),
        ] {
            assert_eq!(name(&segv(told)), "SIGSEGV");
            assert_eq!(exception_detail(&segv(told), os), detail);
        }
        let abort = Exception {
            code: 6,
            ..segv(Told::NoReason)
        };
        assert_eq!(exception_detail(&abort, os), None);
        let asked = Exception {
            code: u32::MAX,
            ..Exception::default()
        };
        assert_eq!(name(&asked), "DUMP_REQUESTED");
    }

    #[test]
    fn other_systems_have_their_own_numbers() {
        let name = |system, code, flags| {
            let exception = Exception {
                code,
                flags,
                ..Exception::default()
            };
            let os = OperatingSystem::Foreign(system);
            exception_name(&exception, os, Architecture::Aarch64, &NoMemory)
        };
        let mac = |code, flags| name(ForeignSystem::MacOs, code, flags);
        assert_eq!(mac(1, 1), "EXC_BAD_ACCESS.KERN_INVALID_ADDRESS");
        assert_eq!(mac(1, 2), "EXC_BAD_ACCESS.KERN_PROTECTION_FAILURE");
        assert_eq!(mac(1, 0x101), "EXC_BAD_ACCESS.EXC_ARM_DA_ALIGN");
        assert_eq!(mac(6, 1), "EXC_BREAKPOINT.EXC_ARM_BREAKPOINT");
        assert_eq!(mac(5, 0x10002), "EXC_SOFTWARE.EXC_UNIX_ABORT");
        assert_eq!(mac(99, 3), "EXC_99.3");
        assert_eq!(mac(0x4350_7378, 0), "DUMP_REQUESTED");
        assert_eq!(mac(0x4350_6e78, 0), "NSException");
        assert_eq!(mac(0, 0), "unknown exception");
        assert_eq!(name(ForeignSystem::NetBsd, 10, 0), "SIGBUS");
        assert_eq!(name(ForeignSystem::Unknown, 11, 0), "exception 0xb");
    }

    #[test]
    fn windows_codes_are_named_as_procdump_does() {
        for (code, name) in [
            (0xC000_0005, "C0000005.ACCESS_VIOLATION"),
            (0xC000_0409, "C0000409.STACK_BUFFER_OVERRUN"),
            (0xE043_4352, "E0434352.CLR"),
            (0xE06D_7363, "E06D7363.msc"),
            (0x8000_0003, "80000003.BREAKPOINT"),
            (0xE000_1234, "E0001234"),
        ] {
            let exception = Exception {
                code,
                ..Exception::default()
            };
            let told = exception_name(
                &exception,
                OperatingSystem::Windows,
                Architecture::X86_64,
                &NoMemory,
            );
            assert_eq!(told, name);
        }
    }

    #[test]
    fn an_access_violation_says_what_was_tried() {
        let mut exception = Exception {
            code: 0xC000_0005,
            parameters: vec![1, 0x10],
            ..Exception::default()
        };
        let detail = |e: &Exception| exception_detail(e, OperatingSystem::Windows).unwrap();
        assert_eq!(detail(&exception), "writing to 0x10");
        exception.parameters = vec![8, 0x2000];
        assert_eq!(detail(&exception), "executing 0x2000");
        let killed = Exception {
            code: 15,
            address: 77,
            ..Exception::default()
        };
        assert_eq!(exception_detail(&killed, OperatingSystem::Linux), None);
    }
}
