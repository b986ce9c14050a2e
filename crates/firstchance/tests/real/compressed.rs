//! Dumps that are compressed while they are written, and compressed dumps of others, judged by zstd, gzip and gdb.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::support::{
    Core, Firstchance, Postmortem, Run, Tmpfs, Victim, file_in, files_in, folder, judge,
    proc_status, victim_exe, wait_until,
};

const MIB: u64 = 1 << 20;

/// The output of a tool that has to succeed.
fn tool(package: &str, words: &[&str], file: &Path) -> Vec<u8> {
    judge(words[0], package);
    let output = Command::new(words[0]).args(&words[1..]).arg(file).output();
    let output = output.expect("it is there");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {said}");
    output.stdout
}

/// The content of a compressed dump, as zstd itself has it.
fn by_zstd(file: &Path) -> Vec<u8> {
    tool("zstd", &["zstd", "-tq"], file);
    tool("zstd", &["zstd", "-dcq"], file)
}

fn unpack(file: &Path, to: &Path) -> Run {
    Firstchance::new(&["unpack"])
        .arg(file)
        .arg("-o")
        .arg(to)
        .run()
}

/// What `inspect` shows of a dump, but for its name and the size of its file.
fn shown(file: &Path) -> String {
    let run = Firstchance::new(&["inspect", "--json"])
        .arg(file)
        .run_well();
    assert_eq!(run.stderr, "");
    let mut json: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    for name in ["file", "path", "bytes", "file-bytes", "fileBytes"] {
        json.as_object_mut().expect("an object").remove(name);
    }
    let text = json.to_string();
    assert!(text.len() > 1000, "{text}");
    text
}

/// A victim with known content, its dump compressed by these options, and what zstd makes of it.
fn dumped(options: &[&str]) -> (Victim, tempfile::TempDir, PathBuf) {
    let mut victim = Victim::start(&["threads", "3"]);
    let folder = folder();
    let asked = file_in(&folder, "x.core");
    Firstchance::dump(victim.pid(), options, &asked).run_well();
    victim.assert_alive();
    let path = file_in(&folder, "x.core.zst");
    assert_eq!(files_in(folder.path()), std::slice::from_ref(&path));
    (victim, folder, path)
}

#[test]
fn a_compressed_core_is_zstds_and_gdbs_and_the_same_as_unpacked() {
    for options in [
        &["--full", "--compress", "zstd"][..],
        &["--full", "--clone", "--compress", "zstd:3"],
        &["--full", "--no-stop", "--compress", "zstd:7"],
        &["--plus", "--hold", "--compress", "zstd:19"],
    ] {
        let (victim, folder, packed) = dumped(options);
        let content = by_zstd(&packed);
        let plain = file_in(&folder, "plain.core");
        unpack(&packed, &plain).assert_code(0);
        assert!(fs::read(&plain).expect("a file") == content, "{options:?}");
        let size = fs::metadata(&packed).expect("a file").len();
        assert!(
            size < content.len() as u64 / 2,
            "{size} of {}",
            content.len()
        );
        if !options.contains(&"--no-stop") {
            assert!(
                Core::new(&plain, victim_exe())
                    .threads()
                    .contains(&victim.pid())
            );
        }
        assert_eq!(shown(&packed), shown(&plain), "{options:?}");
    }
}

#[test]
fn the_record_is_final_and_the_list_has_it() {
    let (victim, folder, packed) = dumped(&["--full", "--hold", "--compress", "zstd:9"]);
    let list = Firstchance::new(&["dumps", "list", "--json", "--folder"]);
    let list = list.arg(folder.path()).run_well();
    let row: serde_json::Value = serde_json::from_str(&list.stdout).expect("one row");
    assert_eq!(row["pid"], victim.pid());
    assert_eq!(row["complete"], true, "{row}");
    assert_eq!(row["bytes"], fs::metadata(&packed).expect("a file").len());
    let seen = Firstchance::new(&["inspect", "--json"])
        .arg(&packed)
        .run_well();
    let seen: serde_json::Value = serde_json::from_str(&seen.stdout).expect("JSON");
    assert_eq!(
        seen["record"]["compression"], "zstd:9",
        "{}",
        seen["record"]
    );
    assert_eq!(seen["record"].get("writing"), None);
    assert!(seen["record"]["pause-ms"].as_f64() > Some(0.0));
    assert_eq!(seen["record"]["warnings"], serde_json::json!([]));
    let show = Firstchance::new(&["dumps", "show"]).arg(&packed).run_well();
    show.assert_says("victim");
    Firstchance::new(&["dumps", "delete"])
        .arg(&packed)
        .run_well();
    assert!(files_in(folder.path()).is_empty());
}

