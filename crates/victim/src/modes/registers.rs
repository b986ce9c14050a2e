//! Registers with known values, and a loop that notices when any of them changes.
//!
//! A test that stops such a thread can compare the registers that firstchance read with the values
//! that they must have; the loop shows whether the thread got them back unchanged.

use std::arch::{asm, global_asm};
use std::time::Duration;

use victim::Slot;

use super::Mode;
use crate::harness::{Harness, Outcome};

#[rustfmt::skip]
pub(super) const MODES: &[Mode] = &[
    Mode { name: "avx", args: "", about: "spins with known values in all general and AVX registers", run: avx },
    Mode { name: "selfcheck", args: "[busy|sleep]", about: "checks its registers and red zone all the time", run: selfcheck },
];

/// The values of the sixteen AVX registers, four 64-bit lanes each.
#[repr(C, align(32))]
struct Lanes([[u64; 4]; 16]);

/// Returns the values: register ymm`n` holds `0xb0b0_0000_0000_0n0l` in its 64-bit lane `l`.
const fn lanes() -> Lanes {
    let mut lanes = [[0; 4]; 16];
    let mut at = 0;
    while at < 64 {
        lanes[at / 4][at % 4] = 0xb0b0_0000_0000_0000 | ((at as u64 / 4) << 8) | (at as u64 % 4);
        at += 1;
    }
    Lanes(lanes)
}

static LANES: Lanes = lanes();

/// Loads known values into all registers, and spins: rax is 0xa0a0_0000_0000_0000, rbx …01, rcx
/// …02, rdx …03, rsi …04, rdi …05, rbp …06, r8 to r14 …08 to …0e; r15 is the address of the
/// counter.
fn avx(harness: &Harness) -> Outcome {
    if !std::arch::is_x86_feature_detected!("avx") {
        harness.fact("unavailable", "this processor has no AVX");
    }
    let counter = harness.state.address(Slot::Counter);
    harness.address("counter", counter);
    harness.ready();
    // SAFETY: without AVX the first instruction ends the victim with SIGILL, which the test was
    // told of. The loop touches only the table and the counter, an atomic that lives for ever, and
    // never leaves.
    unsafe {
        asm!(
            "vmovdqa ymm0, [rax]",
            "vmovdqa ymm1, [rax + 32]",
            "vmovdqa ymm2, [rax + 64]",
            "vmovdqa ymm3, [rax + 96]",
            "vmovdqa ymm4, [rax + 128]",
            "vmovdqa ymm5, [rax + 160]",
            "vmovdqa ymm6, [rax + 192]",
            "vmovdqa ymm7, [rax + 224]",
            "vmovdqa ymm8, [rax + 256]",
            "vmovdqa ymm9, [rax + 288]",
            "vmovdqa ymm10, [rax + 320]",
            "vmovdqa ymm11, [rax + 352]",
            "vmovdqa ymm12, [rax + 384]",
            "vmovdqa ymm13, [rax + 416]",
            "vmovdqa ymm14, [rax + 448]",
            "vmovdqa ymm15, [rax + 480]",
            "movabs rax, 0xa0a0000000000000",
            "lea rbx, [rax + 1]",
            "lea rcx, [rax + 2]",
            "lea rdx, [rax + 3]",
            "lea rsi, [rax + 4]",
            "lea rdi, [rax + 5]",
            "lea rbp, [rax + 6]",
            "lea r8, [rax + 8]",
            "lea r9, [rax + 9]",
            "lea r10, [rax + 10]",
            "lea r11, [rax + 11]",
            "lea r12, [rax + 12]",
            "lea r13, [rax + 13]",
            "lea r14, [rax + 14]",
            "2:",
            "lock inc qword ptr [r15]",
            "pause",
            "jmp 2b",
            in("rax") &raw const LANES,
            in("r15") counter,
            options(noreturn),
        )
    }
}

