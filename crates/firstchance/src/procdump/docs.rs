//! `docs/procdump.md`, made from the table.

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
Where the two give one switch two meanings, `--linux` or `PROCDUMP_DIALECT=linux` chooses ProcDump
for Linux's; the column \"Linux dialect\" tells them.

Switches stand before or behind the target, with `-` or `/`, in any case.
Several triggers mean any of them; none means at once.
`-e` and `-r` take a following number only where a target is still named or was named before:
`-e 1` alone is the process 1.
`firstchance explain procdump …` prints the rule that a command line means.

A switch that means nothing on a system warns in one line, and on it goes; a trigger or a target
that cannot be had is an error.
What is not built yet is understood and refused with these words.
";

const DIFFERENCES: &str = "
## Where firstchance differs on purpose

- No banner, no EULA question, UTF-8 always. Exit codes are firstchance's own (`firstchance --help`).
- `PROCESSNAME PID EXCEPTIONCODE YYMMDD HHMMSS TRIGGER` in a file name are filled in as whole words in
  capitals: `input-pid28876` stays as it is. `TRIGGER` is the word that names of ProcDump for Linux have
  for what set the dump off, or firstchance's own for what ProcDump does not know:
  [names of dumps](conditions.md#names-of-dumps).
- `-s` holds for every threshold: CPU, memory, counters, threads, descriptors.
- In the Linux dialect, CPU is that of the last second (ProcDump for Linux: of the whole life of the
  process), `-s` is the least time from one dump's beginning to the next, `-n` counts for each
  process of `-w` and `-pgid`, and memory is private memory, swapped pages included.
- With `-e`, Windows shows a line for every exception, whatever is dumped. On Linux only what may be dumped
  is met at all, so that `-e` shows what nobody handles, and `-e 1 -f` what the filter wants; `-f \"\"` shows
  everything.
- `-i` takes one size of dump on Linux. `-wer` is not needed with it: Windows reports by itself.
- `-n` with several sizes (`-mm -ma`) counts sets of dumps. A dump that failed does not count.
";

/// The page.
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
