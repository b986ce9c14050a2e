//! Command lines and the rules that they mean.

use super::{super::*, check, monitor, words};
use snapshot::OperatingSystem::Linux;
use std::time::Duration;

/// The examples on ProcDump's own page, and those of the guide.
#[test]
fn documented_command_lines_mean_these_rules() {
    check(&[
        (
            "notepad",
            "on notepad, when now, do mini dump, at most 1 time",
        ),
        (
            "-ma 4572",
            "on 4572, when now, do full dump, at most 1 time",
        ),
        (
            "-mm -ma 4572",
            "on 4572, when now, do mini and full dump, at most 1 time",
        ),
        (
            "-n 3 -s 5 notepad",
            "on notepad, when every 5s, do mini dump, at most 3 times",
        ),
        (
            "-n 3 -s 5 -c 20 consume",
            "on consume, when cpu >= 20% for 5s, do mini dump, at most 3 times",
        ),
        (
            "-h hang.exe",
            "on hang.exe, when hang for 5s, do mini dump, at most 1 time",
        ),
        (
            "-ma -mk -h hang.exe",
            "on hang.exe, when hang for 5s, do full dump, at most 1 time",
        ),
        (
            r#"outlook -s 10 -p "\Processor(_Total)\% Processor Time" 20"#,
            r#"on outlook, when counter "\Processor(_Total)\% Processor Time" >= 20 for 10s, do mini dump, at most 1 time"#,
        ),
        (
            r#"-ma outlook -p "\Process(Outlook)\Handle Count" 10000"#,
            r#"on outlook, when counter "\Process(Outlook)\Handle Count" >= 10000 for 10s, do full dump, at most 1 time"#,
        ),
        (
            "-ma -e w3wp.exe",
            "on w3wp.exe, when unhandled exception, do full dump, at most 1 time",
        ),
        (
            "-ma -e 1 w3wp.exe",
            "on w3wp.exe, when exception, do full dump, at most 1 time",
        ),
        (
            "-ma -l w3wp.exe",
            "on w3wp.exe, when debug string, do full dump, at most 1 time",
        ),
        (
            "-ma -n 10 -e 1 -f NotFound w3wp.exe",
            "on w3wp.exe, when exception \"NotFound\", do full dump, at most 10 times",
        ),
        (
            "-ma -n 10 -l -f NotFound w3wp.exe",
            "on w3wp.exe, when debug string \"NotFound\", do full dump, at most 10 times",
        ),
        (
            "-e -w notepad",
            "on notepad, when unhandled exception, do mini dump, at most 1 time",
        ),
        (
            r"-e -x c:\dumps notepad",
            r#"on launch:notepad, when unhandled exception, do mini dump, at most 1 time; into "c:\dumps""#,
        ),
        (
            "-e 1 -f \"\" w3wp.exe",
            "on w3wp.exe, when exception \"\", do mini dump, at most 1 time",
        ),
        (
            "-r -ma -n 5 -s 15 x.exe",
            "on x.exe, when every 15s, do full dump, at most 5 times",
        ),
        (
            "-r 5 -ma -n 5 -s 15 x.exe",
            "on x.exe, when every 15s, do full dump, at most 5 times; at most 5 dumps at once",
        ),
        (
            "-ma -n 3 -s 30 1234",
            "on 1234, when every 30s, do full dump, at most 3 times",
        ),
        (
            "-ma -n 2 -s 2 -c 85 1234",
            "on 1234, when cpu >= 85% for 2s, do full dump, at most 2 times",
        ),
        (
            "-ma -e -w app",
            "on app, when unhandled exception, do full dump, at most 1 time",
        ),
        (
            "-ma -accepteula 1234 /home/dumps",
            "on 1234, when now, do full dump, at most 1 time",
        ),
        (
            "-ma -accepteula 1234",
            "on 1234, when now, do full dump, at most 1 time",
        ),
        (
            "-ma -e 1 -f \"0xc00000fd\" 1234",
            "on 1234, when exception \"c00000fd\", do full dump, at most 1 time",
        ),
        (
            "-ma -e 1 -f \"System.Net.WebException\" 1234",
            "on 1234, when exception \"System.Net.WebException\", do full dump, at most 1 time",
        ),
        (
            "-ma -e -f C00000FD.STACK_OVERFLOW 1234",
            "on 1234, when unhandled exception \"C00000FD.STACK_OVERFLOW\", do full dump, at most 1 time",
        ),
    ]);
}