#[test]
fn several_dumps_and_minidumps_are_compressed_under_their_names() {
    let victim = Victim::start(&["threads", "3"]);
    let folder = folder();
    let dump = Firstchance::new(&["dump", "--mini", "--full", "--compress", "zstd", "-o"]);
    dump.arg(folder.path()).arg(victim.pid_text()).run_well();
    let names = files_in(folder.path());
    let ends = |ending: &str| {
        names
            .iter()
            .find(|path| path.to_string_lossy().ends_with(ending))
    };
    let mini = ends("_mini.dmp.zst").unwrap_or_else(|| panic!("{names:?}"));
    assert!(ends("_full.core.zst").is_some(), "{names:?}");
    let plain = file_in(&folder, "plain.dmp");
    unpack(mini, &plain).assert_code(0);
    let walked = crate::support::stackwalk(&plain);
    assert_eq!(walked["threads"].as_array().map(Vec::len), Some(4));
    assert_eq!(shown(mini), shown(&plain));
}

#[test]
fn standard_output_gets_frames_in_order() {
    let victim = Victim::start(&["threads", "3"]);
    let folder = folder();
    let path = file_in(&folder, "x.zst");
    let dump = Firstchance::new(&["dump", "--full", "--compress", "zstd", "-o", "-"]);
    let mut command = dump.arg(victim.pid_text()).into_command();
    let out = fs::File::create(&path).expect("a file");
    let status = command.stdout(out).stderr(Stdio::null()).status();
    assert!(status.expect("it runs").success());
    let plain = file_in(&folder, "plain.core");
    fs::write(&plain, by_zstd(&path)).expect("a file");
    assert!(
        Core::new(&plain, victim_exe())
            .threads()
            .contains(&victim.pid())
    );
    let seen = Firstchance::new(&["inspect", "--json"])
        .arg(&path)
        .run_well();
    let seen: serde_json::Value = serde_json::from_str(&seen.stdout).expect("JSON");
    assert_eq!(seen["record"]["complete"], true, "the record at the end");
}

/// systemd-coredump writes zstd without a table of frames, and older ones and abrt write gzip.
#[test]
fn cores_that_others_have_compressed_are_read() {
    judge("gcore", "gdb");
    let victim = Victim::start(&["threads", "3"]);
    let folder = folder();
    let gcore = Command::new("gcore")
        .arg("-o")
        .arg(file_in(&folder, "g"))
        .arg(victim.pid_text())
        .output();
    assert!(gcore.expect("it is there").status.success());
    let core = file_in(&folder, &format!("g.{}", victim.pid()));
    let expected = shown(&core);
    for (program, package, ending) in [("zstd", "zstd", "zst"), ("gzip", "gzip", "gz")] {
        let packed = file_in(&folder, &format!("g.core.{ending}"));
        fs::write(&packed, tool(package, &[program, "-c"], &core)).expect("a file");
        assert_eq!(shown(&packed), expected, "{program}");
        let run = Firstchance::new(&["unpack"])
            .arg(&packed)
            .arg("--overwrite")
            .run_well();
        run.assert_says("g.core");
        let unpacked = file_in(&folder, "g.core");
        assert!(fs::read(&unpacked).expect("a file") == fs::read(&core).expect("a file"));
    }
}

