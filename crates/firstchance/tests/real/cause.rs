//! What `inspect` says of why a process died: in dumps of ours, in the kernel's own cores, and in gcore's. gdb judges the addresses,
//! the registers and the instruction.

pub(crate) mod death;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use self::death::{By, Death, FULL, MINI, instruction, number, printed, watch};
use crate::support::{Child, Firstchance, Program, compile, file_in, folder, judge};

const OPTIONS: &[&str] = &["-O1", "-g", "-Wall", "-Werror", "-fstack-protector-all"];
const DIES: Program = Program::c("dies.c").with(OPTIONS);
const STATIC: Program = Program::c("dies.c").with(&["-O1", "-g", "-Wall", "-Werror", "-static"]);
const HANDLES: Program = Program::c("dies.c").with(&["-O1", "-g", "-Wall", "-Werror", "-DHANDLER"]);
const MUSL: Program = Program::musl("dies.c");
const ALTERNATE: Program = Program::c("alternate_stack.c");
const CXX: Program = Program::cpp("caught.cpp");
const GO: Program = Program::go("panics.go");
const RUST: Program = Program::rust("panics.rs").with(&["-O", "-C", "panic=abort"]);

/// What is said of an access to memory: how the program dies, its verb, the place and the function.
const FAULTS: [(&str, &str, &str, &str); 7] = [
    ("null", "read", "null", "total_of"),
    ("read-only", "write", "protected", "store"),
    ("odd-pointer", "read", "non-canonical", "total_of"),
    ("unmapped", "read", "unmapped", "total_of"),
    ("flipped", "read", "unmapped", "total_of"),
    ("jump-to-null", "execute", "null", ""),
    ("jump-to-data", "execute", "protected", ""),
];

#[test]
fn an_access_is_told_with_its_instruction_its_registers_and_what_is_there() {
    for (how, verb, place, function) in FAULTS {
        let death = Death::of(&DIES, &[how], FULL);
        death.assert_kind("access");
        let access = &death.cause()["access"];
        assert_eq!(
            (access["verb"].as_str(), access["place"].as_str()),
            (Some(verb), Some(place)),
            "{}",
            death.text
        );
        let reported = printed(&death.gdb("p $_siginfo._sifields._sigfault.si_addr"));
        match how {
            // The kernel tells no address of these.
            "odd-pointer" => assert_eq!((reported, &access["reported"]), (0, &json!(false))),
            _ => assert_eq!(
                (reported, &access["reported"]),
                (number(&access["address"]), &json!(true))
            ),
        }
        for (name, value) in access["registers"].as_object().expect("registers") {
            assert_eq!(
                printed(&death.gdb(&format!("p/x ${name}"))),
                number(value),
                "{}",
                death.text
            );
        }
        if verb == "execute" {
            assert_eq!(printed(&death.gdb("p/x $pc")), number(&access["address"]));
            death.assert_says(&["It came from", "!call+"]);
        } else {
            let told = death.cause()["instruction"]["text"]
                .as_str()
                .expect("an instruction");
            assert_eq!(told.to_lowercase(), instruction(&death.gdb("x/i $pc")));
            assert!(death.function().starts_with(function), "{}", death.text);
            let place = death.gdb("frame 0");
            let line = place.split("dies.c:").nth(1).expect("a line");
            let line = line.split(|letter: char| !letter.is_ascii_digit()).next();
            let line = line.expect("a number");
            death.assert_says(&["Source: ", &format!(" (dies.c:{line})\n")]);
        }
    }
}

#[test]
fn a_pointer_is_called_what_it_looks_like() {
    let null = Death::of(&DIES, &["null"], MINI);
    null.assert_says(&["a null pointer plus 4", "rdi = 0x0", "!total_of+", "!die+"]);
    assert_eq!(null.cause()["access"]["null-offset"], 4);
    assert_eq!(null.cause()["access"]["expression"], "rdi+0x4");
    let odd = Death::of(&DIES, &["odd-pointer"], MINI);
    odd.assert_says(&[
        "no memory can have",
        "the text \"AAAAAAAA\"",
        "0x4141414141414145",
    ]);
    let flipped = Death::of(&DIES, &["flipped"], MINI);
    flipped.assert_says(&["bit 46", "[heap]", "flipped"]);
    let unmapped = Death::of(&DIES, &["unmapped"], MINI);
    assert_eq!(
        unmapped.cause()["access"]["suspicion"],
        Value::Null,
        "{}",
        unmapped.text
    );
}

