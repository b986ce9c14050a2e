//! Waits for a line on stdin, then panics as its argument says.

use std::panic::{catch_unwind, panic_any, resume_unwind};

fn main() {
    println!("ready");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    let how = std::env::args().nth(1).unwrap();
    let numbers = vec![1, 2, 3];
    match how.as_str() {
        "literal" => panic!("a literal"),
        "made" => panic!("made of {} numbers", numbers.len()),
        "index" => println!("{}", numbers[how.len()]),
        "string" => panic_any(String::from("a string")),
        "number" => panic_any(7),
        "resumed" => resume_unwind(Box::new("resumed")),
        "caught" => drop(catch_unwind(|| panic!("caught"))),
        _ => {}
    }
}
