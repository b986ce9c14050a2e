//! An instruction of an x86 processor: its text, and which memory it accesses, at addresses that are computed from the
//! registers. The kernel tells neither whether a fault read or wrote, nor any address that is not canonical.

use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Formatter as _, Instruction as Decoded,
    InstructionInfoFactory, IntelFormatter, MemorySizeOptions, Mnemonic, OpAccess, OpKind,
    Register, UsedMemory,
};
use snapshot::{Architecture, Memory, Registers};
use std::fmt;

/// The longest instruction of x86, in bytes (Intel SDM volume 2, 2.3.11).
pub(super) const LONGEST: usize = 15;

/// An instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Its address.
    pub address: u64,
    /// Its text in Intel's syntax: `mov eax,dword ptr [rdi+0x8]`.
    pub text: String,
    /// The memory that it accesses.
    pub accesses: Vec<Access>,
    pub(super) operation: Operation,
}

/// What the signal of an instruction may be due to, beside memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// It exists to end the program: `ud2`.
    Trap,
    /// It is a breakpoint: `int3`.
    Breakpoint,
    /// It divides by this number; `None` if that is not known.
    Division(Option<u64>),
    /// Only the kernel may execute it: `hlt`.
    Privileged,
    /// Anything else.
    Other,
}

/// An access to memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Where, as computed from the registers.
    pub address: u64,
    /// How many bytes.
    pub size: u64,
    /// What for.
    pub verb: Verb,
    /// The address as the instruction has it: `rdi+0x8`.
    pub expression: String,
    /// The registers in that, with their values; the base is the first.
    pub registers: Vec<(String, u64)>,
}

/// What is done with memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// It is read.
    Read,
    /// It is written to, perhaps after it was read.
    Write,
    /// It is executed.
    Execute,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Execute => "execute",
        })
    }
}

impl Access {
    /// Whether it touches that address.
    pub(super) fn touches(&self, address: u64) -> bool {
        address.wrapping_sub(self.address) < self.size.max(1)
    }
}

impl Instruction {
    /// The instruction that begins with `code` at the instruction pointer. Returns `None` if it is none, and for processors other
    /// than x86.
    pub(super) fn decode(code: &[u8], registers: &Registers, memory: &dyn Memory) -> Option<Self> {
        let bits = match registers.architecture() {
            Architecture::X86_64 => 64,
            Architecture::X86 => 32,
            _ => return None,
        };
        let address = registers.ip();
        let mut decoder = Decoder::with_ip(bits, code, address, DecoderOptions::NONE);
        let decoded = decoder.decode();
        if decoded.is_invalid() {
            return None;
        }
        let mut factory = InstructionInfoFactory::new();
        let used = factory.info(&decoded).used_memory().iter();
        let used = used.filter_map(|used| access(used, registers));
        let accesses = used.chain(jump(&decoded, registers, memory)).collect();
        Some(Self {
            address,
            text: text(&decoded),
            accesses,
            operation: operation(&decoded, registers, memory),
        })
    }
}

fn text(decoded: &Decoded) -> String {
    let mut formatter = IntelFormatter::new();
    let options = formatter.options_mut();
    options.set_hex_prefix("0x");
    options.set_hex_suffix("");
    options.set_uppercase_hex(false);
    options.set_small_hex_numbers_in_decimal(false);
    options.set_memory_size_options(MemorySizeOptions::Always);
    options.set_branch_leading_zeros(false);
    options.set_leading_zeros(false);
    options.set_show_branch_size(false);
    let mut text = String::new();
    formatter.format(decoded, &mut text);
    text
}

fn operation(decoded: &Decoded, registers: &Registers, memory: &dyn Memory) -> Operation {
    match decoded.mnemonic() {
        Mnemonic::Ud0 | Mnemonic::Ud1 | Mnemonic::Ud2 => Operation::Trap,
        Mnemonic::Int3 | Mnemonic::Int1 => Operation::Breakpoint,
        Mnemonic::Div | Mnemonic::Idiv => Operation::Division(operand(decoded, registers, memory)),
        _ if decoded.is_privileged() => Operation::Privileged,
        // Of all others (`int 0x80` is a system call) only the kernel may execute some.
        Mnemonic::Int => Operation::Privileged,
        _ => Operation::Other,
    }
}