#[test]
fn every_trigger_has_its_condition() {
    let rule = |when: &str| format!("on x, when {when}, do mini dump, at most 1 time");
    for (switches, when) in [
        ("-cl 5", "cpu < 5% for 10s"),
        ("-c 150 -u", "core-cpu >= 150% for 10s"),
        ("-m 2000", "memory >= 2000MiB for 10s"),
        ("-ml 100 -s 60", "memory < 100MiB for 1m"),
        ("-pl c 2.5", "counter \"c\" < 2.5 for 10s"),
        (
            "-ld -f *.dll -fx a,b",
            "module load \"*.dll\" not \"a\", \"b\"",
        ),
        ("-ud", "module unload"),
        ("-ct", "thread start"),
        ("-et", "thread exit"),
        ("-t", "exit"),
        ("-tc 500", "threads >= 500 for 10s"),
        ("-fc 1000", "handles >= 1000 for 10s"),
        ("-e 1 -fx 406d1388", "exception not \"406d1388\""),
        ("-e -g -b", "unhandled exception"),
        ("-e 1 -f A -f B,C", "exception \"A\", \"B\", \"C\""),
        (
            "-e -t -c 90",
            "unhandled exception or exit or cpu >= 90% for 10s",
        ),
        ("-l -e", "debug string or unhandled exception"),
        (
            "-pc System.Runtime:cpu-usage 50",
            "counter \"dotnet:System.Runtime:cpu-usage\" >= 50 for 10s",
        ),
    ] {
        check(&[(&format!("{switches} x"), &rule(when))]);
    }
    check(&[
        (
            "-m 100,200 x",
            "on x, when memory >= 100MiB for 10s, do mini dump, at most 1 time; when memory >= 200MiB for 10s, do mini dump, at most 1 time",
        ),
        (
            "-gcm LOH:100,200 x",
            "on x, when counter \"dotnet:gc-heap-size[LOH]\" >= 104857600 for 10s, do mini dump, at most 1 time; when counter \"dotnet:gc-heap-size[LOH]\" >= 209715200 for 10s, do mini dump, at most 1 time",
        ),
        (
            "-gcgen 2 x",
            "on x, when counter \"dotnet:gc-running[2]\" >= 1 for 10s or counter \"dotnet:gc-running[2]\" < 1 for 10s, do mini dump, at most 2 times",
        ),
        (
            "-mc 0x33 -mt x",
            "on x, when now, do triage dump and custom dump 0x33, at most 1 time",
        ),
        (
            "-r 2 -a x",
            "on x, when now, do mini dump, at most 1 time; at most 2 dumps at once; skip while busy",
        ),
        (
            "-pt x",
            "on x and its children, when now, do mini dump, at most 1 time",
        ),
    ]);
    let on_linux = parse(&words("-sig 10,SIGTERM x"), Dialect::Windows, Linux).unwrap();
    let Command::Monitor(monitor) = on_linux.command else {
        panic!("no monitor");
    };
    assert_eq!(
        monitor.rule.to_string(),
        rule("signal SIGUSR1 or signal SIGTERM")
    );
}

