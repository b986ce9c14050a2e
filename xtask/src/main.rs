//! The project's own commands: `cargo xtask test`, `tidy`, `bench`, `dist`, `docs`.

mod bench;
mod dist;
mod docs;
mod shell;
mod test;
mod tidy;
mod tools;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
cargo xtask <command>

  test [--all] [--only STAGE]… [--list]
                  install what is missing, then every check there is
                  --all: longer runs; --only: just these stages (without installing)
  tidy            the project's own rules: crate edges, unsafe, sizes
  bench [dump] [compress] [latency] [watch] [throw] [server] [churn] [young] [signals] [store] [crash] [start] [pause] [writer] [--runs N] [--mib N] [--processes N] [--write]
                  side by side with other tools; --write: into docs/benchmarks.md
  dist            the program as it is shipped, with its debug information beside it, into target/dist/shipped
  docs            man pages and shell completions, into target/docs
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[String]) -> Result<()> {
    let (command, rest) = match args.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", args),
    };
    match command {
        "test" => test::run(&test::Options::parse(rest)?),
        "tidy" => tidy::run(),
        "bench" => bench::run(&bench::Options::parse(rest)?),
        "dist" => dist::run(),
        "docs" => docs::run(),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        other => bail!("no command {other:?}\n\n{USAGE}"),
    }
}
