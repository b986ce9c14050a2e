//! What can be read of a process without stopping it: its files in `/proc/PID` (proc(5)).

use super::{
    handles::handles,
    one_program,
    proc::{ProcDir, bounds, machine, stat::Stat, status},
};
use crate::Facts;
use snapshot::{Module, Process, Range, Region, RegionKind, User, auxv};

/// Files of `/proc/PID` that are put into the dump unchanged.
pub(crate) const PLAIN_FILES: [&str; 4] = ["status", "limits", "cgroup", "coredump_filter"];

/// Reads everything that can be read without a stop, all of it of one program.
///
/// # Errors
/// If the process has ended, or executes one program after the other.
pub(crate) fn gather(proc: &ProcDir) -> std::io::Result<Facts> {
    let mut before = proc.auxv();
    one_program::look(|| {
        let facts = gather_once(proc)?;
        let after = proc.auxv();
        // One that is ending has none any more.
        let of_facts = facts.process.file("auxv").unwrap_or_default();
        let is_of_one = after.is_empty() || before == after && of_facts == after;
        before = after;
        Ok(is_of_one.then_some(facts))
    })
}

fn gather_once(proc: &ProcDir) -> std::io::Result<Facts> {
    let stat = proc.stat()?;
    let status_text = proc.read("status")?;
    let regions = proc.regions().ok();
    let regions = regions.as_ref().map_or(&[][..], |regions| &regions[..]);
    let (modules, mapped) = (modules(regions), snapshot::mapped_bytes(regions));
    let bytes = |key| status::bytes(&status_text, key).unwrap_or(0);
    // What is mapped several times is resident as often.
    let shown_again = bytes("RssShmem").saturating_sub(snapshot::shared_bytes(regions));
    let mut process = process(proc, &stat, &status_text, Texts::read(proc));
    process.files.extend(more_files(proc));
    Ok(Facts {
        process,
        handles: handles(proc),
        modules,
        resident: (bytes("VmRSS") + bytes("VmSwap")).saturating_sub(shown_again),
        mapped: mapped.saturating_sub(bytes("RssFile")),
        private: status::private(&status_text),
    })
}

/// What the address space of a process tells of it.
struct Texts {
    cmdline: Vec<u8>,
    environ: Vec<u8>,
    auxv: Vec<u8>,
}

fn process(proc: &ProcDir, stat: &Stat, status_text: &[u8], texts: Texts) -> Process {
    let exe = proc.link("exe").unwrap_or_default();
    let (exe, exe_deleted) = match exe.strip_suffix(" (deleted)") {
        Some(stripped) => (stripped.to_owned(), true),
        None => (exe, false),
    };
    let Texts {
        cmdline,
        environ,
        auxv,
    } = &texts;
    let cgroup = proc.read("cgroup").unwrap_or_default();
    let machine::Belonging {
        service, container, ..
    } = machine::belonging(&cgroup);
    Process {
        key: proc.key,
        parent: stat.parent,
        group: stat.group,
        session: stat.session,
        name: name_of(&exe, &stat.comm, &strings(cmdline)),
        comm: stat.comm.clone(),
        exe,
        exe_deleted,
        command_line: strings(cmdline),
        environment: strings(environ),
        user: user(status_text),
        started: machine::start_time(stat.start, machine::boot_time()),
        user_time: machine::ticks_to_duration(stat.user_ticks),
        kernel_time: machine::ticks_to_duration(stat.kernel_ticks),
        children_user_time: machine::ticks_to_duration(stat.children_user_ticks),
        children_kernel_time: machine::ticks_to_duration(stat.children_kernel_ticks),
        flags: stat.flags,
        state: stat.state,
        nice: stat.nice,
        auxv: auxv::entries(auxv, word_size(auxv)),
        stack_start: stat.stack_start,
        inner_pid: inner_pid(status_text, proc.key.pid),
        container,
        service,
        files: own_files(texts),
        peb: 0,
    }
}

impl Texts {
    fn read(proc: &ProcDir) -> Self {
        Self {
            cmdline: proc.read_living("cmdline").unwrap_or_default(),
            environ: proc.read_living("environ").unwrap_or_default(),
            auxv: proc.auxv(),
        }
    }
}

/// Returns what people call a process: the base name of its image, or the kernel's name if we may
/// not see the image.
///
/// An image may have several names (Debian's `redis-server` is a link to `redis-check-rdb`, `sh` to
/// `dash`). If the kernel's name and the first argument agree on one, the process was started under
/// that one, and it is taken.
pub(crate) fn name_of(exe: &str, comm: &str, command_line: &[String]) -> String {
    let base = base_name(exe);
    if base.is_empty() {
        return comm.to_owned();
    }
    let first = command_line.first().map_or("", String::as_str);
    // Servers write what they do behind their name.
    let first = base_name(first.split(' ').next().unwrap_or(""));
    let is_its_name = !comm.is_empty() && comm == capped_to(first, COMM_LENGTH);
    if is_its_name { first } else { base }.to_owned()
}

/// The length of the longest name that the kernel keeps, in bytes (`TASK_COMM_LEN` without its
/// NUL).
pub(super) const COMM_LENGTH: usize = 15;

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or("")
}

/// Returns the first `length` bytes of a text, or the whole text if they would end within a
/// character.
fn capped_to(text: &str, length: usize) -> &str {
    text.get(..length).unwrap_or(text)
}

/// Splits bytes into the strings that a NUL ends each: so many of them as [`bounds::TEXTS`] says.
pub(crate) fn strings(bytes: &[u8]) -> Vec<String> {
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    if bytes.is_empty() {
        return Vec::new();
    }
    bytes
        .split(|&b| b == 0)
        .take(bounds::TEXTS)
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .collect()
}

