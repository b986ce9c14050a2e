//! Crashes in containers: namespaces, another root, cgroups.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{Core, Firstchance, Postmortem, Program, compile, wait_until};

#[test]
fn a_crash_in_a_pid_namespace_tells_both_pids() {
    let machine = Postmortem::enabled(&[]);
    let mut command = Command::new("unshare");
    command
        .args(["--pid", "--fork", "--kill-child"])
        .arg(&machine.program);
    command
        .args(["threads=2", "end=segv"])
        .stdout(Stdio::null());
    let _ = command.status().unwrap();
    let dump = machine.only_dump();
    let record = machine.record(&dump);
    assert_eq!(record["inner-pid"], 1, "{record}");
    assert!(record["pid"].as_u64().unwrap() > 1);
    let told = Core::new(&dump, &machine.program).gdb(&["bt"]);
    assert!(told.contains("boom (place="), "{told}");
}

#[test]
fn e14_nothing_is_opened_in_the_root_of_a_container() {
    let machine = Postmortem::enabled(&[]);
    let trace = machine.program.with_extension("st");
    machine.traced(&trace);
    let root = machine.program.with_file_name("root");
    std::fs::create_dir_all(root.join("etc")).unwrap();
    let inside = root.join(machine.program.file_name().unwrap());
    std::fs::copy(compile(&Program::musl("crashes.c")), &inside).unwrap();
    machine.set(Path::new(inside.file_name().unwrap()), &["--type", "full"]);
    for trap in ["etc/os-release", "etc/passwd", "etc/localtime"] {
        let status = Command::new("mkfifo").arg(root.join(trap)).status();
        assert!(status.unwrap().success());
    }
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--kill-child", "--root"]);
    command
        .arg(&root)
        .arg(Path::new("/").join(inside.file_name().unwrap()));
    let _ = command.args(["threads=1", "end=segv"]).status().unwrap();
    let record = machine.record(&machine.only_dump());
    assert_eq!(
        (&record["complete"], &record["inner-pid"]),
        (&true.into(), &1.into())
    );
    let calls = std::fs::read_to_string(&trace).unwrap();
    let opened: Vec<&str> = calls.lines().filter(|call| call.contains("open")).collect();
    assert!(opened.iter().any(|call| call.contains("status")), "{calls}");
    let inside = |call: &&&str| {
        call.contains(root.to_str().unwrap()) || call.contains("\"root") || call.contains("\"cwd")
    };
    let inside: Vec<_> = opened.iter().filter(inside).collect();
    assert!(inside.is_empty(), "{inside:#?}");
}

/// A cgroup of the test, and a description of it as Docker writes it.
struct Docker {
    cgroup: std::path::PathBuf,
    config: std::path::PathBuf,
}

impl Docker {
    fn new(id: &str, config: &str) -> Docker {
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
        let mount = mounts.lines().find(|line| line.contains(" cgroup2 "));
        let mount = mount.expect("cgroup2").split(' ').nth(1).unwrap();
        let docker = Docker {
            cgroup: Path::new(mount).join(format!("docker-{id}.scope")),
            config: Path::new("/var/lib/docker/containers").join(id),
        };
        std::fs::create_dir(&docker.cgroup).unwrap();
        std::fs::create_dir_all(&docker.config).unwrap();
        std::fs::write(docker.config.join("config.v2.json"), config).unwrap();
        docker
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        wait_until("nobody is in the cgroup", || {
            std::fs::remove_dir(&self.cgroup).is_ok()
        });
        let _ = std::fs::remove_dir_all(&self.config);
    }
}

#[test]
fn a_crash_in_a_container_tells_its_image_and_pod() {
    let machine = Postmortem::enabled(&[]);
    let id = format!("{:064x}", std::process::id());
    let config = r#"{"Config":{"Image":"shop/web:7","Labels":
        {"io.kubernetes.pod.name":"web-0","io.kubernetes.pod.namespace":"shop"}}}"#;
    let docker = Docker::new(&id, config);
    let mut shell = machine.command_of(Path::new("sh"), &["-c"]);
    let enter = format!(
        "echo $$ > {}/cgroup.procs; exec \"$0\" end=segv",
        docker.cgroup.display()
    );
    let status = shell.arg(enter).arg(&machine.program).status();
    assert_eq!(status.unwrap().signal(), Some(libc::SIGSEGV));
    let dump = machine.only_dump();
    let record = machine.record(&dump);
    let told = ["container", "image", "pod"].map(|key| record[key].as_str().unwrap());
    assert_eq!(told, [&id, "shop/web:7", "shop/web-0"]);
    let show = Firstchance::new(&["dumps", "show"]).arg(&dump).run_well();
    show.assert_says("image shop/web:7")
        .assert_says("pod shop/web-0");
}
