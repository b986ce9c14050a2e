//! `victim MODE [ARGS]`: a program for tests that misbehaves in the way that its mode says.

mod harness;
mod modes;

use std::process::ExitCode;

use harness::Harness;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = args.split_first() else {
        print!("{}", usage());
        return ExitCode::SUCCESS;
    };
    let Some(mode) = modes::all().find(|mode| mode.name == name) else {
        eprint!("victim: no mode {name:?}\n{}", usage());
        return ExitCode::FAILURE;
    };
    match Harness::new(rest).and_then(|harness| (mode.run)(&harness)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("victim {name}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> String {
    let line = |mode: &modes::Mode| {
        format!(
            "victim {:<16} {:<18} {}\n",
            mode.name, mode.args, mode.about
        )
    };
    modes::all().map(line).collect()
}
