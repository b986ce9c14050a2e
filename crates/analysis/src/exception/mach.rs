//! Exceptions of Mach, which macOS and iOS have: the type and its first code (mach/exception_types.h, mach/kern_return.h,
//! mach/i386/exception.h and mach/arm/exception.h of xnu).

use snapshot::{Architecture, Exception};

/// The types from 1 on.
const TYPES: [&str; 13] = [
    "BAD_ACCESS",
    "BAD_INSTRUCTION",
    "ARITHMETIC",
    "EMULATION",
    "SOFTWARE",
    "BREAKPOINT",
    "SYSCALL",
    "MACH_SYSCALL",
    "RPC_ALERT",
    "CRASH",
    "RESOURCE",
    "GUARD",
    "CORPSE_NOTIFY",
];

const BAD_ACCESS: u32 = 1;
/// Crashpad's own, for an exception of Objective-C (`kMachExceptionFromNSException`).
const NS_EXCEPTION: u32 = 0x4350_6e78;

/// `EXC_BAD_ACCESS.KERN_INVALID_ADDRESS`; numbers where there is no name.
pub(super) fn name(exception: &Exception, architecture: Architecture) -> String {
    match exception.code {
        NS_EXCEPTION => return "NSException".to_owned(),
        0 => return "unknown exception".to_owned(),
        _ => {}
    }
    let at = (exception.code as usize).wrapping_sub(1);
    let kind = TYPES
        .get(at)
        .map_or_else(|| exception.code.to_string(), |name| (*name).to_owned());
    let is_arm = matches!(architecture, Architecture::Arm | Architecture::Aarch64);
    let code = any(exception).or_else(|| match is_arm {
        true => of_arm(exception),
        false => of_intel(exception),
    });
    match code {
        Some(code) => format!("EXC_{kind}.{code}"),
        None if exception.flags == 0 => format!("EXC_{kind}"),
        None => format!("EXC_{kind}.{}", exception.flags),
    }
}

/// Whether its address is the one that was accessed.
pub(super) fn has_address(exception: &Exception) -> bool {
    exception.code == BAD_ACCESS
}

/// The codes that are the same on all processors.
fn any(exception: &Exception) -> Option<&'static str> {
    Some(match (exception.code, exception.flags) {
        (BAD_ACCESS, 1) => "KERN_INVALID_ADDRESS",
        (BAD_ACCESS, 2) => "KERN_PROTECTION_FAILURE",
        (BAD_ACCESS, 8) => "KERN_NO_ACCESS",
        (BAD_ACCESS, 9) => "KERN_MEMORY_FAILURE",
        (BAD_ACCESS, 10) => "KERN_MEMORY_ERROR",
        (BAD_ACCESS, 50) => "KERN_CODESIGN_ERROR",
        (5, 0x1_0000) => "EXC_UNIX_BAD_SYSCALL",
        (5, 0x1_0001) => "EXC_UNIX_BAD_PIPE",
        (5, 0x1_0002) => "EXC_UNIX_ABORT",
        (5, 0x1_0003) => "EXC_SOFT_SIGNAL",
        // Breakpad's own, for an exception of Objective-C.
        (5, 0xdead_c0de) => "NS_EXCEPTION",
        _ => return None,
    })
}

fn of_arm(exception: &Exception) -> Option<&'static str> {
    Some(match (exception.code, exception.flags) {
        (BAD_ACCESS, 0x101) => "EXC_ARM_DA_ALIGN",
        (BAD_ACCESS, 0x102) => "EXC_ARM_DA_DEBUG",
        (BAD_ACCESS, 0x103) => "EXC_ARM_SP_ALIGN",
        (BAD_ACCESS, 0x104) => "EXC_ARM_SWP",
        (BAD_ACCESS, 0x105) => "EXC_ARM_PAC_FAIL",
        (2, 1) => "EXC_ARM_UNDEFINED",
        (6, 1) => "EXC_ARM_BREAKPOINT",
        _ => return None,
    })
}

fn of_intel(exception: &Exception) -> Option<&'static str> {
    Some(match (exception.code, exception.flags) {
        (BAD_ACCESS, 13) => "EXC_I386_GPFLT",
        (2, 1) => "EXC_I386_INVOP",
        (3, 1) => "EXC_I386_DIV",
        (3, 2) => "EXC_I386_INTO",
        (3, 3) => "EXC_I386_NOEXT",
        (3, 4) => "EXC_I386_EXTOVR",
        (3, 5) => "EXC_I386_EXTERR",
        (3, 6) => "EXC_I386_EMERR",
        (3, 7) => "EXC_I386_BOUND",
        (3, 8) => "EXC_I386_SSEEXTERR",
        (6, 1) => "EXC_I386_SGL",
        (6, 2) => "EXC_I386_BPT",
        _ => return None,
    })
}