/// Returns whom a process belongs to, from the text of `status`.
pub(super) fn user(status_text: &[u8]) -> User {
    let (uid, euid) = status::ids(status_text, "Uid").unwrap_or_default();
    let (gid, egid) = status::ids(status_text, "Gid").unwrap_or_default();
    let name = machine::users()
        .remove(&uid)
        .unwrap_or_else(|| uid.to_string());
    User {
        uid,
        gid,
        euid,
        egid,
        name,
    }
}

/// Returns the pid in the innermost pid namespace (`NSpid`), if that is another one.
fn inner_pid(status_text: &[u8], pid: u32) -> Option<u32> {
    let inner = status::field(status_text, "NSpid")?
        .split_ascii_whitespace()
        .last()?
        .parse()
        .ok()?;
    (inner != pid).then_some(inner)
}

/// Returns the size of the words in an auxiliary vector, in bytes: 8 for a 64-bit program, else 4.
/// The types are small numbers, so the high half of a 64-bit one is zero; in the 32-bit form the
/// first value is there instead.
pub(super) fn word_size(auxv: &[u8]) -> u64 {
    let is_wide = auxv.len().is_multiple_of(16) && auxv.get(4..8) == Some(&[0; 4]);
    if is_wide { 8 } else { 4 }
}

/// What the address space tells, as files of `/proc/PID`.
fn own_files(texts: Texts) -> Vec<(String, Vec<u8>)> {
    let Texts {
        cmdline,
        environ,
        auxv,
    } = texts;
    vec![
        ("cmdline".to_owned(), cmdline),
        ("environ".to_owned(), environ),
        ("auxv".to_owned(), auxv),
    ]
}

/// The other files of [`Process::files`].
fn more_files(proc: &ProcDir) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for name in PLAIN_FILES {
        files.extend(proc.read(name).ok().map(|bytes| (name.to_owned(), bytes)));
    }
    files.extend(files_of_machine());
    files
}

/// Reads the files of the whole machine.
pub(crate) fn files_of_machine() -> impl Iterator<Item = (String, Vec<u8>)> {
    let release =
        || std::fs::read("/etc/lsb-release").or_else(|_| std::fs::read("/etc/os-release"));
    let files = [
        ("cpuinfo", std::fs::read("/proc/cpuinfo")),
        ("lsb-release", release()),
    ];
    let read =
        |(name, bytes): (&str, std::io::Result<Vec<u8>>)| Some((name.to_owned(), bytes.ok()?));
    files.into_iter().filter_map(read)
}

/// The largest hole, in bytes, between two mappings of one image: the loader leaves holes for
/// alignment, not larger ones. Situation: node maps its own file a second time, terabytes away.
const LARGEST_HOLE: u64 = 64 << 20;

/// Returns the modules: runs of mappings of the same file of which one is executable, and the vDSO; so many of them as
/// [`bounds::IMAGES`] says.
pub(crate) fn modules(regions: &[Region]) -> Vec<Module> {
    let mut modules: Vec<Module> = Vec::new();
    let mut last: Option<&Region> = None;
    for region in regions {
        let vdso = region.kind == RegionKind::Kernel && region.name == "[vdso]";
        if region.kind != RegionKind::Image && !vdso {
            continue;
        }
        let is_full = modules.len() == bounds::IMAGES;
        match modules.last_mut() {
            Some(module) if !vdso && last.is_some_and(|last| goes_on(last, region)) => {
                module.range.end = region.range.end;
            }
            _ if is_full => break,
            _ => modules.push(Module {
                range: Range::new(region.range.start, region.range.end),
                path: region.name.clone(),
                deleted: region.deleted,
                ..Module::default()
            }),
        }
        last = Some(region);
    }
    modules
}

/// Returns whether `next` belongs to the same image as `last`. The same file mapped again from its
/// beginning is another image (dlmopen(3)).
fn goes_on(last: &Region, next: &Region) -> bool {
    let same = (last.device, last.inode) == (next.device, next.inode);
    same && next.offset != 0 && next.range.start.saturating_sub(last.range.end) <= LARGEST_HOLE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_called_what_it_was_started_as() {
        let name = |exe, comm, first: &str| name_of(exe, comm, &[first.to_owned()]);
        let redis = "redis-server 127.0.0.1:6379      ";
        assert_eq!(
            name("/usr/bin/redis-check-rdb", "redis-server", redis),
            "redis-server"
        );
        assert_eq!(name("/bin/dash", "sh", "/bin/sh"), "sh");
        assert_eq!(
            name("/bin/x", "a-very-long-nam", "./a-very-long-name"),
            "a-very-long-name"
        );
        // A script, a title that the program chose itself, and a name that only one side tells.
        assert_eq!(
            name("/usr/bin/python3.11", "work.py", "python3"),
            "python3.11"
        );
        assert_eq!(name("/usr/sbin/nginx", "nginx", "nginx: worker"), "nginx");
        assert_eq!(name("/usr/bin/java", "java", "-bash"), "java");
        assert_eq!(name("", "kworker", ""), "kworker");
        assert_eq!(name("/bin/x", "", ""), "x");
    }

    #[test]
    fn strings_keep_empty_arguments() {
        assert_eq!(strings(b"a\0\0b\0"), ["a", "", "b"]);
        assert_eq!(strings(b""), Vec::<String>::new());
    }

    #[test]
    fn the_width_of_an_auxiliary_vector_is_told_by_its_first_entry() {
        assert_eq!(word_size(&auxv::to_bytes(&[(6, 4096)], 8)), 8);
        let narrow = [(32, 7), (6, 4096), (33, 9)];
        assert_eq!(word_size(&auxv::to_bytes(&narrow, 4)), 4);
        assert_eq!(word_size(b""), 4);
    }
}
