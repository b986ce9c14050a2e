//! One step by the unwind information of x86-64 Windows images ("x64 exception handling",
//! learn.microsoft.com/cpp/build/exception-handling-x64).
//!
//! pe-unwind-info reads the tables. Its own loop over chained entries trusts the file; here the
//! chain has an end, and registers that would overflow its arithmetic are refused.

use super::{Callee, Cpu, Step};
use pe_unwind_info::x86_64::{
    FunctionEpilogInstruction, FunctionTableEntries, Register, RuntimeFunction, UnwindInfo,
    UnwindInfoTrailer, UnwindOperation, UnwindState, XmmRegister,
};
use std::ops::ControlFlow;

/// The most entries of one function that are followed; real functions have two or three.
const LONGEST_CHAIN: usize = 32;

/// The most bytes that one entry takes: 4, 255 codes of 2, and a chained entry.
const LARGEST_ENTRY: usize = 4 + 2 * 256 + 12;

/// The longest epilogue: pops of eight registers, an `add`, a jump.
const LONGEST_EPILOGUE: usize = 40;

/// The function table of one image: its section `.pdata`.
pub(crate) struct FunctionTable {
    pdata: Vec<u8>,
}

/// Reads up to that many bytes of the image, at an address relative to its base.
pub(crate) type ReadImage<'a> = &'a dyn Fn(u32, usize) -> Vec<u8>;

impl FunctionTable {
    /// `None` when the table is empty.
    pub(crate) fn new(mut pdata: Vec<u8>) -> Option<Self> {
        const ENTRY: usize = size_of::<RuntimeFunction>();
        pdata.truncate(pdata.len() / ENTRY * ENTRY);
        (!pdata.is_empty()).then_some(Self { pdata })
    }

    /// Where the function that holds `address` begins; both relative to the image's base. `None` if
    /// the table has no such function.
    pub(crate) fn start_of(&self, address: u32) -> Option<u32> {
        Some(self.find(address)?.begin_address.get())
    }

    fn find(&self, address: u32) -> Option<&RuntimeFunction> {
        FunctionTableEntries::parse(&self.pdata)
            .lookup(address)
            .filter(|f| address < f.end_address.get())
    }

    /// The frame that called `callee`, whose image begins at `base`; `None` if the table or the
    /// stack is damaged.
    pub(crate) fn step(&self, callee: &Callee, base: u64, read: ReadImage) -> Option<Step> {
        let address = u32::try_from(callee.lookup().checked_sub(base)?).ok()?;
        let mut state = State {
            cpu: callee.cpu.clone(),
            word: callee.word,
            has_failed: false,
        };
        let ip = match self.find(address) {
            Some(function) => unwind(*function, address, callee.is_exact, read, &mut state)?,
            // A function without an entry has changed no register: only the call has pushed the
            // return address.
            None => state.pop()?,
        };
        state.cpu.ip = ip;
        (!state.has_failed).then_some(Step::Caller {
            cpu: state.cpu,
            is_signal_frame: false,
        })
    }
}

/// Undoes the prologue of a function as far as it has run; returns the return address. `None` if
/// the table is damaged.
fn unwind(
    mut function: RuntimeFunction,
    address: u32,
    is_exact: bool,
    read: ReadImage,
    state: &mut State,
) -> Option<u64> {
    let offset = address.checked_sub(function.begin_address.get())?;
    for depth in 0..LONGEST_CHAIN {
        let bytes = read(function.unwind_info_address.get(), LARGEST_ENTRY);
        let info = UnwindInfo::parse(&bytes)?;
        if depth == 0 && is_exact && epilogue(&info, address, &function, read, state).is_some() {
            return state.pop();
        }
        for (done_at, operation) in info.unwind_operations() {
            let is_undone = depth > 0 || u32::from(done_at) <= offset;
            if is_undone && let Some(ip) = undo(&info, &operation, state)? {
                return Some(ip);
            }
        }
        match info.trailer() {
            Some(UnwindInfoTrailer::ChainedUnwindInfo { chained }) => function = *chained,
            _ => return state.pop(),
        }
    }
    None
}

/// Undoes one operation of the prologue. The inner `Some` is a return address: the operation was
/// the processor's own, on an interrupt.
fn undo(info: &UnwindInfo, operation: &UnwindOperation, state: &mut State) -> Option<Option<u64>> {
    match info.resolve_operation(state, operation)? {
        ControlFlow::Break(ip) => Some(Some(ip)),
        ControlFlow::Continue(()) => (!state.has_failed).then_some(None),
    }
}

/// Carries out the rest of an epilogue. `None` if the thread is not in one; the tables do not say
/// where epilogues are, only the code does.
fn epilogue(
    info: &UnwindInfo,
    address: u32,
    function: &RuntimeFunction,
    read: ReadImage,
    state: &mut State,
) -> Option<()> {
    let left = function.end_address.get().saturating_sub(address) as usize;
    let code = read(address, left.min(LONGEST_EPILOGUE));
    let rest = FunctionEpilogInstruction::parse_sequence(&code, info.frame_register()).ok()?;
    for instruction in &rest {
        match instruction {
            FunctionEpilogInstruction::AddSP(bytes) => {
                state.move_sp(Register::RSP, u64::from(*bytes));
            }
            FunctionEpilogInstruction::AddSPFromFP(bytes) => {
                state.move_sp(info.frame_register()?, u64::from(*bytes));
            }
            FunctionEpilogInstruction::Pop(register) => {
                let value = state.pop()?;
                state.write_register(*register, value);
            }
        }
    }
    Some(())
}

