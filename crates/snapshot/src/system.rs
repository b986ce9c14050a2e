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
    /// Register EDX of CPUID leaves 1 and 0x8000_0001, of Windows.
    pub cpu_features: (u32, u32),
    /// What the processor can, a bit for each `PF_…` of `IsProcessorFeaturePresent` that is below
    /// 128; on Windows.
    pub processor_features: (u64, u64),
    /// `wProductType` of `OSVERSIONINFOEX`: 1 for a workstation, 2 for a domain controller, 3 for
    /// another server; 0 elsewhere.
    pub product_type: u32,
    /// `wSuiteMask` of `OSVERSIONINFOEX`; 0 elsewhere.
    pub suites: u32,
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
