//! What a user sees, from dumps made up here and from one of gdb's.

use super::*;
use collector::{DumpContent, Gap, Record};
use formats::Dump;
use snapshot::{
    DumpFormat, Exception, Handle, Module, NoMemory, Process, Protection, Range, Region,
    RegionKind, Registers, Snapshot, System, Thread, User, WallTime, X86_64,
};
use std::path::Path;
use std::sync::Arc;

fn thread(id: u32, name: &str, rip: u64) -> Thread {
    Thread {
        id,
        name: name.to_owned(),
        letter: 'S',
        registers: Some(Registers::X86_64(X86_64 {
            rip,
            ..X86_64::default()
        })),
        ..Thread::default()
    }
}

pub(super) fn snapshot() -> Snapshot {
    let code = Region {
        range: Range::new(0x1000, 0x9000),
        protection: Protection {
            read: true,
            write: false,
            execute: true,
        },
        kind: RegionKind::Image,
        ..Region::default()
    };
    let mut threads = vec![thread(11, "main", 0x1010)];
    threads.extend((20..52).map(|id| thread(id, "worker", 0x2020)));
    threads.extend((60..67).map(|id| thread(id, "", 0x3000 + u64::from(id))));
    Snapshot {
        taken: WallTime(1_800_000_000_000_000_000),
        process: Process {
            name: "shop".to_owned(),
            command_line: vec!["/srv/shop".to_owned(), "--port".to_owned(), "80".to_owned()],
            environment: vec!["SECRET=1".to_owned()],
            started: WallTime(1_799_999_000_000_000_000),
            user: User {
                name: "www".to_owned(),
                ..User::default()
            },
            ..Process::default()
        },
        system: System {
            host: "web1".to_owned(),
            release: "6.1".to_owned(),
            ..System::default()
        },
        threads,
        unloaded: vec![],
        function_tables: vec![],
        modules: vec![Module {
            range: Range::new(0x1000, 0x9000),
            path: "/srv/shop".to_owned(),
            build_id: vec![0xab, 0xcd],
            ..Module::default()
        }],
        regions: vec![code],
        handles: vec![Handle {
            number: 3,
            kind: "socket".to_owned(),
            name: "tcp 0.0.0.0:80".to_owned(),
            ..Handle::default()
        }],
        exception: Some(Exception {
            thread: 11,
            code: 11,
            flags: 1,
            address: 0x10,
            ..Exception::default()
        }),
    }
}

pub(super) fn opened(snapshot: Snapshot, record: Option<Record>) -> Opened {
    let dump = Dump {
        format: DumpFormat::Core,
        producer: "a test".to_owned(),
        snapshot,
        memory: Arc::new(NoMemory),
        ranges: vec![Range::new(0x1000, 0x2000)],
        record: None,
        comments: vec![],
        warnings: vec![],
    };
    Opened {
        path: "shop.core".into(),
        file_bytes: 62_000_000,
        content: DumpContent::plain(Arc::new(Vec::new())),
        dump,
        record,
        symbols: symbols::SymbolFiles::default(),
    }
}

pub(super) fn record() -> Record {
    Record {
        producer: "firstchance 1".to_owned(),
        reason: "cpu >= 85% for 10s: 97%".to_owned(),
        trigger: "cpu".to_owned(),
        rule: "on shop, when cpu >= 85% for 10s, do full dump".to_owned(),
        kind: "full".to_owned(),
        method: "stopped".to_owned(),
        pause_ms: Some(12.3),
        gap_count: 3,
        gap_bytes: 12_288,
        gaps: vec![Gap {
            address: "0x7000".to_owned(),
            bytes: 4096,
        }],
        warnings: vec!["thread 60 could not be stopped".to_owned()],
        ..Record::default()
    }
}

/// The text about a dump.
pub(super) fn report_of(opened: &Opened, sections: &[Section]) -> String {
    let args = Args {
        more: sections.iter().copied().map(More::Section).collect(),
        ..Args::summary("shop.core".into())
    };
    report(opened, &args, false)
}

