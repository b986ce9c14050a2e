//! `firstchance demo`: the first thing a new user runs.

use super::watch::{Job, carry_out_observed, options_to};
use crate::ui::Wording;
use crate::{inspect, rules, ui::console};
use collector::{Destination, RunEvent};
use std::{
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, Command, ExitCode, Stdio},
    time::Duration,
};

/// Options of `demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder for the dumps
    #[arg(short, long, value_name = "FOLDER", default_value = ".")]
    output: PathBuf,
}

/// Levels are sampled more often than usual, so that the demo is short.
const POLL: Duration = Duration::from_millis(250);
/// One dump for each condition of the rules.
const DUMPS: usize = 3;
/// The line on standard input that makes the program crash.
const CRASH: &str = "crash\n";
/// The program allocates pieces of this size, with a pause before each, until it has this many.
const PIECE: usize = 4 << 20;
const PIECES: usize = 24;
const PAUSE: Duration = Duration::from_millis(100);

/// Starts the program, watches it, and shows the dumps.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    console::print(
        "This starts a small program that misbehaves: one thread spins, another hoards memory.",
    )?;
    console::print("When a dump of each has been taken, the program crashes.")?;
    let mut program = Misbehaving::start()?;
    let rules = rules_about(program.pid());
    console::print(&format!(
        "It is process {}.\n\n$ cat rules.toml\n{rules}\n$ firstchance watch --rules rules.toml",
        program.pid()
    ))?;
    let (watched, dumps, lived) = watch(&rules, args, &mut program)?;
    let fate = match lived {
        true => "was still alive after the first two dumps; the third is of its crash",
        false => "was not alive after the first two dumps, which is a fault of firstchance",
    };
    console::print(&format!("\nThe program {fate}."))?;
    show(&dumps)?;
    let is_well = lived && dumps.len() == DUMPS;
    Ok(if is_well { watched } else { ExitCode::from(1) })
}

/// Shows what is in the dumps, and where they are.
fn show(dumps: &[PathBuf]) -> anyhow::Result<()> {
    for path in dumps {
        console::print(&format!("\n$ firstchance inspect {}", path.display()))?;
        inspect::run(&inspect::Args::summary(path.clone()))?;
    }
    console::print("\nThe dumps are kept:")?;
    for path in dumps {
        console::print(&format!("  {}", path.display()))?;
    }
    console::print(
        "\nNothing on this machine was changed. To get a dump of every crash on it:\n  firstchance postmortem enable",
    )?;
    Ok(())
}

/// The rules of the demo. Their thresholds are low, so that they are reached on a busy machine too.
fn rules_about(pid: u32) -> String {
    format!(
        r#"[[rule]]
name = "demo"
target = "{pid}"

  [[rule.on]]
  when = "core-cpu > 10% for 1s"
  do = "mini dump"
  limit = 1

  [[rule.on]]
  when = "memory > 64MiB"
  do = "full dump"
  limit = 1

  [[rule.on]]
  when = "unhandled exception"
  do = "mini dump"
  limit = 1
"#
    )
}

/// Watches until all conditions have fired, and makes the program crash when all but the last have.
/// Returns the exit code of the watch, the paths of the dumps, and whether the program was alive
/// until it was told to crash.
fn watch(
    text: &str,
    args: &Args,
    program: &mut Misbehaving,
) -> anyhow::Result<(ExitCode, Vec<PathBuf>, bool)> {
    let options = options_to(Destination::Folder(args.output.clone()));
    let rules = rules::parse(text)?.into_iter();
    let job = Job {
        poll: POLL,
        wording: Wording::Plain,
        ..Job::new(rules.map(|rule| (rule, options.clone())).collect())
    };
    let (mut paths, mut lived) = (Vec::new(), false);
    let code = carry_out_observed(job, &mut |event| {
        if let RunEvent::Dumped(dumps) = event {
            paths.extend(dumps.iter().filter_map(|dump| dump.path.clone()));
            if paths.len() == DUMPS - 1 {
                lived = program.lives();
                program.crash();
            }
        }
    })?;
    Ok((code, paths, lived))
}

/// The program that the demo starts. It is killed when this is dropped.
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

    /// Makes it crash. A second call does nothing.
    fn crash(&mut self) {
        if let Some(mut input) = self.0.stdin.take() {
            let _ = input.write_all(CRASH.as_bytes());
        }
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

/// The program itself (hidden command `misbehave`): one thread spins, one allocates memory, one
/// waits, until standard input ends.
pub(crate) fn misbehave() -> anyhow::Result<ExitCode> {
    let spawn = |name: &str, work: fn()| {
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(work)
    };
    spawn("checkout", price_of_cart)?;
    spawn("mailer", keep_every_mail)?;
    spawn("cleaner", wait_for_work)?;
    println!("ready");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    if line == CRASH {
        ship_order(&[]);
    }
    Ok(ExitCode::SUCCESS)
}

/// Aborts, as a failed assertion does.
#[inline(never)]
fn ship_order(items: &[&str]) {
    if items.is_empty() {
        std::process::abort();
    }
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
fn keep_every_mail() {
    let mut mails = Vec::new();
    while mails.len() < PIECES {
        mails.push(vec![b'm'; PIECE]);
        std::thread::sleep(PAUSE);
    }
    wait_for_work();
    drop(mails);
}

#[inline(never)]
fn wait_for_work() {
    loop {
        std::thread::park();
    }
}
