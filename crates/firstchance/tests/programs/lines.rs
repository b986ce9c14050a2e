//! Calls that are inlined, above a function that waits.

use std::hint::black_box;
use std::io::Write as _;

#[inline(never)]
fn stands(n: u32) {
    println!("ready");
    std::io::stdout().flush().expect("an output");
    loop {
        std::thread::park();
        black_box(n);
    }
}

#[inline(always)]
fn inner(n: u32) {
    if black_box(n) > 2 {
        stands(n);
    }
    black_box(n);
}

#[inline(never)]
fn outer(numbers: &[u32]) -> usize {
    numbers.iter().for_each(|n| inner(*n));
    black_box(numbers.len())
}

fn main() {
    black_box(outer(&[1, 2, 3, 4]));
}
