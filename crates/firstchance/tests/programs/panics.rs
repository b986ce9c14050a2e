//! HOW: waits for a line, then panics as it is told.

use std::panic::catch_unwind;

fn fail(number: i32) -> i32 {
    panic!("at {}", number)
}

fn main() {
    println!("ready");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    let how = std::env::args().nth(1).unwrap();
    let code = match how.as_str() {
        "caught" => catch_unwind(|| fail(7)).map_or(3, |_| 4),
        "thread" => std::thread::spawn(|| fail(7)).join().map_or(3, |_| 4),
        "abort" => std::process::abort(),
        _ => fail(7),
    };
    std::process::exit(code);
}
