//! What scripts that were written for ProcDump for Windows look for: lines, names, exit codes, counters.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::procdump_linux::is_traced;
use crate::support::{
    Child, Firstchance, Program, Run, Victim, compile, file_in, files_in, folder, wait_until,
};

fn procdump(words: &[&str]) -> Firstchance {
    Firstchance::new(&["procdump"]).args(words)
}

/// The end of the line of a run that has this text, behind the text.
fn behind<'r>(run: &'r Run, text: &str) -> &'r str {
    let ends = run.stdout.lines().find_map(|line| line.split_once(text));
    ends.unwrap_or_else(|| panic!("{text}: {run:#?}")).1
}

#[test]
fn n46_lines_and_comment_are_procdumps() {
    let dumps = folder();
    let victim = Victim::start(&["idle"]);
    let pid = victim.pid_text();
    let run = procdump(&["-ma", &pid])
        .current_dir(dumps.path())
        .run_well();
    let path = Path::new(behind(&run, "Dump 1 initiated: "));
    assert!(path.is_absolute() && path.is_file(), "{run:#?}");
    let size = behind(&run, "Dump 1 writing: Estimated dump file size is ");
    let is_size = |text: &str| text.parse::<u32>().is_ok_and(|megabytes| megabytes > 0);
    assert!(size.strip_suffix(" MB.").is_some_and(is_size), "{run:#?}");
    let complete = behind(&run, "Dump 1 complete: ");
    let (size, time) = complete.split_once(" MB written in ").expect("a size");
    let is_time = |text: &str| text.parse::<f64>().is_ok();
    assert!(is_size(size), "{run:#?}");
    assert!(
        time.strip_suffix(" seconds").is_some_and(is_time),
        "{run:#?}"
    );

    let file = file_in(&dumps, "mini.dmp");
    let run = procdump(&["-mm", "-accepteula", &pid])
        .arg(&file)
        .run_well();
    assert!(
        !run.stdout.contains("Estimated"),
        "small ones have none: {run:#?}"
    );
    let bytes = std::fs::read(&file).expect("the dump");
    let line = format!(
        "\n*** procdump -mm -accepteula {pid} {}\n*** Manual dump",
        file.display()
    );
    assert!(has_text(&bytes, &line), "no comment like {line:?}");
}

/// Whether bytes have a text, in UTF-8 or in UTF-16.
fn has_text(bytes: &[u8], text: &str) -> bool {
    crate::support::holds(bytes, text).contains(&true)
}

#[test]
fn n46_exit_codes_are_procdumps_own_where_they_are_asked_for() {
    let dumps = folder();
    let victim = Victim::start(&["idle"]);
    let pid = victim.pid_text();
    let file = file_in(&dumps, "x");
    let file = file.to_str().expect("a plain path");
    let own = "--procdump-exit-codes";
    for (words, code) in [
        (&[own, "-ma", &pid, file][..], 1),
        (&[own, "-ma", &pid, "/no/such/folder/x"], 2),
        (&[own, "-ma", "no such program"], 254),
        (&[own, "-nonsense"], 254),
        (&[own, "--linux", &pid, file], 0),
        (&[own, "--linux", "no such program"], 0),
        (&[own, "--linux", "-nonsense"], 255),
        (&[own, "--linux", "-restrack", &pid], 255),
        (&["-ma", &pid, file], 0),
        (&["-ma", "no such program"], 3),
    ] {
        let run = procdump(words).run();
        assert_eq!(run.code, Some(code), "{words:?}: {run:#?}");
    }
}

#[test]
fn n45_a_cancelled_run_has_the_code_of_procdump() {
    let victim = Victim::start(&["idle"]);
    for (dialect, code) in [("windows", 254), ("linux", 0)] {
        let words = ["--procdump-exit-codes", "-m", "100000", &victim.pid_text()];
        let running = procdump(&words).env("PROCDUMP_DIALECT", dialect).spawn();
        let running = running.until_it_says("Press Ctrl-C");
        running.signal(libc::SIGINT);
        running.finish().assert_code(code);
    }
    let wrong = procdump(&["--procdump-exit-codes", "1"]).env("PROCDUMP_DIALECT", "linus");
    wrong.run().assert_code(254);
}

#[test]
fn n45_without_arguments_the_usage_is_printed() {
    for words in [&[][..], &["--linux"]] {
        let run = procdump(words).run();
        run.assert_code(2).assert_says("no target");
        assert!(run.stdout.starts_with("procdump [SWITCHES]"), "{run:#?}");
    }
    let run = procdump(&["-ma"]).run();
    run.assert_code(2).assert_says("-? shows how");
    assert!(!run.stdout.contains("[SWITCHES]"), "{run:#?}");
}

#[test]
fn n45_a_folder_that_there_is_not_is_a_wrong_command_line_in_the_codes_of_procdump_for_linux() {
    let victim = Victim::start(&["idle"]);
    for folder in ["/no/such/folder/", "/no/such/folder/x"] {
        let words = [
            "--procdump-exit-codes",
            "--linux",
            &victim.pid_text(),
            folder,
        ];
        let run = procdump(&words).run();
        run.assert_code(255).assert_says("Invalid directory");
        assert!(run.stderr.starts_with("firstchance: "), "{run:#?}");
        procdump(&words[1..]).run().assert_code(6);
    }
}

