use crate::Time;
use std::time::Duration;

/// A figure of a process that can be sampled.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// CPU time used so far.
    Cpu,
    /// The process's own memory, in RAM or swapped out. On Windows it is the private commit
    /// (`PrivateUsage`), on Linux `RssAnon + VmSwap` of `status` and the process's share of the shared
    /// memory that it has touched (`Pss_Shmem` of `smaps_rollup`): the heap of a virtual machine may
    /// lie in a memfd, and the buffers of a database are mapped by a hundred processes.
    Memory,
    /// Resident memory (working set).
    Rss,
    /// Resident memory and what is swapped out: `VmRSS + VmSwap` of `status` (Linux).
    RssAndSwap,
    /// Address space.
    Virtual,
    /// How much of its limit of memory the control group of the process uses: 1 is all of it (Linux).
    /// Of several groups above each other, it is the one that has the least left in proportion.
    /// Use is without the pages of files that were not used lately (the working set, as the kubelet
    /// counts it): the kernel drops these before it kills.
    MemoryOfLimit,
    /// How many processors' time the control groups of the process let it have: the smallest quota
    /// (Linux). `Cpu` is compared to it.
    CpuLimit,
    /// Threads.
    Threads,
    /// Open descriptors or handles.
    Handles,
    /// A counter of the system, by its path.
    Counter(String),
    /// 1 if the process does not answer (it hangs), else 0.
    Hang,
    /// How long an HTTP request to this URL took, in milliseconds; infinite if there was no answer.
    Http(String),
}

/// The figures of a process at one time; only those that were asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// The time of the sample.
    pub at: Time,
    /// The CPU time of all threads since the process started, in user mode and in the kernel.
    pub cpu: Option<Duration>,
    /// The other figures: sizes in bytes, numbers, values of counters.
    pub values: Vec<(Measure, f64)>,
}

impl Sample {
    /// The value of a figure; `None` if it was not sampled. That of the CPU time is in seconds.
    pub fn value(&self, measure: &Measure) -> Option<f64> {
        match measure {
            Measure::Cpu => self.cpu.map(|cpu| cpu.as_secs_f64()),
            other => self
                .values
                .iter()
                .find(|(m, _)| m == other)
                .map(|(_, v)| *v),
        }
    }
}