/// Where a call, jump or return leads whose target is not in the instruction itself. It is executed there only if the processor
/// gets there: to an address that is not canonical it does not.
fn jump(decoded: &Decoded, registers: &Registers, memory: &dyn Memory) -> Option<Access> {
    let pointer = registers.architecture().pointer_size();
    let (address, expression) = match decoded.flow_control() {
        FlowControl::IndirectBranch | FlowControl::IndirectCall => {
            let target = operand(decoded, registers, memory)?;
            (target, name(decoded.op0_register()))
        }
        FlowControl::Return if pointer == 8 => (
            memory.read_u64(registers.sp())?,
            "the return address".to_owned(),
        ),
        _ => return None,
    };
    Some(Access {
        address,
        size: 1,
        verb: Verb::Execute,
        expression,
        registers: Vec::new(),
    })
}

/// The value of the only operand: the number that a division divides by, or where a jump leads.
fn operand(decoded: &Decoded, registers: &Registers, memory: &dyn Memory) -> Option<u64> {
    match decoded.op0_kind() {
        OpKind::Register => part(decoded.op0_register(), registers),
        OpKind::Memory => {
            let address = decoded.virtual_address(0, 0, |register, _, _| part(register, registers));
            let mut bytes = [0; 8];
            let size = decoded.memory_size().size().min(8);
            memory
                .read_all(address?, &mut bytes[..size])
                .then(|| u64::from_le_bytes(bytes))
        }
        _ => None,
    }
}

fn access(used: &UsedMemory, registers: &Registers) -> Option<Access> {
    let verb = match used.access() {
        OpAccess::Read | OpAccess::CondRead => Verb::Read,
        OpAccess::Write | OpAccess::CondWrite => Verb::Write,
        OpAccess::ReadWrite | OpAccess::ReadCondWrite => Verb::Write,
        OpAccess::None | OpAccess::NoMemAccess => return None,
    };
    let address = used.virtual_address(0, |register, _, _| part(register, registers))?;
    let named = [used.base(), used.index()].into_iter();
    let named = named.filter(|register| *register != Register::None);
    let named = named.filter_map(|register| Some((name(register), part(register, registers)?)));
    Some(Access {
        address,
        size: used.memory_size().size() as u64,
        verb,
        expression: expression(used),
        registers: named.collect(),
    })
}

/// `rdi+rcx*4+0x8`, `fs:0x28`.
fn expression(used: &UsedMemory) -> String {
    let mut parts = Vec::new();
    if used.base() != Register::None {
        parts.push(name(used.base()));
    }
    match (used.index(), used.scale()) {
        (Register::None, _) => {}
        (index, 1) => parts.push(name(index)),
        (index, scale) => parts.push(format!("{}*{scale}", name(index))),
    }
    let mut text = parts.join("+");
    let displacement = used.displacement() as i64;
    match displacement {
        0 if !text.is_empty() => {}
        ..0 if !text.is_empty() => text += &format!("-{:#x}", displacement.unsigned_abs()),
        _ if text.is_empty() => text = format!("{displacement:#x}"),
        _ => text += &format!("+{displacement:#x}"),
    }
    match used.segment() {
        segment @ (Register::FS | Register::GS) => format!("{}:{text}", name(segment)),
        _ => text,
    }
}

fn name(register: Register) -> String {
    format!("{register:?}").to_lowercase()
}

/// The value of a register, or of the part of one that has a name of its own; `None` if it is not known.
fn part(register: Register, registers: &Registers) -> Option<u64> {
    let whole = match registers {
        Registers::X86_64(r) => wide(register, r)?,
        Registers::X86(r) => narrow(register, r)?.into(),
        _ => return None,
    };
    Some(match register {
        Register::AH | Register::BH | Register::CH | Register::DH => whole >> 8 & 0xff,
        _ if !register.is_gpr() => whole,
        _ => whole & (u64::MAX >> (64 - 8 * register.size().clamp(1, 8))),
    })
}

