//! Makes `docs/procdump.md` from the table of switches. Only a test uses it, which compares the page with the
//! file, or writes the file.

use super::{
    help::EXAMPLES,
    switches::{BUILT, Group, Origin, SWITCHES, Since, Support, Switch},
};

const HEAD: &str = "\
<!-- Made from the table in crates/firstchance/src/procdump/switches.rs; a test compares them.
     To write it anew: BLESS=1 cargo test -p firstchance procdump::tests::the_page -->
# ProcDump's command line

`firstchance procdump …`, or firstchance started under the name `procdump`, understands the command
line of ProcDump for Windows (version 12) on both systems, and the switches that only ProcDump for
Linux has.
Where a switch means something else in ProcDump for Linux, `--linux` or `PROCDUMP_DIALECT=linux` chooses
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
## Where firstchance differs on purpose

- No banner, no EULA question, UTF-8 always. Exit codes are firstchance's own (`firstchance --help`).
- `PROCESSNAME PID EXCEPTIONCODE YYMMDD HHMMSS TRIGGER` in a file name are filled in as whole words in
  capitals: `input-pid28876` stays as it is. `TRIGGER` is a word for the trigger: that of
  ProcDump for Linux if it has one, or else firstchance's own (see
  [names of dumps](conditions.md#names-of-dumps)).
- `-s` applies to every threshold: CPU, memory, counters, threads, descriptors.
- In the Linux dialect, CPU is that of the last second (ProcDump for Linux: of the whole life of the
  process), `-s` is the least time from one dump's beginning to the next, `-n` counts for each
  process of `-w` and `-pgid`, and memory is what is resident, shared memory and files included, as there,
  and also what is swapped out, which ProcDump for Linux means to add (the kernel gives it 0). In the Windows
  dialect it is the process's own memory: [conditions.md](conditions.md#whose-memory) says which that is.
- With `-e`, Windows shows a line for every exception, whatever is dumped. On Linux only what may be dumped
  is seen at all: `-e` shows what nobody handles, `-e 1 -f` shows what the filter selects, and `-f \"\"` shows
  everything.
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
    page += "\n## Examples\n\n| `procdump …` | |\n|---|---|\n";
    for (line, meaning) in EXAMPLES {
        page += &format!("| `{line}` | {meaning} |\n");
    }
    page
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
