//! Queues reports to Windows Error Reporting
//! (<https://learn.microsoft.com/windows/win32/api/werapi/nf-werapi-werreportsubmit>).
//!
//! Wine's functions take every report, and say at the end that reporting is disabled.

use super::sys::{check_result, function, wide};
use crate::{Error, ErrorKind, Result};
use std::{io, mem::zeroed, path::Path};
use windows_sys::{
    Win32::System::ErrorReporting::{
        HREPORT, WER_CONSENT, WER_FILE, WER_FILE_TYPE, WER_P0, WER_P1, WER_REPORT_INFORMATION,
        WER_REPORT_TYPE, WER_SUBMIT_FLAGS, WER_SUBMIT_QUEUE, WER_SUBMIT_RESULT, WerConsentNotAsked,
        WerDisabled, WerDisabledQueue, WerFileTypeHeapdump, WerFileTypeMinidump, WerReportAsync,
        WerReportNonCritical, WerReportQueued, WerReportUploaded,
    },
    core::{HRESULT, PCWSTR},
};

/// The name of our event.
const EVENT: &str = "FirstchanceDump";
/// How long a parameter of a report may be, in units of UTF-16 (`WER_MAX_PARAM_LENGTH`, with the NUL).
const LONGEST: usize = 259;

/// Queues a report with a dump. The application and the reason are its parameters; `is_large` says that the dump has more
/// than stacks.
///
/// # Errors
/// If this Windows has no error reporting, it is disabled, or a step fails.
pub(crate) fn queue_report(
    dump: &Path,
    is_large: bool,
    application: &str,
    reason: &str,
) -> Result<()> {
    let queued = Report::new(application, reason).and_then(|report| {
        report.set(WER_P0, "Application", application)?;
        report.set(WER_P1, "Reason", reason)?;
        report.add(dump, is_large)?;
        report.submit()
    });
    queued.map_err(|error| {
        let what = format!("the dump was not queued for Windows Error Reporting: {error}");
        Error::new(ErrorKind::Other, what)
    })
}

#[derive(Clone, Copy)]
struct Functions {
    create: unsafe extern "system" fn(
        PCWSTR,
        WER_REPORT_TYPE,
        *const WER_REPORT_INFORMATION,
        *mut HREPORT,
    ) -> HRESULT,
    set: unsafe extern "system" fn(HREPORT, u32, PCWSTR, PCWSTR) -> HRESULT,
    add: unsafe extern "system" fn(HREPORT, PCWSTR, WER_FILE_TYPE, WER_FILE) -> HRESULT,
    submit: unsafe extern "system" fn(
        HREPORT,
        WER_CONSENT,
        WER_SUBMIT_FLAGS,
        *mut WER_SUBMIT_RESULT,
    ) -> HRESULT,
    close: unsafe extern "system" fn(HREPORT) -> HRESULT,
}

impl Functions {
    /// Loads the functions; `None` if this Windows does not have them.
    fn load() -> Option<Self> {
        const LIBRARY: &str = "wer.dll";
        // SAFETY: the types are those of the documented functions.
        unsafe {
            Some(Self {
                create: function(LIBRARY, c"WerReportCreate")?,
                set: function(LIBRARY, c"WerReportSetParameter")?,
                add: function(LIBRARY, c"WerReportAddFile")?,
                submit: function(LIBRARY, c"WerReportSubmit")?,
                close: function(LIBRARY, c"WerReportCloseHandle")?,
            })
        }
    }
}

/// A report that is being made. Dropping it closes it.
struct Report {
    functions: Functions,
    handle: HREPORT,
}

impl Report {
    fn new(application: &str, reason: &str) -> io::Result<Self> {
        let functions = Functions::load().ok_or(io::ErrorKind::Unsupported)?;
        // SAFETY: a structure of integers, texts and null handles, for which zeros are valid.
        let mut about: WER_REPORT_INFORMATION = unsafe { zeroed() };
        about.dwSize = size_of::<WER_REPORT_INFORMATION>() as u32;
        put(&mut about.wzApplicationName, application);
        put(&mut about.wzFriendlyEventName, "Dump by firstchance");
        put(&mut about.wzDescription, reason);
        let mut handle = std::ptr::null_mut();
        let event = wide(EVENT);
        // SAFETY: a text that ends with a NUL, a structure that begins with its size, and a live local for the handle.
        check_result(unsafe {
            (functions.create)(
                event.as_ptr(),
                WerReportNonCritical,
                &about,
                &raw mut handle,
            )
        })?;
        Ok(Self { functions, handle })
    }

    fn set(&self, number: u32, name: &str, value: &str) -> io::Result<()> {
        let mut text = [0; LONGEST + 1];
        put(&mut text, value);
        let name = wide(name);
        // SAFETY: our report, and texts that end with a NUL.
        check_result(unsafe {
            (self.functions.set)(self.handle, number, name.as_ptr(), text.as_ptr())
        })
    }

    fn add(&self, dump: &Path, is_large: bool) -> io::Result<()> {
        let kind = match is_large {
            true => WerFileTypeHeapdump,
            false => WerFileTypeMinidump,
        };
        let path = wide(&std::path::absolute(dump)?.to_string_lossy());
        // SAFETY: our report, and a path that ends with a NUL. The file is left where it is, for no flag is set.
        check_result(unsafe { (self.functions.add)(self.handle, path.as_ptr(), kind, 0) })
    }

    fn submit(&self) -> io::Result<()> {
        let mut result = 0;
        let flags = WER_SUBMIT_QUEUE;
        // SAFETY: our report, and a live local for the result.
        check_result(unsafe {
            (self.functions.submit)(self.handle, WerConsentNotAsked, flags, &raw mut result)
        })?;
        expect_taken(result)
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        // SAFETY: our own report, which is not used any more.
        unsafe { (self.functions.close)(self.handle) };
    }
}

/// Fails unless the report was queued or sent.
fn expect_taken(result: WER_SUBMIT_RESULT) -> io::Result<()> {
    #[expect(
        non_upper_case_globals,
        reason = "Microsoft's own names of the constants"
    )]
    match result {
        WerReportQueued | WerReportUploaded | WerReportAsync => Ok(()),
        WerDisabled | WerDisabledQueue => Err(io::Error::other("it is disabled")),
        other => Err(io::Error::other(format!(
            "it says {other} (WER_SUBMIT_RESULT)"
        ))),
    }
}

/// Puts as much of a text into a field as there is room for, with a NUL at the end.
fn put(field: &mut [u16], text: &str) {
    let room = field.len() - 1;
    let units = text.encode_utf16().take(room);
    field
        .iter_mut()
        .zip(units)
        .for_each(|(place, unit)| *place = unit);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n49_only_what_was_queued_or_sent_is_a_success() {
        for taken in [1, 2, 8] {
            assert!(expect_taken(taken).is_ok(), "{taken}");
        }
        for (result, said) in [(5, "disabled"), (7, "disabled"), (4, "4"), (6, "6")] {
            let told = expect_taken(result).expect_err("not taken").to_string();
            assert!(told.contains(said), "{told}");
        }
    }

    #[test]
    fn n49_a_text_that_is_too_long_is_cut_before_its_nul() {
        let mut field = [7; 4];
        put(&mut field[..], "abcdef");
        assert_eq!(field[..3], [97, 98, 99]);
    }
}
