//! `firstchance demo`: the first thing a new user runs.

use super::watch::{Job, Voice, carry_out_seeing, manner_to};
use crate::{inspect, rules};
use collector::{Destination, Happening};
use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, ExitCode, Stdio},
    time::Duration,
};

/// What can be asked of `demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where its dumps go
    #[arg(short, long, value_name = "FOLDER", default_value = ".")]
    output: PathBuf,
}

/// Samples come fast, so that the demo is short.
const POLL: Duration = Duration::from_millis(250);
/// The program takes a piece of memory with each pause, until it has this much.
const PIECE: usize = 4 << 20;
const PIECES: usize = 24;
const PAUSE: Duration = Duration::from_millis(100);

/// Runs it.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    println!("A small program is started that misbehaves: a thread spins, another hoards memory.");
    let mut program = Misbehaving::start()?;
    let rules = rules_about(program.pid());
    println!("It is process {}.\n\n$ cat rules.toml", program.pid());
    print!("{rules}");
    println!("\n$ firstchance watch --rules rules.toml");
    let (watched, dumps) = watch(&rules, args)?;
    let lives = program.lives();
    let fate = if lives {
        "runs on"
    } else {
        "is gone, which must not be"
    };
    println!("\nThe program {fate}.");
    for path in &dumps {
        println!("\n$ firstchance inspect {}", path.display());
        inspect::run(&inspect::Args::summary(path.clone()))?;
    }
    println!("\nThe dumps stay where they are:");
    for path in &dumps {
        println!("  {}", path.display());
    }
    Ok(if lives { watched } else { ExitCode::from(1) })
}

/// The thresholds are such that a busy machine reaches them too.
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
"#
    )
}

/// Watches until both conditions have fired; what was written.
fn watch(text: &str, args: &Args) -> anyhow::Result<(ExitCode, Vec<PathBuf>)> {
    let manner = manner_to(Destination::Folder(args.output.clone()));
    let rules = rules::parse(text)?.into_iter();
    let job = Job {
        rules: rules.map(|rule| (rule, manner.clone())).collect(),
        poll: POLL,
        launch: None,
        unsafe_breakpoints: false,
        json: false,
        wait: false,
        voice: Voice::Plain,
        header: None,
    };
    let mut paths = Vec::new();
    let code = carry_out_seeing(job, &mut |happening| {
        if let Happening::Dumped(dumps) = happening {
            paths.extend(dumps.iter().filter_map(|dump| dump.path.clone()));
        }
    })?;
    Ok((code, paths))
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

/// The program itself: a worker that spins, one that hoards and one that waits, until standard
/// input ends.
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
