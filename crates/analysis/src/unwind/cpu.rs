//! The registers of one frame.

use super::arch::{self, MOST_REGISTERS, Processor};
use snapshot::{Architecture, Registers};

/// The registers of one frame during a walk, by DWARF number.
#[derive(Clone)]
pub(crate) struct Cpu {
    pub(crate) processor: &'static Processor,
    /// The instruction pointer.
    pub(crate) ip: u64,
    values: [u64; MOST_REGISTERS],
}

impl Cpu {
    /// Those of a thread.
    pub(crate) fn new(registers: &Registers) -> Self {
        Self {
            processor: arch::processor(registers.architecture()),
            ip: registers.ip(),
            values: arch::numbered(registers),
        }
    }

    /// With these two registers known, and no others.
    pub(crate) fn at(architecture: Architecture, ip: u64, sp: u64) -> Self {
        let processor = arch::processor(architecture);
        let mut cpu = Self {
            processor,
            ip,
            values: [0; MOST_REGISTERS],
        };
        cpu.set(processor.sp, sp);
        cpu
    }

    /// The register of that DWARF number; `None` if it is higher than any processor's.
    pub(crate) fn get(&self, number: usize) -> Option<u64> {
        self.values.get(number).copied()
    }

    /// Sets the register of that DWARF number; does nothing if it is higher than any processor's.
    pub(crate) fn set(&mut self, number: usize, value: u64) {
        if let Some(register) = self.values.get_mut(number) {
            *register = value;
        }
    }

    /// The stack pointer.
    pub(crate) fn sp(&self) -> u64 {
        self.values[self.processor.sp]
    }

    /// The frame pointer.
    pub(crate) fn fp(&self) -> u64 {
        self.values[self.processor.fp]
    }

    /// The registers of the caller if only its return address, stack pointer and frame pointer are
    /// known; the others keep their values.
    pub(crate) fn caller(&self, ip: u64, sp: u64, fp: u64) -> Self {
        let mut caller = self.clone();
        caller.ip = ip;
        caller.values[self.processor.sp] = sp;
        caller.values[self.processor.fp] = fp;
        caller
    }
}
