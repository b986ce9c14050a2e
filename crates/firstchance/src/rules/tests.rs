use super::{parse, print, runs_programs};

/// The file means these sentences, and the file that is printed from it means the same.
fn check(file: &str, sentences: &[&str]) {
    let rules = parse(file).unwrap_or_else(|error| panic!("{error}"));
    let printed: Vec<_> = rules.iter().map(ToString::to_string).collect();
    assert_eq!(printed, sentences);
    assert_eq!(
        parse(&print(&rules)).as_ref(),
        Ok(&rules),
        "{}",
        print(&rules)
    );
}

/// The example of the design document, unchanged.
const DESIGN: &str = r#"
[[rule]]
name = "checkout crashes"
target = "service:checkout"           # name | name.exe | pid | service:NAME | pool:NAME (IIS) | container:ID | cmdline:"glob"
folder = "/var/lib/firstchance/checkout"
max-dumps = 10                        # DebugDiag: cap of the whole rule

  [[rule.on]]
  when = "unhandled exception"
  do = "full dump"

  [[rule.on]]
  when = 'exception = "System.NullReferenceException"'
  do = "full dump"
  limit = 3                           # of this clause; 0 = no limit

  [[rule.on]]
  when = "cpu > 85% for 10s"
  do = "mini dump"
  series = { count = 10, every = "10s", then = "full dump" }
"#;

#[test]
fn the_file_of_the_design_is_read_and_printed() {
    check(
        DESIGN,
        &[
            "\"checkout crashes\": on each service:checkout, when unhandled exception, do full dump; \
         when exception = \"System.NullReferenceException\", do full dump, at most 3 times; \
         when cpu > 85% for 10s, do mini dump 10 times every 10s then full dump; \
         into \"/var/lib/firstchance/checkout\"; at most 10 dumps in all",
        ],
    );
    let printed = print(&parse(DESIGN).unwrap());
    assert_eq!(
        printed,
        r#"[[rule]]
name = "checkout crashes"
target = "service:checkout"
folder = "/var/lib/firstchance/checkout"
max-dumps = 10

  [[rule.on]]
  when = "unhandled exception"
  do = "full dump"

  [[rule.on]]
  when = 'exception = "System.NullReferenceException"'
  do = "full dump"
  limit = 3

  [[rule.on]]
  when = "cpu > 85% for 10s"
  do = "mini dump"
  series = { count = 10, every = "10s", then = "full dump" }
"#
    );
}

#[test]
fn every_key_has_its_meaning() {
    check(
        r#"
        [[rule]]
        target = 'cmdline:"java *"'
        follow = "next"
        children = true
        compress = "zstd:3"
        max-dumps = 0
        max-dumps-per = ["10m=3", "1d=9"]
        repeat-window = "1h"
        dumps-at-once = 2
        skip-while-busy = true
        keep-dumps = 20
        max-folder = "10GiB"
        max-age = "7d"
        keep-free = "5%"
        [[rule.on]]
        when = ["cpu > 5% or exit", "now"]
        do = "run /usr/bin/notify --once"
        limit-per-process = 2
        limit = 0
        [[rule]]
        target = "1234"
        max-dumps-per = "1h=1"
        [[rule.on]]
        when = "every 30s"
        do = "mini and full dump"
        "#,
        &[
            "on the next cmdline:\"java *\" and its children, when cpu > 5% or exit or now, do \
             run \"/usr/bin/notify --once\", at most 2 times per process; compress zstd:3; at most 3 dumps in 10m; \
             at most 9 dumps in 1d; at most 1 dump per signature in 1h; at most 2 dumps at once; skip while busy; keep at most 20 \
             dumps; keep at most 10GiB; keep at most 7d; keep 5% free",
            "on 1234, when every 30s, do mini and full dump; at most 10 dumps in all; at most 1 \
             dump in 1h",
        ],
    );
    assert_eq!(parse("").unwrap(), []);
}