/// What differs between two runs of a program: addresses, and ids.
fn without_addresses(death: &Death) -> Value {
    let cause = death.cause();
    let access = &cause["access"];
    let exception = &cause["exception"];
    json!([
        cause["kind"],
        cause["signature"],
        cause["frame"],
        access["verb"],
        access["place"],
        access["expression"],
        access["bytes"],
        access["null-offset"],
        access["region"]["access"],
        cause["message"],
        exception["name"],
        exception["message"],
        cause["call"],
        cause["handled-signal"],
        death.function(),
    ])
}

/// The kernel's core has no code and no names of types; gcore's has the registers of a signal that was not delivered yet.
#[test]
fn dumps_of_others_and_small_ones_tell_the_same() {
    let ways = [
        ("null", &DIES),
        ("odd-pointer", &DIES),
        ("jump-to-data", &DIES),
        ("truncated", &DIES),
        ("divide", &DIES),
        ("free-twice", &DIES),
        ("assert", &STATIC),
        ("throw", &CXX),
    ];
    for (how, program) in ways {
        let full = Death::of(program, &[how], FULL);
        for by in [
            MINI,
            By::Watch("full dump", "minidump"),
            By::Watch("mini dump", "core"),
            By::Kernel,
            By::Gcore,
        ] {
            let other = Death::of(program, &[how], by);
            assert_eq!(
                without_addresses(&other),
                without_addresses(&full),
                "{how} {by:?}: {}",
                other.text
            );
        }
    }
}

#[test]
fn a_full_stack_is_called_that_with_all_of_its_frames() {
    for (program, by, handled) in [
        (&DIES, By::Kernel, Value::Null),
        (&HANDLES, By::Kernel, json!("SIGSEGV")),
        (&DIES, By::Gcore, Value::Null),
        (&DIES, By::Watch("mini dump", "core"), Value::Null),
    ] {
        let death = Death::of(program, &["overflow"], by);
        death.assert_kind("stack-overflow");
        assert_eq!(death.cause()["handled-signal"], handled, "{}", death.text);
        let stack = &death.cause()["stack"];
        let frames = stack["frames"].as_u64().expect("a number");
        // The program counts its calls; around them are those of main and of the C library.
        let counted = printed(&death.gdb("p frames"));
        assert!(
            counted > 100_000 && (counted..counted + 10).contains(&frames),
            "{frames}, {counted}"
        );
        let sp = printed(&death.gdb("p/x $sp"));
        assert!(
            sp.abs_diff(number(&stack["start"])) < 8192,
            "{sp:x}: {stack}"
        );
        death.assert_says(&["used up its stack", "!descend calls itself"]);
        for line in ["times more", "more frames", "!main+", "!_start+"] {
            assert!(death.text.contains(line), "{line}: {}", death.text);
        }
    }
}

#[test]
fn the_last_words_of_the_c_library_are_told() {
    for (how, kind, words, function) in [
        (
            "assert",
            "assertion",
            "Assertion `zero == 1 && \"the till is empty\"' failed.",
            "die",
        ),
        (
            "free-twice",
            "heap-corruption",
            "double free or corruption (!prev)",
            "free_twice",
        ),
        (
            "smash",
            "stack-smashing",
            "*** stack smashing detected ***: terminated",
            "overwrite",
        ),
    ] {
        let death = Death::of(&DIES, &[how], FULL);
        death.assert_kind(kind);
        death.assert_says(&[words]);
        assert_eq!(death.function(), function, "{}", death.text);
        let gdb = death.gdb("x/s *(char **)&__abort_msg + 4");
        let told = death.cause()["message"].as_str().expect("a text");
        assert!(gdb.contains(&told.replace('"', "\\\"")), "{gdb}");
    }
    let abort = Death::of(&DIES, &["abort"], FULL);
    abort.assert_kind("abort");
    assert_eq!(
        (abort.cause()["message"].as_str(), abort.function().as_str()),
        (None, "die")
    );
}