/// Small files with gibibytes of zeros, and of text for which there is no room.
#[test]
fn bombs_take_no_room_and_no_memory() {
    let disk = Tmpfs::new("16m");
    let folder = folder();
    let bomb = file_in(&folder, "bomb.zst");
    fs::write(&bomb, zstd_of("yes")).expect("a file");
    let run = unpack(&bomb, &disk.path().join("x"));
    run.assert_code(6).assert_says("no room");
    assert!(files_in(disk.path()).is_empty(), "{run:#?}");
    assert!(run.peak_memory < 64 * MIB, "{run:#?}");
    fs::write(&bomb, zstd_of("cat /dev/zero").repeat(8)).expect("a file");
    assert!(fs::metadata(&bomb).expect("a file").len() < MIB);
    let seen = Firstchance::new(&["inspect"]).arg(&bomb).run();
    seen.assert_failed().assert_says("no dump");
    // The debug information of the C library is unpacked, where it is installed: 30 MB.
    assert!(seen.peak_memory < 128 * MIB, "{seen:#?}");
}

/// The first gibibyte of what a command writes, by zstd.
fn zstd_of(command: &str) -> Vec<u8> {
    judge("zstd", "zstd");
    let line = format!("{command} | head -c 1073741824 | zstd -1 -c");
    let output = Command::new("sh").args(["-c", &line]).output();
    output.expect("it is there").stdout
}

#[test]
fn cut_and_damaged_files_give_sentences_and_what_is_there() {
    let (victim, folder, packed) = dumped(&["--full", "--compress", "zstd"]);
    let bytes = fs::read(&packed).expect("a file");
    let cut = file_in(&folder, "cut.core.zst");
    fs::write(&cut, &bytes[..bytes.len() / 2]).expect("a file");
    let seen = Firstchance::new(&["inspect"]).arg(&cut).run_well();
    seen.assert_says("damaged or cut").assert_says("victim");
    let out = file_in(&folder, "cut.core");
    unpack(&cut, &out)
        .assert_failed()
        .assert_says("damaged or cut");
    assert!(!out.exists());
    let part = fs::read(file_in(&folder, "cut.core.partial")).expect("what was there");
    assert!(by_zstd(&packed).starts_with(&part) && !part.is_empty());

    // In the last frame of memory, which has the stack: behind it are the record, and the table of the frames.
    let damaged = file_in(&folder, "damaged.core.zst");
    let mut changed = bytes.clone();
    let at = bytes.len() - 8192 - 600;
    changed[at..at + 64].fill(0xA5);
    fs::write(&damaged, changed).expect("a file");
    let seen = Firstchance::new(&["inspect"])
        .arg(&damaged)
        .arg("all")
        .run();
    let said = format!("{}{}", seen.stdout, seen.stderr);
    assert!(said.contains("is damaged: the bytes"), "{said}");
    drop(victim);

    let none = file_in(&folder, "none.zst");
    fs::write(&none, b"not compressed at all").expect("a file");
    unpack(&none, &out)
        .assert_failed()
        .assert_says("is not compressed");
    unpack(&file_in(&folder, "nowhere.zst"), &out).assert_failed();
    let without = Firstchance::new(&["unpack"]).arg(&out).run();
    without.assert_code(2).assert_says("-o");
}

#[test]
fn killed_at_any_point_no_file_looks_like_a_dump_and_is_none() {
    for point in ["create", "reserve", "copy", "write", "sync", "publish"] {
        let mut victim = Victim::start(&["leak", "8"]);
        let folder = folder();
        let path = file_in(&folder, "x.core");
        let dump = Firstchance::dump(victim.pid(), &["--full", "--compress", "zstd"], &path);
        let run = dump.failpoint(&format!("{point}:kill9")).run();
        assert_eq!(run.signal, Some(libc::SIGKILL), "{point}: {run:#?}");
        victim.assert_alive();
        for file in files_in(folder.path()) {
            assert!(
                file.to_string_lossy().ends_with(".partial"),
                "{point}: {file:?}"
            );
        }
        // The next watch clears that away, or gives a name to what was whole.
        let pid = victim.pid_text();
        let watch = Firstchance::new(&["watch", &pid, "--compress", "zstd", "-o"]);
        watch.arg(folder.path()).run_well();
        let names = files_in(folder.path());
        assert!(
            names
                .iter()
                .all(|name| name.extension().is_some_and(|e| e == "zst")),
            "{names:?}"
        );
        names.iter().for_each(|name| drop(by_zstd(name)));
    }
}

