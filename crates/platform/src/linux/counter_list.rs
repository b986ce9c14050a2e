//! The counters that `firstchance counters` lists, each with what it counts.

/// Paths of counters and what they count. Any other file of `/proc` and `/sys` can be named too; see
/// [`counters`](super::counters).
pub(crate) const KNOWN: [(&str, &str); 60] = [
    (
        r"\Process(*)\% Processor Time",
        "CPU of the process, of one processor",
    ),
    (
        r"\Process(*)\Private Bytes",
        "memory of its own, as the level `memory`",
    ),
    (r"\Process(*)\Working Set", "resident memory"),
    (r"\Process(*)\Virtual Bytes", "address space"),
    (r"\Process(*)\Thread Count", "threads"),
    (r"\Process(*)\Handle Count", "open descriptors"),
    (r"\Process(*)\ID Process", "pid"),
    (
        r"\Process(*)\% User Time",
        "its CPU in its own code, of one processor",
    ),
    (
        r"\Process(*)\% Privileged Time",
        "its CPU in the kernel, of one processor",
    ),
    (
        r"\Process(*)\IO Data Bytes/sec",
        "bytes read and written by system calls, a second",
    ),
    (
        r"\Process(*)\IO Read Bytes/sec",
        "bytes read by system calls, a second",
    ),
    (
        r"\Process(*)\IO Write Bytes/sec",
        "bytes written by system calls, a second",
    ),
    (
        r"\Process(*)\IO Data Operations/sec",
        "system calls that read or write, a second",
    ),
    (
        r"\Process(*)\IO Read Operations/sec",
        "system calls that read, a second",
    ),
    (
        r"\Process(*)\IO Write Operations/sec",
        "system calls that write, a second",
    ),
    (r"\Process(*)\Page Faults/sec", "page faults, a second"),
    (
        r"\Process(*)\Working Set Peak",
        "largest resident memory so far",
    ),
    (
        r"\Process(*)\Virtual Bytes Peak",
        "largest address space so far",
    ),
    (r"\Processor(_Total)\% Processor Time", "CPU of the machine"),
    (
        r"\Memory\Available Bytes",
        "memory that can be had without swapping",
    ),
    (r"\Memory\Available KBytes", "the same in KiB"),
    (r"\Memory\Available MBytes", "the same in MiB"),
    (r"\Memory\Committed Bytes", "memory promised to processes"),
    (
        r"\Memory\Commit Limit",
        "what may be promised (overcommit_memory 2)",
    ),
    (
        r"\Memory\Page Faults/sec",
        "page faults of the machine, a second",
    ),
    (
        r"\System\Context Switches/sec",
        "context switches of the machine, a second",
    ),
    (r"\System\Processor Queue Length", "runnable tasks"),
    (r"\System\System Up Time", "seconds since the machine began"),
    (
        "/proc/PID/io:rchar/s",
        "bytes read by system calls, a second",
    ),
    (
        "/proc/PID/io:wchar/s",
        "bytes written by system calls, a second",
    ),
    (
        "/proc/PID/io:read_bytes/s",
        "bytes read from disks, a second",
    ),
    (
        "/proc/PID/io:write_bytes/s",
        "bytes written to disks, a second",
    ),
    ("/proc/PID/stat:10/s", "minor page faults, a second"),
    ("/proc/PID/stat:12/s", "major page faults, a second"),
    (
        "/proc/PID/status:voluntary_ctxt_switches/s",
        "context switches, a second",
    ),
    (
        "/proc/PID/status:nonvoluntary_ctxt_switches/s",
        "preemptions, a second",
    ),
    ("/proc/PID/status:VmSwap", "swapped memory"),
    ("/proc/PID/status:VmPeak", "largest address space so far"),
    ("/proc/PID/status:VmHWM", "largest resident memory so far"),
    ("/proc/PID/oom_score", "the out-of-memory killer's score"),
    ("cgroup/memory.current", "memory of the control group"),
    ("cgroup/memory.stat:anon", "its anonymous memory"),
    ("cgroup/memory.events:oom_kill", "out-of-memory kills in it"),
    (
        "cgroup/memory.usage_in_bytes",
        "memory of the control group (v1)",
    ),
    (
        "cgroup/cpu.stat:usage_usec/s",
        "CPU microseconds of the control group, a second",
    ),
    (
        "cgroup/cpu.stat:nr_throttled/s",
        "periods in which it was throttled, a second",
    ),
    (
        "cgroup/cpu.pressure:some.avg10",
        "share of time some task waited for CPU, %",
    ),
    (
        "cgroup/memory.pressure:some.avg10",
        "share of time some task waited for memory, %",
    ),
    (
        "cgroup/io.pressure:some.avg10",
        "share of time some task waited for disks, %",
    ),
    ("cgroup/pids.current", "tasks of the control group"),
    ("/proc/pressure/cpu:some.avg10", "the same for the machine"),
    (
        "/proc/pressure/memory:full.avg10",
        "share of time all tasks waited for memory, %",
    ),
    (
        "/proc/pressure/io:full.avg10",
        "share of time all tasks waited for disks, %",
    ),
    ("/proc/loadavg:1", "load of the last minute"),
    (
        "/proc/meminfo:MemAvailable",
        "memory that can be had without swapping",
    ),
    ("/proc/meminfo:Dirty", "memory waiting to be written"),
    ("/proc/stat:procs_running", "runnable tasks"),
    (
        "/proc/stat:ctxt/s",
        "context switches of the machine, a second",
    ),
    (
        "/proc/vmstat:pgmajfault/s",
        "major page faults of the machine, a second",
    ),
    ("/proc/sys/fs/file-nr:1", "open files of the machine"),
];

#[cfg(test)]
mod tests {
    use super::KNOWN;

    #[test]
    fn every_listed_counter_is_well_formed() {
        for (path, what) in KNOWN {
            let file = path.trim_end_matches("/s").split(':').next().unwrap_or("");
            let known = [r"\", "/proc/", "/sys/", "cgroup/"];
            assert!(known.iter().any(|start| file.starts_with(start)), "{path}");
            assert!(!what.is_empty());
        }
    }
}
