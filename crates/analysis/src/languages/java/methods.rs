//! Methods: their names, source files and lines (`oops/constMethod.hpp`, `oops/constantPool.hpp`).

use super::LONGEST_NAME;
use super::compressed::Numbers;
use super::view::View;
use crate::languages::LanguageFrame;
use crate::runtime::Runtime;
use snapshot::{Memory, Range};

/// The largest part of a method that does not change, in bytes: 64 KiB of code, and its tables.
const LARGEST: u64 = 1 << 21;

/// In a table of lines, the byte before a pair of numbers that are too large for one byte (`code/compressedStream.hpp`).
const LARGE: u8 = 0xff;

/// A method of Java (`Method`).
pub(super) struct Method<'a> {
    view: View<'a>,
    at: u64,
    /// Its part that does not change (`ConstMethod`), and the constants of its class.
    fixed: u64,
    constants: u64,
}

impl<'a> Method<'a> {
    /// The one at an address; `None` if what is there cannot be one.
    pub(super) fn at(view: View<'a>, at: u64) -> Option<Self> {
        let is_pointer = at != 0 && at.is_multiple_of(8);
        let fixed = is_pointer.then(|| view.pointer(at, "Method._constMethod"))??;
        let constants = view.pointer(fixed, "ConstMethod._constants")?;
        let method = Self {
            view,
            at,
            fixed,
            constants,
        };
        method.name().is_some().then_some(method)
    }

    /// Its bytecodes.
    pub(super) fn code(&self) -> Option<Range> {
        let start = self.fixed.checked_add(self.view.size("ConstMethod")?)?;
        let size = self.view.number(self.fixed, "ConstMethod._code_size")?;
        let end = start.checked_add(u64::try_from(size).ok()?)?;
        Some(Range::new(start, end))
    }

    /// The place of a bytecode of it.
    pub(super) fn spot(&self, number: i64) -> Option<LanguageFrame> {
        self.view.layout.spot((self.at, number), || {
            let class = self.view.class_name(self.class()?)?;
            Some(LanguageFrame {
                language: Runtime::Jvm,
                function: format!("{class}.{}", self.name()?),
                file: self.file(),
                line: self.line(number.max(0)),
            })
        })
    }

    fn class(&self) -> Option<u64> {
        self.view
            .pointer(self.constants, "ConstantPool._pool_holder")
    }

    fn name(&self) -> Option<String> {
        let number = self.view.number(self.fixed, "ConstMethod._name_index")?;
        self.view.constant(self.constants, number)
    }

    fn file(&self) -> Option<String> {
        let number = match self.view.has("ConstantPool._source_file_name_index") {
            true => self
                .view
                .number(self.constants, "ConstantPool._source_file_name_index"),
            false => self
                .view
                .number(self.class()?, "InstanceKlass._source_file_name_index"),
        };
        self.view.constant(self.constants, number?)
    }

    /// The line of a bytecode: that of the last entry which is not behind it.
    fn line(&self, number: i64) -> Option<u32> {
        let code = self.code()?;
        let size = self
            .view
            .number(self.fixed, "ConstMethod._constMethod_size")?;
        let size = u64::try_from(size).ok()?.saturating_mul(8).min(LARGEST);
        if !self.has_lines() || number >= code.len() as i64 {
            return None;
        }
        let mut table = Numbers::new(self.view, code.end, self.fixed.wrapping_add(size));
        let (mut bytecode, mut line, mut best) = (0, 0, None);
        while let Some((more_bytecodes, more_lines)) = pair(&mut table) {
            bytecode += more_bytecodes;
            line += more_lines;
            if bytecode <= number && best.is_none_or(|(known, _)| known <= bytecode) {
                best = Some((bytecode, line));
            }
        }
        u32::try_from(best?.1).ok()
    }

    fn has_lines(&self) -> bool {
        let constants = &self.view.layout.tables;
        let mask = [
            "ConstMethodFlags::_misc_has_linenumber_table",
            "ConstMethod::_has_linenumber_table",
        ];
        let mask = mask.iter().find_map(|name| constants.constant(name));
        let flags = ["ConstMethod._flags._flags", "ConstMethod._flags"];
        let flags = flags
            .iter()
            .find_map(|field| self.view.number(self.fixed, field));
        flags
            .zip(mask)
            .is_some_and(|(flags, mask)| flags & mask != 0)
    }
}

/// By how much bytecode and line are higher than those before; `None` at the end of the table.
fn pair(table: &mut Numbers) -> Option<(i64, i64)> {
    match table.byte()? {
        0 => None,
        LARGE => Some((table.signed()?, table.signed()?)),
        both => Some((i64::from(both >> 3), i64::from(both & 7))),
    }
}

impl View<'_> {
    /// A name among the constants of a class. The first one is none.
    pub(super) fn constant(&self, constants: u64, number: i64) -> Option<String> {
        let number = u64::try_from(number).ok().filter(|number| *number != 0)?;
        let start = constants.wrapping_add(self.size("ConstantPool")?);
        self.symbol(self.word(start.wrapping_add(8 * (number & 0xffff)))?)
    }

    /// A name (`oops/symbol.hpp`). The lowest bit of a pointer to it may be a mark.
    pub(super) fn symbol(&self, at: u64) -> Option<String> {
        let at = at & !1;
        let length = self.number(at, "Symbol._length")? & 0xffff;
        let length = usize::try_from(length).ok().filter(|length| *length > 0)?;
        let mut letters = vec![0; length.min(LONGEST_NAME)];
        let start = self.address(at, "Symbol._body")?;
        let is_read = self.memory.read_all(start, &mut letters);
        let name = String::from_utf8(letters).ok().filter(|_| is_read)?;
        name.chars().all(|c| !c.is_control()).then_some(name)
    }

    /// The name of a class: `java.lang.Thread`, `Shop$$Lambda/0x0000700001000a00`.
    pub(super) fn class_name(&self, class: u64) -> Option<String> {
        let name = self.symbol(self.pointer(class, "Klass._name")?)?;
        let name = name.replace('/', ".");
        Some(name.replace(".0x", "/0x").replace("+0x", "/0x"))
    }
}
