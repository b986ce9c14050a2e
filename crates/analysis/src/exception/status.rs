//! Codes of Windows exceptions: NTSTATUS codes (ntstatus.h), and those of language runtimes.

use snapshot::Exception;

/// The name of an exception code, without `STATUS_` or `EXCEPTION_`: `ACCESS_VIOLATION` for
/// `0xC0000005`. `None` if the code has no name.
pub fn status_name(code: u32) -> Option<&'static str> {
    let at = NAMES.binary_search_by_key(&code, |(code, _)| *code).ok()?;
    Some(NAMES[at].1)
}

const ACCESS_VIOLATION: u32 = 0xC000_0005;
const IN_PAGE_ERROR: u32 = 0xC000_0006;

/// What an access violation or a failed page-in tried to do, and at which address. `None` for other
/// codes, which do not tell it.
pub(super) fn access(exception: &Exception) -> Option<String> {
    if !matches!(exception.code, ACCESS_VIOLATION | IN_PAGE_ERROR) {
        return None;
    }
    let [access, address, ..] = exception.parameters[..] else {
        return None;
    };
    let verb = match access {
        0 => "reading",
        1 => "writing to",
        8 => "executing",
        _ => return None,
    };
    Some(format!("{verb} {address:#x}"))
}

/// Names by code, ascending.
const NAMES: &[(u32, &str)] = &[
    (0x0517_A7ED, "SIMULATED"),
    (0x4000_0005, "SEGMENT_NOTIFICATION"),
    (0x4000_0015, "FATAL_APP_EXIT"),
    (0x4000_001E, "WX86_SINGLE_STEP"),
    (0x4000_001F, "WX86_BREAKPOINT"),
    (0x4001_0005, "DBG_CONTROL_C"),
    (0x4001_0006, "DBG_PRINTEXCEPTION_C"),
    (0x4001_0008, "DBG_CONTROL_BREAK"),
    (0x4001_000A, "DBG_PRINTEXCEPTION_WIDE_C"),
    (0x406D_1388, "MSVC_THREAD_NAME"),
    (0x8000_0001, "GUARD_PAGE_VIOLATION"),
    (0x8000_0002, "DATATYPE_MISALIGNMENT"),
    (0x8000_0003, "BREAKPOINT"),
    (0x8000_0004, "SINGLE_STEP"),
    (0x8000_0026, "LONGJUMP"),
    (0x8000_0029, "UNWIND_CONSOLIDATE"),
    (0xC000_0005, "ACCESS_VIOLATION"),
    (0xC000_0006, "IN_PAGE_ERROR"),
    (0xC000_0008, "INVALID_HANDLE"),
    (0xC000_000D, "INVALID_PARAMETER"),
    (0xC000_0017, "NO_MEMORY"),
    (0xC000_001D, "ILLEGAL_INSTRUCTION"),
    (0xC000_0025, "NONCONTINUABLE_EXCEPTION"),
    (0xC000_0026, "INVALID_DISPOSITION"),
    (0xC000_008C, "ARRAY_BOUNDS_EXCEEDED"),
    (0xC000_008D, "FLOAT_DENORMAL_OPERAND"),
    (0xC000_008E, "FLOAT_DIVIDE_BY_ZERO"),
    (0xC000_008F, "FLOAT_INEXACT_RESULT"),
    (0xC000_0090, "FLOAT_INVALID_OPERATION"),
    (0xC000_0091, "FLOAT_OVERFLOW"),
    (0xC000_0092, "FLOAT_STACK_CHECK"),
    (0xC000_0093, "FLOAT_UNDERFLOW"),
    (0xC000_0094, "INTEGER_DIVIDE_BY_ZERO"),
    (0xC000_0095, "INTEGER_OVERFLOW"),
    (0xC000_0096, "PRIVILEGED_INSTRUCTION"),
    (0xC000_00FD, "STACK_OVERFLOW"),
    (0xC000_0135, "DLL_NOT_FOUND"),
    (0xC000_0138, "ORDINAL_NOT_FOUND"),
    (0xC000_0139, "ENTRYPOINT_NOT_FOUND"),
    (0xC000_013A, "CONTROL_C_EXIT"),
    (0xC000_0142, "DLL_INIT_FAILED"),
    (0xC000_0194, "POSSIBLE_DEADLOCK"),
    (0xC000_02B4, "FLOAT_MULTIPLE_FAULTS"),
    (0xC000_02B5, "FLOAT_MULTIPLE_TRAPS"),
    (0xC000_02C9, "REG_NAT_CONSUMPTION"),
    (0xC000_0374, "HEAP_CORRUPTION"),
    (0xC000_0409, "STACK_BUFFER_OVERRUN"),
    (0xC000_0417, "INVALID_CRUNTIME_PARAMETER"),
    (0xC000_041D, "FATAL_USER_CALLBACK_EXCEPTION"),
    (0xC000_0420, "ASSERTION_FAILURE"),
    (0xC000_0421, "VERIFIER_STOP"),
    (0xC000_0602, "FAIL_FAST_EXCEPTION"),
    (0xE000_0008, "OUT_OF_MEMORY"),
    (0xE043_4352, "CLR"),
    (0xE043_4F4D, "COM_PLUS"),
    (0xE06D_7363, "msc"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_can_be_searched() {
        assert!(NAMES.is_sorted_by(|a, b| a.0 < b.0));
    }
}
