//! How many children that die right after their fork leave a dump.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::{
    Options,
    churn::FOLLOW_CHILDREN,
    dump::release,
    report::machine,
    target::{Running, Target},
    throw::watch,
};
use crate::shell::{Cmd, target_dir};

/// It forks a child for each line of its input, which dies of SIGSEGV at once, and waits for it.
const PARENT: &str = "echo 'ready '; while read line; do (kill -SEGV $BASHPID); echo ended; done";

/// Deaths in each of the `--runs` runs.
const DEATHS: usize = 20;

/// How long no further dump has come when all have.
const QUIET: Duration = Duration::from_secs(3);

/// What gdb is told after [`FOLLOW_CHILDREN`], to write a core at each crash.
const GDB: &str = "\
handle SIGSEGV stop print pass
python
count = 0
gdb.execute('shell echo armed')
while True:
    gdb.execute('inferior 1')
    gdb.execute('continue')
    try:
        gdb.execute('gcore FOLDER/%d.core' % count)
        count += 1
    except gdb.error:
        pass
end
";

/// The section of docs/benchmarks.md.
pub(super) fn run(options: &Options) -> Result<String> {
    Cmd::cargo("build --quiet --release -p firstchance").run()?;
    let mut text = format!(
        "Children of bash that die of SIGSEGV as soon as they are forked, one after the other: how many of {} leave a dump, on a quiet machine and \
         beside as many busy shells as there are processors; runs of {DEATHS}, all in turn. gdb has `set detach-on-fork off` and writes cores by its \
         command `gcore`.\n{}.\n\n| | quiet | busy |\n|---|---:|---:|\n",
        DEATHS * options.runs,
        machine()
    );
    let watchers: [(&str, Watcher); 2] = [
        (
            "firstchance, `watch PID --children --when 'unhandled exception'`",
            ours,
        ),
        ("gdb", gdb),
    ];
    let mut dumped = [[0; 2]; 2];
    for _ in 0..options.runs {
        for (watcher, counts) in watchers.iter().zip(&mut dumped) {
            for (load, count) in [0, processors()].into_iter().zip(counts) {
                *count += dumps_of(watcher.1, load)?;
            }
        }
    }
    for ((name, _), [quiet, busy]) in watchers.iter().zip(dumped) {
        text += &format!("| {name} | {quiet} | {busy} |\n");
    }
    Ok(text)
}

/// Makes the command that watches the children of a process and writes dumps into a folder, and says what it prints when it
/// watches.
type Watcher = fn(&str, &Path) -> Result<(Command, &'static str)>;

/// Returns how many dumps there are of the deaths of one run, beside so many busy shells.
fn dumps_of(watcher: Watcher, load: usize) -> Result<usize> {
    let folder = std::env::temp_dir().join(format!("bench-young-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    let mut parent = Target::in_mode(Path::new("bash"), &["-c", PARENT])?;
    let (command, ready) = watcher(&parent.pid(), &folder)?;
    let watching = watch(command, ready)?;
    let load = (0..load).map(|_| busy()).collect::<Result<Vec<_>>>()?;
    for _ in 0..DEATHS {
        parent.tell("")?;
        parent.line_after("ended")?;
    }
    drop(load);
    let count = settled_count(&folder)?;
    drop(watching);
    std::fs::remove_dir_all(&folder)?;
    Ok(count)
}

/// Returns how many dumps are in a folder when no more come.
fn settled_count(folder: &Path) -> Result<usize> {
    let (mut count, mut since) = (0, Instant::now());
    while since.elapsed() < QUIET {
        let names = std::fs::read_dir(folder)?
            .flatten()
            .map(|file| file.file_name());
        let dumps = names.filter(|name| !name.to_string_lossy().starts_with('.'));
        let now = dumps.count();
        if now != count {
            (count, since) = (now, Instant::now());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(count)
}

fn busy() -> Result<Running> {
    let mut shell = Command::new("sh");
    let shell: Child = shell
        .args(["-c", "while :; do :; done"])
        .stdin(Stdio::null())
        .spawn()?;
    Ok(Running(shell))
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, Into::into)
}

fn ours(pid: &str, folder: &Path) -> Result<(Command, &'static str)> {
    let mut command = Command::new(release("firstchance"));
    command.args(["watch", "--json", "--children", pid]);
    command.args(["--when", "unhandled exception", "-n", "1000", "-o"]);
    command.arg(folder);
    Ok((command, "\"effective\""))
}

fn gdb(pid: &str, folder: &Path) -> Result<(Command, &'static str)> {
    let script = target_dir().join("young.gdb");
    let of_crashes = GDB.replace("FOLDER", &folder.to_string_lossy());
    std::fs::write(&script, format!("{FOLLOW_CHILDREN}{of_crashes}"))?;
    let mut command = Command::new("gdb");
    command
        .args(["-nx", "-q", "-batch", "-p", pid, "-x"])
        .arg(script);
    Ok((command, "armed"))
}
