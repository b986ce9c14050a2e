//! Crash signatures: crashes with the same one are likely to have the same cause.

use crate::stack::Frame;
use snapshot::{Exception, OperatingSystem};

/// The number of frames in a signature.
const FRAMES: usize = 5;

/// The crash signature of a thread with these frames: the signal (Linux) or the exception code (Windows), and the innermost
/// meaningful frames, each as module and offset: `SIGSEGV app+0x1136 libc.so.6+0x27249`. Methods of Java have their names.
///
/// A program that ends itself is still in the functions for that, and they are the same for all of its crashes: they are left out.
pub fn signature(exception: &Exception, os: OperatingSystem, frames: &[Frame]) -> String {
    let code = match os {
        // What a language throws has no number.
        _ if exception.code == 0 => exception.name.clone(),
        OperatingSystem::Linux | OperatingSystem::Foreign(_) => {
            snapshot::signal_name(exception.code as i32).into_owned()
        }
        OperatingSystem::Windows => format!("{:08X}", exception.code),
    };
    let frames = meaningful(exception.code, frames).iter();
    let places = frames.flat_map(places).take(FRAMES);
    code + &places.collect::<String>()
}

/// The places of a frame. Code that was made at run time is nowhere else the next time; the names of its methods stay, but for the
/// address in those of classes that were made at run time (`Shop$$Lambda/0x0000700001000a00.run`).
fn places(frame: &Frame) -> Vec<String> {
    let without_address = |name: &str| match name.split_once("/0x") {
        Some((class, rest)) => {
            let method = rest.rsplit_once('.').map_or("", |(_, method)| method);
            format!(" {class}.{method}")
        }
        None => format!(" {name}"),
    };
    match (&frame.module, &frame.language[..]) {
        (Some(module), _) => vec![format!(" {module}+{:#x}", frame.offset)],
        (None, []) => vec![" ?".to_owned()],
        (None, methods) => methods
            .iter()
            .map(|method| without_address(&method.function))
            .collect(),
    }
}

/// The frames from the one on that did what the exception is about.
pub(super) fn meaningful(code: u32, frames: &[Frame]) -> &[Frame] {
    let is_sent = frames.first().is_some_and(sends);
    let ends = ENDS.contains(&code);
    if !ends && !is_sent {
        return frames;
    }
    // A handler that sends the signal again, or aborts, does it for what it interrupted.
    let handler = frames.iter().position(|frame| frame.is_signal_frame);
    let frames = &frames[handler.map_or(0, |at| at + 1)..];
    if !ends {
        return frames;
    }
    let first = frames.iter().position(|frame| !is_of_runtime(frame));
    // What a thread of C++ begins with is called as the library's, and is made of the program's own code.
    let first = first.or_else(|| frames.iter().position(|frame| !is_in_library(frame)));
    &frames[first.unwrap_or(0)..]
}

/// Whether a frame sends a signal to its own thread.
fn sends(frame: &Frame) -> bool {
    let name = frame.symbol.as_ref().map_or("", |symbol| &symbol.name[..]);
    let function = name.rsplit('.').next().unwrap_or_default();
    SENDERS.iter().any(|sender| function.contains(sender))
}

/// How functions are called that send a signal, also in other C libraries and in Go.
const SENDERS: [&str; 4] = ["kill", "raise", "gsignal", "__restore_sigs"];

/// What a language throws; SIGABRT; and Windows' codes for what programs raise themselves: fast fail, heap corruption, exceptions of GCC, .NET and Visual
/// C++.
const ENDS: [u32; 7] = [
    0,
    6,
    0xC000_0409,
    0xC000_0374,
    0x2047_4343,
    0xE043_4352,
    0xE06D_7363,
];

/// Whether a frame is of the standard libraries, or of those functions by which a program ends itself: what it does there, it does for
/// a caller.
pub fn is_of_runtime(frame: &Frame) -> bool {
    let name = frame.symbol.as_ref().map_or("", |symbol| &symbol.name[..]);
    // A compiler adds `.constprop.0` to what it has made of a function.
    let function = name.split('.').next().unwrap_or_default();
    is_in_library(frame)
        || FUNCTIONS.contains(&function)
        || BEGINS.iter().any(|begin| name.starts_with(begin))
}

