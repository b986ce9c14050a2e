//! `victim MODE [ARGS]`: a program that misbehaves on request, for tests.

mod modes;
mod stage;

use std::process::ExitCode;

use stage::Stage;

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
    match Stage::new(rest).and_then(|stage| (mode.run)(&stage)) {
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