#[test]
fn a_rule_without_a_number_takes_ten_dumps_or_one_round_of_its_series() {
    let file = |series: &str| {
        format!("[[rule]]\ntarget = 'a'\n[[rule.on]]\nwhen = 'now'\ndo = 'mini dump'\n{series}")
    };
    check(
        &file(""),
        &["on each a, when now, do mini dump; at most 10 dumps in all"],
    );
    check(
        &file("series = { count = 10, every = '10s', then = 'full dump' }"),
        &[
            "on each a, when now, do mini dump 10 times every 10s then full dump; at most 11 dumps \
         in all",
        ],
    );
}

#[test]
fn programs_are_found_wherever_they_stand() {
    let runs = |action: &str| {
        let rule = format!("on a, when now, do {action}").parse().unwrap();
        runs_programs(&rule)
    };
    assert!(runs("run \"x\""));
    assert!(runs("none 2 times every 1s then run \"x\""));
    assert!(!runs("full dump 2 times every 1s then none"));
}

/// The file is refused, with these lines in the message.
fn fails(file: &str, lines: &[&str]) {
    let error = parse(file).map(drop).unwrap_err().to_string();
    for line in lines {
        assert!(
            error.lines().any(|l| l == *line),
            "no line `{line}` in:\n{error}"
        );
    }
}

/// Row G4: a wrong file is refused; the message has the line.
#[test]
fn g4_an_error_has_its_line_and_a_caret() {
    fails(
        "[[rule]]\ntarget = 'a'\nmax-dump = 3\n",
        &["3 | max-dump = 3", "  | ^^^^^^^^"],
    );
    let rule = "[[rule]]\ntarget = 'a'\n[[rule.on]]\n";
    fails(
        &format!("{rule}when = \"cpu 85%\"\ndo = 'none'"),
        &[
            "TOML parse error at line 4, column 8",
            "4 | when = \"cpu 85%\"",
            "expected >=, >, <= or <, not `85%`",
            "    cpu 85%",
            "        ^",
        ],
    );
    fails(
        &format!("{rule}when = ['now', 'never']\ndo = 'none'"),
        &["4 | when = ['now', 'never']", "    never"],
    );
    fails(
        &format!("{rule}when = 'now'\ndo = 'big dump'"),
        &["5 | do = 'big dump'"],
    );
    fails(&format!("{rule}when = 'now'\n"), &["missing field `do`"]);
    fails(
        &format!("{rule}when = []\ndo = 'none'"),
        &["expected at least one condition"],
    );
    fails(
        &format!("{rule}when = 'now'\ndo = 'none'\nlimit = -1"),
        &["6 | limit = -1"],
    );
    let series = "when = 'now'\ndo = 'none'\nseries = { count = 0, every = '1s' }";
    fails(
        &format!("{rule}{series}"),
        &["6 | series = { count = 0, every = '1s' }"],
    );
    let clause = "[[rule.on]]\nwhen = 'now'\ndo = 'none'";
    let file = format!("[[rule]]\ntarget = 'service:'\n{clause}");
    fails(&file, &["2 | target = 'service:'"]);
    fails(
        "[[rule]]\ntarget = 'a'\non = []",
        &["a rule needs at least one [[rule.on]]"],
    );
    fails("[[rule]]\ntarget = 'a'\n", &["missing field `on`"]);
    let both = "when = 'now'\ndo = 'none'\nlimit = 1\nlimit-per-process = 1";
    fails(
        &format!("{rule}{both}"),
        &["`limit` and `limit-per-process` do not go together"],
    );
    fails("[[rules]]\n", &["1 | [[rules]]"]);
    fails(
        "[[rule]]\ntarget = 'a'\nkeep-free = '500%'\n",
        &["3 | keep-free = '500%'"],
    );
    fails(
        "[[rule]]\ntarget = 'a'\ncompress = 'zstd:20'\n",
        &["3 | compress = 'zstd:20'"],
    );
    fails("[[rule]\n", &["1 | [[rule]"]);
}
