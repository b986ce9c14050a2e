//! Makes `docs/procdump.md` from the table of switches. Only a test uses it, which compares the page with the
//! file, or writes the file.

use super::{
    Dialect,
    help::{EXIT_CODES, examples_of},
    switches::{BUILT, Group, Origin, SWITCHES, Since, Support, Switch},
};

const HEAD: &str = "\
<!-- Made from the table in crates/firstchance/src/procdump/switches.rs; a test compares them.
     To write it anew: BLESS=1 cargo test -p firstchance procdump::tests::the_page -->
# ProcDump's command line

`firstchance procdump …`, or firstchance started under the name `procdump`, understands the command
line of ProcDump for Windows (version 12) on both systems, and the switches that only ProcDump for
Linux has.
Where a switch means something else in ProcDump for Linux, [the Linux dialect](#the-linux-dialect) has
that meaning; it is in the column \"Linux dialect\".

Switches may be before or after the target, begin with `-` or `/`, and be in any case.
With several triggers, any of them causes a dump. Without a trigger, a dump is taken at once.
A number after `-e` or `-r` belongs to the switch only if a target is named besides:
`-e 1` alone means the process with the pid 1.
`firstchance explain procdump …` prints the rule that a command line means.

A switch that has no meaning on a system is ignored with a warning; a trigger or a target that is not
possible there is an error.
What firstchance does not have yet is understood, and refused as \"not built yet\".
";

const DIFFERENCES: &str = "
## The Linux dialect

`--linux` chooses it for one command line, `PROCDUMP_DIALECT=linux` for a user or a script. For all users of a Linux
machine, the administrator writes one line into `/etc/firstchance/procdump.toml`:

```toml
dialect = \"linux\"
```

A package that installs firstchance under the name `procdump` asks for that line, or leaves the file out: then the name
means ProcDump for Windows. `windows` in the same places makes that choice plain; anything else is refused. As long as nobody has chosen, a command
line that only users of ProcDump for Linux would write (a switch that only it has, a file name without an ending) gets
a hint on standard error, once.

In this dialect

- a dump is an ELF core, whatever its name. It has the memory that the `coredump_filter` of the process says (core(5)),
  mappings that it has written to as a whole, as in gcore's; memory that was never touched is a hole in the file. `-ma`,
  `-mm` and the others choose as in the Windows dialect.
- its name is `NAME_TRIGGER_YYMMDD_HHMMSS.PID`, or `FILE.PID`. NAME is the program as the process's own command line has
  it: of the first word behind `sudo`, the last part of the path, cut at the first blank. So a child of PostgreSQL, which
  writes `postgres: checkpointer` there, is `postgres:`. In the file's name, `_` stands for everything but letters and
  digits of ASCII; without a trigger, TRIGGER is `time`. A further dump
  within the same second, with or without `-o`, is `NAME_TRIGGER_YYMMDD_HHMMSS-1.PID`, then `-2` and so on.
- a dump that fails, for whatever reason, ends the monitoring of its process, as in ProcDump for Linux: a file that could
  not be written gives exit code 6, a process that ended or became another program (execve) meanwhile 5.
  So does one that fails at the death of its process (`-t`, `-sig`), whichever of the two is told first; `-w` then ends, too,
  unless other processes of that name are still watched, or `--each` is given. In the Windows dialect, a dump without a trigger ends so, too, also one of `-n`; with
  a trigger it is tried again ([conditions.md](conditions.md#limits)).
- an existing `FILE.PID` is left without `-o`: the line says `already exists`, no dump is written, and the run ends with
  exit code 6. So `-n 2 … FILE` fails at its second dump, which would have the same name `FILE.PID`, as in ProcDump for
  Linux, unless FILE has a word that differs (`HHMMSS`).
- lines are `[HH:MM:SS - INFO]: TEXT`, with `ERROR` for what failed and `DEBUG` for those of `-log`. Scripts can look for
  `Waiting for processes 'NAME' to launch`, `Trigger: … on process ID: PID` and `Core dump N generated: PATH`, where N
  counts from 0 in each process, in every line about a dump, and PATH is a full path. What keeps a run from beginning is an `ERROR` line on standard output, too, in
  ProcDump's words where it has some (`No process matching the specified PID (N) can be found.`, `Invalid directory
  (\"FOLDER\") provided for core dump output.`), besides firstchance's own sentence on standard error. Without a system log, `-log syslog` has no effect, which a warning says.
- `-f` without `-e` (or another trigger with a filter) is refused.
- `-x`: the first argument is a folder that exists, as in the Windows dialect; else the exit code is 6, and nothing is
  started.
- a target NAME, with and without `-w`, is this name, too (`-w postgres:`); of `sudo` itself it is `sudo`, as a dump of
  sudo helps nobody who asks for the program behind it. A process is also found by the names that it has in the Windows
  dialect, that of its program file (`postgres`) and that which the kernel keeps (a script's own): so nothing is missed
  that ProcDump for Linux would find, but `-w postgres` means the children, too. While a name is waited for, all processes
  are asked for theirs once a second: one that takes it later (setproctitle, `process.title`, prctl(2)) is found then.
- `-w NAME` ends when each process that was found has had its dumps; if one ends without, the next of that name is waited
  for. With `--each` it never ends, as in ProcDump for Linux.
- `-pgid` ends at once if there is no such group or if all its processes are zombies (exit code 3), when each process of
  the group has had its dumps, and when all have ended (as in ProcDump for Linux). The exit code is 0 only if each process
  that was found in the group had its dumps: if one has ended before, it is 5, as with a pid.
- the number in `Trigger: Timer:N(s)` is the time between two dumps (`-s`, 10 by default). ProcDump for Linux prints its
  polling interval there (`-pf`, `Timer:1(s)` by default), which has no effect on these dumps: a script should look for
  `Timer:` alone.
- the lines come in the order of ProcDump for Linux: what is waited for (`Waiting for processes …`, `Monitoring
  processes of PGID 'N'`), how to end (`Press Ctrl-C …`), what was asked (with `-w` and `-pgid` before any process is
  found), and then `Starting monitor for process NAME (PID)` for each. `-pt`, which only ProcDump for Windows has, adds
  such a line for each child when it starts.

## Exit codes

They are [firstchance's own](exit-codes.md), in both dialects and under either name. With `--procdump-exit-codes` they
are those that ProcDump was seen to have; it documents none:

| | Windows dialect | Linux dialect |
|---|---|---|
";

const ON_PURPOSE: &str = "
## Where firstchance differs on purpose

- No banner, no EULA question, UTF-8 always.
- While a dump is written it is called `.NAME.partial`, so that no pattern for finished dumps (`NAME_*`) finds it. A part
  that is kept, because the process or the time (`-at`) ended, is called `NAME.partial`, and a line says so.
- `PROCESSNAME PID EXCEPTIONCODE YYMMDD HHMMSS TRIGGER` in a file name are filled in as whole words in
  capitals: `input-pid28876` stays as it is. `TRIGGER` is a word for the trigger: that of
  ProcDump for Linux if it has one, or else firstchance's own (see
  [names of dumps](conditions.md#names-of-dumps)).
- On Linux a file name may have what Windows forbids (`:`, `*`, `con`); control characters are refused. On Windows such a
  name is refused at the start.
- On Linux, large dumps are copied from a clone of the target where that is no danger, also without `-r`. With `-r` so are small
  ones, and where there is no clone a line says why, as without root at an event of a process that is traced (`-sig`). `-r N` still lets N dumps be written at a time, and `-a` skips a trigger when these are.
- On Linux, without a name that says otherwise, `-ma`, `-mp` and `-mc` write an ELF core `NAME_YYMMDD_HHMMSS.core`, which gdb
  and lldb open, and `-mm` and `-mt` a minidump `NAME_YYMMDD_HHMMSS.dmp`, for lldb and minidump-stackwalk; gdb opens none. A FILE that ends
  in `.dmp` is a minidump, and one that ends in `.core` is a core, of every kind; a FILE without such an ending gets that of its
  kind. So a script that collects `*.dmp` looks for `*.core`, too, or names its dumps (`-ma PID
  FOLDER/PROCESSNAME_YYMMDD_HHMMSS.dmp`).
- Where several processes may be dumped (`-pt`), names of dumps have the pid (`NAME_PID_YYMMDD_HHMMSS`), and lines
  about dumps end with `(process PID)`.
- `-s` applies to every threshold: CPU, memory, counters, threads, descriptors. Nothing is printed for the seconds that
  pass meanwhile; on a terminal, the live status shows for how long each condition has held.
- In the Linux dialect, CPU is that of the last second (ProcDump for Linux: of the whole life of the
  process), `-s` is the least time from one dump of a threshold to the next, from beginning to beginning, or between two of
  those without a trigger, for each process of `-w` and `-pgid` by itself; one line in each such time tells that the
  threshold is passed, and until when no dump is taken (`No dump before HH:MM:SS, because of -s: …`); with `-s 0`, a threshold that goes on being passed is dumped at each sample (`-pf`). For
  events (`-sig`, `-e` and the like) there is no pause, as there, unless the line has a threshold besides. `-n` counts for each
  process of `-w` and `-pgid`, and memory is what is resident, shared memory and files included, as there,
  and also what is swapped out, which ProcDump for Linux means to add (the kernel gives it 0). In the Windows
  dialect it is the process's own memory: [conditions.md](conditions.md#whose-memory) says which that is.
- `-w -t` takes no dump of a program that is over within a millisecond; a line names it
  ([conditions.md](conditions.md#programs-that-live-for-a-moment)). `-t -x` misses none.
- With `-e`, Windows shows a line for every exception, whatever is dumped. On Linux only what may be dumped
  is seen at all: `-e` shows what nobody handles, `-e 1 -f` shows what the filter selects, and `-f \"\"` shows
  everything. Of a process that dies of what the filter leaves out, a line says so (`Unhandled: … (left out by the filter)`).
- On Linux, case counts in the name of a process (as with `-w` in ProcDump for Linux, which ignores it without `-w`), in
  both dialects: a message names the process that has the name in another case. On Windows it does not.
- A name that several processes have is refused without `-w`, with a list of them (exit code 3), as in ProcDump for
  Windows. ProcDump for Linux takes the first one in the order of the digits of their pids.
- `-n 0` is refused. ProcDump for Linux takes it, and ends without a dump. A number above 100, which it refuses, is taken.
- Also taken are lines that ProcDump for Linux refuses: `-c` beside `-cl` and `-m` beside `-ml`, `-sig` or `-e` beside a
  threshold (any of them causes a dump) or
  `-pf` (which is for thresholds), a FILE beside `-w` or `-pgid` (each process has its own `FILE.PID`), and `-fx` without
  `-restrack` (it is for `-e`, and means nothing without a trigger, which a warning says).
- Each size of a list (`-m 40,20`) is waited for by itself, in whatever order they are met.
- `-l` on Linux sees what is written to descriptor 2. A shell writes `echo text >&2` to a copy of it, which is not seen; what
  the programs that it starts write to stderr is.
- On Linux, the SIGABRT of a program that dies because nobody caught an exception is the second chance of that exception,
  and no exception of its own: `-e 1` takes a dump at the throw and one at the end. `-f SIGABRT` (or `-f ABRT`, `-f 6`) takes
  one of the signal besides ([exceptions.md](exceptions.md#how-exceptions-are-seen-and-what-that-costs)). A number in
  `-f` and `-fx` is also that of a signal.
- `-p` and `-pl` on Linux: those of Windows' counters that `firstchance counters` lists are answered
  (`\\Process(NAME)\\…`, `\\Process(NAME_PID)\\…`, `\\Process(NAME#N)\\…`, `\\Memory\\…`, `\\System\\…`). Any other is
  refused at the start, with the nearest that there is.
- With `-i`, only one kind of dump can be chosen on Linux. `-wer` is not needed with `-i`: Windows reports the
  crash itself.
- With several kinds of dump (`-mm -ma`), `-n` counts triggers, not files. A dump that failed does not count.
";

/// The text of the page.
pub(crate) fn page() -> String {
    let mut page = HEAD.to_owned();
    for (group, title) in Group::ALL {
        page += &format!("\n## {title}\n\n");
        page += "| switch | of | Linux | Windows | meaning | Linux dialect |\n|---|---|---|---|---|---|\n";
        let switches = SWITCHES.iter().filter(|switch| switch.group == group);
        switches.for_each(|switch| page += &row(switch));
    }
    page += DIFFERENCES;
    for [when, windows, linux] in EXIT_CODES {
        page += &format!("| {when} | {windows} | {linux} |\n");
    }
    page += ON_PURPOSE;
    page += &examples("Examples", Dialect::Windows);
    page + &examples("Examples in the Linux dialect", Dialect::Linux)
}

fn examples(title: &str, dialect: Dialect) -> String {
    let mut text = format!("\n## {title}\n\n| `procdump …` | |\n|---|---|\n");
    for (line, meaning) in examples_of(dialect) {
        text += &format!("| `{line}` | {meaning} |\n");
    }
    text
}

fn row(switch: &Switch) -> String {
    let origin = match switch.origin {
        Origin::Windows => "Windows",
        Origin::Linux => "Linux",
        Origin::Both => "both",
    };
    format!(
        "| `{}` | {origin} | {} | {} | {} | {} |\n",
        cell(&switch.usage()),
        support(switch.linux, switch.since),
        support(switch.windows, switch.since),
        cell(switch.doc),
        cell(switch.linux_doc.unwrap_or_default()),
    )
}

fn support(support: Support, since: Since) -> String {
    match support {
        Support::Yes if since > BUILT => "not built yet".to_owned(),
        Support::Yes => "yes".to_owned(),
        Support::Nothing(why) => format!("no meaning: {why}"),
        Support::Never(why) => format!("error: {why}"),
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