#[test]
fn a_number_belongs_to_a_switch_only_if_a_target_is_named_besides() {
    for (line, target, any) in [
        ("-e 1", "1", false),
        ("-e 1 1", "1", true),
        ("x -e 1", "x", true),
        ("-e 1 -ma x", "x", true),
        ("-e 1 -ma", "1", false),
        ("-e 2 x", "2", false),
        ("-e 1 -n 5", "1", false),
        ("-e 1 -p c 5", "1", false),
        ("-e 1 -r 1", "1", true),
        ("-r 1 -e 1", "1", false),
        ("-e 1 -x /tmp app", "launch:app", true),
        ("/e 1 /ma x", "x", true),
        ("-E 1 -MA x", "x", true),
    ] {
        let monitor = monitor(line);
        assert_eq!(monitor.rule.target.to_string(), target, "{line}");
        let when = policy::print_when(&monitor.rule.clauses[0].when);
        assert_eq!(when == "exception", any, "{line}: {when}");
    }
    assert_eq!(monitor("-r 1 -e 1").clones, Some(1));
    assert_eq!(monitor("-r 5").rule.target.to_string(), "5");
    assert_eq!(monitor("-r 6 x").rule.target.to_string(), "6");
    assert_eq!(monitor("-r x").clones, Some(1));
    assert_eq!(monitor("x").clones, None);
}

#[test]
fn the_linux_dialect_is_procdump_for_linux() {
    let linux = |line: &str| {
        let read = parse(&words(line), Dialect::Linux, Linux).unwrap();
        match read.command {
            Command::Monitor(monitor) => *monitor,
            other => panic!("{line}: {other:?}"),
        }
    };
    for (line, rule) in [
        (
            "1234",
            "on 1234, when every 10s, do filtered dump, at most 1 time",
        ),
        (
            "-c 65 -s 5 -n 3 1234",
            "on 1234, when core-cpu >= 65%, do filtered dump, at most 3 times; at most 1 dump in 5s",
        ),
        (
            "-m 100,200,300 app",
            "on app, when rss+swap >= 100MiB, do filtered dump, at most 1 time; when rss+swap >= 200MiB, do filtered dump, at most 1 time; when rss+swap >= 300MiB, do filtered dump, at most 1 time; at most 1 dump in 10s",
        ),
        (
            "-w app",
            "on all app, when every 10s, do filtered dump, at most 1 time per process",
        ),
        (
            "--each -w app",
            "on each app, when every 10s, do filtered dump, at most 1 time per process",
        ),
        (
            "-ma 1234",
            "on 1234, when every 10s, do full dump, at most 1 time",
        ),
        (
            "-tc 5 -pgid -n 1 77",
            "on all group:77, when threads >= 5, do filtered dump, at most 1 time per process",
        ),
        (
            "-pgid 77 -n 2 -tc 5",
            "on all group:77, when threads >= 5, do filtered dump, at most 2 times per process; at most 1 dump in 10s per process",
        ),
        (
            "-pgid 77 -tc 5",
            "on all group:77, when threads >= 5, do filtered dump, at most 1 time per process",
        ),
        (
            "-sig 11 7",
            "on 7, when signal SIGSEGV, do filtered dump, at most 1 time",
        ),
        (
            "-n 2 -s 1 7",
            "on 7, when every 1s, do filtered dump, at most 2 times",
        ),
        (
            "-e 7",
            "on 7, when exception first chance, do filtered dump, at most 1 time",
        ),
        (
            "-e 1",
            "on 1, when exception first chance, do filtered dump, at most 1 time",
        ),
        (
            "-mc 3f 7",
            "on 7, when every 10s, do custom dump 0x3f, at most 1 time",
        ),
    ] {
        let monitor = linux(line);
        assert_eq!(monitor.rule.to_string(), rule, "{line}");
        assert_eq!(monitor.dialect, Dialect::Linux);
    }
    let given = linux("-pf 100 -log stdout -o 7 /tmp/x");
    assert_eq!(given.poll, Some(Duration::from_millis(100)));
    assert_eq!(given.log, Some(LogTo::Stdout));
    assert_eq!(given.output.as_deref(), Some("/tmp/x"));
    let chosen = monitor("-c 65 --linux 7");
    assert_eq!(chosen.dialect, Dialect::Linux);
}