/// The record of a dump, as `inspect` has it.
fn record_of(dump: &Path) -> serde_json::Value {
    let run = Firstchance::new(&["inspect", "--json"])
        .arg(dump)
        .run_well();
    let seen: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    seen["record"].clone()
}

const IN_PLACE: [&str; 4] = ["--full", "--hold", "--compress", "zstd:9"];

/// The process goes on before its dump is compressed: it runs when the program is killed there. The dump is not lost.
#[test]
fn a_process_does_not_stand_while_its_dump_is_compressed() {
    let mut victim = Victim::start(&["leak", "8"]);
    let folder = folder();
    let path = file_in(&folder, "x.core");
    let mut run = Firstchance::dump(victim.pid(), &IN_PLACE, &path)
        .failpoint("pack:stop")
        .spawn();
    run.wait_until_stopped();
    victim.assert_alive();
    assert_eq!(proc_status(victim.pid(), "TracerPid").as_deref(), Some("0"));
    let names = files_in(folder.path());
    let ends = |end: &str| {
        names
            .iter()
            .any(|name| name.to_string_lossy().ends_with(end))
    };
    assert!(
        ends("/.x.core.plain.partial") && ends("/.x.core.zst.partial"),
        "{names:?}"
    );
    run.signal(libc::SIGKILL);
    run.finish();
    let pid = victim.pid_text();
    let watch = Firstchance::new(&["watch", &pid, "--compress", "zstd", "-o"]);
    watch.arg(folder.path()).run_well();
    let names = files_in(folder.path());
    let is_packed = |name: &&PathBuf| name.extension().is_some_and(|end| end == "zst");
    assert_eq!(names.iter().filter(is_packed).count(), 1, "{names:?}");
    // What had been copied is whole, and gets its name.
    assert!(names.len() == 2 && names.contains(&path), "{names:?}");
    assert_eq!(Core::new(&path, victim_exe()).threads(), [victim.pid()]);
    let record = record_of(&path);
    assert_eq!(record["complete"], true, "{record}");
    assert_eq!(record.get("compression"), None, "{record}");
}

/// A dump that was taken is not lost because it cannot be compressed.
#[test]
fn what_cannot_be_compressed_stays_as_it_is() {
    let victim = Victim::start(&["leak", "8"]);
    let folder = folder();
    let path = file_in(&folder, "x.core");
    let run = Firstchance::dump(victim.pid(), &IN_PLACE, &path)
        .failpoint("pack:enospc")
        .run_well();
    run.assert_says("x.core");
    assert_eq!(files_in(folder.path()), std::slice::from_ref(&path));
    let threads = Core::new(&path, victim_exe()).threads();
    assert_eq!(threads, [victim.pid()]);
    let record = record_of(&path);
    assert_eq!(record.get("compression"), None);
    let warnings = record["warnings"].to_string();
    assert!(warnings.contains("not compressed"), "{warnings}");
}

/// Without room for the dump as it is, it is compressed at once, and no longer than a process can wait for.
#[test]
fn where_it_does_not_fit_it_is_compressed_while_the_process_stands() {
    let disk = Tmpfs::new("90m");
    let victim = Victim::start(&["leak", "64"]);
    let path = disk.path().join("x.core");
    Firstchance::dump(victim.pid(), &IN_PLACE, &path).run_well();
    let packed = disk.path().join("x.core.zst");
    assert_eq!(files_in(disk.path()), std::slice::from_ref(&packed));
    let record = record_of(&packed);
    assert_eq!(record["compression"], "zstd:3");
    let warnings = record["warnings"].to_string();
    assert!(
        warnings.contains("zstd:3 while the process stood"),
        "{warnings}"
    );
    assert!(warnings.contains("MB are missing"), "{warnings}");
}