fn wide(register: Register, r: &snapshot::X86_64) -> Option<u64> {
    Some(match register.full_register() {
        Register::RAX => r.rax,
        Register::RBX => r.rbx,
        Register::RCX => r.rcx,
        Register::RDX => r.rdx,
        Register::RSI => r.rsi,
        Register::RDI => r.rdi,
        Register::RBP => r.rbp,
        Register::RSP => r.rsp,
        Register::R8 => r.r8,
        Register::R9 => r.r9,
        Register::R10 => r.r10,
        Register::R11 => r.r11,
        Register::R12 => r.r12,
        Register::R13 => r.r13,
        Register::R14 => r.r14,
        Register::R15 => r.r15,
        Register::RIP => r.rip,
        Register::FS => r.fs_base,
        Register::GS => r.gs_base,
        Register::CS | Register::DS | Register::ES | Register::SS => 0,
        _ => return None,
    })
}

/// Where `fs` and `gs` of a 32-bit program begin is not known.
fn narrow(register: Register, r: &snapshot::X86) -> Option<u32> {
    Some(match register.full_register32() {
        Register::EAX => r.eax,
        Register::EBX => r.ebx,
        Register::ECX => r.ecx,
        Register::EDX => r.edx,
        Register::ESI => r.esi,
        Register::EDI => r.edi,
        Register::EBP => r.ebp,
        Register::ESP => r.esp,
        Register::EIP => r.eip,
        Register::CS | Register::DS | Register::ES | Register::SS => 0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapshot::{NoMemory, X86_64};

    fn decode(code: &[u8]) -> Option<Instruction> {
        let registers = Registers::X86_64(X86_64 {
            rdi: 0x10,
            rcx: 3,
            rbx: 0xdead_0000_0000_0000,
            rsp: 0x7000,
            rip: 0x40_0000,
            fs_base: 0x5000,
            ..X86_64::default()
        });
        Instruction::decode(code, &registers, &NoMemory)
    }

    #[test]
    fn an_instruction_tells_what_it_accesses_and_by_which_register() {
        for (code, text, accesses) in [
            (
                &[0x8b, 0x47, 0x08][..],
                "mov eax,dword ptr [rdi+0x8]",
                &["read 4 rdi+0x8 18"][..],
            ),
            (
                &[0xc7, 0x44, 0x8f, 0xfc, 1, 0, 0, 0],
                "mov dword ptr [rdi+rcx*4-0x4],0x1",
                &["write 4 rdi+rcx*4-0x4 18"],
            ),
            (
                &[0x48, 0x8b, 0x03],
                "mov rax,qword ptr [rbx]",
                &["read 8 rbx dead000000000000"],
            ),
            (
                &[0x64, 0x48, 0x8b, 0x04, 0x25, 0x28, 0, 0, 0],
                "mov rax,qword ptr fs:[0x28]",
                &["read 8 fs:0x28 5028"],
            ),
            (&[0x55], "push rbp", &["write 8 rsp-0x8 6ff8"]),
            (&[0x48, 0x8d, 0x47, 0x08], "lea rax,[rdi+0x8]", &[]),
        ] {
            let found = decode(code).unwrap();
            assert_eq!(found.text, text);
            let told: Vec<String> = found
                .accesses
                .iter()
                .map(|a| format!("{} {} {} {:x}", a.verb, a.size, a.expression, a.address))
                .collect();
            assert_eq!(told, accesses, "{text}");
        }
    }

    #[test]
    fn what_ends_a_program_by_itself_is_known() {
        for (code, operation) in [
            (&[0x0f, 0x0b][..], Operation::Trap),
            (&[0xcc], Operation::Breakpoint),
            (&[0xf4], Operation::Privileged),
            (&[0xf7, 0xf9], Operation::Division(Some(3))),
            (&[0xf6, 0xfd], Operation::Division(Some(0))),
            (&[0xf7, 0x3f], Operation::Division(None)),
            (&[0x90], Operation::Other),
        ] {
            assert_eq!(decode(code).unwrap().operation, operation, "{code:x?}");
        }
        assert_eq!(decode(&[0x06]), None);
        assert_eq!(decode(&[]), None);
    }
}
