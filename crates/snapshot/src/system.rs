use std::time::Duration;

/// The machine that a process ran on, and its operating system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct System {
    /// The family of the operating system.
    pub os: OperatingSystem,
    /// The processor of the *process* (an x86 process on an x86-64 machine is x86).
    pub architecture: Architecture,
    /// Kernel release: `6.18.44`, or `10.0.19043` on Windows.
    pub release: String,
    /// Kernel version text: `#1 SMP PREEMPT_DYNAMIC …`.
    pub version: String,
    /// Distribution or edition: `Debian GNU/Linux 12 (bookworm)`.
    pub distribution: String,
    /// Host name.
    pub host: String,
    /// `GenuineIntel`, `AuthenticAMD` …
    pub cpu_vendor: String,
    /// `Intel(R) Xeon(R) …`.
    pub cpu_model: String,
    /// Register EAX of CPUID leaf 1 (family, model and stepping); 0 on other processors.
    pub cpu_signature: u32,
    /// The number of processors online.
    pub cpus: u32,
    /// Size of a page, in bytes.
    pub page_size: u64,
    /// Physical memory, in bytes.
    pub memory_total: u64,
    /// Memory that is available without swapping, in bytes.
    pub memory_available: u64,
    /// Time since boot.
    pub uptime: Duration,
}

/// The families of operating systems.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OperatingSystem {
    /// Linux.
    #[default]
    Linux,
    /// Windows.
    Windows,
}

/// The supported processors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Architecture {
    /// 32-bit Intel.
    X86,
    /// 64-bit Intel and AMD.
    #[default]
    X86_64,
    /// 64-bit ARM.
    Aarch64,
}

impl Architecture {
    /// The size of a pointer, in bytes.
    pub const fn pointer_size(self) -> u64 {
        match self {
            Architecture::X86 => 4,
            Architecture::X86_64 | Architecture::Aarch64 => 8,
        }
    }
}