/// Builds a line of assembly for each register of a list.
macro_rules! each {
    ($line:ident: $($register:literal)*) => { concat!($($line!($register)),*) };
}

/// Applies a macro to every general register but rax, rcx, rdi and rsp.
macro_rules! general {
    ($line:ident) => { each!($line: "rbx" "rbp" "rdx" "rsi" "r8" "r9" "r10" "r11" "r12" "r13" "r14" "r15") };
}
/// Applies a macro to all SSE registers.
macro_rules! sse {
    ($line:ident) => { each!($line: "0" "1" "2" "3" "4" "5" "6" "7" "8" "9" "10" "11" "12" "13" "14" "15") };
}
/// Applies a macro to each word of the red zone, the 128 bytes below the stack pointer that a leaf
/// function may use (System V ABI for AMD64, §3.2.2).
macro_rules! red_zone {
    ($line:ident) => { each!($line: "8" "16" "24" "32" "40" "48" "56" "64" "72" "80" "88" "96" "104" "112" "120" "128") };
}

macro_rules! set_general {
    ($register:literal) => {
        concat!("inc rax\nmov ", $register, ", rax\n")
    };
}
macro_rules! set_sse {
    ($n:literal) => {
        concat!(
            "inc rax\nmovq xmm",
            $n,
            ", rax\npunpcklqdq xmm",
            $n,
            ", xmm",
            $n,
            "\n"
        )
    };
}
macro_rules! set_red_zone {
    ($offset:literal) => {
        concat!("inc rax\nmov [rsp - ", $offset, "], rax\n")
    };
}
macro_rules! check_general {
    ($register:literal) => {
        concat!(
            "inc rdi\nxor ",
            $register,
            ", rdi\nor rax, ",
            $register,
            "\n"
        )
    };
}
macro_rules! check_sse {
    ($n:literal) => {
        concat!(
            "inc rdi\n",
            "movq rcx, xmm",
            $n,
            "\nxor rcx, rdi\nor rax, rcx\n",
            "punpckhqdq xmm",
            $n,
            ", xmm",
            $n,
            "\n",
            "movq rcx, xmm",
            $n,
            "\nxor rcx, rdi\nor rax, rcx\n",
        )
    };
}
macro_rules! check_red_zone {
    ($offset:literal) => {
        concat!(
            "inc rdi\nmov rcx, [rsp - ",
            $offset,
            "]\nxor rcx, rdi\nor rax, rcx\n"
        )
    };
}

// Sets each register and each word of the red zone to the seed plus a number of its own, spins,
// and collects in rax whatever differs then. Arguments: rdi seed, rsi rounds to spin.
global_asm!(
    "victim_check_registers:",
    "push rbx",
    "push rbp",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "mov rcx, rsi",
    "mov rax, rdi",
    general!(set_general),
    sse!(set_sse),
    red_zone!(set_red_zone),
    "2:",
    "dec rcx",
    "jnz 2b",
    "xor eax, eax",
    general!(check_general),
    sse!(check_sse),
    red_zone!(check_red_zone),
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbp",
    "pop rbx",
    "ret",
);

// SAFETY: the function restores every register that its calling convention preserves, touches only
// its own stack and red zone, and takes any numbers.
unsafe extern "sysv64" {
    safe fn victim_check_registers(seed: u64, rounds: u64) -> u64;
}

/// Checks the registers in a loop. With `busy` the thread is nearly always inside the check, with
/// `sleep` nearly always in a system call.
fn selfcheck(harness: &Harness) -> Outcome {
    let sleeps = harness.arg(0, "busy".to_owned())? == "sleep";
    harness.ready();
    let mut seed = 0x5eed_0000_0000_0000;
    loop {
        seed += 1 << 16;
        if victim_check_registers(seed, 20_000) != 0 {
            harness.state.count(Slot::Errors);
        }
        if sleeps {
            std::thread::sleep(Duration::from_millis(1));
        }
        harness.state.count(Slot::Counter);
    }
}
