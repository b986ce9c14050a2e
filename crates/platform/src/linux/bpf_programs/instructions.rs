//! An assembler for the few BPF instructions that our programs need (`linux/bpf.h`; the kernel's
//! Documentation/bpf/standardization/instruction-set.rst). The programs are short, and so need no
//! compiler at build time.

use std::os::fd::{AsRawFd, OwnedFd};

/// The number of a register: 0 has the result of a call, 1 to 5 its arguments, 6 to 9 keep their
/// value over calls, 10 is the frame pointer.
pub(super) type Reg = u8;
/// The frame pointer. The stack lies below it.
pub(super) const FRAME: Reg = 10;

/// Functions of the kernel that programs may call, by their number (`bpf_func_id`; bpf-helpers(7)).
#[derive(Clone, Copy)]
pub(super) enum Helper {
    MapLookup = 1,
    MapUpdate = 2,
    MapDelete = 3,
    Time = 5,
    PidTgid = 14,
    UserGroup = 15,
    CurrentName = 16,
    ReadUser = 112,
    PidTgidInNamespace = 120,
    ReadKernel = 113,
    ReadKernelText = 115,
    RingOutput = 130,
    RingReserve = 131,
    RingSubmit = 132,
    CurrentTask = 158,
    TaskRegisters = 175,
    Loop = 181,
    CopyFromUserTask = 191,
}

/// The address space that memory is read from.
#[derive(Clone, Copy)]
pub(super) enum AddressSpace {
    Kernel,
    User,
}

/// The condition of a jump; comparisons are unsigned.
#[derive(Clone, Copy)]
pub(super) enum Condition {
    Equal = 0x10,
    NotEqual = 0x50,
    Greater = 0x20,
}

/// Wakes the reader of a ring (`BPF_RB_FORCE_WAKEUP`).
const WAKE: i32 = 2;

/// A program that is being written: its instructions, and where its functions other than the first
/// begin.
#[derive(Default)]
pub(super) struct Code {
    words: Vec<u64>,
    functions: Vec<usize>,
}

/// A call of a function that is not written yet.
#[must_use]
pub(super) struct Call(usize);

/// A jump whose destination is not known yet.
#[must_use]
pub(super) struct Jump(usize);

impl Code {
    /// Appends an instruction of 64 bits: operation, registers, offset, immediate value.
    fn put(&mut self, code: u8, to: Reg, from: Reg, offset: i16, value: i32) {
        let registers = u64::from(from << 4 | to);
        let word = u64::from(code)
            | registers << 8
            | u64::from(offset as u16) << 16
            | u64::from(value as u32) << 32;
        self.words.push(word);
    }

    /// to = from
    pub(super) fn copy(&mut self, to: Reg, from: Reg) {
        self.put(0xbf, to, from, 0, 0);
    }

    /// to = value
    pub(super) fn set(&mut self, to: Reg, value: i32) {
        self.put(0xb7, to, 0, 0, value);
    }

    /// to = a value of 64 bits
    pub(super) fn set_wide(&mut self, to: Reg, value: u64) {
        self.put(0x18, to, 0, 0, value as u32 as i32);
        self.words.push(value >> 32 << 32);
    }

    /// to += value
    pub(super) fn add(&mut self, to: Reg, value: i32) {
        self.put(0x07, to, 0, 0, value);
    }

    /// to += from
    pub(super) fn add_register(&mut self, to: Reg, from: Reg) {
        self.put(0x0f, to, from, 0, 0);
    }

    /// to -= from
    pub(super) fn subtract(&mut self, to: Reg, from: Reg) {
        self.put(0x1f, to, from, 0, 0);
    }

    /// to &= value
    pub(super) fn and(&mut self, to: Reg, value: i32) {
        self.put(0x57, to, 0, 0, value);
    }

    /// Clears the upper 32 bits.
    pub(super) fn keep_low_half(&mut self, to: Reg) {
        self.put(0x67, to, 0, 0, 32);
        self.put(0x77, to, 0, 0, 32);
    }

