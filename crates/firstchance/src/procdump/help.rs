//! The text of `-?`, made from the table of switches.

use super::{
    Dialect,
    switches::{Group, Origin, SWITCHES, Switch},
};

/// The width of the help, in columns.
const WIDTH: usize = 92;
/// The column at which the explanation of a switch begins.
const INDENT: usize = 26;

const USAGE: &str = "\
procdump [SWITCHES] [-w] NAME|SERVICE|PID [FILE|FOLDER]
procdump [SWITCHES] -pgid PGID [FOLDER]
procdump [SWITCHES] -x FOLDER IMAGE [ARGUMENT ...]
procdump -i [FOLDER] [-mm] [-ma] [-mt] [-mp] [-mc MASK] [-md DLL] [-mk] [-r] [-at SECONDS] [-k] [-wer]
procdump -u
procdump -cancel PID

ProcDump's command line, understood by firstchance. Switches may be before or after the target,
begin with - or /, and be in any case. With several triggers, any of them causes a dump.
Without a trigger, a dump is taken at once.
";

/// Command lines, and what they ask for.
pub(super) type Examples = &'static [(&'static str, &'static str)];

/// The examples of a dialect.
pub(super) fn examples_of(dialect: Dialect) -> Examples {
    match dialect {
        Dialect::Windows => OF_WINDOWS,
        Dialect::Linux => OF_LINUX,
    }
}

const OF_WINDOWS: Examples = &[
    ("notepad", "A mini dump of notepad, at once."),
    ("-ma 4572", "A full dump of the process 4572, at once."),
    ("-mm -ma 4572", "A mini dump, and then a full one."),
    ("-ma -n 3 -s 30 4572", "Three full dumps, 30 seconds apart."),
    (
        "-n 3 -s 5 -c 20 consume",
        "Up to three mini dumps, each after 5 seconds at 20 % CPU or more.",
    ),
    (
        "-ma -m 2000 app /var/dumps",
        "A full dump at 2000 MiB of private memory, into a folder.",
    ),
    (
        "-h hang.exe",
        "A mini dump when its window does not answer.",
    ),
    (
        "-ma -e w3wp.exe",
        "A full dump at an exception that nobody handles.",
    ),
    (
        "-ma -n 10 -e 1 -f NotFound w3wp.exe",
        "Up to ten full dumps at exceptions whose text contains NotFound.",
    ),
    ("-e 1 -f \"\" w3wp.exe", "Show all exceptions, dump none."),
    (
        "-ma -t -x /var/dumps app --port 80",
        "Start a program and dump it when it ends.",
    ),
    (
        "-ma -i /var/dumps",
        "A full dump of every program that crashes from now on.",
    ),
];

const OF_LINUX: Examples = &[
    ("4572", "A core of the process 4572, at once."),
    ("-n 3 -s 30 4572", "Three cores, 30 seconds apart."),
    (
        "-n 3 -s 5 -c 65 4572",
        "Up to three cores at 65 % of one processor or more, with at least 5 seconds between two.",
    ),
    (
        "-m 100,200 4572 /var/dumps",
        "A core at 100 MiB of memory, and another one at 200, into a folder.",
    ),
    ("-tc 50 4572", "A core at 50 threads or more."),
    (
        "-sig 10,SIGSEGV 4572",
        "A core when one of these signals is delivered.",
    ),
    (
        "-c 65 -w nginx",
        "A core of each process nginx at 65 % or more, also of those that start later.",
    ),
    (
        "-n 10 -e -f NotFound 4572",
        "Up to ten cores at exceptions whose text contains NotFound.",
    ),
    (
        "-t -pgid 4572",
        "A core of each process of the process group 4572 when it ends.",
    ),
];

/// ProcDump's own exit codes: when it has them, in the Windows dialect and in the Linux dialect.
pub(super) const EXIT_CODES: &[[&str; 3]] = &[
    ["all dumps were taken", "1", "0"],
    ["a file could not be written", "2", "0"],
    [
        "no such process, or no dump for another reason",
        "254 (-2)",
        "0",
    ],
    [
        "cancelled before all dumps were taken (Ctrl-C, SIGTERM, `-cancel`)",
        "254 (-2)",
        "0",
    ],
    ["the folder for the dumps does not exist", "2", "255 (-1)"],
    [
        "the command line was not understood",
        "254 (-2)",
        "255 (-1)",
    ],
];

/// The text of `-?`, or with `examples` that of `-? -e`.
pub(crate) fn help(dialect: Dialect, examples: bool) -> String {
    if examples {
        return self::examples(dialect);
    }
    let mut text = USAGE.to_owned();
    for (group, title) in Group::ALL {
        text += &format!("\n{title}:\n");
        let switches = SWITCHES.iter().filter(|switch| switch.group == group);
        switches.for_each(|switch| text += &entry(switch, dialect));
    }
    text + &exit_codes(dialect)
}

/// ProcDump's own exit codes in `dialect`.
fn exit_codes(dialect: Dialect) -> String {
    let mut text = "\nExit codes (`firstchance --help` lists firstchance's own), with \
                    --procdump-exit-codes:\n"
        .to_owned();
    for [when, windows, linux] in EXIT_CODES {
        let code = match dialect {
            Dialect::Windows => windows,
            Dialect::Linux => linux,
        };
        text += &format!("  {code:10}{when}\n");
    }
    text
}

fn examples(dialect: Dialect) -> String {
    let mut text = String::new();
    for (line, meaning) in examples_of(dialect) {
        text += &format!("{meaning}\n    procdump {line}\n\n");
    }
    text
}

fn entry(switch: &Switch, dialect: Dialect) -> String {
    let usage = format!("  {}", switch.usage());
    let origin = match switch.origin {
        Origin::Linux => " (ProcDump for Linux)",
        Origin::Windows | Origin::Both => "",
    };
    let doc = format!("{}{origin}", switch.doc(dialect));
    let lines = wrap(&doc, WIDTH - INDENT);
    let mut text = String::new();
    let mut left = usage.as_str();
    if usage.len() >= INDENT {
        text += &format!("{usage}\n");
        left = "";
    }
    for line in lines {
        text += &format!("{left:INDENT$}{line}\n");
        left = "";
    }
    text
}

/// Breaks a text into lines of at most `width` characters, unless a word is longer.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
