//! Tests of the parser, the header, the help and the page.

use super::{
    docs::page,
    help::examples_of,
    switches::{SWITCHES, Since, Support},
    *,
};
use snapshot::OperatingSystem::{Linux, Windows};
use std::time::Duration;

mod lines;

/// Splits a command line into words as a shell does, as far as these tests need it.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let (word, behind) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap(),
            None => rest.split_at(rest.find(' ').unwrap_or(rest.len())),
        };
        words.push(word.to_owned());
        rest = behind.trim_start();
    }
    words
}

fn read(line: &str) -> Invocation {
    let read = parse(&words(line), Dialect::Windows, Windows);
    read.unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn monitor(line: &str) -> Monitor {
    match read(line).command {
        Command::Monitor(monitor) => *monitor,
        other => panic!("{line}: {other:?}"),
    }
}

/// Asserts that each command line means its rule, and that the rule can be printed and read again.
fn check(cases: &[(&str, &str)]) {
    for (line, rule) in cases {
        let read = monitor(line).rule;
        assert_eq!(read.to_string(), *rule, "{line}");
        assert_eq!(rule.parse(), Ok(read.clone()), "{line}");
        let file = crate::rules::print(std::slice::from_ref(&read));
        assert_eq!(crate::rules::parse(&file), Ok(vec![read]), "{file}");
    }
}

fn fails(line: &str, message: &str) {
    for system in [Linux, Windows] {
        let error = parse(&words(line), Dialect::Windows, system).unwrap_err();
        assert_eq!(error.to_string(), message, "{line}");
    }
}

#[test]
fn switches_stand_anywhere_and_with_a_slash() {
    let line = "/accepteula 25028 -e file -dc \"a comment\" -o -k -at 5 -64 -wer";
    let monitor = monitor(line);
    assert_eq!(monitor.rule.target, policy::Target::Pid(25028));
    assert_eq!(monitor.output.as_deref(), Some("file"));
    assert_eq!(monitor.comment.as_deref(), Some("a comment"));
    assert_eq!(monitor.timeout, Some(Duration::from_secs(5)));
    assert!(monitor.overwrite && monitor.kill_after);
    assert!(monitor.windows.wide && monitor.windows.wer);
    assert_eq!(
        super::tests::monitor("-ma 7 /tmp/dumps").output.as_deref(),
        Some("/tmp/dumps")
    );
    assert_eq!(
        super::tests::monitor("-ma 7 /var").output.as_deref(),
        Some("/var")
    );
}

#[test]
fn what_follows_a_launched_program_is_its_own() {
    let monitor = monitor("-ma -x /tmp app -ma --linux -w \"a b\"");
    let launch = monitor.launch.unwrap();
    assert_eq!(launch.image, "app");
    assert_eq!(launch.arguments, ["-ma", "--linux", "-w", "a b"]);
    assert_eq!(monitor.output.as_deref(), Some("/tmp"));
    assert_eq!(monitor.dialect, Dialect::Windows);
    assert!(!monitor.wait);
}

#[test]
fn n49_a_store_application_is_named_by_x() {
    let words = "-ma -y -x dumps Contoso.App_x!App -k";
    let launch = monitor(words).launch.unwrap();
    assert!(launch.is_store && launch.image == "Contoso.App_x!App");
    assert_eq!(launch.arguments, ["-k"]);
    assert!(!monitor("-x dumps app -y").launch.unwrap().is_store);
    let alone = parse(&super::tests::words("-y app"), Dialect::Windows, Windows);
    let said = "-y needs -x FOLDER IMAGE: IMAGE is the id of a Store application";
    assert_eq!(alone.unwrap_err().to_string(), said);
    let here = parse(&super::tests::words("-y app"), Dialect::Windows, Linux);
    let said = ["-y means nothing on Linux: there are no Store applications"];
    assert_eq!(here.unwrap().warnings, said);
}

#[test]
fn the_other_commands() {
    assert_eq!(read("-cancel 77").command, Command::Cancel(77));
    assert_eq!(read("-u").command, Command::Uninstall);
    assert_eq!(read("-u -accepteula").command, Command::Uninstall);
    assert_eq!(read("-?").command, Command::Help { examples: false });
    assert_eq!(read("/? -e").command, Command::Help { examples: true });
    assert_eq!(read("--help").command, Command::Help { examples: false });
    assert!(read("-? -e").not_built_yet.is_empty());
    let Command::Install(install) = read(r"-ma -i c:\dumps").command else {
        panic!("no install");
    };
    assert_eq!(
        install.rule.to_string(),
        r#"on each cmdline:"*", when unhandled exception, do full dump; into "c:\dumps""#
    );
    assert_eq!(install.folder.as_deref(), Some(r"c:\dumps"));
    let Command::PostMortem(called) = read(r#"-accepteula -ma -j "c:\d" 12 340 0000A0"#).command
    else {
        panic!("no handler");
    };
    assert_eq!(
        (called.pid, called.event, called.information),
        (12, 340, 0xA0)
    );
}

#[test]
fn n44_a_number_out_of_the_range_of_its_switch_is_refused() {
    let on = |line: &str| parse(&words(line), Dialect::Windows, Linux);
    for (line, said) in [
        ("-r 6 -ma 77", "-r takes a number from 1 to 5, not 6"),
        ("-e 2 77", "-e takes a number from 1 to 1, not 2"),
    ] {
        assert_eq!(on(line).unwrap_err().to_string(), said);
    }
    // Targets, with a folder or alone.
    for line in ["-e 77 dumps", "-e 77", "-r 77 -ma", "-r 2 77", "-e 1 77"] {
        assert!(on(line).is_ok(), "{line}");
    }
}

#[test]
fn what_means_nothing_here_warns_and_what_cannot_be_had_is_refused() {
    let on = |line: &str, system| parse(&words(line), Dialect::Windows, system);
    assert_eq!(
        on("-64 -g -wer -e x", Linux).unwrap().warnings,
        [
            "-64 means nothing on Linux: a dump always has the bitness of its process",
            "-g means nothing on Linux: exceptions of a runtime are not seen through a debugger",
            "-wer means nothing on Linux: there is no Windows Error Reporting",
        ]
    );
    assert_eq!(on("-64 -g -wer -e x", Windows).unwrap().warnings, [""; 0]);
    let Command::Monitor(here) = on("-64 -mk -wer -md a.dll x", Linux).unwrap().command else {
        panic!("no monitor");
    };
    assert_eq!(here.windows, WindowsSwitches::default());
    assert_eq!(
        here.rule.to_string(),
        "on x, when now, do mini dump, at most 1 time"
    );
    assert_eq!(
        on("-sig 11 x", Windows).unwrap_err().to_string(),
        "-sig is not possible on Windows: Windows has no signals"
    );
    assert_eq!(
        on("-u -f a x", Linux).unwrap().warnings,
        [
            "-u means nothing without -c or -cl",
            "-f means nothing without -e, -l, -ld or -ud",
        ]
    );
    assert_eq!(on("-r x", Linux).unwrap().warnings, [""; 0]);
}

#[test]
fn what_is_not_built_yet_is_understood_and_said() {
    let missing = |line: &str, system| {
        let read = parse(&words(line), Dialect::Windows, system).unwrap();
        read.not_built_yet
    };
    for switch in SWITCHES
        .iter()
        .filter(|switch| switch.since > switches::BUILT)
    {
        let line = match switch.name {
            "e" | "ld" | "ud" | "ct" | "et" | "l" | "mk" => format!("-{} x", switch.name),
            "i" => "-i".to_owned(),
            "sig" => "-sig 10 x".to_owned(),
            _ => continue,
        };
        let expected = format!("-{}: not built yet", switch.name);
        for system in [Linux, Windows] {
            let built = switch.support(system) == Support::Yes;
            let found = built.then(|| missing(&line, system));
            assert!(
                found.is_none_or(|found| found == [expected.clone()]),
                "{line}"
            );
        }
    }
    assert!(Since::Conditions <= switches::BUILT);
    assert_eq!(missing("-ma -n 3 -c 80 -t x", Linux), [""; 0]);
    let install = "-i -mm -ma -r -at 5 -k -wer -accepteula dumps";
    assert_eq!(missing(install, Windows), [""; 0]);
    assert_eq!(missing("-i -mk -md a.dll -64 dumps", Windows), [""; 0]);
    assert_eq!(missing("-wer x", Windows), [""; 0]);
}

#[test]
fn mistakes_are_told_in_a_sentence() {
    fails(
        "",
        "no target: name a process, a service or a pid (-? shows how)",
    );
    fails(
        "-ma",
        "no target: name a process, a service or a pid (-? shows how)",
    );
    fails("-zz x", "-zz is not a switch; -? lists them");
    fails(
        "--ma x",
        "--ma is not a switch (did you mean -ma?); -? lists them",
    );
    fails("-é", "-é is not a switch; -? lists them");
    fails("-n", "-n needs a value: -n COUNT");
    fails("-p c", "-p needs a value: -p COUNTER THRESHOLD");
    fails(
        "-x /tmp",
        "-x needs a value: -x FOLDER IMAGE [ARGUMENT ...]",
    );
    fails("-n x 5", "-n COUNT: `x` is not a whole number");
    fails("-c x 5", "-c PERCENT: `x` is not a percentage");
    fails(
        "-c 101 5",
        "-c 101: all processors together have 100 %; -u counts in one processor",
    );
    fails("-c inf 5", "-c PERCENT: `inf` is not a percentage");
    fails("-c -5 5", "-c -5: a percentage cannot be below 0");
    fails("-m 1.5 5", "-m MIB: `1.5` is not a number of MiB");
    fails("-m 1,,2 5", "-m MIB: `` is not a number of MiB");
    fails(
        "-m 1,2 -n 2 5",
        "-n is not possible with a list of thresholds, which takes one dump at each",
    );
    fails("-c 5 -c 6 5", "-c is given twice");
    fails("-mc xyz 5", "-mc MASK: `xyz` is not a hexadecimal number");
    fails(
        "-a 5",
        "-a needs -r: it skips a trigger when the limit of clones is reached",
    );
    fails(
        "-mk -r x",
        "-mk is not possible with -r: a clone has no kernel stacks",
    );
    fails(
        "-w 5",
        "-w needs a name: nobody knows which process will have the pid 5",
    );
    fails(
        "5 a b",
        "`b` is one argument too many: expected a target, then a file or a folder",
    );
    fails(
        "-w a -x b c",
        "-x starts the target: do not name another one",
    );
    fails(
        "-i -c 5",
        "-c is not possible with -i, which dumps every crash",
    );
    fails(
        "-i a b",
        "`b` is one argument too many: -i takes one folder",
    );
    fails("-cancel x", "-cancel PID: `x` is not a pid");
    fails("99999999999", "99999999999 is not a pid");
    fails("-log file 5", "-log file: expected syslog or stdout");
    // n45: the target was taken for the value.
    fails("-log 5", "-log 5: expected syslog or stdout");
    fails(
        "-gcm 7:100 5",
        "-gcm 7:100: the heaps are 0, 1, 2, LOH and POH",
    );
}

#[test]
fn n45_a_number_out_of_range_is_told_from_what_is_no_number() {
    for (given, range) in [
        ("-n 99999999999", "1 to 4294967295"),
        ("-n -1", "1 to 4294967295"),
        ("-n 0", "1 to 4294967295"),
        ("-at 0", "1 to 4294967295"),
        ("-pf 0", "1 to 4294967295"),
        ("-s -1", "0 to 4294967295"),
        ("-m 99999999999999", "0 to 4294967295"),
        ("-ml -2", "0 to 4294967295"),
        ("-tc -1", "0 to 4294967295"),
        ("-fc 4294967296", "0 to 4294967295"),
        ("-gcgen 3", "0 to 2"),
    ] {
        let (switch, number) = given.split_once(' ').unwrap();
        let said = format!("{switch} takes a number from {range}, not {number}");
        fails(&format!("{given} 5"), &said);
    }
    fails(
        "-mc 12345678901234567 5",
        "-mc takes a mask of at most 16 hexadecimal digits, not 12345678901234567",
    );
}

#[test]
fn the_header_is_procdumps_without_its_banner() {
    let shown = header(
        &monitor("-ma -e 1 -g -t -n 100 -fx a -c 85 -s 2 x"),
        "JsonTest.exe",
        19712,
        r"C:\t\JsonTest.exe",
        r"C:\dumps",
        None,
    );
    assert_eq!(
        shown,
        r"Process:               JsonTest.exe (19712)
Process image:         C:\t\JsonTest.exe
CPU threshold:         >= 85% of system
Performance counter:   n/a
Commit threshold:      n/a
Threshold seconds:     2
Hung window check:     Disabled
Log debug strings:     Disabled
Exception monitor:     First Chance+Unhandled
Exception filter:      [Includes]
                       *
                       [Excludes]
                       a
Terminate monitor:     Enabled
Cloning type:          Disabled
Concurrent limit:      n/a
Avoid outage:          n/a
Number of dumps:       100
Dump folder:           C:\dumps\
Dump filename/mask:    PROCESSNAME_YYMMDD_HHMMSS
Queue to WER:          Disabled
Kill after dump:       Disabled

Press Ctrl-C to end monitoring without terminating the process.
"
    );
    let shown = header(&monitor("-e 1 -f \"\" x"), "x", 1, "/x", "/d/", Some("a"));
    let filter = "Exception filter:      [Includes]
                       *
                       [Excludes]
                       *
Terminate";
    assert!(shown.contains(filter), "{shown}");
    assert!(monitor("-ma 7").is_manual());
    assert!(!monitor("-ma -n 2 7").is_manual());
}

/// `PrintConfiguration` in its src/ProcDumpConfiguration.cpp has these lines, in this order.
#[test]
fn n45_the_header_of_the_linux_dialect_has_the_lines_of_procdump_for_linux() {
    let of = |line: &str, file| header(&monitor(line), "app", 7, "/app", "/d", file);
    let labels = |text: &str| -> Vec<String> {
        let label = |line: &str| line.split(':').next().unwrap_or_default().to_owned();
        text.lines().map(label).collect()
    };
    let plain = of("-c 65 --linux 7", None);
    assert!(
        plain.contains("CPU Threshold:                          >= 65%\n"),
        "{plain}"
    );
    let mut wanted = vec![
        "Process",
        "CPU Threshold",
        "Commit Threshold",
        "Thread Threshold",
        "File Descriptor Threshold",
        "GC Generation",
        "Resource tracking",
        "Resource tracking sample rate",
        "Signal",
        "Exception monitor",
        "Polling Interval (ms)",
        "Threshold (s)",
        "Number of Dumps",
        "Output directory",
    ];
    assert_eq!(labels(&plain), wanted);
    let filtered = of("-e -f a,b -fx c --linux 7", Some("file"));
    wanted.splice(10..10, ["Exception filter", "Exclude filter"]);
    wanted.push("Custom name for core dumps");
    assert_eq!(labels(&filtered), wanted);
    assert!(
        filtered.contains(":                       a,b\n"),
        "{filtered}"
    );
}

#[test]
fn the_help_has_every_switch_and_its_examples_work() {
    for dialect in [Dialect::Windows, Dialect::Linux] {
        let help = help(dialect, false);
        for switch in SWITCHES {
            assert!(
                help.contains(&format!("  {}", switch.usage())),
                "{}",
                switch.name
            );
        }
        assert!(
            help.lines().all(|line| line.chars().count() <= 104),
            "{help}"
        );
    }
}

#[test]
fn n45_each_dialect_has_examples_of_its_own() {
    for dialect in [Dialect::Windows, Dialect::Linux] {
        let examples = help(dialect, true);
        for (line, _) in examples_of(dialect) {
            let parsed = parse(&words(line), dialect, Linux);
            assert_eq!(parsed.map(|p| p.not_built_yet), Ok(vec![]), "{line}");
            assert!(examples.contains(&format!("procdump {line}\n")));
        }
    }
    let linux = help(Dialect::Linux, true);
    assert!(
        !linux.contains("notepad") && !linux.contains(".exe"),
        "{linux}"
    );
}

#[test]
fn n45_the_help_lists_procdumps_exit_codes() {
    let cancelled = |dialect| {
        let help = help(dialect, false);
        let line = help.lines().find(|line| line.contains("cancelled before"));
        line.unwrap_or_default().trim_start()[..3].to_owned()
    };
    assert_eq!(cancelled(Dialect::Windows), "254");
    assert_eq!(cancelled(Dialect::Linux), "0  ");
}

#[test]
fn the_table_is_consistent() {
    for (index, switch) in SWITCHES.iter().enumerate() {
        for other in &SWITCHES[index + 1..] {
            assert!(
                !switch.name.eq_ignore_ascii_case(other.name),
                "{} twice",
                switch.name
            );
            assert!(switch.id != other.id, "{} and {}", switch.name, other.name);
        }
        assert!(switch.doc.ends_with('.'), "{}", switch.name);
    }
}

/// `docs/procdump.md` is what the program makes of its table. With `BLESS` set, the file is written.
#[test]
fn the_page_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/procdump.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, page()).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == page(),
        "docs/procdump.md is not what the table says"
    );
}
