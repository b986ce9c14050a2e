use super::*;
use crate::*;
use proptest::prelude::*;
use snapshot::DumpKind;
use std::time::Duration;

/// Parses and prints; the printed form must mean the same.
fn check<T: FromStr<Err = ParseError> + ToString + PartialEq + std::fmt::Debug>(
    cases: &[(&str, &str)],
) {
    for (text, printed) in cases {
        let value: T = text.parse().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(value.to_string(), *printed);
        assert_eq!(printed.parse::<T>().as_ref(), Ok(&value));
    }
}

fn same<T: FromStr<Err = ParseError> + ToString + PartialEq + std::fmt::Debug>(cases: &[&str]) {
    check::<T>(&cases.iter().map(|&c| (c, c)).collect::<Vec<_>>());
}

#[test]
fn n44_what_can_never_be_met_is_refused() {
    let refused = |text: &str| text.parse::<Condition>().expect_err(text).to_string();
    assert!(refused("signal SIGKILL").contains("nobody see SIGKILL"));
    assert!(refused("signal 9").contains("nobody see SIGKILL"));
    assert!(refused("every 0s").contains("without end"));
}

#[test]
fn every_condition_of_the_design_is_printed_as_it_was_written() {
    same::<Condition>(&[
        "cpu >= 85% for 10s",
        "cpu >= 85% of limit for 10s",
        "core-cpu > 150%",
        "memory >= 90% of limit",
        "memory < 12.5% of limit and cpu > 1% of limit for 5s",
        "memory >= 2GiB",
        "memory < 100MiB",
        "rss <= 500MB for 500ms",
        "rss+swap >= 500MB",
        "virtual > 1TiB",
        "threads > 100",
        "handles >= 1000 for 5m",
        r#"counter "\Process(app)\Handle Count" > 10000"#,
        r#"counter "\Processor(_Total)\% Processor Time" >= 20 for 10s"#,
        r#"counter "memory.pressure" < -0.5"#,
        "hang for 5s",
        r#"http "http://127.0.0.1:8080/health" slower than 4s"#,
        "cpu >= 85% and memory > 1GiB and hang for 1h",
        "unhandled exception",
        "exception",
        r#"exception "System.NullReferenceException""#,
        r#"exception "NotFound", "*Web*" not "Timeout", "Abort""#,
        r#"exception not "406D1388""#,
        r#"exception = "System.NullReferenceException""#,
        "exception code 0xC0000409",
        r#"exception code 0xC0000409, = "x", "y" first chance"#,
        r#"exception """#,
        "exception first chance",
        r#"unhandled exception "C00000FD.STACK_OVERFLOW""#,
        "signal SIGUSR1",
        "signal SIGRTMIN+3",
        "breakpoint ntdll!ZwTerminateProcess",
        "breakpoint libc.so.6!abort+0x10",
        r#"breakpoint "libshop.so!shop::Cart::add(int, char const*)""#,
        "breakpoint 0x7ff612340000",
        "breakpoint exit",
        r#"module load "*.dll""#,
        "module load",
        r#"module unload "x" not "y""#,
        "thread start",
        "thread exit",
        r#"debug string "text""#,
        "debug string",
        "exit",
        "now",
        "every 30s",
    ]);
}

