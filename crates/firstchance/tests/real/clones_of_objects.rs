//! Shared memory that only the process has: its clone shares it, and so it is put aside while the process stands.

use crate::support::{Child, Core, Firstchance, Program, Run, compile, file_in, folder, state_of};
use std::{path::Path, process::Command};

const MOVES_VIEWS: Program = Program::c("moves_views.c").with(&["-O1", "-pthread"]);
const PAGE: u64 = 4096;
const CHUNK: u64 = 4 << 20;
const CHUNKS: u64 = 16;

/// A process with such memory: where its window and the whole are, and the number of the descriptor.
fn started(arguments: &[&str]) -> (Child, [u64; 3]) {
    let child = Child::start(Command::new(compile(&MOVES_VIEWS)).args(arguments));
    let line = child.line();
    let number = |word: &str| match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => word.parse(),
    };
    let numbers = line.split(' ').map(|word| number(word).expect("a number"));
    let numbers: Vec<u64> = numbers.collect();
    (child, numbers.try_into().expect("three"))
}

fn dump(child: &Child, file: &Path) -> Firstchance {
    let dump = Firstchance::new(&["dump", "--full", "--json", "--overwrite"]);
    dump.args(&[&child.pid().to_string(), "-o"]).arg(file)
}

fn record(run: &Run) -> serde_json::Value {
    serde_json::from_str(&run.stdout).expect("a record")
}

/// The numbers that stand behind those of the pages, in the order of the object.
fn numbers(dump: &Path, all: u64) -> Vec<u64> {
    let folder = folder();
    let file = file_in(&folder, "memory");
    let end = all + CHUNKS * CHUNK;
    let order = format!("dump binary memory {} {all} {end}", file.display());
    Core::new(dump, &compile(&MOVES_VIEWS)).gdb(&[&order]);
    let bytes = std::fs::read(&file).expect("gdb can read it");
    let pages = bytes.chunks(PAGE as usize);
    let word = |page: &[u8], at: usize| u64::from_le_bytes(*page[at..].first_chunk().expect("8"));
    let read = pages.enumerate().map(|(number, page)| {
        assert_eq!(word(page, 0), number as u64);
        word(page, 8)
    });
    read.collect()
}

/// The pages are written in their order, so that one instant has a number, and from some page on the one before.
#[test]
fn s3_an_object_is_copied_as_it_is_at_one_instant() {
    let (child, [_, all, _]) = started(&["writes"]);
    let folder = folder();
    let file = file_in(&folder, "x.core");
    for _ in 0..3 {
        let record = record(&dump(&child, &file).run_well());
        assert_eq!(record["method"], "clone", "{record}");
        assert_eq!(record["gap-count"], 0, "{record}");
        let numbers = numbers(&file, all);
        let (first, last) = (numbers[0], numbers[numbers.len() - 1]);
        assert!(numbers.is_sorted_by(|before, next| before >= next));
        assert!(first > 0 && first - last <= 1, "{first} and {last}");
    }
}

/// What is found out before the stop is not what it shows when it stands.
#[test]
fn s3_an_object_that_is_shown_elsewhere_before_the_stop_is_copied_as_it_is_shown_then() {
    let (mut child, [window, ..]) = started(&[]);
    let folder = folder();
    let file = file_in(&folder, "x.core");
    let mut running = dump(&child, &file).failpoint("before-stop:stop").spawn();
    running.wait_until_stopped();
    child.tell("move");
    assert_eq!(child.line(), "moved");
    let run = running.finish_through_stops();
    assert_eq!(record(&run)["method"], "clone", "{run:#?}");
    let addresses: Vec<u64> = (0..CHUNKS).map(|chunk| window + chunk * CHUNK).collect();
    let words = Core::new(&file, &compile(&MOVES_VIEWS)).words(&addresses);
    let shown = (0..CHUNKS).rev().map(|chunk| Some(chunk * CHUNK / PAGE));
    assert_eq!(words, shown.collect::<Vec<_>>());
}

/// Who has its descriptor may cut it also while it stands.
#[test]
fn n15_an_object_that_is_cut_while_it_is_copied_does_not_end_the_program() {
    let (mut child, [_, all, descriptor]) = started(&[]);
    let folder = folder();
    let file = file_in(&folder, "x.core");
    let mut running = dump(&child, &file).failpoint("put-aside:stop").spawn();
    running.wait_until_stopped();
    let object = format!("/proc/{}/fd/{descriptor}", child.pid());
    let object = std::fs::File::options().write(true).open(object);
    let (object, half) = (object.expect("its object"), CHUNKS / 2 * CHUNK);
    object.set_len(half).expect("to cut it");
    let run = running.finish_through_stops();
    assert_eq!(run.signal, None, "{run:#?}");
    let words = Core::new(&file, &compile(&MOVES_VIEWS));
    let words = words.words(&[all, all + half - PAGE, all + half]);
    assert_eq!(words, [Some(0), Some(half / PAGE - 1), None]);
    // It would die itself if it looked at what is not there.
    object.set_len(CHUNKS * CHUNK).expect("to lengthen it");
    child.tell("move");
    assert_eq!(child.line(), "moved");
}

#[test]
fn a1_killed_while_an_object_is_put_aside_the_target_lives() {
    let (mut child, _) = started(&["writes"]);
    let folder = folder();
    let file = file_in(&folder, "x.core");
    for point in ["before-stop", "seize", "all-stopped", "put-aside", "detach"] {
        let run = dump(&child, &file)
            .failpoint(&format!("{point}:kill9"))
            .run();
        assert_eq!(run.signal, Some(libc::SIGKILL), "{point}: {run:#?}");
        child.tell("move");
        assert_eq!(child.line(), "moved", "{point}");
        assert!(matches!(state_of(child.pid()), 'R' | 'S'), "{point}");
    }
}