/// A dump that is given up is a whole file of zstd nevertheless, and its record says what it lacks.
#[test]
fn a_part_of_a_dump_can_be_read() {
    let victim = Victim::start(&["leak", "64"]);
    let folder = folder();
    let path = file_in(&folder, "x.core");
    let options = ["--full", "--compress", "zstd", "--timeout", "1ms"];
    let run = Firstchance::dump(victim.pid(), &options, &path)
        .failpoint("copy:sleep")
        .run();
    run.assert_failed();
    let part = file_in(&folder, "x.core.zst.partial");
    assert_eq!(
        files_in(folder.path()),
        std::slice::from_ref(&part),
        "{run:#?}"
    );
    by_zstd(&part);
    let seen = Firstchance::new(&["inspect", "--json"])
        .arg(&part)
        .run_well();
    let seen: serde_json::Value = serde_json::from_str(&seen.stdout).expect("JSON");
    assert_eq!(seen["record"]["complete"], false);
    assert!(
        seen["record"]["gap-bytes"].as_u64() > Some(MIB),
        "{}",
        seen["record"]
    );
}

#[test]
fn the_memory_of_the_writer_and_of_readers_is_bounded() {
    let victim = Victim::start(&["leak", "1024"]);
    let folder = folder();
    for level in ["zstd", "zstd:9", "zstd:19"] {
        let path = file_in(&folder, "x.core");
        let options = ["--full", "--clone", "--overwrite", "--compress", level];
        let run = Firstchance::dump(victim.pid(), &options, &path).run_well();
        assert!(run.peak_memory < 64 * MIB, "{level}: {run:#?}");
    }
    let packed = file_in(&folder, "x.core.zst");
    let seen = Firstchance::new(&["inspect"]).arg(&packed).run_well();
    // The debug information of the C library is unpacked, where it is installed: 30 MB.
    assert!(seen.peak_memory < 128 * MIB, "{seen:#?}");
    let plain = file_in(&folder, "plain.core");
    let run = unpack(&packed, &plain);
    run.assert_code(0);
    assert!(run.peak_memory < 64 * MIB, "{run:#?}");
    let file = fs::metadata(&plain).expect("a file");
    assert!(file.len() > 1024 * MIB, "{}", file.len());
}

#[test]
fn a_full_disk_leaves_nothing() {
    let disk = Tmpfs::new("4m");
    let victim = Victim::start(&["pause", "32"]);
    let path = disk.path().join("x.core");
    let options = ["--full", "--compress", "zstd"];
    let run = Firstchance::dump(victim.pid(), &options, &path).run();
    run.assert_code(6).assert_says("free");
    assert!(files_in(disk.path()).is_empty());
}

#[test]
fn a_rule_file_asks_for_compression_and_explain_says_it() {
    let folder = folder();
    let victim = Victim::start(&["threads", "3"]);
    let file = file_in(&folder, "rules.toml");
    let text = format!(
        "[[rule]]\ntarget = \"{}\"\nfolder = '{}'\ncompress = \"zstd:2\"\nmax-dumps = 1\n\
         [[rule.on]]\nwhen = \"now\"\ndo = \"full dump\"\n",
        victim.pid(),
        folder.path().display()
    );
    fs::write(&file, text).expect("a file");
    let explained = Firstchance::new(&["explain", "watch", "--rules"])
        .arg(&file)
        .run_well();
    explained.assert_says("compress zstd:2");
    Firstchance::new(&["watch", "--rules"])
        .arg(&file)
        .run_well();
    let names = files_in(folder.path()).into_iter();
    let dump = names.filter(|name| name.to_string_lossy().ends_with(".core.zst"));
    let dump: Vec<PathBuf> = dump.collect();
    assert_eq!(dump.len(), 1);
    by_zstd(&dump[0]);
    let wrong = Firstchance::new(&["watch", &victim.pid_text(), "--compress", "zstd:20"]).run();
    wrong.assert_code(2).assert_says("1 to 19");
}

