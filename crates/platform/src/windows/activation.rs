//! Starts applications of the Store, which only the system can start
//! (<https://learn.microsoft.com/windows/win32/api/shobjidl_core/nf-shobjidl_core-iapplicationactivationmanager-activateapplication>).
//!
//! windows-sys has no interfaces of COM, so that the one that is needed stands here with its functions, in the order in
//! which `shobjidl_core.h` has them.

use super::sys::{check_result, function, wide};
use crate::{Error, ErrorKind, Result};
use std::{io, ptr::null_mut, thread};
use windows_sys::core::{GUID, HRESULT, PCWSTR};

/// The class `ApplicationActivationManager`, and its interface `IApplicationActivationManager`.
const CLASS: GUID = GUID::from_u128(0x45ba_127d_10a8_46ea_8ab7_56ea_9078_943c);
const INTERFACE: GUID = GUID::from_u128(0x2e94_1141_7f97_4756_ba1d_9dec_de89_4a3d);
/// `CLSCTX_INPROC_SERVER | CLSCTX_LOCAL_SERVER`: in this process or in another of this machine.
const CONTEXT: u32 = 1 | 4;
/// `COINIT_APARTMENTTHREADED`, as in Microsoft's examples.
const APARTMENT: u32 = 2;
/// `AO_NONE`.
const NO_OPTIONS: i32 = 0;
/// `REGDB_E_CLASSNOTREG`.
const NO_SUCH_CLASS: HRESULT = 0x8004_0154_u32.cast_signed();

/// Starts the application with this id, and returns its pid.
///
/// # Errors
/// If this Windows has no Store applications, or this one cannot be started.
pub(crate) fn activate(application: &str, arguments: &[String]) -> Result<u32> {
    let (id, line) = (application.to_owned(), joined(arguments));
    // COM belongs to threads: this one ends with it.
    let activated = thread::spawn(move || in_apartment(&id, &line)).join();
    let lost = || Err(io::Error::other("its thread failed"));
    activated.unwrap_or_else(|_| lost()).map_err(|error| {
        let why = match error.raw_os_error() {
            Some(NO_SUCH_CLASS) => "this Windows has no Store applications".to_owned(),
            _ => error.to_string(),
        };
        let what = format!("starting the Store application {application} failed: {why}");
        Error::new(ErrorKind::Other, what)
    })
}

fn in_apartment(application: &str, arguments: &str) -> io::Result<u32> {
    let functions = Functions::load().ok_or(io::ErrorKind::Unsupported)?;
    // SAFETY: the reserved argument is null; the call is undone below, in the same thread.
    check_result(unsafe { (functions.enter)(null_mut(), APARTMENT) })?;
    let pid = Manager::create(&functions).and_then(|manager| manager.start(application, arguments));
    // SAFETY: this thread has entered, and every interface is released.
    unsafe { (functions.leave)() };
    pid
}

/// What is needed of `ole32.dll`.
struct Functions {
    enter: unsafe extern "system" fn(*mut core::ffi::c_void, u32) -> HRESULT,
    create: unsafe extern "system" fn(
        *const GUID,
        *mut core::ffi::c_void,
        u32,
        *const GUID,
        *mut *mut Interface,
    ) -> HRESULT,
    leave: unsafe extern "system" fn(),
}

impl Functions {
    /// Loads the functions; `None` if this Windows does not have them.
    fn load() -> Option<Self> {
        const LIBRARY: &str = "ole32.dll";
        // SAFETY: the types are those of the documented functions.
        unsafe {
            Some(Self {
                enter: function(LIBRARY, c"CoInitializeEx")?,
                create: function(LIBRARY, c"CoCreateInstance")?,
                leave: function(LIBRARY, c"CoUninitialize")?,
            })
        }
    }
}

/// An object of the class: a pointer to its functions.
#[repr(C)]
struct Interface {
    functions: *const Table,
}

/// The first functions of `IApplicationActivationManager`, which are those of `IUnknown` and one more.
#[repr(C)]
struct Table {
    query: usize,
    add_reference: usize,
    release: unsafe extern "system" fn(*mut Interface) -> u32,
    activate: unsafe extern "system" fn(*mut Interface, PCWSTR, PCWSTR, i32, *mut u32) -> HRESULT,
}

/// Our reference to an object, which is released when it is dropped.
struct Manager(*mut Interface);

impl Manager {
    fn create(functions: &Functions) -> io::Result<Self> {
        let mut object = null_mut();
        // SAFETY: the identifiers are constants, and the place for the object is a live local.
        check_result(unsafe {
            (functions.create)(&CLASS, null_mut(), CONTEXT, &INTERFACE, &raw mut object)
        })?;
        match object.is_null() {
            true => Err(io::Error::other("it gave no object")),
            false => Ok(Self(object)),
        }
    }

    fn start(&self, application: &str, arguments: &str) -> io::Result<u32> {
        let (id, line, mut pid) = (wide(application), wide(arguments), 0);
        // SAFETY: the object is ours, and has the interface that was asked for; the texts end with a NUL, and the place for
        // the pid is a live local.
        check_result(unsafe {
            let activate = (*(*self.0).functions).activate;
            activate(self.0, id.as_ptr(), line.as_ptr(), NO_OPTIONS, &raw mut pid)
        })?;
        match pid {
            0 => Err(io::Error::other("it told no process")),
            pid => Ok(pid),
        }
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        // SAFETY: our own reference, which is not used any more.
        unsafe { ((*(*self.0).functions).release)(self.0) };
    }
}

/// The arguments in one line, from which the C runtime takes them apart again (Microsoft's "Parsing C command-line
/// arguments").
fn joined(arguments: &[String]) -> String {
    let quoted: Vec<String> = arguments.iter().map(|argument| quoted(argument)).collect();
    quoted.join(" ")
}

fn quoted(argument: &str) -> String {
    if !argument.is_empty() && !argument.contains([' ', '\t', '"']) {
        return argument.to_owned();
    }
    let mut text = String::from("\"");
    let mut backslashes = 0;
    for letter in argument.chars() {
        if letter == '"' {
            text.extend(std::iter::repeat_n('\\', backslashes + 1));
        }
        backslashes = if letter == '\\' { backslashes + 1 } else { 0 };
        text.push(letter);
    }
    text.extend(std::iter::repeat_n('\\', backslashes));
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::joined;
    use crate::windows::peb::split_command_line;

    #[test]
    fn n49_arguments_come_apart_as_they_were() {
        let arguments = [
            "",
            "a",
            "b c",
            r#"say "x" \"#,
            r"C:\a b\",
            r"\\",
            r#"\""#,
            "\t",
        ];
        let arguments = arguments.map(str::to_owned);
        let line = format!("program {}", joined(&arguments));
        assert_eq!(split_command_line(&line)[1..], arguments);
        assert_eq!(joined(&[]), "");
    }
}