#[test]
fn exceptions_and_panics_that_nobody_caught_are_told_of_any_dump() {
    for by in [FULL, MINI, By::Kernel] {
        let thrown = Death::of(&CXX, &["throw"], by);
        thrown.assert_kind("uncaught-exception");
        assert_eq!(
            thrown.cause()["exception"]["name"],
            "CXX.std::runtime_error"
        );
        assert_eq!(thrown.cause()["exception"]["message"], "nobody catches me");
    }
    let terminated = Death::of(&CXX, &["terminate"], By::Kernel);
    terminated.assert_kind("terminate");
    for (how, name, message) in [
        ("panic", "GO.panic", "an error of 7"),
        (
            "nil",
            "GO.panic",
            "runtime error: invalid memory address or nil pointer dereference",
        ),
        ("map", "GO.fatal", "concurrent map writes"),
    ] {
        let panicked = Death::of(&GO, &[how], By::Kernel);
        panicked.assert_kind("uncaught-exception");
        let told = &panicked.cause()["exception"];
        assert_eq!(
            (told["name"].as_str(), told["message"].as_str()),
            (Some(name), Some(message)),
            "{}",
            panicked.text
        );
    }
    let panicked = Death::of(&RUST, &["panic"], By::Kernel);
    panicked.assert_kind("uncaught-exception");
    panicked.assert_says(&["RUST.panic", "at 7, ", "panics.rs:6:5"]);
    assert_eq!(panicked.function(), "panics::fail", "{}", panicked.text);
}

#[test]
fn what_an_instruction_did_wrong_is_told() {
    for (how, kind) in [
        ("divide", "divide-by-zero"),
        ("divide-smallest", "divide-overflow"),
        ("trap", "trap"),
        ("truncated", "access"),
    ] {
        let death = Death::of(&DIES, &[how], FULL);
        death.assert_kind(kind);
        let told = death.cause()["instruction"]["text"]
            .as_str()
            .expect("an instruction");
        assert_eq!(
            told.to_lowercase(),
            instruction(&death.gdb("x/i $pc")),
            "{}",
            death.text
        );
    }
    let truncated = Death::of(&DIES, &["truncated"], MINI);
    assert_eq!(truncated.cause()["access"]["place"], "not-in-file");
    truncated.assert_says(&["/memfd:prices", "truncated"]);
    let forbidden = Death::of(&DIES, &["forbidden"], MINI);
    forbidden.assert_kind("forbidden-call");
    assert_eq!(
        forbidden.cause()["call"],
        json!({"number": libc::SYS_getcwd, "name": "getcwd"})
    );
}

/// A handler that ends the program hides the fault: its registers are on the stack, or the thread is at it again.
#[test]
fn a_fault_is_told_behind_the_handler_that_ended_the_program() {
    let aborted = Death::of(&ALTERNATE, &["abort"], By::Kernel);
    aborted.assert_kind("access");
    assert_eq!(aborted.cause()["handled-signal"], "SIGSEGV");
    assert_eq!(aborted.cause()["access"]["address"], "0x10");
    assert_eq!(aborted.function(), "crashing_function");
    let again = Death::of(&HANDLES, &["null"], FULL);
    again.assert_kind("access");
    assert_eq!(again.cause()["handled-signal"], "SIGSEGV");
    assert_eq!(again.cause()["access"]["null-offset"], 4);
    let musl = Death::of(&MUSL, &["null"], By::Kernel);
    assert_eq!(musl.cause()["access"]["null-offset"], 4, "{}", musl.text);
}

/// The test itself sends the signal.
#[test]
fn who_sent_a_signal_is_told_and_what_a_process_does_to_itself() {
    let (exe, folder) = (compile(&DIES), folder());
    let dump = file_in(&folder, "x.core");
    let mut child = Child::that_crashes(&exe, &["wait"]);
    child.lines_until("ready");
    let running = watch(&child, &["full dump"], &dump);
    child.signal(libc::SIGSEGV);
    child.wait();
    running.finish().assert_code(0);
    let sent = Death::read(exe, dump, folder);
    sent.assert_kind("signal");
    let sender = &sent.cause()["sender"];
    let own =
        std::fs::read_to_string(format!("/proc/{}/comm", std::process::id())).expect("our name");
    assert_eq!(sender["pid"], std::process::id());
    assert_eq!(
        printed(&sent.gdb("p $_siginfo._sifields._kill.si_pid")),
        u64::from(std::process::id())
    );
    assert_eq!(
        (sender["name"].as_str(), &sender["call"], &sender["own"]),
        (Some(own.trim()), &json!("kill"), &json!(false))
    );
    let raised = Death::of(&DIES, &["raise"], FULL);
    raised.assert_kind("signal");
    let sender = &raised.cause()["sender"];
    assert_eq!(
        (&sender["call"], &sender["own"]),
        (&json!("tgkill"), &json!(true)),
        "{}",
        raised.text
    );
    assert_eq!(raised.function(), "die");
}