#[test]
fn n46_a_file_that_is_being_written_is_not_what_a_script_looks_for() {
    let dumps = folder();
    let victim = Victim::start(&["idle"]);
    let running = procdump(&["-ma", &victim.pid_text()])
        .arg(dumps.path())
        .failpoint("planned:stop")
        .spawn();
    let names = || {
        let files = files_in(dumps.path()).into_iter();
        let names = files.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()));
        names.collect::<Vec<String>>()
    };
    // Whether the folder can be written to is tried with a file of another name first.
    let is_dump = |name: &String| name.contains("victim");
    wait_until("a file is made", || names().iter().any(is_dump));
    let half: Vec<String> = names().into_iter().filter(is_dump).collect();
    running.signal(9);
    running.finish();
    for name in half {
        assert!(
            name.starts_with(".victim_") && name.ends_with(".partial"),
            "{name}"
        );
    }
}

/// Breaks into a debugger that is not there, handles that, and ends.
static BREAKS: Program = Program::c("breaks.c");

#[test]
fn n45_breakpoints_of_the_program_itself_count_with_b_alone() {
    let program = compile(&BREAKS);
    for (switches, dumps) in [(&["-e", "1"][..], 0), (&["-e", "1", "-b"], 1)] {
        let place = folder();
        let mut child = Child::start(&mut Command::new(&program));
        child.lines_until("ready");
        let running = procdump(switches)
            .args(&[&child.pid().to_string()])
            .arg(place.path())
            .spawn();
        wait_until("it is traced", || is_traced(child.pid()));
        child.tell("");
        let run = running.finish();
        assert_eq!(
            files_in(place.path()).len(),
            dumps,
            "{switches:?}: {run:#?}"
        );
    }
}

#[test]
fn n47_a_line_for_procdump_for_linux_hints_at_its_dialect_once() {
    let dumps = folder();
    let victim = Victim::start(&["idle"]);
    let pid = victim.pid_text();
    let name = file_in(&dumps, "core");
    let name = name.to_str().expect("a plain path");
    let hints = |run: &Run| run.stderr.matches("--linux").count();
    for words in [
        &["-tc", "1", "-s", "1", "-fc", "1", &pid, name][..],
        &[&pid, name],
        &["-gcm", "100", &pid],
        &["-pgid", "4194303"],
    ] {
        assert_eq!(hints(&procdump(words).run()), 1, "{words:?}");
    }
    let file = format!("{name}.dmp");
    for words in [
        &[&pid[..], &file][..],
        &["--linux", &pid, name],
        &["-ma", &pid, "/tmp/"],
    ] {
        let run = procdump(words).current_dir(dumps.path()).run();
        assert_eq!(hints(&run), 0, "{words:?}: {run:#?}");
    }
    let chosen = procdump(&[&pid, name]).env("PROCDUMP_DIALECT", "windows");
    assert_eq!(hints(&chosen.run()), 0);
}

/// The administrator's file is put into a view of the files that only this run has.
#[test]
fn n47_the_name_procdump_has_the_dialect_that_the_administrator_chose() {
    let place = folder();
    let link = file_in(&place, "procdump");
    symlink(env!("CARGO_BIN_EXE_firstchance"), &link).expect("a link");
    let dumps = folder();
    let victim = Victim::start(&["idle"]);
    let script = format!(
        "mkdir -p {0}/etc/firstchance {0}/work && \
         mount -t overlay overlay -o lowerdir=/etc,upperdir={0}/etc,workdir={0}/work /etc && \
         echo 'dialect = \"linux\"' > /etc/firstchance/procdump.toml && \
         exec {1} {2} {3}/",
        "/run",
        link.display(),
        victim.pid(),
        dumps.path().display()
    );
    let script = format!("mount -t tmpfs tmpfs /run && {script}");
    let run = Command::new("unshare")
        .args(["-m", "sh", "-c", &script])
        .output();
    let run = run.expect("unshare");
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(said.contains("Core dump 0 generated: "), "{said} {run:?}");
    let files = files_in(dumps.path());
    let name = files[0].file_name().expect("a name").to_string_lossy();
    assert!(name.starts_with("victim_time_"), "{name}");
}

#[test]
fn n48_counters_that_procdumps_users_know_are_answered_or_refused_with_the_nearest() {
    let victim = Victim::start(&["spin", "1"]);
    let pid = victim.pid_text();
    let of_pid = format!(r"\Process(victim_{pid})\Private Bytes");
    let dumps = folder();
    for (switch, counter, threshold) in [
        ("-p", r"\Memory\Available MBytes", "1"),
        ("-pl", r"\Process(victim)\IO Data Bytes/sec", "1000000"),
        ("-pl", r"\Process(victim)\% User Time", "1000"),
        ("-p", r"\System\System Up Time", "1"),
        ("-p", &of_pid, "1"),
    ] {
        let run = procdump(&[switch, counter, threshold, "-s", "1", "-o", &pid]);
        let run = run.arg(dumps.path()).run();
        assert_eq!(run.code, Some(0), "{counter}: {run:#?}");
        assert!(
            run.stdout.contains("Dump 1 complete: "),
            "{counter}: {run:#?}"
        );
    }
    let other = format!(r"\Process(nobody_{pid})\Thread Count");
    for (counter, said) in [
        (
            r"\Memory\Available GBytes",
            r"the nearest is \Memory\Available Bytes",
        ),
        (
            r"\Process(victim)\IO Other Bytes/sec",
            r"the nearest is \Process(*)\IO Data Bytes/sec",
        ),
        (&other, "no process is called nobody"),
    ] {
        let run = procdump(&["-p", counter, "1", &pid]).run();
        run.assert_failed().assert_says(said);
    }
}
