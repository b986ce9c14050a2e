//! One step by DWARF call frame information (DWARF 5 §6.4, LSB `.eh_frame`).
//!
//! gimli reads the tables. This file applies a row of them to all registers, not only to the stack
//! and frame pointer: frames behind a signal handler, hand-written assembly and functions that
//! realign their stack need the others.

use super::{Callee, Step};
use crate::bytes::Section;
use gimli::{
    BaseAddresses, CfaRule, DebugFrame, EhFrame, EndianSlice, Evaluation, EvaluationResult,
    LittleEndian, Location, Register, RegisterRule, UnwindContext, UnwindExpression, UnwindSection,
    UnwindTableRow, Value, Vendor,
};
use snapshot::Architecture;
use std::sync::{Mutex, OnceLock, PoisonError};

type Bytes<'a> = EndianSlice<'a, LittleEndian>;

/// The most operations of one expression. One that takes more never ends: `DW_OP_skip` can jump
/// back.
const MOST_OPERATIONS: u32 = 1000;

/// Tables with more functions than this are not real (the largest known have a few hundred
/// thousand).
const MOST_FUNCTIONS: usize = 4 << 20;

/// The call frame information of one image: `.eh_frame`, `.debug_frame`, or both.
pub(crate) struct Dwarf {
    eh_frame: Option<Section>,
    header: Option<Section>,
    debug_frame: Option<Section>,
    bases: BaseAddresses,
    address_size: u8,
    vendor: Vendor,
    eh_index: OnceLock<Vec<(u64, usize)>>,
    debug_index: OnceLock<Vec<(u64, usize)>>,
    context: Mutex<UnwindContext<usize>>,
}

impl Dwarf {
    /// `None` if the image has neither section. `text` and `got` are the addresses of the sections
    /// of those names, 0 if unknown.
    pub(crate) fn new(
        eh_frame: Option<Section>,
        header: Option<Section>,
        debug_frame: Option<Section>,
        (text, got): (u64, u64),
        architecture: Architecture,
    ) -> Option<Self> {
        if eh_frame.is_none() && debug_frame.is_none() {
            return None;
        }
        let start = |section: &Option<Section>| section.as_ref().map_or(0, |s| s.address);
        let bases = BaseAddresses::default()
            .set_eh_frame(start(&eh_frame))
            .set_eh_frame_hdr(start(&header))
            .set_text(text)
            .set_got(got);
        let is_arm = architecture == Architecture::Aarch64;
        Some(Self {
            eh_frame,
            header,
            debug_frame,
            bases,
            address_size: architecture.pointer_size() as u8,
            vendor: if is_arm {
                Vendor::AArch64
            } else {
                Vendor::Default
            },
            eh_index: OnceLock::new(),
            debug_index: OnceLock::new(),
            context: Mutex::new(UnwindContext::new()),
        })
    }

    /// The frame that called `callee`; `None` if the tables have no rule for it, or the rule needs
    /// memory that is not there.
    pub(crate) fn step(&self, callee: &Callee) -> Option<Step> {
        let address = callee.lookup().wrapping_sub(callee.bias);
        self.by_eh_frame(address, callee)
            .or_else(|| self.by_debug_frame(address, callee))
    }

    fn by_eh_frame(&self, address: u64, callee: &Callee) -> Option<Step> {
        let mut section = EhFrame::new(self.eh_frame.as_ref()?.bytes.get(), LittleEndian);
        section.set_address_size(self.address_size);
        section.set_vendor(self.vendor);
        let by_table = self.header_offset(address);
        let offset = by_table.or_else(|| {
            let index = self.eh_index.get_or_init(|| index(&section, &self.bases));
            find(index, address)
        })?;
        self.by_rule(&section, offset, address, callee)
    }

