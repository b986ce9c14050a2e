//! Facts about the machine, from files of `/proc` and `/etc` that belong to no process.

use crate::{ARCHITECTURE, OS};
use rustix::time::{ClockId, clock_gettime};
use snapshot::{System, WallTime};
use std::{collections::HashMap, fs, sync::LazyLock, time::Duration};

/// Returns the number of clock ticks per second in `/proc/PID/stat` (`sysconf(_SC_CLK_TCK)`).
pub(crate) fn ticks() -> u64 {
    rustix::param::clock_ticks_per_second()
}

/// Converts ticks to a duration.
pub(crate) fn ticks_to_duration(ticks_used: u64) -> Duration {
    Duration::from_nanos(ticks_used.saturating_mul(1_000_000_000 / ticks().max(1)))
}

/// Returns when a process started; `start` is in ticks after boot.
pub(crate) fn start_time(start: u64, boot: WallTime) -> WallTime {
    let after_boot = ticks_to_duration(start).as_nanos() as i64;
    WallTime(boot.0.saturating_add(after_boot))
}

/// Returns when the machine was booted, by its calendar of now. `btime` of `/proc/stat` has whole seconds only. The clock is
/// the one that the kernel tells starts of processes by, in a time namespace too (`do_task_stat` in fs/proc/array.c).
pub(crate) fn boot_time() -> WallTime {
    WallTime(nanoseconds(ClockId::Realtime).saturating_sub(nanoseconds(ClockId::Boottime)))
}

fn nanoseconds(clock: ClockId) -> i64 {
    let now = clock_gettime(clock);
    now.tv_sec
        .saturating_mul(1_000_000_000)
        .saturating_add(now.tv_nsec)
}

/// The processor, as `/proc/cpuinfo` describes the first one. The file is long and slow (the kernel
/// asks every processor for its frequency) and does not change in what we use, so it is read once.
struct Processor {
    vendor: String,
    model: String,
    signature: u32,
}

static PROCESSOR: LazyLock<Processor> = LazyLock::new(|| {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    Processor {
        vendor: cpu_field(&text, "vendor_id"),
        model: cpu_field(&text, "model name"),
        signature: signature(&text),
    }
});

/// Returns facts about the machine. It reads four files; use [`OS`] and [`ARCHITECTURE`] if only
/// these are needed.
pub(crate) fn system() -> System {
    let uname = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    let memory = fs::read("/proc/meminfo").unwrap_or_default();
    let meminfo = |key| super::status::bytes(&memory, key).unwrap_or(0);
    System {
        os: OS,
        architecture: ARCHITECTURE,
        release: text(uname.release()),
        version: text(uname.version()),
        distribution: distribution(),
        host: text(uname.nodename()),
        cpu_vendor: PROCESSOR.vendor.clone(),
        cpu_model: PROCESSOR.model.clone(),
        cpu_signature: PROCESSOR.signature,
        cpus: processors(&fs::read("/proc/stat").unwrap_or_default()),
        page_size: rustix::param::page_size() as u64,
        memory_total: meminfo("MemTotal"),
        memory_available: meminfo("MemAvailable"),
        uptime: uptime(),
        ..System::default()
    }
}

/// Returns the number of processors in `/proc/stat`: those of the machine, whatever part of them we may
/// use ourselves.
pub(crate) fn processors(stat: &[u8]) -> u32 {
    let is_one =
        |line: &&[u8]| line.starts_with(b"cpu") && line.get(3).is_some_and(u8::is_ascii_digit);
    let count = stat.split(|&b| b == b'\n').filter(is_one).count();
    count.max(1) as u32
}

fn cpu_field(text: &str, key: &str) -> String {
    let value = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim().to_owned())
    });
    value.unwrap_or_default()
}

/// Puts the processor's signature (CPUID leaf 1, EAX) together from the parts that `/proc/cpuinfo`
/// shows (Intel SDM volume 2A, CPUID, "Version Information").
fn signature(cpuinfo: &str) -> u32 {
    let number = |key| cpu_field(cpuinfo, key).parse::<u32>().unwrap_or(0);
    let (family, model, stepping) = (number("cpu family"), number("model"), number("stepping"));
    let (base, extended) = if family > 15 {
        (15, family - 15)
    } else {
        (family, 0)
    };
    extended << 20 | (model >> 4) << 16 | base << 8 | (model & 15) << 4 | (stepping & 15)
}

fn distribution() -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.unwrap_or("").trim_matches('"').to_owned()
}

fn uptime() -> Duration {
    let text = fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds = text
        .split(' ')
        .next()
        .and_then(|first| first.parse::<f64>().ok());
    Duration::try_from_secs_f64(seconds.unwrap_or(0.0)).unwrap_or_default()
}

/// Returns user names by id. They are read from `/etc/passwd`, because a name service may not
/// answer.
pub(crate) fn users() -> HashMap<u32, String> {
    let text = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let entry = |line: &str| {
        let mut fields = line.split(':');
        let (name, uid) = (fields.next()?, fields.nth(1)?);
        Some((uid.parse().ok()?, name.to_owned()))
    };
    text.lines().filter_map(entry).collect()
}

