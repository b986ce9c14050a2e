//! A small virtual machine in memory, for tests and for the fuzzer: code of the interpreter and of one compiled method, two threads.

use super::made_up::MadeUp;
use super::made_up_tables::{REST, STATICS, bytes};

pub(crate) const START: u64 = 0x40_0000;
const AT: u64 = START + REST;

/// Places in the memory: code, of which the first segments are the interpreter's; classes; objects; threads; stacks.
pub(crate) const CODE: u64 = AT;
pub(crate) const COMPILED: u64 = CODE + 0x400;
const MAP: u64 = CODE + 0x800;
const HEAPS: u64 = AT + 0x900;
const NAMES: u64 = AT + 0xa00;
const METHODS: u64 = AT + 0xc00;
const CLASSES: u64 = AT + 0x1000;
pub(crate) const OBJECTS: u64 = AT + 0x1400;
const THREADS: u64 = AT + 0x1800;
pub(crate) const STACK: u64 = AT + 0x2000;
pub(crate) const FRAME: u64 = STACK + 0x100;
const SIZE: u64 = REST + 0x3000;

/// Numbers of constants.
const FILE: u16 = 1;
const RUN: u16 = 2;
const CALLED: u16 = 3;
const NAME: u16 = 4;
const STATUS: u16 = 5;
const VALUE: u16 = 6;
const CODER: u16 = 7;

/// A virtual machine that is being made up.
pub(crate) struct Machine {
    pub(crate) memory: MadeUp,
    next_name: u64,
}

impl Machine {
    fn word(&mut self, at: u64, value: u64) {
        self.memory.put_u64(at, value);
    }

    fn half(&mut self, at: u64, value: u16) {
        self.memory.put(at, &value.to_le_bytes());
    }

    fn int(&mut self, at: u64, value: u32) {
        self.memory.put_u32s(at, &[value]);
    }

    fn symbol(&mut self, name: &str) -> u64 {
        let at = self.next_name;
        self.half(at, name.len() as u16);
        self.memory.put(at + 2, name.as_bytes());
        self.next_name += 2 + (name.len() as u64 + 8).next_multiple_of(8) - 2;
        at
    }

    /// A class with these fields: the numbers of their names, and their offsets.
    fn class(&mut self, at: u64, name: &str, constants: u64, fields: &[(u16, u16)]) {
        let name = self.symbol(name);
        self.word(at, name);
        self.word(at + 16, constants);
        let list = at + 0x40;
        self.word(at + 24, list);
        self.half(at + 32, fields.len() as u16);
        for (number, (name, offset)) in (0..).zip(fields) {
            let at = list + 4 + 12 * number;
            self.half(at + 2, *name);
            self.half(at + 8, offset << 2);
        }
    }

    /// A method of four bytecodes: the first two are of line 7, the others of line 9.
    fn method(&mut self, at: u64, constants: u64, name: u16) {
        let fixed = at + 0x20;
        self.word(at, fixed);
        self.word(fixed, constants);
        self.int(fixed + 8, 16);
        self.half(fixed + 12, 1);
        self.half(fixed + 14, 4);
        self.half(fixed + 16, name);
        self.memory.put(fixed + 24 + 4, &[7, 2 << 3 | 2, 0]);
    }

    fn blob(&mut self, at: u64, name: &str, size: u32, frame_words: u32, code: u64) {
        let text = self.next_name;
        self.memory.put(text, name.as_bytes());
        self.next_name += (name.len() as u64 + 8).next_multiple_of(8);
        self.word(at, text);
        self.int(at + 8, size);
        self.int(at + 12, frame_words);
        self.word(at + 16, code);
    }

    fn object(&mut self, at: u64, class: u64) {
        self.word(at + 8, class);
    }

    fn thread(&mut self, at: u64, number: u32, name: &str, status: u32) {
        let (system, object, handle) = (at + 0x80, at + 0x90, at + 0xe0);
        let (text, letters) = (at + 0xb0, at + 0xf0);
        self.word(at, handle);
        self.word(handle, object);
        self.word(at + 8, system);
        self.int(system, number);
        self.object(object, CLASSES);
        self.word(object + 16, text);
        self.int(object + 24, status);
        self.object(text, CLASSES + 0x100);
        self.word(text + 16, letters);
        self.int(letters + 16, name.len() as u32);
        self.memory.put(letters + 24, name.as_bytes());
    }
}

