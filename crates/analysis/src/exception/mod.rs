//! Names of exceptions: `CODE.NAME` on Windows, `SIGNAL.REASON` on Linux.

mod gcc;
mod signals;
mod status;
mod thrown;

use snapshot::{Architecture, Exception, Memory, OperatingSystem};

pub use status::status_name;

/// The name of an exception, which is printed and which filters match: `SIGSEGV.SEGV_MAPERR`,
/// `C0000005.ACCESS_VIOLATION`, `E06D7363.?AVNotFound@@`. A code without a name is written as a
/// number: `SIGSEGV.99`, `E0001234`.
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
        OperatingSystem::Linux => signals::name(exception.code as i32, exception.flags as i32),
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

/// Sets the name of an exception, and on Windows also the base classes of the thrown object and, if
/// it derives from `std::exception`, its message.
pub fn name_exception(
    exception: &mut Exception,
    os: OperatingSystem,
    architecture: Architecture,
    memory: &dyn Memory,
) {
    exception.name = exception_name(exception, os, architecture, memory);
    if os == OperatingSystem::Linux {
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
    match os {
        OperatingSystem::Linux => {
            signals::has_address(exception.code as i32, exception.flags as i32)
                .then(|| format!("at address {:#x}", exception.address))
        }
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