/// What a process belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Belonging {
    /// The unit of the machine's systemd.
    pub(crate) service: Option<String>,
    /// The unit of a user's own systemd, which runs in `user@UID.service`.
    pub(crate) user_service: Option<String>,
    /// The id of the container.
    pub(crate) container: Option<String>,
}

/// Returns what a process belongs to, by its `/proc/PID/cgroup`. It is the outermost container and
/// the outermost unit: what lies further in was named by whoever runs there.
pub(crate) fn belonging(cgroup: &[u8]) -> Belonging {
    let text = String::from_utf8_lossy(cgroup);
    let paths = text.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    let mut found = Belonging::default();
    for path in paths {
        let of_path = of_path(path);
        found.service = found.service.or(of_path.service);
        found.user_service = found.user_service.or(of_path.user_service);
        found.container = found.container.or(of_path.container);
    }
    found
}

fn of_path(path: &str) -> Belonging {
    let mut found = Belonging::default();
    for part in path.split('/') {
        let is_user = found
            .service
            .as_ref()
            .is_some_and(|unit| unit.starts_with("user@"));
        let is_unit = part.ends_with(".service");
        match &found.service {
            None if is_unit => found.service = Some(part.to_owned()),
            Some(_) if is_unit && is_user && found.user_service.is_none() => {
                found.user_service = Some(part.to_owned());
            }
            _ => {}
        }
        found.container = container_id(part);
        if found.container.is_some() {
            break;
        }
    }
    found
}

/// Returns the id of a container, 64 hexadecimal digits, as Docker, containerd, CRI-O and Podman
/// write it: `docker-<id>.scope`, `cri-containerd-<id>.scope`, `crio-<id>.scope`,
/// `libpod-<id>.scope`, `kubepods:cri-containerd:<id>`, or the bare id.
fn container_id(part: &str) -> Option<String> {
    let bare = part.strip_suffix(".scope").unwrap_or(part);
    let id = bare.rsplit(['-', ':']).next()?;
    (id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit())).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n17_a_start_is_told_to_the_tick() {
        let now = || WallTime(nanoseconds(ClockId::Realtime));
        let before = now();
        let mut child = std::process::Command::new("sleep");
        let mut child = child.arg("60").spawn().expect("a child");
        let after = now();
        let stat = super::super::ProcDir::open_pid(child.id()).map(|dir| dir.stat());
        let ended = child.kill().and_then(|()| child.wait());
        let start = stat.expect("a folder").expect("a status").start;
        let started = start_time(start, boot_time());
        let tick = (1_000_000_000 / ticks()) as i64;
        assert!(started.0 >= before.0 - 2 * tick, "{started:?} {before:?}");
        assert!(started.0 <= after.0, "{started:?} {after:?}");
        ended.expect("it is ours");
    }

    #[test]
    fn units_and_containers_are_found_in_cgroup_paths() {
        let id = "0123456789abcdef".repeat(4);
        let other = "f".repeat(64);
        for path in [
            "/system.slice/docker-ID.scope",
            "/docker/ID",
            "/docker/ID/docker-OTHER.scope",
            "/machine.slice/libpod-ID.scope/container",
            "/kubepods.slice/kubepods-pod1.slice/crio-ID.scope",
            "/kubepods/besteffort/pod1/ID",
            "/system.slice/kubepods:cri-containerd:ID",
        ] {
            let path = path.replace("ID", &id).replace("OTHER", &other);
            let found = belonging(format!("0::{path}\n").as_bytes());
            let expected = Belonging {
                container: Some(id.clone()),
                ..Belonging::default()
            };
            assert_eq!(found, expected, "{path}");
        }
        let nginx = belonging(b"12:pids:/x\n0::/system.slice/nginx.service\n");
        assert_eq!(nginx.service.as_deref(), Some("nginx.service"));
    }

    #[test]
    fn n26_the_unit_of_a_user_or_a_container_is_none_of_the_machine() {
        let of = |path: &str| belonging(format!("0::{path}\n").as_bytes());
        let own = of("/user.slice/user-7.slice/user@7.service/app.slice/checkout.service");
        assert_eq!(own.service.as_deref(), Some("user@7.service"));
        assert_eq!(own.user_service.as_deref(), Some("checkout.service"));
        let id = "0123456789abcdef".repeat(4);
        let inner = of(&format!(
            "/system.slice/docker-{id}.scope/system.slice/checkout.service"
        ));
        assert_eq!((inner.service, inner.container), (None, Some(id)));
        let delegated = of("/system.slice/checkout.service/other.service");
        assert_eq!(delegated.service.as_deref(), Some("checkout.service"));
    }

    #[test]
    fn n25_all_processors_of_the_machine_are_counted() {
        assert_eq!(processors(b"cpu  1 2\ncpu0 1 2\ncpu1 1 2\nintr 5\n"), 2);
        assert_eq!(processors(b""), 1);
    }
}
