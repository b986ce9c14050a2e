//! The registers of a stopped thread, read by `GetThreadContext`, and decoding of `CONTEXT` records
//! (<https://learn.microsoft.com/windows/win32/debug/working-with-xstate-context>).

use super::sys::check;
use snapshot::{Registers, SparseBytes, X86, X86_64, xsave};
use std::{io, mem::zeroed};
use windows_sys::Win32::{
    Foundation::HANDLE,
    System::Diagnostics::Debug::{
        CONTEXT, CONTEXT_ALL_AMD64, CONTEXT_XSTATE_AMD64, GetEnabledXStateFeatures,
        GetThreadContext, InitializeContext, LocateXStateFeature, SetXStateFeaturesMask,
        WOW64_CONTEXT, WOW64_CONTEXT_ALL, Wow64GetThreadContext,
    },
};

type Taken = io::Result<(Registers, SparseBytes)>;

/// A `CONTEXT` at an address that is a multiple of 16, which Windows demands (winnt.h declares it
/// with `DECLSPEC_ALIGN(16)`).
#[repr(C, align(16))]
pub(super) struct AlignedContext(pub(super) CONTEXT);

impl AlignedContext {
    /// A context of zeros whose flags say which registers are wanted.
    pub(super) fn wanting(flags: u32) -> Box<Self> {
        // SAFETY: a structure of integers, for which zeros are valid.
        let mut context: Box<Self> = Box::new(unsafe { zeroed() });
        context.0.ContextFlags = flags;
        context
    }
}

/// The components of an XSAVE area beyond x87 and SSE (Intel SDM volume 1, chapter 13) that we
/// read: AVX 2, MPX 3 and 4, AVX-512 5 to 7, PKRU 9. AMX (17, 18) has 8 KiB and is left out.
const FEATURES: [u32; 7] = [2, 3, 4, 5, 6, 7, 9];

/// Reads the registers of a 64-bit thread, with the extended ones if possible.
pub(crate) fn wide(thread: HANDLE) -> Taken {
    with_extended(thread).or_else(|_| plain(thread))
}

/// Reads the general and SSE registers.
fn plain(thread: HANDLE) -> Taken {
    let mut context = AlignedContext::wanting(CONTEXT_ALL_AMD64);
    // SAFETY: an aligned structure whose flags ask for nothing that lies outside it.
    check(unsafe { GetThreadContext(thread, &raw mut context.0) })?;
    Ok((general(&context.0), SparseBytes::new(&fxsave(&context.0))))
}