/// A dump in which all texts are this one.
pub(super) fn hostile(evil: &str) -> Opened {
    let evil = || evil.to_owned();
    let mut snapshot = snapshot();
    snapshot
        .threads
        .iter_mut()
        .for_each(|thread| thread.name = evil());
    let process = &mut snapshot.process;
    process.name = evil();
    process.exe = evil();
    process.command_line = vec![evil()];
    process.environment = vec![evil()];
    process.files = vec![("limits".to_owned(), evil().into_bytes())];
    process.user.name = evil();
    process.container = Some(evil());
    process.service = Some(evil());
    let system = &mut snapshot.system;
    (system.host, system.distribution) = (evil(), evil());
    (system.release, system.version, system.cpu_model) = (evil(), evil(), evil());
    snapshot.modules[0].path = format!("/srv/{}", evil());
    snapshot.modules[0].version = evil();
    snapshot.regions[0].name = evil();
    snapshot.handles[0].name = evil();
    snapshot.handles[0].kind = evil();
    snapshot
        .exception
        .iter_mut()
        .for_each(|exception| exception.message = evil());
    let mut record = record();
    (record.reason, record.rule, record.kind) = (evil(), evil(), evil());
    (record.method, record.producer, record.comment) = (evil(), evil(), Some(evil()));
    record.gaps[0].address = evil();
    record.warnings = vec![evil()];
    let mut opened = opened(snapshot, Some(record));
    opened.dump.comments = vec![formats::Comment {
        key: evil(),
        text: evil(),
    }];
    opened.path = evil().into();
    opened
}

fn open(path: &Path) -> anyhow::Result<Opened> {
    Opened::new(path, &Default::default())
}

#[track_caller]
fn shows(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.contains(line), "{line:?} is not in:\n{text}");
    }
}

#[test]
fn the_first_page_says_who_when_why_and_where() {
    let text = report_of(&opened(snapshot(), Some(record())), &[]);
    shows(
        &text,
        &[
            "shop.core · ELF core by firstchance 1, 62 MB",
            "Process      shop · unknown pid · user www · native",
            "/srv/shop --port 80",
            "16:40 after its start",
            "full dump: cpu >= 85% for 10s: 97%",
            "on shop, when cpu >= 85% for 10s, do full dump",
            "taken while the process was stopped, for 12 ms",
            "INCOMPLETE",
            "Fault        SIGSEGV.SEGV_MAPERR at address 0x10",
            "in thread 11 \"main\"",
            "Threads      40, at 9 different places",
            "Thread 11 \"main\" · faulting",
            "0  shop+0x10",
            "32 threads \"worker\": 20, 21, 22, 23, 24, 25, 26, 27 …",
            "… 3 more threads   firstchance inspect shop.core threads",
            "Modules      1   firstchance inspect shop.core modules",
            "image              1    33 kB   0 bytes       4.1 kB",
            "Open         1 socket",
            "Gaps         12 kB of memory in 3 places are not in it",
            "Warnings     thread 60 could not be stopped",
        ],
    );
    assert!(
        !text.contains("SECRET"),
        "secrets are shown on request only"
    );
    assert!(text.lines().count() < 70, "{text}");
}

#[test]
fn a_section_on_request_is_whole() {
    let opened = opened(snapshot(), Some(record()));
    shows(
        &report_of(&opened, &[Section::Environment]),
        &["Environment: 1", " SECRET=1"],
    );
    let mut overwritten = snapshot();
    overwritten
        .process
        .environment
        .extend(vec![String::new(); 3]);
    let overwritten = report_of(&self::opened(overwritten, None), &[Section::Environment]);
    shows(&overwritten, &["Environment: 1 (and 3 empty)", " SECRET=1"]);
    assert_eq!(overwritten.matches("\n ").count(), 1, "{overwritten}");
    shows(
        &report_of(&opened, &[Section::Modules]),
        &["abcd", "/srv/shop"],
    );
    shows(
        &report_of(&opened, &[Section::Handles]),
        &["tcp 0.0.0.0:80"],
    );
    shows(
        &report_of(&opened, &[Section::Record]),
        &["0x7000", "… 2 more", "complete    NO"],
    );
    let threads = report_of(&opened, &[Section::Threads]);
    shows(
        &threads,
        &["49, 50, 51", "Thread 66", "rip 0000000000001010"],
    );
    let all = report_of(&opened, &[Section::All]);
    shows(
        &all,
        &[
            "Record",
            "Process",
            "Threads",
            "Modules",
            "Regions",
            "Environment",
        ],
    );
}

#[test]
fn e1_a_dump_cannot_command_the_terminal() {
    let opened = hostile("x\x1b]0;owned\x07\r\n\u{9b}31m");
    for sections in [&[][..], &[Section::All]] {
        let text = report_of(&opened, sections);
        let control = text.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(control, None, "{text:?}");
        assert!(text.contains("owned"));
    }
}