/// Two threads, of which the first waits for an object that the second has locked, and a stack: a frame of a compiled method at its
/// start, called by one of the interpreter.
pub(crate) fn machine() -> Machine {
    let mut memory = MadeUp::new(START, SIZE as usize);
    memory.put(START, &bytes(START));
    let mut it = Machine {
        memory,
        next_name: NAMES,
    };
    code(&mut it);
    methods(&mut it);
    threads(&mut it);
    stack(&mut it);
    it
}

fn methods(it: &mut Machine) {
    let constants = METHODS + 0x200;
    let holder = CLASSES + 0x200;
    it.word(constants, holder);
    it.half(constants + 8, FILE);
    let names = [
        "Shop.java",
        "run",
        "called",
        "name",
        "threadStatus",
        "value",
        "coder",
    ];
    for (number, name) in (1..).zip(names) {
        let symbol = it.symbol(name);
        it.word(constants + 16 + 8 * number, symbol);
    }
    it.class(holder, "my/Shop", constants, &[]);
    it.class(
        CLASSES,
        "java/lang/Thread",
        constants,
        &[(NAME, 16), (STATUS, 24)],
    );
    let fields = [(VALUE, 16), (CODER, 24)];
    it.class(CLASSES + 0x100, "java/lang/String", constants, &fields);
    it.method(METHODS, constants, RUN);
    it.method(METHODS + 0x100, constants, CALLED);
}

fn code(it: &mut Machine) {
    for (at, value) in [
        (0, CODE),
        (8, CODE + 0x800),
        (16, HEAPS),
        (24, 17),
        (32, THREADS),
    ] {
        it.word(START + STATICS + at, value);
    }
    it.int(HEAPS, 1);
    it.word(HEAPS + 8, HEAPS + 16);
    it.word(HEAPS + 16, HEAPS + 32);
    let heap = HEAPS + 32;
    for (at, value) in [
        (0, CODE),
        (8, CODE + 0x800),
        (16, MAP),
        (24, MAP + 16),
        (32, 7),
    ] {
        it.word(heap + at, value);
    }
    it.memory.put(
        MAP,
        &[0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 0xff, 0xff, 0xff, 0xff],
    );
    blobs(it);
}

fn blobs(it: &mut Machine) {
    it.blob(CODE + 8, "Interpreter", 0x3f0, 0, CODE + 0x40);
    let blob = COMPILED + 8;
    it.blob(blob, "nmethod", 0x1f0, 4, COMPILED + 0x80);
    // Methods by number, places, descriptions.
    for (at, value) in [(28, 0x100), (32, 0x120), (36, 0x138)] {
        it.int(blob + at, value);
    }
    it.word(blob + 40, METHODS);
    it.word(blob + 48, COMPILED + 0x180);
    it.word(blob + 0x100, METHODS);
    it.word(blob + 0x108, METHODS + 0x100);
    it.memory
        .put_u32s(blob + 0x120, &[0xffff_ffff, 0, 0x10, 4, 0x1000, 0]);
    // Caller, method, bytecode and one: `run` at bytecode 2, and in it `called` at bytecode 1.
    it.memory
        .put(COMPILED + 0x180, &[0, 0, 0, 0, 8, 2, 2, 0, 0, 1, 3]);
}

fn threads(it: &mut Machine) {
    let [first, second] = [THREADS + 0x100, THREADS + 0x300];
    it.int(THREADS, 2);
    it.word(THREADS + 8, THREADS + 16);
    it.word(THREADS + 16, first);
    it.word(THREADS + 24, second);
    it.thread(first, 71, "orders", 1025);
    it.thread(second, 72, "billing", 5);
    let (monitor, handle, object) = (OBJECTS, OBJECTS + 0x40, OBJECTS + 0x80);
    it.word(first + 32, monitor);
    it.word(monitor, handle);
    it.word(handle, object);
    it.object(object, CLASSES + 0x200);
    it.word(monitor + 8, second);
}

fn stack(it: &mut Machine) {
    for (at, value) in [
        (STACK + 16, FRAME),
        (STACK + 24, CODE + 0x50),
        (FRAME, STACK + 0x200),
        (FRAME + 8, COMPILED + 0x90),
        (FRAME - 8, FRAME + 32),
        (FRAME - 24, METHODS + 0x100),
        (FRAME - 64, METHODS + 0x100 + 0x20 + 24 + 3),
    ] {
        it.word(at, value);
    }
}