/// The registers while they are taken back, in the shape that the library wants.
struct State<'a> {
    cpu: Cpu,
    word: &'a dyn Fn(u64, u8) -> Option<u64>,
    /// Whether a register held no possible stack address.
    has_failed: bool,
}

impl State<'_> {
    fn pop(&mut self) -> Option<u64> {
        let sp = self.read_register(Register::RSP);
        let value = (self.word)(sp, 8)?;
        self.write_register(Register::RSP, sp + 8);
        Some(value)
    }

    fn move_sp(&mut self, from: Register, by: u64) {
        let base = self.read_register(from);
        self.write_register(Register::RSP, base + by);
    }
}

impl UnwindState for State<'_> {
    /// Returns the value of a register, which must be a possible stack address. The library adds to
    /// it and subtracts from it without checks; so anything else is replaced by a harmless number,
    /// and the step fails.
    fn read_register(&mut self, register: Register) -> u64 {
        let value = self.cpu.get(dwarf_number(register)).unwrap_or_default();
        if (0x1000..1 << 62).contains(&value) {
            return value;
        }
        self.has_failed = true;
        0x1000
    }

    fn read_stack(&mut self, address: u64) -> Option<u64> {
        (self.word)(address, 8)
    }

    fn write_register(&mut self, register: Register, value: u64) {
        self.cpu.set(dwarf_number(register), value);
    }

    fn write_xmm_register(&mut self, _register: XmmRegister, _value: u128) {}
}

fn dwarf_number(register: Register) -> usize {
    match register {
        Register::RAX => 0,
        Register::RDX => 1,
        Register::RCX => 2,
        Register::RBX => 3,
        Register::RSI => 4,
        Register::RDI => 5,
        Register::RBP => 6,
        Register::RSP => 7,
        Register::R8 => 8,
        Register::R9 => 9,
        Register::R10 => 10,
        Register::R11 => 11,
        Register::R12 => 12,
        Register::R13 => 13,
        Register::R14 => 14,
        Register::R15 => 15,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapshot::{Registers, X86_64};

    const BASE: u64 = 0x1_4000_0000;

    /// Two functions, at 0x1000 and 0x2000, whose entries lie at 0x3000 and 0x3100.
    fn functions() -> FunctionTable {
        let table = [0x1000u32, 0x1100, 0x3000, 0x2000, 0x2100, 0x3100];
        FunctionTable::new(table.iter().flat_map(|v| v.to_le_bytes()).collect()).unwrap()
    }

    fn image(address: u32, size: usize) -> Vec<u8> {
        let bytes = match address {
            // push %rbx (done at 1), sub $0x20,%rsp (done at 5)
            0x3000 => vec![1, 5, 2, 0, 5, 0x32, 1, 0x30],
            // A chain that leads to itself.
            0x3100 => {
                [0x2000u32, 0x2100, 0x3100]
                    .iter()
                    .fold(vec![1 | 4 << 3, 0, 0, 0], |mut all, v| {
                        all.extend(v.to_le_bytes());
                        all
                    })
            }
            // add $0x20,%rsp; pop %rbx; ret
            0x10f0 => vec![0x48, 0x83, 0xc4, 0x20, 0x5b, 0xc3],
            _ => vec![0x90; 64],
        };
        bytes[..bytes.len().min(size)].to_vec()
    }

    /// The stack: at 0x8000 and on, each word tells its own address.
    fn step(at: u64, rsp: u64) -> Option<Cpu> {
        let registers = X86_64 {
            rip: BASE + at,
            rsp,
            rbx: 1,
            ..X86_64::default()
        };
        let cpu = Cpu::new(&Registers::X86_64(registers));
        let callee = Callee {
            cpu: &cpu,
            is_exact: true,
            bias: 0,
            word: &|at, _| Some(at),
        };
        match functions().step(&callee, BASE, &image)? {
            Step::Caller { cpu, .. } => Some(cpu),
            Step::Root => None,
        }
    }

    #[test]
    fn the_prologue_is_undone_as_far_as_it_ran() {
        for (at, ip, rbx) in [
            (0x1000, 0x8000, 1),
            (0x1003, 0x8008, 0x8000),
            (0x1080, 0x8028, 0x8020),
            (0x10f0, 0x8028, 0x8020),
            (0x1800, 0x8000, 1), // no entry: a leaf
        ] {
            let caller = step(at, 0x8000).unwrap();
            assert_eq!(
                (caller.ip, caller.get(3), caller.sp()),
                (ip, Some(rbx), ip + 8),
                "{at:x}"
            );
        }
    }

    #[test]
    fn a_chain_without_end_and_a_stack_at_the_end_of_the_address_space_are_refused() {
        assert!(step(0x2010, 0x8000).is_none());
        assert!(step(0x1080, u64::MAX).is_none());
        assert!(step(0x1080, 0).is_none());
    }
}
