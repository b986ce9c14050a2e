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
    /// Another one, whose dumps are read and never written.
    Foreign(ForeignSystem),
}

/// The systems that firstchance does not run on, but whose dumps it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the systems")]
pub enum ForeignSystem {
    MacOs,
    Ios,
    FreeBsd,
    NetBsd,
    OpenBsd,
    Solaris,
    /// The dump does not say which, or names one that is not known.
    Unknown,
}

impl ForeignSystem {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::MacOs,
        Self::Ios,
        Self::FreeBsd,
        Self::NetBsd,
        Self::OpenBsd,
        Self::Solaris,
        Self::Unknown,
    ];
}

impl OperatingSystem {
    /// Its name: `Linux`, `macOS`; `unknown system` if the dump does not say it.
    pub const fn name(self) -> &'static str {
        match self {
            OperatingSystem::Linux => "Linux",
            OperatingSystem::Windows => "Windows",
            OperatingSystem::Foreign(ForeignSystem::MacOs) => "macOS",
            OperatingSystem::Foreign(ForeignSystem::Ios) => "iOS",
            OperatingSystem::Foreign(ForeignSystem::FreeBsd) => "FreeBSD",
            OperatingSystem::Foreign(ForeignSystem::NetBsd) => "NetBSD",
            OperatingSystem::Foreign(ForeignSystem::OpenBsd) => "OpenBSD",
            OperatingSystem::Foreign(ForeignSystem::Solaris) => "Solaris",
            OperatingSystem::Foreign(ForeignSystem::Unknown) => "unknown system",
        }
    }
}

/// The processors whose dumps are read. Those that firstchance writes are of x86, x86-64 and 64-bit ARM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Architecture {
    /// 32-bit Intel.
    X86,
    /// 64-bit Intel and AMD.
    #[default]
    X86_64,
    /// 64-bit Intel and AMD with pointers of 32 bits.
    X32,
    /// 32-bit ARM.
    Arm,
    /// 64-bit ARM.
    Aarch64,
    /// 64-bit RISC-V.
    RiscV64,
}

impl Architecture {
    /// The size of a pointer, in bytes.
    pub const fn pointer_size(self) -> u64 {
        match self {
            Architecture::X86 | Architecture::X32 | Architecture::Arm => 4,
            Architecture::X86_64 | Architecture::Aarch64 | Architecture::RiscV64 => 8,
        }
    }
}