#[test]
fn procdumps_command_line_asks_for_it() {
    let victim = Victim::start(&["threads", "3"]);
    let folder = folder();
    let pid = victim.pid_text();
    let run = Firstchance::new(&["procdump", "-mm", "--compress", "zstd:2", &pid]);
    run.arg(folder.path()).run_well();
    let names = files_in(folder.path());
    assert!(
        names.len() == 1 && names[0].to_string_lossy().ends_with(".dmp.zst"),
        "{names:?}"
    );
    by_zstd(&names[0]);
}

/// Repeats are counted in the record of a dump that is there.
#[test]
fn a_crash_is_compressed_and_its_repeats_are_counted_in_it() {
    let machine = Postmortem::enabled(&[]);
    machine.set(&machine.program, &["--type", "full", "--compress", "zstd"]);
    machine.crash(&["threads=3", "mib=8", "end=segv"]);
    let dump = machine.only_dump();
    assert!(dump.to_string_lossy().ends_with(".core.zst"), "{dump:?}");
    let folder = folder();
    let plain = file_in(&folder, "plain.core");
    unpack(&dump, &plain).assert_code(0);
    assert_eq!(Core::new(&plain, &machine.program).threads().len(), 4);
    machine.crash(&["threads=3", "mib=8", "end=segv"]);
    wait_until("the repeat is counted", || {
        machine.record(&dump)["repeats"] == 1
    });
    by_zstd(&dump);
    assert_eq!(machine.only_dump(), dump);
    let list = machine.list();
    assert_eq!(list[0]["count"], 2, "{list:?}");
    let pack = file_in(&folder, "pack.tar.gz");
    let export = Firstchance::new(&["dumps", "export", "-o"])
        .arg(&pack)
        .arg(&dump);
    export.run_well();
    let names = tool("tar", &["tar", "-tzf"], &pack);
    let names = String::from_utf8(names).expect("text");
    assert!(names.lines().any(|name| name.ends_with(".core")), "{names}");
}

#[test]
fn a_debugger_gets_the_unpacked_dump_and_nothing_is_left() {
    let (victim, folder, packed) = dumped(&["--full", "--compress", "zstd"]);
    let tools = tempfile::tempdir_in(folder.path()).expect("a folder");
    let gdb = tools.path().join("gdb");
    let said = file_in(&folder, "said");
    let script = format!(
        "#!/bin/sh\nfor last; do :; done\nhead -c 4 \"$last\" > {0}\necho \"$last\" >> {0}\n",
        said.display()
    );
    fs::write(&gdb, script).expect("a script");
    Command::new("chmod")
        .arg("755")
        .arg(&gdb)
        .status()
        .expect("it is there");
    let path = std::env::var("PATH").unwrap_or_default();
    let open = Firstchance::new(&["dumps", "open"]).arg(&packed);
    open.env("PATH", &format!("{}:{path}", tools.path().display()))
        .run_well();
    let said = fs::read(&said).expect("what gdb was given");
    assert_eq!(&said[..4], b"\x7fELF");
    let opened = PathBuf::from(String::from_utf8_lossy(&said[4..]).trim());
    assert!(
        opened.extension().is_some_and(|ending| ending == "core"),
        "{opened:?}"
    );
    assert!(!opened.exists(), "{opened:?}");
    drop(victim);
}

/// Holes of the plain dump are holes of the unpacked one.
#[test]
fn zeros_are_holes_of_the_unpacked_file() {
    let folder = folder();
    let packed = file_in(&folder, "zeros.zst");
    fs::write(&packed, zstd_of("cat /dev/zero")).expect("a file");
    let plain = file_in(&folder, "zeros");
    unpack(&packed, &plain).assert_code(0);
    let file = fs::metadata(&plain).expect("a file");
    assert_eq!(file.len(), 1 << 30);
    assert!(file.blocks() * 512 < MIB, "{}", file.blocks());
}