#[test]
fn what_means_the_same_is_printed_the_same() {
    check::<Condition>(&[
        ("cpu>=85 for 120s", "cpu >= 85% for 2m"),
        ("  CPU  >  12.5%  ", "cpu > 12.5%"),
        ("memory >= 1.5gib", "memory >= 1536MiB"),
        ("memory >= 1024KiB", "memory >= 1MiB"),
        ("CPU>=85 OF Limit", "cpu >= 85% of limit"),
        (r#"counter "x" > 2KiB"#, r#"counter "x" > 2048"#),
        (r#"counter "x" > 20%"#, r#"counter "x" > 20"#),
        ("signal usr1", "signal SIGUSR1"),
        ("signal 11", "signal SIGSEGV"),
        ("exception CODE 0xc0000005", "exception code 0xC0000005"),
        ("cpu > 1% for 0s", "cpu > 1%"),
        ("Unhandled Exception", "unhandled exception"),
    ]);
}

#[test]
fn backslashes_may_stand_as_windows_shows_them_and_control_characters_never_come_out() {
    for (text, content) in [
        (r#"debug string "\Process(a)\b""#, r"\Process(a)\b"),
        (r#"debug string "say \"hi\"""#, r#"say "hi""#),
        (r#"debug string "ends \\""#, r"ends \"),
        (r#"debug string "\\\server""#, r"\\server"),
        (r#"debug string "a\u{a}b\u{1b}[0m""#, "a\nb\u{1b}[0m"),
        (r#"debug string "\\u{41}""#, r"\u{41}"),
    ] {
        let expected = Filter {
            include: vec![Pattern::new(content)],
            exclude: vec![],
        };
        let condition: Condition = text.parse().unwrap();
        assert_eq!(condition, Condition::DebugString(expected));
        assert_eq!(condition.to_string(), text);
    }
}

#[test]
fn rules_are_sentences() {
    same::<Rule>(&[
        "on 1234, when cpu >= 85% for 2s, do full dump, at most 2 times",
        "on w3wp.exe, when now, do mini and full dump, at most 1 time",
        r#"on each name:"my app", when exception "a", "b" or exit, do none; when now, do log stack, at most 3 times per process"#,
        r#""checkout crashes": on each service:checkout and its children, when unhandled exception, do full dump; when exception = "System.NullReferenceException", do full dump, at most 3 times; when cpu > 85% for 10s, do mini dump 10 times every 10s then full dump; into "/var/lib/firstchance/checkout"; at most 10 dumps in all"#,
        r#"on the next cmdline:"java * app.jar", when every 30s, do custom dump 0x33, at most 5 times; at most 3 dumps in 10m; at most 9 dumps in 1d; at most 5 dumps at once; skip while busy; keep at most 10 dumps; keep at most 10GiB; keep at most 7d; keep 5% free"#,
        r#"on launch:notepad, when debug string, do mini dump and custom dump 0x1; keep 1GiB free"#,
        r#"on pool:"My Pool", when exit, do run "/usr/bin/notify --once"; when exception, do log exception"#,
        "on group:77, when hang for 5s, do triage dump",
        "on container:0123abc, when threads > 9, do plus dump 1 time every 1s",
        r#"on each image:"/opt/my app/x", when unhandled exception not code 0x3, do mini dump; at most 1 dump per signature in 1h; keep at most 10 dumps"#,
        "on name:123, when now, do none",
        "on name:each, when now, do none",
    ]);
}

#[test]
fn targets_and_actions_stand_alone_too() {
    same::<Target>(&[
        "1234",
        "w3wp.exe",
        "service:a",
        "user-service:a",
        "pool:\"a b\"",
        "name:7",
        "cmdline:\"a*\"",
    ]);
    check::<Target>(&[
        ("my app.exe", "name:\"my app.exe\""),
        ("cmdline:java *x", "cmdline:\"java *x\""),
        (" 12 ", "12"),
        ("Service:x", "service:x"),
        ("c:\\x", "name:c:\\x"),
        ("sshd: root", "name:\"sshd: root\""),
    ]);
    same::<Action>(&[
        "full dump",
        "triage and mini dump",
        "custom dump 0x33",
        "log stack",
        "none",
    ]);
    check::<Action>(&[
        ("run /bin/x -y \"z\"", r#"run "/bin/x -y \"z\"""#),
        ("full and mini and full dump", "mini and full dump"),
        ("full dump and mini dump", "mini and full dump"),
        ("custom dump 33", "custom dump 0x33"),
    ]);
    assert_eq!(Action::Dump(vec![DumpKind::Full]), DumpKind::Full.into());
}

fn fails<T: FromStr<Err = ParseError> + std::fmt::Debug>(text: &str, report: &str) {
    let error = text.parse::<T>().unwrap_err().to_string();
    assert_eq!(error, report, "\n{error}\n");
}

#[test]
fn an_error_says_what_was_expected_where() {
    fails::<Condition>(
        "cpu 85% for 10s",
        "expected >=, >, <= or <, not `85%`\n    cpu 85% for 10s\n        ^",
    );
    fails::<Condition>(
        "cpu >= 85% for ever",
        "`ever` is no duration, such as 500ms, 10s, 5m or 1h\n    cpu >= 85% for ever\n                   ^",
    );
    fails::<Condition>(
        "memory > 100",
        "`100` is no size, such as 100MiB, 2GiB or 500MB\n    memory > 100\n             ^",
    );
    fails::<Condition>(
        "memory > 90%",
        "`90%` is no size, such as 2GiB; of the limit of the control group it is `90% of limit`\n    memory > 90%\n             ^",
    );
    fails::<Condition>(
        "core-cpu > 5% of limit",
        "`of limit` goes with cpu and memory\n    core-cpu > 5% of limit\n                  ^",
    );
    fails::<Condition>(
        "cpu > 5% for 3s and hang",
        "`for` comes last and holds for all that `and` joins\n    cpu > 5% for 3s and hang\n                    ^",
    );
    fails::<Condition>(
        "exit for 5s",
        "`for` says how long a level lasts; this is an event\n    exit for 5s\n         ^",
    );
    fails::<Condition>(
        "cpu > 5% and exit",
        "expected a level: cpu, core-cpu, memory, rss, rss+swap, virtual, threads, handles, counter, hang or http, not `exit`\n    cpu > 5% and exit\n                 ^",
    );
    fails::<Condition>(
        "exception \"é",
        "this quote is never closed\n    exception \"é\n              ^",
    );
    fails::<Condition>(
        "exception \"é\" now",
        "expected the end, not `now`\n    exception \"é\" now\n                  ^",
    );
    // n43: a filter without its quotes.
    fails::<Condition>(
        "exception NotFound",
        "a text to look for is in quotes: \"NotFound\"\n    exception NotFound\n              ^",
    );
    fails::<Condition>(
        "module load libssl*",
        "a text to look for is in quotes: \"libssl*\"\n    module load libssl*\n                ^",
    );
    fails::<Rule>(
        "on 1234, when cpu > 1%",
        "expected `,`, but the text ends here\n    on 1234, when cpu > 1%\n                          ^",
    );
    for wrong in [
        "",
        "cpu",
        "cpu >",
        "cpu > x%",
        "cpu > inf",
        "cpu > 1e9%",
        "cpu > -5%",
        "threads > 1.5",
        "counter x > 1",
        "counter \"x\" > 1x",
        "http \"http://u\" slower 4s",
        "http \"http://\" slower than 4s",
        "http \"ftp://u/\" slower than 4s",
        "signal",
        "signal SIGX",
        "breakpoint",
        "breakpoint main",
        "breakpoint !x",
        "breakpoint 0x",
        "module",
        "thread",
        "exception code 5",
        "exception code 0x1ffffffff",
        "exception not",
        "exception \"a\",",
        "exception first",
        "unhandled",
        "every",
        "every 5",
        "debug",
        "\"now\"",
        "cpu => 5%",
        "memory > 1GiB of limit",
        "memory > 90% of",
        "cpu > 90% of it",
        "threads > 9 of limit",
    ] {
        assert!(wrong.parse::<Condition>().is_err(), "{wrong}");
    }
    for wrong in [
        "",
        "service:",
        "servcie:checkout",
        "contianer:1",
        "name:",
        "99999999999",
        "group:x",
        "pool:\"\"",
        "image:nginx",
        "image:bin/nginx",
    ] {
        assert!(wrong.parse::<Target>().is_err(), "{wrong}");
    }
    for wrong in [
        "",
        "full",
        "dump",
        "custom dump",
        "custom dump x",
        "log",
        "run",
        "run \"",
        "big dump",
    ] {
        assert!(wrong.parse::<Action>().is_err(), "{wrong}");
    }
}

#[test]
fn a_long_line_is_shown_around_its_fault() {
    let text = format!("{}cpu 85%", "cpu > 1% or ".repeat(1000));
    let error = parse_when(&text).unwrap_err().to_string();
    let lines: Vec<_> = error.lines().collect();
    assert!(lines[1].len() < 140);
    assert_eq!(&lines[1][lines[2].len() - 1..], "85%");
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        r#"[a-z\\"u{}=,;<>\n *!+x0-9:]{0,12}"#,
        "[A-Za-z0-9._-]{1,10}",
    ]
}

fn filled() -> impl Strategy<Value = String> {
    text().prop_filter("not empty", |t| !t.is_empty())
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        any::<Duration>(),
        (0u64..100_000).prop_map(Duration::from_millis)
    ]
}

fn gauge() -> impl Strategy<Value = (Gauge, f64)> {
    let number = -1e6..1e6f64;
    let of = |unit: Unit| {
        let words = Gauge::WORDS.into_iter().map(|(_, gauge)| gauge);
        let limits = [Gauge::CpuOfLimit, Gauge::MemoryOfLimit];
        let gauges = words.chain(limits).filter(|gauge| gauge.unit() == unit);
        proptest::sample::select(gauges.collect::<Vec<_>>())
    };
    prop_oneof![
        (of(Unit::Percent), 0.0..1e6f64),
        (of(Unit::Bytes), 0u64..1 << 53).prop_map(|(gauge, n)| (gauge, n as f64)),
        (of(Unit::Count), any::<u32>()).prop_map(|(gauge, n)| (gauge, f64::from(n))),
        (text(), number).prop_map(|(path, n)| (Gauge::Counter(path), n)),
    ]
}

fn level() -> impl Strategy<Value = Level> {
    prop_oneof![
        (gauge(), 0usize..4).prop_map(|((gauge, threshold), c)| Level::Compare {
            comparison: Comparison::ALL[c],
            threshold: match gauge {
                // What no process can reach is refused.
                Gauge::Cpu => threshold % 99.0 + 0.5,
                _ => threshold,
            },
            gauge,
        }),
        Just(Level::Hang),
        (text(), duration()).prop_map(|(path, slower_than)| Level::Http {
            url: format!("http://host/{path}"),
            slower_than
        }),
    ]
}

fn matches() -> impl Strategy<Value = Match> {
    prop_oneof![
        text().prop_map(|t| Match::Text(Pattern::new(t))),
        text().prop_map(Match::Name),
        any::<u32>().prop_map(Match::Code),
    ]
}

fn filter() -> impl Strategy<Value = Filter> {
    let patterns = || proptest::collection::vec(text().prop_map(Pattern::new), 0..3);
    (patterns(), patterns()).prop_map(|(include, exclude)| Filter { include, exclude })
}

fn place() -> impl Strategy<Value = Place> {
    let module = filled().prop_filter("no address, no !", |m| {
        !m.contains('!') && !m.starts_with("0x")
    });
    prop_oneof![
        (module, filled(), 0u64..3).prop_map(|(module, symbol, offset)| Place::Symbol {
            module,
            symbol,
            offset,
        }),
        any::<u64>().prop_map(Place::Address),
        Just(Place::Exit),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    let list = || proptest::collection::vec(matches(), 0..3);
    let chance = prop_oneof![
        Just(Chance::Any),
        Just(Chance::First),
        Just(Chance::Unhandled)
    ];
    prop_oneof![
        4 => (proptest::collection::vec(level(), 1..4), duration())
            .prop_map(|(all, lasting)| Condition::Holds { all, lasting }),
        4 => (chance, list(), list()).prop_map(|(chance, include, exclude)| {
            Condition::Exception(ExceptionFilter { chance, include, exclude })
        }),
        1 => (1i32..=64).prop_filter("it is seen", |n| *n != 9).prop_map(Condition::Signal),
        2 => place().prop_map(Condition::Breakpoint),
        1 => filter().prop_map(Condition::ModuleLoad),
        1 => filter().prop_map(Condition::ModuleUnload),
        1 => filter().prop_map(Condition::DebugString),
        1 => duration().prop_filter("it is a time", |d| !d.is_zero()).prop_map(Condition::Every),
        1 => prop_oneof![
            Just(Condition::ThreadStart),
            Just(Condition::ThreadExit),
            Just(Condition::Exit),
            Just(Condition::Now),
        ],
    ]
}

pub(crate) fn action() -> impl Strategy<Value = Action> {
    let kind = prop_oneof![
        Just(DumpKind::Triage),
        Just(DumpKind::Mini),
        any::<u64>().prop_map(DumpKind::Custom),
        Just(DumpKind::Plus),
        Just(DumpKind::Full),
        Just(DumpKind::Filtered),
    ];
    prop_oneof![
        proptest::collection::vec(kind, 1..4).prop_map(Action::from_iter),
        Just(Action::LogStack),
        Just(Action::LogException),
        Just(Action::None),
        text().prop_map(Action::Run),
    ]
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        filled().prop_map(Target::Name),
        any::<u32>().prop_map(Target::Pid),
        filled().prop_map(Target::Service),
        filled().prop_map(Target::UserService),
        filled().prop_map(Target::Pool),
        filled().prop_map(Target::Container),
        filled().prop_map(|t| Target::CommandLine(Pattern::new(t))),
        any::<u32>().prop_map(Target::Group),
        filled().prop_map(|path| Target::Image(format!("/{path}"))),
        filled().prop_map(Target::Launch),
    ]
}

fn clause() -> impl Strategy<Value = Clause> {
    let series = (any::<u32>(), duration(), proptest::option::of(action()))
        .prop_map(|(count, every, then)| Series { count, every, then });
    let scope = prop_oneof![Just(Scope::Rule), Just(Scope::Process)];
    let limit = (any::<u32>(), scope).prop_map(|(times, scope)| Limit { times, scope });
    (
        proptest::collection::vec(condition(), 1..3),
        action(),
        proptest::option::of(series),
        proptest::option::of(limit),
    )
        .prop_map(|(when, action, series, limit)| Clause {
            when,
            action,
            series,
            limit,
        })
}

fn limits() -> impl Strategy<Value = Limits> {
    let scope = prop_oneof![Just(Scope::Rule), Just(Scope::Process)];
    let window = (any::<u32>(), duration(), scope, any::<bool>());
    let window = window.prop_map(|(count, within, scope, each_condition)| Window {
        count,
        within,
        scope,
        each_condition,
    });
    let free = prop_oneof![
        (0.0..100.0f64).prop_map(Free::Percent),
        any::<u64>().prop_map(Free::Bytes)
    ];
    let keep = (
        proptest::option::of(any::<u32>()),
        proptest::option::of(any::<u64>()),
        proptest::option::of(duration()),
        proptest::option::of(free),
    )
        .prop_map(|(max_count, max_bytes, max_age, keep_free)| Retention {
            max_count,
            max_bytes,
            max_age,
            keep_free,
        });
    (
        proptest::option::of(any::<u32>()),
        proptest::collection::vec(window, 0..3),
        proptest::option::of(duration()),
        any::<u32>(),
        any::<bool>(),
        keep,
    )
        .prop_map(
            |(max_dumps, windows, repeat_window, concurrent, avoid_outage, keep)| Limits {
                max_dumps,
                windows,
                repeat_window,
                concurrent,
                avoid_outage,
                keep,
            },
        )
}

fn rule() -> impl Strategy<Value = Rule> {
    let follow = prop_oneof![
        Just(Follow::One),
        Just(Follow::Next),
        Just(Follow::Each),
        Just(Follow::All)
    ];
    (
        text(),
        target(),
        follow,
        any::<bool>(),
        proptest::collection::vec(clause(), 1..4),
        (
            proptest::option::of(text()),
            proptest::option::of("zstd:(1[0-9]|[1-9])".prop_map(|text| text.parse().unwrap())),
        ),
        limits(),
    )
        .prop_map(
            |(name, target, follow, children, clauses, (folder, compress), limits)| Rule {
                name,
                target,
                follow,
                children,
                clauses,
                folder,
                compress,
                limits,
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_condition_is_read_as_it_was_printed(condition in condition()) {
        let printed = condition.to_string();
        prop_assert!(!printed.contains(char::is_control), "{:?}", printed);
        prop_assert_eq!(printed.parse(), Ok(condition));
    }

    #[test]
    fn every_rule_is_read_as_it_was_printed(rule in rule()) {
        let printed = rule.to_string();
        prop_assert!(!printed.contains(char::is_control), "{:?}", printed);
        prop_assert_eq!(printed.parse(), Ok(rule));
    }

    #[test]
    fn every_target_and_action_stands_alone(target in target(), action in action()) {
        prop_assert_eq!(target.to_string().parse(), Ok(target));
        prop_assert_eq!(action.to_string().parse(), Ok(action));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in text(), words in "(cpu|>|exception|\"|not|for|and|,|;|on|when|do|[0-9]+|keep|at|most| ){0,20}") {
        for text in [text, words] {
            let _ = text.parse::<Condition>().map_err(|e| e.to_string());
            let _ = text.parse::<Rule>().map_err(|e| e.to_string());
            let _ = text.parse::<Target>();
            let _ = text.parse::<Action>();
        }
    }
}

/// It was waited for without end.
#[test]
fn n25_more_processor_time_than_there_is_is_refused() {
    for (text, is_possible) in [
        ("cpu > 100%", false),
        ("cpu >= 150%", false),
        ("cpu < 0%", false),
        ("cpu >= 100%", true),
        ("cpu <= 150%", true),
        ("core-cpu > 150%", true),
        ("cpu >= 150% of limit", true),
    ] {
        let parsed = crate::parse_when(text);
        assert_eq!(parsed.is_ok(), is_possible, "{text}: {parsed:?}");
    }
}
