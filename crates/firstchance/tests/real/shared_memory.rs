//! Shared memory that the dumped process has not touched itself.

use std::process::Command;

use crate::support::{Child, Core, Dumped, Program, compile};

const SHARES: Program = Program::c("shares.c");
const HALF: u64 = 2 << 20;

/// Shared anonymous memory, System V shared memory, memfd and /dev/shm. What others have written is there, what nobody
/// has is not, and the dump makes no pages.
#[test]
fn n50_shared_memory_that_others_have_written_is_in_the_dump() {
    for kind in ["--full", "--plus"] {
        let exe = compile(&SHARES);
        let mut child = Child::start(&mut Command::new(&exe));
        let line = child.line();
        let mut words = line.split_whitespace();
        let size_before = words.next_back().expect("a number").to_owned();
        let starts: Vec<u64> = words
            .map(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16).expect("an address"))
            .collect();
        let dumped = Dumped::with(child.pid(), &[kind]);
        let core = Core::new(&dumped.path, &exe);
        for (number, start) in starts.iter().enumerate() {
            let pattern = u64::from_ne_bytes([b'A' + number as u8; 8]);
            for at in [0, HALF / 2, HALF - 8] {
                assert_eq!(core.word(start + at), Some(pattern), "{kind} {number} {at}");
            }
        }
        let size = std::fs::metadata(&dumped.path).expect("a file").len();
        assert!((4 * HALF..6 * HALF).contains(&size), "{size}");
        child.tell("now");
        assert_eq!(child.line(), size_before);
    }
}