#[test]
fn a_dump_of_a_living_process_begins_with_what_is_remarkable() {
    let (exe, folder) = (
        compile(&Program::c("deadlock.c").with(&["-pthread"])),
        folder(),
    );
    let child = Child::start(&mut Command::new(&exe));
    assert_eq!(child.line(), "ready");
    let is_blocked = |thread: &u32| {
        let call = std::fs::read_to_string(format!("/proc/{thread}/syscall"));
        call.is_ok_and(|call| call.starts_with(&format!("{} ", libc::SYS_futex)))
    };
    crate::support::wait_until("all of its threads wait", || {
        crate::support::threads_of(child.pid())
            .iter()
            .all(is_blocked)
    });
    let dump = file_in(&folder, "x.dmp");
    Firstchance::dump(child.pid(), &["--mini"], &dump).run_well();
    let locked = Death::read(exe, dump, folder);
    assert_eq!(locked.json["verdict"]["kind"], "hang", "{}", locked.text);
    assert_eq!(locked.json["cause"], Value::Null);
    locked.assert_says(&["Deadlock: ", "thread-a", "customers", "thread-b", "orders"]);
    // The stacks of these threads are shown before that of the first.
    let mut stacks = locked.text.split("\n  Thread ").skip(1);
    let first = stacks.next().expect("stacks");
    assert!(first.contains("\"thread-"), "{}", locked.text);
    assert_valid(&locked.dump);
}

/// The busy thread stands first if the trigger was CPU.
#[test]
fn a_dump_for_cpu_begins_with_the_thread_that_burns_it() {
    const SCRIPT: &str = "
import threading, time
def burn():
    while True: sum(range(1_000_000))
thread = threading.Thread(target=burn, daemon=True)
thread.start()
print(thread.native_id, flush=True)
time.sleep(1000)
";
    let child = Child::start(Command::new("python3").args(["-c", SCRIPT]));
    let hot = child.line();
    let folder = folder();
    let dump = file_in(&folder, "x.dmp");
    Firstchance::new(&["watch", &child.pid().to_string()])
        .args(&["--when", "cpu >= 20% for 1s", "--do", "mini dump", "-o"])
        .arg(&dump)
        .run_well();
    let busy = Death::read(PathBuf::new(), dump, folder);
    assert_eq!(busy.json["verdict"]["kind"], "cpu", "{}", busy.text);
    busy.assert_says(&[
        "much CPU time",
        &format!("thread {hot} "),
        "before the dump",
        "it is in ",
        ", for burn  (<string>:4).",
    ]);
}

/// A validator of others judges that the schema is right.
fn assert_valid(dump: &Path) {
    judge("jsonschema", "python3-jsonschema");
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/inspect.schema.json");
    let json = dump.with_extension("json");
    let told = Firstchance::new(&["inspect", "--json"])
        .arg(dump)
        .run_well()
        .stdout;
    std::fs::write(&json, told).expect("a file");
    let output = Command::new("jsonschema")
        .arg("-i")
        .arg(&json)
        .arg(&schema)
        .output();
    let output = output.expect("jsonschema");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", dump.display());
}

#[test]
fn the_json_of_crashes_is_as_the_schema_says() {
    for (how, program) in [
        ("null", &DIES),
        ("overflow", &DIES),
        ("raise", &DIES),
        ("assert", &DIES),
        ("throw", &CXX),
    ] {
        assert_valid(&Death::of(program, &[how], MINI).dump);
    }
}

/// Whatever is broken in a dump of a crash, it is shown as far as it can be read, or refused.
#[test]
fn a_broken_dump_of_a_crash_is_shown_or_refused() {
    for (how, program) in [("overflow", &DIES), ("throw", &CXX), ("odd-pointer", &DIES)] {
        let death = Death::of(program, &[how], By::Watch("mini dump", "core"));
        let whole = std::fs::read(&death.dump).expect("a dump");
        let mut random = 88_172_645_463_325_252_u64;
        let mut next = |below: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random as usize % below
        };
        for _ in 0..40 {
            let mut broken = whole.clone();
            for _ in 0..=next(20) {
                broken[next(16_384)] = next(256) as u8;
            }
            broken.truncate(whole.len() - next(whole.len() / 2));
            std::fs::write(&death.dump, broken).expect("a dump");
            let inspect = Firstchance::new(&["inspect", "--json"]).arg(&death.dump);
            let run = inspect.run();
            assert!(!run.stderr.contains("panicked"), "{how}: {run:#?}");
        }
    }
}