#[test]
fn json_tells_everything_and_can_be_read() {
    let text = wire::json(&opened(snapshot(), Some(record())), None).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["fault"]["name"], "SIGSEGV.SEGV_MAPERR");
    assert_eq!(value["threads"].as_array().unwrap().len(), 40);
    assert_eq!(value["threads"][0]["frames"][0]["module"], "shop");
    assert_eq!(value["modules"][0]["build-id"], "abcd");
    assert_eq!(value["record"]["gap-count"], 3);
    assert_eq!(value["record"]["trigger"], "cpu");
    assert_eq!(value["regions"][0]["dumped-bytes"], 4096);
}

#[test]
fn a_dump_of_nothing_is_shown_as_such() {
    let text = report_of(&opened(Snapshot::default(), None), &[]);
    shows(
        &text,
        &[
            "Threads      none is in the dump",
            "Process      not recorded in this file",
        ],
    );
    report_of(&opened(Snapshot::default(), None), &[Section::All]);
}

#[test]
fn what_is_no_dump_is_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    std::fs::write(&path, "hello, this is no dump").unwrap();
    let error = open(&path).err().unwrap().to_string();
    assert!(
        error.ends_with("notes.txt is no dump: neither an ELF core nor a minidump"),
        "{error}"
    );
    let missing = open(Path::new("/nowhere/x.core")).err().unwrap();
    assert!(
        missing
            .to_string()
            .contains("/nowhere/x.core cannot be read: "),
        "{missing}"
    );
}

/// A dump of a small program that gdb's gcore took, as a user would look at it; and the same dump
/// with broken bytes, of which as much is shown as can be read.
#[cfg(target_os = "linux")]
#[test]
fn a_core_of_gdb_is_shown_whole_or_broken() {
    const PROGRAM: &str = "#include <stdio.h>\n#include <unistd.h>\n\
        __attribute__((noinline)) void inner(void) { puts(\"\"); fflush(stdout); pause(); }\n\
        __attribute__((noinline)) int outer(int n) { inner(); return n + 1; }\n\
        int main(int n, char **v) { (void)v; return outer(n); }\n";
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("waits.c"), PROGRAM).unwrap();
    let run = |program: &str, args: &[&std::ffi::OsStr]| {
        let output = std::process::Command::new(program)
            .args(args)
            .output()
            .unwrap();
        assert!(output.status.success(), "{program}: {output:?}");
    };
    let [source, program, core] = ["waits.c", "waits", "core"].map(path);
    run(
        "cc",
        &[
            "-O1".as_ref(),
            "-o".as_ref(),
            program.as_ref(),
            source.as_ref(),
        ],
    );
    let mut command = std::process::Command::new(&program);
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = [0];
    io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
    let pid = child.id().to_string();
    run("gcore", &["-o".as_ref(), core.as_ref(), pid.as_ref()]);
    child.kill().unwrap();
    child.wait().unwrap();

    let core = path(&format!("core.{pid}"));
    let text = report_of(&open(&core).unwrap(), &[]);
    shows(
        &text,
        &[
            "ELF core by gdb",
            "waits!inner+",
            "waits!outer+",
            "waits!main+",
            "waits!_start+",
        ],
    );

    let whole = std::fs::read(&core).unwrap();
    let mut random = 88_172_645_463_325_252_u64;
    let mut next = move |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random as usize % below
    };
    for number in 0..100 {
        let mut broken = whole.clone();
        for _ in 0..1 + next(20) {
            broken[next(16_384)] = next(256) as u8;
        }
        broken.truncate(whole.len() - next(whole.len() / 2));
        std::fs::write(&core, broken).unwrap();
        if let Ok(opened) = open(&core) {
            report_of(&opened, &[Section::All]);
            if number % 5 == 0 {
                html::dump(&opened, &[Section::All], None);
            }
        }
    }
}

/// What `--json` prints is described by a schema beside the documentation. `BLESS=1` writes it anew.
#[test]
fn the_schema_of_json_is_up_to_date() {
    let schema = schemars::generate::SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<wire::Document>();
    let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/inspect.schema.json");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert!(
        committed.replace("\r\n", "\n") == text,
        "docs/inspect.schema.json is not that of this version: run this test with BLESS=1"
    );
}