/// Reads all registers. Fails if the system has no extended ones.
fn with_extended(thread: HANDLE) -> Taken {
    // SAFETY: the function takes no arguments.
    let enabled = unsafe { GetEnabledXStateFeatures() };
    let wanted = FEATURES.iter().fold(0, |mask, n| mask | 1 << n) & enabled;
    if wanted == 0 {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let flags = CONTEXT_ALL_AMD64 | CONTEXT_XSTATE_AMD64;
    let mut size = 0;
    let mut at = std::ptr::null_mut();
    // SAFETY: the first call only tells the size. The second lays a context out in the buffer,
    // which is that long and lives until the end of this block; `at` points into it.
    unsafe {
        InitializeContext(std::ptr::null_mut(), flags, &raw mut at, &raw mut size);
        let mut buffer = vec![0u128; (size as usize).div_ceil(16) + 1];
        check(InitializeContext(
            buffer.as_mut_ptr().cast(),
            flags,
            &raw mut at,
            &raw mut size,
        ))?;
        check(SetXStateFeaturesMask(at, wanted))?;
        check(GetThreadContext(thread, at))?;
        let area = xsave(&*at, wanted);
        Ok((general(&*at), SparseBytes::new(&area)))
    }
}

/// Decodes the registers of a record that was captured by somebody else.
///
/// # Safety
/// The record must have room for what its flags say it contains.
pub(crate) unsafe fn of_record(record: &CONTEXT) -> (Registers, SparseBytes) {
    let has_more = record.ContextFlags & CONTEXT_XSTATE_AMD64 == CONTEXT_XSTATE_AMD64;
    let wanted = if has_more {
        FEATURES.iter().fold(0, |mask, n| mask | 1 << n)
    } else {
        0
    };
    // SAFETY: the caller vouches for the layout of the record.
    let area = unsafe { xsave(record, wanted) };
    (general(record), SparseBytes::new(&area))
}

/// Returns the XSAVE area in the standard layout, wherever the context has its components.
///
/// # Safety
/// `context` must have been laid out with room for the components of `wanted`.
unsafe fn xsave(context: &CONTEXT, wanted: u64) -> Vec<u8> {
    let mut area = xsave::from_fxsave(&fxsave(context));
    for feature in FEATURES.into_iter().filter(|n| wanted & (1 << n) != 0) {
        let mut size = 0;
        // SAFETY: the caller vouches for the layout; the answer points into it and has `size`
        // bytes.
        let bytes = unsafe {
            let at = LocateXStateFeature(context, feature, &raw mut size);
            if at.is_null() {
                continue;
            }
            std::slice::from_raw_parts(at.cast::<u8>(), size as usize)
        };
        xsave::set(&mut area, feature, bytes);
    }
    area
}

/// Returns the x87 and SSE registers.
fn fxsave(context: &CONTEXT) -> [u8; xsave::LEGACY] {
    // SAFETY: both members of the union consist of 512 bytes, of which any values are valid.
    unsafe { std::mem::transmute(context.Anonymous.FltSave) }
}

/// Decodes the general registers.
fn general(c: &CONTEXT) -> Registers {
    Registers::X86_64(X86_64 {
        rax: c.Rax,
        rbx: c.Rbx,
        rcx: c.Rcx,
        rdx: c.Rdx,
        rsi: c.Rsi,
        rdi: c.Rdi,
        rbp: c.Rbp,
        rsp: c.Rsp,
        r8: c.R8,
        r9: c.R9,
        r10: c.R10,
        r11: c.R11,
        r12: c.R12,
        r13: c.R13,
        r14: c.R14,
        r15: c.R15,
        rip: c.Rip,
        rflags: c.EFlags.into(),
        cs: c.SegCs,
        ss: c.SegSs,
        ds: c.SegDs,
        es: c.SegEs,
        fs: c.SegFs,
        gs: c.SegGs,
        orig_rax: u64::MAX,
        debug: [c.Dr0, c.Dr1, c.Dr2, c.Dr3, c.Dr6, c.Dr7],
        ..X86_64::default()
    })
}

/// Reads the registers of a 32-bit thread on 64-bit Windows.
pub(crate) fn narrow(thread: HANDLE) -> Taken {
    // SAFETY: a structure of integers, for which zeros are valid.
    let mut context: WOW64_CONTEXT = unsafe { zeroed() };
    context.ContextFlags = WOW64_CONTEXT_ALL;
    // SAFETY: a structure whose flags ask for nothing that lies outside it.
    check(unsafe { Wow64GetThreadContext(thread, &raw mut context) })?;
    Ok(of_narrow_record(&context))
}

/// Decodes the registers of a 32-bit record.
pub(crate) fn of_narrow_record(context: &WOW64_CONTEXT) -> (Registers, SparseBytes) {
    let registers = Registers::X86(X86 {
        eax: context.Eax,
        ebx: context.Ebx,
        ecx: context.Ecx,
        edx: context.Edx,
        esi: context.Esi,
        edi: context.Edi,
        ebp: context.Ebp,
        esp: context.Esp,
        eip: context.Eip,
        eflags: context.EFlags,
        cs: context.SegCs as u16,
        ss: context.SegSs as u16,
        ds: context.SegDs as u16,
        es: context.SegEs as u16,
        fs: context.SegFs as u16,
        gs: context.SegGs as u16,
        orig_eax: u32::MAX,
    });
    (registers, SparseBytes::new(&context.ExtendedRegisters))
}