    /// to >>= bits, filled with zeros
    pub(super) fn shift_right(&mut self, to: Reg, bits: i32) {
        self.put(0x77, to, 0, 0, bits);
    }

    /// to = *(u64 *)(base + offset)
    pub(super) fn load(&mut self, to: Reg, base: Reg, offset: i16) {
        self.put(0x79, to, base, offset, 0);
    }

    /// to = *(u32 *)(base + offset)
    pub(super) fn load_half(&mut self, to: Reg, base: Reg, offset: i16) {
        self.put(0x61, to, base, offset, 0);
    }

    /// *(u64 *)(base + offset) = from
    pub(super) fn store(&mut self, base: Reg, offset: i16, from: Reg) {
        self.put(0x7b, base, from, offset, 0);
    }

    /// *(u32 *)(base + offset) = from
    pub(super) fn store_half(&mut self, base: Reg, offset: i16, from: Reg) {
        self.put(0x63, base, from, offset, 0);
    }

    /// Adds `from` to a 64-bit word atomically.
    pub(super) fn count(&mut self, base: Reg, offset: i16, from: Reg) {
        self.put(0xdb, base, from, offset, 0);
    }

    /// The same; afterwards `from` has the value that the word had before.
    pub(super) fn fetch_add(&mut self, base: Reg, offset: i16, from: Reg) {
        self.put(0xdb, base, from, offset, 1);
    }

    /// to = the address of a map
    pub(super) fn load_map(&mut self, to: Reg, map: &OwnedFd) {
        self.put(0x18, to, 1, 0, map.as_raw_fd());
        self.words.push(0);
    }

    /// Calls a function of the kernel.
    pub(super) fn call(&mut self, helper: Helper) {
        self.put(0x85, 0, 0, 0, helper as i32);
    }

    /// Sends `bytes` bytes of the stack, from offset `at` on, to a ring, and wakes its reader. The
    /// result is 0 if they found room.
    pub(super) fn send(&mut self, ring: &OwnedFd, at: i16, bytes: usize) {
        self.load_map(1, ring);
        self.copy(2, FRAME);
        self.add(2, at.into());
        self.set(3, bytes as i32);
        self.set(4, WAKE);
        self.call(Helper::RingOutput);
    }

    /// Copies `bytes` bytes from the address in register 3 to offset `to` of the stack. The result
    /// is 0 if they could be read.
    pub(super) fn read(&mut self, from: AddressSpace, to: i16, bytes: usize) {
        self.copy(1, FRAME);
        self.add(1, to.into());
        self.set(2, bytes as i32);
        self.call(match from {
            AddressSpace::Kernel => Helper::ReadKernel,
            AddressSpace::User => Helper::ReadUser,
        });
    }

    /// Copies the text at the kernel's address in register 3, up to its NUL, to offset `to` of the stack, where it has room
    /// for `bytes` bytes.
    pub(super) fn read_text(&mut self, to: i16, bytes: usize) {
        self.copy(1, FRAME);
        self.add(1, to.into());
        self.set(2, bytes as i32);
        self.call(Helper::ReadKernelText);
    }

    /// Ends the program unless the condition holds.
    pub(super) fn leave_unless(&mut self, when: Condition, left: Reg, right: i32) {
        let holds = self.jump(when, left, right);
        self.leave();
        self.land(holds);
    }

    /// Reserves `bytes` bytes in a ring. The result is their address, or 0 if there is no room.
    pub(super) fn reserve(&mut self, ring: &OwnedFd, bytes: i32) {
        self.load_map(1, ring);
        self.set(2, bytes);
        self.set(3, 0);
        self.call(Helper::RingReserve);
    }

    /// Hands reserved bytes to the reader of the ring, and wakes it.
    pub(super) fn submit(&mut self, room: Reg) {
        self.copy(1, room);
        self.set(2, WAKE);
        self.call(Helper::RingSubmit);
    }

    /// Looks up the value for the key at offset `key` of the stack. The result is its address, or 0
    /// if there is none.
    pub(super) fn lookup(&mut self, map: &OwnedFd, key: i16) {
        self.load_map(1, map);
        self.copy(2, FRAME);
        self.add(2, key.into());
        self.call(Helper::MapLookup);
    }

