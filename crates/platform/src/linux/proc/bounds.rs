//! How much is read of each file of a process. What they hold is the process's own choice: a command line may be as long
//! as its memory (`PR_SET_MM_MAP` in prctl(2)), an epoll descriptor tells of each descriptor in it, and names of mapped
//! files take up to 4 KiB for each of 65,530 mappings.

/// The most that is read of a file, in bytes.
pub(crate) fn most(name: &str) -> u64 {
    let last = name.rsplit('/').next().unwrap_or(name);
    match last {
        // execve(2) itself takes a quarter of the stack's limit, which is 2 MiB by default.
        "cmdline" | "environ" => 2 << 20,
        // A million mappings, of which the kernel allows 65,530 unless root has said otherwise (`vm.max_map_count`).
        "maps" => 128 << 20,
        "mountinfo" => 4 << 20,
        // Position and flags come first.
        _ if name.starts_with("fdinfo/") => 4 << 10,
        // 65,536 groups take 450 KB of `status`.
        _ => 1 << 20,
    }
}

/// The most that is read of a command line where all processes are looked at.
pub(crate) const COMMAND_LINE: u64 = 32 << 10;

/// How many texts a command line or an environment is taken apart into: each takes memory of its own, however short it is.
pub(crate) const TEXTS: usize = 32 << 10;

/// How many images of a process are told. A process may map a file as an image thousands of times, each with a name and
/// build-id to be found.
pub(crate) const IMAGES: usize = 4096;

/// How many descriptors of a process are told.
pub(crate) const DESCRIPTORS: usize = 64 << 10;

/// How many bytes the names of descriptors take together, before further ones are cut.
pub(crate) const DESCRIPTOR_NAMES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n31_every_file_has_a_bound() {
        let name_of_thread = "task/1/comm";
        for name in [
            "cmdline",
            "environ",
            "maps",
            "smaps",
            "status",
            name_of_thread,
        ] {
            assert!(most(name) <= 128 << 20, "{name}");
        }
        assert_eq!(most("fdinfo/7"), 4096);
    }
}