/// Whether a frame is in a file of the standard libraries.
fn is_in_library(frame: &Frame) -> bool {
    let module = frame.module.as_deref().unwrap_or_default();
    let module = module.to_ascii_lowercase();
    LIBRARIES.iter().any(|begin| module.starts_with(begin))
}

/// How the names of the libraries begin.
const LIBRARIES: &[&str] = &[
    "libc.so",
    "libc-2.",
    "libpthread",
    "libstdc++",
    "libc++",
    "libgcc_s",
    "ld-musl-",
    "ntdll",
    "kernelbase",
    "kernel32",
    "ucrtbase",
    "msvcrt",
    "vcruntime",
    "msvcp",
];

/// Functions in programs that have these libraries within themselves.
const FUNCTIONS: &[&str] = &[
    "abort",
    "raise",
    "gsignal",
    "__restore_sigs",
    "pthread_kill",
    "__pthread_kill",
    "__pthread_kill_implementation",
    "__pthread_kill_internal",
    "__assert_fail",
    "__assert_fail_base",
    "__libc_message",
    "malloc_printerr",
    "_int_free",
    "free",
    "__libc_free",
    "__fortify_fail",
    "__stack_chk_fail",
    "_Unwind_Resume",
    "__cxa_throw",
    "__cxa_rethrow",
    "__gxx_personality_v0",
    "rust_panic",
    "__rust_start_panic",
    "rust_begin_unwind",
    "__rust_abort",
    "panic_abort",
];

/// How the names of others begin: of the standard libraries of C++ and Rust, and Go's runtime.
const BEGINS: &[&str] = &[
    "std::",
    "core::",
    "alloc::",
    "__rustc::",
    "__rust_",
    "panic_abort::",
    "__cxxabiv1::",
    "__gnu_cxx::",
    "runtime.",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{How, Symbol};

    fn frame(module: &str, name: &str) -> Frame {
        Frame {
            ip: 0x10,
            sp: 0,
            module: Some(module.to_owned()),
            offset: 0x10,
            symbol: Some(Symbol {
                name: name.to_owned(),
                offset: 0,
            }),
            how: How::Cfi,
            is_signal_frame: name.is_empty(),
            language: Vec::new(),
        }
    }

    fn of(code: u32, frames: &[(&str, &str)]) -> String {
        let frames: Vec<Frame> = frames
            .iter()
            .map(|(module, name)| frame(module, name))
            .collect();
        let exception = Exception {
            code,
            ..Exception::default()
        };
        signature(&exception, OperatingSystem::Linux, &frames)
    }

    #[test]
    fn what_ends_a_program_is_left_out_and_what_faults_is_not() {
        let abort = [
            ("libc.so.6", "raise"),
            ("libc.so.6", "abort"),
            ("app", "pay"),
            ("app", "main"),
        ];
        assert_eq!(of(6, &abort), "SIGABRT app+0x10 app+0x10");
        assert_eq!(of(6, &abort[..2]), "SIGABRT libc.so.6+0x10 libc.so.6+0x10");
        let copy = [("libc.so.6", "memcpy"), ("app", "pay")];
        assert_eq!(of(11, &copy), "SIGSEGV libc.so.6+0x10 app+0x10");
        let handled = [
            ("libc.so.6", "raise"),
            ("app", "handler"),
            ("libc.so.6", ""),
            ("app", "pay"),
        ];
        assert_eq!(of(11, &handled), "SIGSEGV app+0x10");
        let of_handler = &handled[1..];
        let all = "SIGSEGV app+0x10 libc.so.6+0x10 app+0x10";
        assert_eq!(of(11, of_handler), all, "the handler itself faults");
        let of_thread = [
            ("libc.so.6", "abort"),
            ("libstdc++.so.6", "__cxa_throw"),
            (
                "app",
                "std::thread::_State_impl<main::{lambda()#1}>::_M_run()",
            ),
            ("libstdc++.so.6", "execute_native_thread_routine"),
        ];
        assert!(
            of(6, &of_thread).starts_with("SIGABRT app+0x10 "),
            "{}",
            of(6, &of_thread)
        );
        assert_eq!(
            of(
                6,
                &[
                    ("app", "rust_panic"),
                    ("app", "core::panicking::panic_fmt"),
                    ("app", "app::pay")
                ]
            ),
            "SIGABRT app+0x10"
        );
    }
}