    /// Sets the value for the key at offset `key` of the stack to that at offset `value`.
    pub(super) fn put_entry(&mut self, map: &OwnedFd, key: i16, value: i16) {
        self.load_map(1, map);
        self.copy(2, FRAME);
        self.add(2, key.into());
        self.copy(3, FRAME);
        self.add(3, value.into());
        self.set(4, 0);
        self.call(Helper::MapUpdate);
    }

    /// Removes the entry for the key at offset `key` of the stack.
    pub(super) fn delete_entry(&mut self, map: &OwnedFd, key: i16) {
        self.load_map(1, map);
        self.copy(2, FRAME);
        self.add(2, key.into());
        self.call(Helper::MapDelete);
    }

    /// Jumps in any case.
    pub(super) fn jump_always(&mut self) -> Jump {
        self.put(0x05, 0, 0, 0, 0);
        Jump(self.words.len() - 1)
    }

    /// Jumps if the comparison of a register with a number holds.
    pub(super) fn jump(&mut self, when: Condition, left: Reg, right: i32) -> Jump {
        self.put(0x05 | when as u8, left, 0, 0, right);
        Jump(self.words.len() - 1)
    }

    /// Jumps if the comparison of two registers holds.
    pub(super) fn jump_on(&mut self, when: Condition, left: Reg, right: Reg) -> Jump {
        self.put(0x0d | when as u8, left, right, 0, 0);
        Jump(self.words.len() - 1)
    }

    /// Calls a [function](Code::function) of this program until it returns 1, at most eight million
    /// times (`bpf_loop`, Linux 5.17). The function is given the address of offset `at` of the
    /// stack in register 2.
    pub(super) fn call_in_loop(&mut self, at: i16) -> Call {
        /// The largest number of calls (`BPF_MAX_LOOPS`).
        const MOST: i32 = 1 << 23;
        /// Says that the value is the position of a function (`BPF_PSEUDO_FUNC`).
        const FUNCTION: Reg = 4;
        self.set(1, MOST);
        let call = Call(self.words.len());
        self.put(0x18, 2, FUNCTION, 0, 0);
        self.words.push(0);
        self.copy(3, FRAME);
        self.add(3, at.into());
        self.set(4, 0);
        self.call(Helper::Loop);
        call
    }

    /// Begins the function that `call` calls. Functions come after the main program.
    pub(super) fn function(&mut self, call: &Call) {
        let distance = (self.words.len() - call.0 - 1) as u64;
        self.words[call.0] |= distance << 32;
        self.functions.push(self.words.len());
    }

    /// Makes this position the destination of a jump.
    pub(super) fn land(&mut self, jump: Jump) {
        let offset = (self.words.len() - jump.0 - 1) as u64;
        self.words[jump.0] |= offset << 16;
    }

    /// Ends the program or function with a result. In a function that is called in a loop, 1 ends
    /// the loop.
    pub(super) fn leave_with(&mut self, result: i32) {
        self.set(0, result);
        self.put(0x95, 0, 0, 0, 0);
    }

    /// Ends the program or function with result 0.
    pub(super) fn leave(&mut self) {
        self.leave_with(0);
    }

    /// Returns the instructions.
    pub(super) fn words(&self) -> &[u64] {
        &self.words
    }

    /// Returns the positions at which functions other than the first begin.
    pub(super) fn functions(&self) -> &[usize] {
        &self.functions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_laid_out_as_the_kernel_reads_them() {
        let mut code = Code::default();
        code.copy(6, 1);
        code.store(FRAME, -8, 2);
        let jump = code.jump(Condition::NotEqual, 0, 7);
        code.leave();
        code.land(jump);
        let expected = [
            0x0000_0000_0000_16bf,
            0x0000_0000_fff8_2a7b,
            0x0000_0007_0002_0055,
            0x0000_0000_0000_00b7,
            0x0000_0000_0000_0095,
        ];
        assert_eq!(code.words(), expected);
    }
}