#[test]
fn n44_pgid_is_a_switch_whose_target_is_a_group() {
    let on = |line: &str| parse(&words(line), Dialect::Windows, Linux);
    for line in ["-pgid 77", "-pgid 77 /var/dumps", "-ma -pgid -t 77 x.core"] {
        let Command::Monitor(monitor) = on(line).unwrap().command else {
            panic!("{line}: no monitor");
        };
        assert_eq!(monitor.rule.target, policy::Target::Group(77), "{line}");
    }
    for (line, said) in [
        (
            "-pgid",
            "-pgid: no target: give the number of a process group",
        ),
        (
            "-pgid app",
            "-pgid: `app` is not the number of a process group",
        ),
        ("-pgid 0", "-pgid: `0` is not the number of a process group"),
    ] {
        assert_eq!(on(line).unwrap_err().to_string(), said);
    }
}

#[test]
fn n45_a_signal_that_nobody_sees_is_refused_with_the_reason() {
    for line in ["-sig 9 7", "-sig 10,SIGKILL 7"] {
        let refused = parse(&words(line), Dialect::Linux, Linux).unwrap_err();
        let said = refused.to_string();
        assert!(said.contains("before it ends the process; -t"), "{said}");
    }
}

#[test]
fn n45_a_pid_behind_p_is_told_that_it_needs_none() {
    for (line, said) in [
        ("-c 65 -p 77", "-p needs a value"),
        ("-p 77 -c 65", "`-c` is not a number"),
        ("-p 77 dump", "no target"),
    ] {
        let of = |dialect| parse(&words(line), dialect, Linux).unwrap_err().to_string();
        let hint = "a pid is named without -p";
        let told = of(Dialect::Linux);
        assert!(told.contains(said) && told.contains(hint), "{told}");
        assert!(!of(Dialect::Windows).contains(hint), "{line}");
    }
    let counter = parse(&words("-p memory 77"), Dialect::Linux, Linux).unwrap_err();
    assert!(!counter.to_string().contains("without -p"), "{counter}");
}

#[test]
fn n45_a_filter_without_its_trigger_is_refused_as_procdump_for_linux_does() {
    let on = |line: &str, dialect| parse(&words(line), dialect, Linux);
    let refused = on("-f Foo 77", Dialect::Linux).unwrap_err().to_string();
    assert!(refused.contains("Please use the -e switch"), "{refused}");
    assert!(on("-f Foo -e 77", Dialect::Linux).is_ok());
    assert_eq!(on("-f Foo 77", Dialect::Windows).unwrap().warnings.len(), 1);
}

/// As the page says of lines that ProcDump for Linux refuses, or takes no dump for.
#[test]
fn n45_lines_that_procdump_for_linux_refuses_mean_what_the_page_says() {
    let on = |line: &str| parse(&words(line), Dialect::Linux, Linux);
    for (line, warnings) in [
        ("-n 101 7", 0),
        ("-sig 10 -c 90 7", 0),
        ("-sig 10 -pf 100 7", 0),
        ("-e -m 100 7", 0),
        ("-w app /var/dumps/file", 0),
        ("-fx Foo -e 7", 0),
        ("-fx Foo 7", 1),
    ] {
        let taken = on(line).unwrap();
        assert_eq!(taken.warnings.len(), warnings, "{line}: {taken:?}");
        let Command::Monitor(monitor) = taken.command else {
            panic!("{line}: no monitor");
        };
        let when: usize = monitor.rule.clauses.iter().map(|c| c.when.len()).sum();
        let several = line.starts_with("-sig 10 -c") || line.contains("-m");
        assert_eq!(when, 1 + usize::from(several), "{line}");
    }
    let refused = on("-n 0 7").unwrap_err().to_string();
    assert!(refused.contains("a number from 1 to"), "{refused}");
}
