//! The memory of a live process.

use super::{
    probe_patches::{self, Patches},
    sys::memory::read_process,
};
use snapshot::Memory;
use std::{fs::File, os::unix::fs::FileExt};

/// Reads memory by process_vm_readv(2), and what that refuses (pages without the right to read)
/// through `/proc/PID/mem`, which ignores protections.
pub(crate) struct LiveMemory {
    /// The thread to read from; `None` to read only through the file, which cannot become another
    /// process's.
    pid: Option<i32>,
    mem: Option<File>,
    patches: Patches,
}

const PAGE: u64 = 4096;

impl LiveMemory {
    /// `pid` is the id of a living thread, `mem` its open `/proc/PID/mem` if we could open it.
    pub(crate) fn new(pid: i32, mem: Option<File>) -> Self {
        Self {
            pid: Some(pid),
            mem,
            patches: Patches::new(),
        }
    }

    /// Reads only through `mem`: for a process that may end, and whose pid another may get, while
    /// it is read.
    pub(crate) fn of_file(mem: File) -> Self {
        Self {
            pid: None,
            mem: Some(mem),
            patches: Patches::new(),
        }
    }

    /// Shows these bytes instead of those in memory.
    pub(crate) fn patched(mut self, patches: Patches) -> Self {
        self.patches = patches;
        self
    }

    fn read_once(&self, address: u64, buffer: &mut [u8]) -> usize {
        if let Some(pid) = self.pid
            && let Ok(got @ 1..) = read_process(pid, address, buffer)
        {
            return got;
        }
        let mem = self.mem.as_ref();
        mem.and_then(|mem| mem.read_at(buffer, address).ok())
            .unwrap_or(0)
    }
}

impl Memory for LiveMemory {
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
        if crate::failpoint("read-memory").is_err() {
            return 0;
        }
        let mut done = 0;
        while done < buffer.len() {
            let at = address + done as u64;
            let mut got = self.read_once(at, &mut buffer[done..]);
            if got == 0 {
                // The whole range was refused: perhaps its first page can be read alone.
                let to_page_end = (PAGE - at % PAGE).min((buffer.len() - done) as u64) as usize;
                got = self.read_once(at, &mut buffer[done..done + to_page_end]);
            }
            if got == 0 {
                break;
            }
            done += got;
        }
        if !self.patches.is_empty() {
            probe_patches::apply(&self.patches, address, &mut buffer[..done]);
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    /// A process that ends, and whose pid another may get, is read by what was opened while it lived.
    #[test]
    fn n15_memory_by_descriptor_is_of_that_process_or_of_none() {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .spawn()
            .expect("cat");
        let proc = format!("/proc/{}", child.id());
        let mem = File::open(format!("{proc}/mem")).expect("its memory");
        let maps = std::fs::read(format!("{proc}/maps")).expect("its mappings");
        let (regions, _) = snapshot::maps::parse(&maps);
        let stack = regions
            .iter()
            .find(|r| r.name == "[stack]")
            .expect("a stack");
        let at = stack.range.end - PAGE;
        let memory = LiveMemory::of_file(mem);
        let mut page = [0; PAGE as usize];
        assert_eq!(memory.read(at, &mut page), page.len());
        drop(child.stdin.take());
        child.wait().expect("its end");
        assert_eq!(memory.read(at, &mut page), 0);
        // By pid, whoever has the number now would be read: here, this test.
        let by_pid = LiveMemory::new(std::process::id() as i32, None);
        assert_eq!(by_pid.read(page.as_ptr() as u64, &mut [0; 8]), 8);
        assert_eq!(memory.read(page.as_ptr() as u64, &mut [0; 8]), 0);
    }
}
