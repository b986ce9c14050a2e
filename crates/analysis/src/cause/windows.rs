//! Why a process of Windows died.

use super::fault::Told;
use super::instruction::Verb;
use super::{Case, Found, Kind, Overflow, division, fast_fail};
use crate::stack::End;
use crate::thrown::Thrown;
use snapshot::{Architecture, Exception, Memory, Range, Snapshot, Thread};

/// The last error of a thread (`GetLastError`), and the status that it was made of (`RtlGetLastNtStatus`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastError {
    /// The number of the error of Win32.
    pub error: u32,
    /// The NTSTATUS.
    pub status: u32,
}

/// What a thread of Windows has as its last error; `None` if its TEB is not in the dump. The offsets are those of
/// `LastErrorValue` and `LastStatusValue`, which have not changed since Windows NT.
pub fn last_error(snapshot: &Snapshot, thread: &Thread, memory: &dyn Memory) -> Option<LastError> {
    let (error, status) = match snapshot.system.architecture {
        Architecture::X86 => (0x34, 0xBF4),
        _ => (0x68, 0x1250),
    };
    let word = |at: u64| memory.read_u32(thread.teb.wrapping_add(at));
    (thread.teb != 0).then(|| {
        Some(LastError {
            error: word(error)?,
            status: word(status)?,
        })
    })?
}

const ACCESS_VIOLATION: u32 = 0xC000_0005;
const IN_PAGE_ERROR: u32 = 0xC000_0006;

impl Case<'_> {
    pub(super) fn on_windows(&self) -> Found {
        let thread = self
            .snapshot
            .threads
            .iter()
            .find(|thread| thread.id == self.exception.thread);
        let registers = thread.and_then(|thread| thread.registers);
        let is_fault = self.exception.code >> 28 == 0xC;
        let instruction = registers
            .filter(|_| is_fault)
            .and_then(|registers| self.instruction(&registers));
        let first = self.exception.parameters.first().copied();
        let operation = instruction
            .as_ref()
            .map(|instruction| instruction.operation);
        let kind = match self.exception.code {
            ACCESS_VIOLATION | IN_PAGE_ERROR => {
                let told = told(
                    self.exception,
                    registers.map_or(self.exception.address, |registers| registers.ip()),
                );
                let sp = registers.map_or(0, |registers| registers.sp());
                match self.fault(&told, sp, instruction.as_ref()) {
                    Kind::Access(fault) if self.exception.code == IN_PAGE_ERROR => {
                        Kind::Access(fault.not_in_file())
                    }
                    kind => kind,
                }
            }
            0xC000_00FD => Kind::StackOverflow(Overflow {
                stack: registers
                    .map_or(Range::default(), |registers| self.stack_at(registers.sp())),
                frames: self.stack.depth(),
                is_whole: self.stack.end == End::Root,
            }),
            0xC000_0094 => Kind::Division(Some(true)),
            0xC000_0095 => match division(operation) {
                Kind::Division(Some(_)) => Kind::Division(Some(false)),
                _ => Kind::Arithmetic,
            },
            0xC000_008D..=0xC000_0093 => Kind::Arithmetic,
            0xC000_001D => Kind::IllegalInstruction,
            0xC000_0096 => Kind::PrivilegedInstruction,
            0x8000_0003 => Kind::Breakpoint,
            0xC000_0374 => Kind::HeapCorruption,
            0xC000_0409 => {
                let code = first.unwrap_or_default();
                Kind::FastFail {
                    code,
                    name: fast_fail::name(code),
                }
            }
            0xE06D_7363 | 0x2047_4343 | 0xE043_4352 => Kind::Thrown(self.thrown()),
            _ => Kind::Other,
        };
        Found {
            instruction,
            ..Found::of(kind)
        }
    }

    /// The memory of the stack with that stack pointer.
    fn stack_at(&self, sp: u64) -> Range {
        let region = self.snapshot.region_at(sp);
        region.map_or(Range::default(), |region| region.range)
    }

    /// The exception of a language: what the dump's writer has found out of it, or what its memory tells.
    fn thrown(&self) -> Thrown {
        let mut exception = self.exception.clone();
        let system = &self.snapshot.system;
        if exception.name.is_empty() {
            crate::name_exception(&mut exception, system.os, system.architecture, self.memory);
        }
        super::thrown_of(&exception)
    }
}