    fn by_debug_frame(&self, address: u64, callee: &Callee) -> Option<Step> {
        let mut section = DebugFrame::new(self.debug_frame.as_ref()?.bytes.get(), LittleEndian);
        section.set_address_size(self.address_size);
        section.set_vendor(self.vendor);
        let index = self
            .debug_index
            .get_or_init(|| index(&section, &self.bases));
        self.by_rule(&section, find(index, address)?, address, callee)
    }

    /// The offset in `.eh_frame` of the function's entry, by the table of `.eh_frame_hdr`. `None`
    /// if there is no table of the one shape that linkers write (LSB 10.6.2: offsets of four
    /// bytes from the header's start, sorted).
    fn header_offset(&self, address: u64) -> Option<usize> {
        let header = self.header.as_ref()?;
        let bytes = header.bytes.get();
        if !matches!(bytes, [1, _, 0x03, 0x3b, ..]) {
            return None;
        }
        let table = bytes.get(12..)?.as_chunks::<8>().0;
        let count = u32::from_le_bytes(bytes.get(8..12)?.try_into().ok()?) as usize;
        let table = &table[..count.min(table.len())];
        let wanted = address.wrapping_sub(header.address) as i64;
        let offset = |bytes: &[u8]| bytes.try_into().map_or(0, i32::from_le_bytes);
        let after = table.partition_point(|entry| i64::from(offset(&entry[..4])) <= wanted);
        let entry = table.get(after.checked_sub(1)?)?;
        let start = header
            .address
            .wrapping_add(offset(&entry[4..]) as i64 as u64);
        usize::try_from(start.checked_sub(self.eh_frame.as_ref()?.address)?).ok()
    }

    fn by_rule<'a, S>(
        &self,
        section: &S,
        offset: usize,
        address: u64,
        callee: &Callee,
    ) -> Option<Step>
    where
        S: UnwindSection<Bytes<'a>>,
        S::Offset: From<usize>,
    {
        let entry = section
            .fde_from_offset(&self.bases, S::Offset::from(offset), S::cie_from_offset)
            .ok()?;
        if !entry.contains(address) {
            return None;
        }
        let context = self.context.lock();
        let mut context = context.unwrap_or_else(PoisonError::into_inner);
        let row = entry
            .unwind_info_for_address(section, &self.bases, &mut context, address)
            .ok()?;
        let rules = Rules {
            section,
            row,
            encoding: entry.cie().encoding(),
            column: entry.cie().return_address_register(),
            callee,
        };
        rules.caller(entry.is_signal_trampoline())
    }
}

/// Every function's first address and the offset of its entry, ascending by address.
fn index<'a, S>(section: &S, bases: &BaseAddresses) -> Vec<(u64, usize)>
where
    S: UnwindSection<Bytes<'a>>,
{
    let mut functions = Vec::new();
    let mut entries = section.entries(bases);
    while let Ok(Some(entry)) = entries.next() {
        let gimli::CieOrFde::Fde(partial) = entry else {
            continue;
        };
        let offset = partial.offset();
        if let Ok(entry) = partial.parse(S::cie_from_offset) {
            functions.push((entry.initial_address(), offset));
        }
        if functions.len() >= MOST_FUNCTIONS {
            break;
        }
    }
    functions.sort_unstable();
    functions
}

/// The offset of the entry whose function begins last before `address`, or at it.
fn find(index: &[(u64, usize)], address: u64) -> Option<usize> {
    let after = index.partition_point(|(start, _)| *start <= address);
    Some(index.get(after.checked_sub(1)?)?.1)
}

/// The rules for one address, and the frame that they are applied to.
struct Rules<'r, 'a, S> {
    section: &'r S,
    row: &'r UnwindTableRow<usize>,
    encoding: gimli::Encoding,
    column: Register,
    callee: &'r Callee<'a>,
}

