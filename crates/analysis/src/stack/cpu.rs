use crate::arch::{self, MOST_REGISTERS, Processor};
use snapshot::Registers;

/// The registers of one frame during a walk, by DWARF number.
#[derive(Clone)]
pub(crate) struct Cpu {
    pub(crate) processor: &'static Processor,
    pub(crate) ip: u64,
    values: [u64; MOST_REGISTERS],
}

impl Cpu {
    pub(crate) fn new(registers: &Registers) -> Self {
        Self {
            processor: arch::processor(registers.architecture()),
            ip: registers.ip(),
            values: arch::numbered(registers),
        }
    }

    /// A register; `None` for a number that the processor has not.
    pub(crate) fn get(&self, number: usize) -> Option<u64> {
        self.values.get(number).copied()
    }

    /// Sets a register; a number that the processor has not is ignored.
    pub(crate) fn set(&mut self, number: usize, value: u64) {
        if let Some(place) = self.values.get_mut(number) {
            *place = value;
        }
    }

    pub(crate) fn sp(&self) -> u64 {
        self.values[self.processor.sp]
    }

    pub(crate) fn fp(&self) -> u64 {
        self.values[self.processor.fp]
    }

    /// The frame that called this one, where only return address, stack and frame pointer are
    /// known.
    pub(crate) fn caller(&self, ip: u64, sp: u64, fp: u64) -> Self {
        let mut caller = self.clone();
        caller.ip = ip;
        caller.values[self.processor.sp] = sp;
        caller.values[self.processor.fp] = fp;
        caller
    }
}