/// The parameters of an access violation: what was done, and the address (`EXCEPTION_RECORD` of winnt.h). Of an address that is not
/// canonical the processor tells none: it is all ones.
fn told(exception: &Exception, ip: u64) -> Told {
    let verb = match exception.parameters.first() {
        Some(0) => Some(Verb::Read),
        Some(1) => Some(Verb::Write),
        Some(8) => Some(Verb::Execute),
        _ => None,
    };
    let address = exception
        .parameters
        .get(1)
        .copied()
        .filter(|address| *address != u64::MAX);
    Told { address, verb, ip }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cause::{Cause, Place, cause};
    use crate::{NoFiles, Stacks};
    use snapshot::{OperatingSystem, Protection, Region, Registers, System, X86_64};

    /// `mov eax,[rcx+0x10]` at 0x1000, and a TEB at 0x8000.
    struct Words;

    impl Memory for Words {
        fn read(&self, address: u64, buf: &mut [u8]) -> usize {
            let byte = |address: u64| match address {
                0x1000 => 0x8b,
                0x1001 => 0x41,
                0x1002 => 0x10,
                0x8068 => 5,
                0x9250 => 0x22,
                0x9253 => 0xc0,
                _ => 0,
            };
            buf.iter_mut()
                .zip(address..)
                .for_each(|(to, address)| *to = byte(address));
            buf.len()
        }
    }

    fn snapshot(code: u32, parameters: &[u64], rcx: u64) -> Snapshot {
        let registers = X86_64 {
            rip: 0x1000,
            rsp: 0x2_0000,
            rcx,
            ..X86_64::default()
        };
        let region = |start, end, write| Region {
            range: Range::new(start, end),
            protection: Protection {
                read: true,
                write,
                execute: !write,
            },
            ..Region::default()
        };
        Snapshot {
            system: System {
                os: OperatingSystem::Windows,
                ..System::default()
            },
            threads: vec![Thread {
                id: 7,
                teb: 0x8000,
                registers: Some(Registers::X86_64(registers)),
                ..Thread::default()
            }],
            regions: vec![
                region(0x1000, 0x2000, false),
                region(0x1_8000, 0x3_0000, true),
            ],
            exception: Some(Exception {
                thread: 7,
                code,
                parameters: parameters.to_vec(),
                ..Exception::default()
            }),
            ..Snapshot::default()
        }
    }

    fn of(code: u32, parameters: &[u64], rcx: u64) -> Cause {
        let snapshot = snapshot(code, parameters, rcx);
        let stacks = Stacks::new(&snapshot, &Words, &NoFiles);
        cause(&snapshot, &stacks, &stacks.of(&snapshot.threads[0])).unwrap()
    }

    #[test]
    fn an_access_violation_tells_the_field_and_the_register() {
        let found = of(ACCESS_VIOLATION, &[0, 0x10], 0);
        let Kind::Access(fault) = &found.kind else {
            panic!("{found:?}")
        };
        assert_eq!(
            (fault.verb, &fault.place),
            (Some(Verb::Read), &Place::Null(0x10))
        );
        assert_eq!(
            fault.access.as_ref().unwrap().registers,
            [("rcx".to_owned(), 0)]
        );
        assert_eq!(
            found.instruction.unwrap().text,
            "mov eax,dword ptr [rcx+0x10]"
        );
        let Kind::Access(fault) = of(ACCESS_VIOLATION, &[0, u64::MAX], 0xdddd_dddd_dddd_dddd).kind
        else {
            panic!()
        };
        assert_eq!(
            (fault.address, &fault.place),
            (0xdddd_dddd_dddd_dded, &Place::NonCanonical)
        );
        assert!(
            fault
                .suspicion
                .unwrap()
                .to_string()
                .contains("debug heap has freed")
        );
        let Kind::Access(fault) = of(ACCESS_VIOLATION, &[8, 0x1_8000], 0).kind else {
            panic!()
        };
        assert!(
            matches!(fault.place, Place::Protected(_)) && fault.verb == Some(Verb::Execute),
            "{fault:?}"
        );
    }

    #[test]
    fn codes_that_programs_end_themselves_by_are_named() {
        assert_eq!(
            of(0xC000_0409, &[2], 0).kind,
            Kind::FastFail {
                code: 2,
                name: Some("STACK_COOKIE_CHECK_FAILURE")
            }
        );
        assert_eq!(
            of(0xC000_0409, &[7], 0).kind,
            Kind::FastFail {
                code: 7,
                name: Some("FATAL_APP_EXIT")
            }
        );
        assert_eq!(of(0xC000_0374, &[], 0).kind, Kind::HeapCorruption);
        assert_eq!(of(0xC000_0094, &[], 0).kind, Kind::Division(Some(true)));
        let Kind::StackOverflow(full) = of(0xC000_00FD, &[1, 0x1_8000], 0).kind else {
            panic!()
        };
        assert_eq!(full.stack, Range::new(0x1_8000, 0x3_0000));
        let Kind::Thrown(thrown) = of(0xE043_4352, &[], 0).kind else {
            panic!()
        };
        assert_eq!(thrown.name, "E0434352.CLR");
        assert_eq!(of(0xE000_1234, &[], 0).kind, Kind::Other);
    }

    #[test]
    fn the_last_error_is_in_the_block_of_the_thread() {
        let snapshot = snapshot(0xC000_0374, &[], 0);
        let told = last_error(&snapshot, &snapshot.threads[0], &Words).unwrap();
        assert_eq!((told.error, told.status), (5, 0xC000_0022));
        assert_eq!(last_error(&snapshot, &Thread::default(), &Words), None);
    }
}