impl<'b, S: UnwindSection<Bytes<'b>>> Rules<'_, '_, S> {
    fn caller(&self, is_signal_frame: bool) -> Option<Step> {
        let cpu = self.callee.cpu;
        let cfa = self.frame_address()?;
        let mut caller = cpu.clone();
        caller.set(cpu.processor.sp, cfa);
        for (register, rule) in self.row.registers() {
            let number = usize::from(register.0);
            // A register whose value cannot be read keeps that of the callee: a guess is better
            // than nothing, and only the return address decides whether the step is good.
            if let Some(value) = self.value(rule, cfa, cpu.get(number)) {
                caller.set(number, value);
            }
        }
        let Some(ip) = self.return_address(cfa)? else {
            return Some(Step::Root);
        };
        caller.ip = ip;
        Some(Step::Caller {
            cpu: caller,
            is_signal_frame,
        })
    }

    /// The return address; `Some(None)` if the tables say that there is no caller, `None` if it
    /// cannot be read.
    fn return_address(&self, cfa: u64) -> Option<Option<u64>> {
        let cpu = self.callee.cpu;
        let own = cpu.get(usize::from(self.column.0));
        match self.row.register(self.column) {
            Some(RegisterRule::Undefined) => Some(None),
            // Without a rule: on ARM, a function that has not saved the link register yet. On x86
            // the return address is always stored and always has a rule.
            None if !cpu.processor.has_link_register => Some(None),
            None => Some(own),
            Some(rule) => Some(Some(self.value(&rule, cfa, own)?)),
        }
    }

    fn frame_address(&self) -> Option<u64> {
        match self.row.cfa() {
            CfaRule::RegisterAndOffset { register, offset } => {
                let base = self.callee.cpu.get(usize::from(register.0))?;
                Some(base.wrapping_add_signed(*offset))
            }
            CfaRule::Expression(expression) => self.evaluate(expression, None),
        }
    }

    fn value(&self, rule: &RegisterRule<usize>, cfa: u64, own: Option<u64>) -> Option<u64> {
        let word = |address| (self.callee.word)(address, self.encoding.address_size);
        match rule {
            RegisterRule::SameValue => own,
            RegisterRule::Offset(offset) => word(cfa.wrapping_add_signed(*offset)),
            RegisterRule::ValOffset(offset) => Some(cfa.wrapping_add_signed(*offset)),
            RegisterRule::Register(other) => self.callee.cpu.get(usize::from(other.0)),
            RegisterRule::Expression(address) => word(self.evaluate(address, Some(cfa))?),
            RegisterRule::ValExpression(value) => self.evaluate(value, Some(cfa)),
            RegisterRule::Constant(value) => Some(*value),
            _ => None,
        }
    }

    fn evaluate(&self, expression: &UnwindExpression<usize>, first: Option<u64>) -> Option<u64> {
        let bytecode = expression.get(self.section).ok()?.0;
        let mut evaluation = Evaluation::new(bytecode, self.encoding);
        evaluation.set_max_iterations(MOST_OPERATIONS);
        if let Some(value) = first {
            evaluation.set_initial_value(value);
        }
        let mut state = evaluation.evaluate().ok()?;
        loop {
            state = match state {
                EvaluationResult::Complete => break,
                EvaluationResult::RequiresRegister { register, .. } => {
                    let value = self.callee.cpu.get(usize::from(register.0))?;
                    evaluation.resume_with_register(Value::Generic(value))
                }
                EvaluationResult::RequiresMemory { address, size, .. } => {
                    let value = (self.callee.word)(address, size)?;
                    evaluation.resume_with_memory(Value::Generic(value))
                }
                EvaluationResult::RequiresRelocatedAddress(address) => {
                    evaluation.resume_with_relocated_address(address.wrapping_add(self.callee.bias))
                }
                _ => return None,
            }
            .ok()?;
        }
        match evaluation.as_result().last()?.location {
            Location::Address { address } => Some(address),
            Location::Value {
                value: Value::Generic(value),
            } => Some(value),
            _ => None,
        }
    }
}
