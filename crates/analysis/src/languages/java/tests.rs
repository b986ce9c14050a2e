use super::made_up_machine::{CODE, COMPILED, FRAME, OBJECTS, STACK, START, machine};
use super::made_up_tables::{STATICS, symbols};
use super::*;
use crate::languages::made_up::MadeUp;
use crate::unwind::{Cpu, Step};
use snapshot::{Registers, System, Thread, X86_64};

fn vm(memory: &MadeUp) -> Option<Vm> {
    let symbols = symbols();
    let symbol = |name: &str| {
        let (_, at) = symbols.iter().find(|(known, _)| known == name)?;
        Some(START + at)
    };
    Vm::read(&symbol, memory)
}

fn cpu(rip: u64, rsp: u64, rbp: u64) -> Cpu {
    Cpu::new(&Registers::X86_64(X86_64 {
        rip,
        rsp,
        rbp,
        ..X86_64::default()
    }))
}

fn snapshot() -> Snapshot {
    let thread = |id| Thread {
        id,
        ..Thread::default()
    };
    Snapshot {
        threads: vec![thread(71), thread(72)],
        system: System::default(),
        ..Snapshot::default()
    }
}

/// The frame of compiled code at an address, and the one that called it.
fn walked(memory: &MadeUp, cpu: &Cpu) -> Option<(Vec<LanguageFrame>, Step)> {
    let vm = vm(memory)?;
    let view = vm.view(memory);
    let place = vm.place(cpu.ip - 1, memory)?;
    let step = step(&vm, memory, &place, cpu, false, &|_| true)?;
    Some((place.methods(view, cpu, false), step))
}

fn told(methods: &[LanguageFrame]) -> Vec<String> {
    let told = |method: &LanguageFrame| {
        let (file, line) = (method.file.as_deref(), method.line);
        format!(
            "{} {} {}",
            method.function,
            file.unwrap_or("-"),
            line.unwrap_or(0)
        )
    };
    methods.iter().map(told).collect()
}

#[test]
fn compiled_code_has_the_methods_that_are_inlined_and_a_frame_of_a_fixed_size() {
    let it = machine();
    let cpu = cpu(COMPILED + 0x90, STACK, 0);
    let (methods, step) = walked(&it.memory, &cpu).expect("a frame");
    assert_eq!(
        told(&methods),
        ["my.Shop.called Shop.java 7", "my.Shop.run Shop.java 9"]
    );
    let Step::Caller { cpu, .. } = step else {
        panic!("there is a caller");
    };
    assert_eq!(
        (cpu.ip, cpu.sp(), cpu.fp()),
        (CODE + 0x50, STACK + 32, FRAME)
    );
}

#[test]
fn a_frame_of_the_interpreter_has_its_method_and_the_caller_s_stack_pointer() {
    let it = machine();
    let (methods, step) = walked(&it.memory, &cpu(CODE + 0x50, STACK, FRAME)).expect("a frame");
    assert_eq!(told(&methods), ["my.Shop.called Shop.java 9"]);
    let Step::Caller { cpu, .. } = step else {
        panic!("there is a caller");
    };
    assert_eq!(
        (cpu.ip, cpu.sp(), cpu.fp()),
        (COMPILED + 0x90, FRAME + 32, STACK + 0x200)
    );
}

#[test]
fn a_thread_has_its_name_and_what_it_waits_for() {
    let it = machine();
    let java = read(&vm(&it.memory).expect("a machine"), &snapshot(), &it.memory);
    let first = JavaThread {
        thread: Some(71),
        name: Some("orders".to_owned()),
        state: Some("BLOCKED (on object monitor)"),
        blocked: Some(Blocked::Monitor {
            object: Object {
                address: OBJECTS + 0x80,
                class: "my.Shop".to_owned(),
            },
            owner: Some(72),
        }),
        raises: None,
    };
    assert_eq!(java.threads.first(), Some(&first));
    assert_eq!(java.threads[1].name.as_deref(), Some("billing"));
    assert_eq!((java.version, java.notes), (17, Vec::new()));
}

/// Whatever is damaged: nothing panics, and all ends.
#[test]
fn a_damaged_machine_is_read_to_an_end() {
    let whole = machine();
    let cpus = [
        cpu(COMPILED + 0x90, STACK, FRAME),
        cpu(CODE + 0x50, STACK, FRAME),
    ];
    let damaged = whole.memory.damaged().enumerate();
    // Some of the places are enough, and of those in the tables, which are large, a few.
    let chosen = damaged.filter(|(number, memory)| {
        let tables = 0..(STATICS as usize);
        let is_in_tables = memory.bytes[tables.clone()] != whole.memory.bytes[tables];
        number % if is_in_tables { 211 } else { 3 } == 0
    });
    for (_, memory) in chosen {
        cpus.iter().for_each(|cpu| drop(walked(&memory, cpu)));
        if let Some(vm) = vm(&memory) {
            read(&vm, &snapshot(), &memory);
        }
    }
}
