//! `firstchance demo`: the first thing a new user runs.

use super::console::{Lines, Reporter};
use crate::inspect;
use collector::{Destination, Request, collect};
use platform::{Host, Stop};
use policy::Retention;
use snapshot::{DumpFormat, DumpKind};
use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, ExitCode, Stdio},
};

/// What can be asked of `demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where its dumps go
    #[arg(short, long, value_name = "FOLDER", default_value = ".")]
    output: PathBuf,
}

/// Runs it.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    println!("A small program that misbehaves is started: one of its threads spins.");
    let mut program = Misbehaving::start()?;
    let host = platform::this_machine();
    println!(
        "It is process {}. `firstchance dump --mini --full {0}` would do this:\n",
        program.pid()
    );
    let dumps = dump(&*host, program.pid(), args)?;
    let lives = program.lives();
    println!(
        "\nThe program {}.",
        if lives {
            "runs on"
        } else {
            "is gone, which must not be"
        }
    );
    for path in &dumps {
        println!("\n$ firstchance inspect {}", path.display());
        inspect::run(&inspect::Args::summary(path.clone()))?;
    }
    println!("\nThe dumps stay where they are:");
    for path in &dumps {
        println!("  {}", path.display());
    }
    Ok(if lives {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

fn dump(host: &dyn Host, pid: u32, args: &Args) -> anyhow::Result<Vec<PathBuf>> {
    let request = Request {
        kinds: vec![
            (DumpKind::Mini, DumpFormat::Minidump),
            (
                DumpKind::Full,
                super::dump::default_format(DumpKind::Full, &Destination::Stdout),
            ),
        ],
        destination: Destination::Folder(args.output.clone()),
        overwrite: false,
        reason: "Manual dump".to_owned(),
        rule: "firstchance demo".to_owned(),
        comment: None,
        timeout: None,
        stop: Stop::Threads,
        keep: Retention::default(),
        number: 1,
    };
    let mut reporter = Reporter::new(Lines::Out);
    let collected = collect(host, host.find(pid)?, &request, &mut |step| {
        reporter.step(&step)
    });
    match collected.error {
        Some(error) => Err(error.into()),
        None => Ok(collected
            .dumps
            .into_iter()
            .filter_map(|dump| dump.path)
            .collect()),
    }
}

/// The demo's program; it ends with the demo.
struct Misbehaving(Child);

impl Misbehaving {
    fn start() -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("misbehave")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut ready = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut ready)?;
        }
        Ok(Self(child))
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn lives(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Misbehaving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The program itself: a worker that spins and two that wait, until standard input ends.
pub(crate) fn misbehave() -> anyhow::Result<ExitCode> {
    let spawn = |name: &str, work: fn()| {
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(work)
    };
    spawn("checkout", price_of_cart)?;
    spawn("mailer", wait_for_work)?;
    spawn("cleaner", wait_for_work)?;
    println!("ready");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(ExitCode::SUCCESS)
}

#[inline(never)]
fn price_of_cart() {
    let mut total = 0u64;
    loop {
        total = add_tax(std::hint::black_box(total));
    }
}

#[inline(never)]
fn add_tax(total: u64) -> u64 {
    (0..1_000_000u64).fold(total, |sum, cent| {
        std::hint::black_box(sum.wrapping_add(cent))
    })
}

#[inline(never)]
fn wait_for_work() {
    loop {
        std::thread::park();
    }
}
