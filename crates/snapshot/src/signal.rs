//! Names of Linux's signals, with the numbers of x86 and 64-bit ARM (signal(7),
//! include/uapi/asm-generic/signal.h).

use std::borrow::Cow;

/// The standard signals from 1 on.
const NAMES: [&str; 31] = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

/// Second names of standard signals, without `SIG`.
const ALIASES: [(&str, i32); 4] = [("IOT", 6), ("CLD", 17), ("POLL", 29), ("UNUSED", 31)];

/// `SIGRTMIN` as glibc and musl give it to programs. The kernel's first real-time signal is 32; the
/// C libraries use those before `SIGRTMIN` for their threads.
const REAL_TIME_MIN: i32 = 34;
/// `SIGRTMAX`, the last signal there is.
const REAL_TIME_MAX: i32 = 64;

/// The name of a signal: `SIGSEGV`, `SIGRTMIN+2`; `SIG99` for a number without a name.
/// [`signal_number`] reads all of them.
pub fn signal_name(number: i32) -> Cow<'static, str> {
    const AFTER_MIN: i32 = REAL_TIME_MIN + 1;
    match number {
        1..=31 => NAMES[number as usize - 1].into(),
        REAL_TIME_MIN => "SIGRTMIN".into(),
        REAL_TIME_MAX => "SIGRTMAX".into(),
        AFTER_MIN..REAL_TIME_MAX => format!("SIGRTMIN+{}", number - REAL_TIME_MIN).into(),
        _ => format!("SIG{number}").into(),
    }
}

/// The number of a signal by its name, in any case and with or without `SIG`, or by its number as
/// text. `None` if there is no such signal.
pub fn signal_number(name: &str) -> Option<i32> {
    let upper = name.to_ascii_uppercase();
    let short = upper.strip_prefix("SIG").unwrap_or(&upper);
    let is_named = |known: &&str| known.strip_prefix("SIG") == Some(short);
    let standard = || Some(NAMES.iter().position(is_named)? as i32 + 1);
    let alias = || Some(ALIASES.iter().find(|(known, _)| *known == short)?.1);
    let number = || short.parse().ok();
    let found = standard().or_else(alias).or_else(|| real_time(short));
    let found = found.or_else(number)?;
    (1..=REAL_TIME_MAX).contains(&found).then_some(found)
}

/// `RTMIN`, `RTMIN+1`, `RTMAX`, `RTMAX-1` … as a number, which lies among the real-time signals.
fn real_time(short: &str) -> Option<i32> {
    let offset = |text: &str, sign| match text {
        "" => Some(0),
        _ => text.strip_prefix(sign)?.parse::<u8>().ok().map(i32::from),
    };
    let from_min = short.strip_prefix("RTMIN").map(|text| offset(text, '+'));
    let from_max = short.strip_prefix("RTMAX").map(|text| offset(text, '-'));
    let number = match (from_min, from_max) {
        (Some(after), _) => REAL_TIME_MIN + after?,
        (_, Some(before)) => REAL_TIME_MAX - before?,
        _ => return None,
    };
    (REAL_TIME_MIN..=REAL_TIME_MAX)
        .contains(&number)
        .then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_has_a_name_that_means_it() {
        for number in 1..=REAL_TIME_MAX {
            let name = signal_name(number);
            assert_eq!(signal_number(&name), Some(number), "{name}");
            assert_eq!(signal_number(&name[3..].to_lowercase()), Some(number));
        }
        for (number, name) in [
            (11, "SIGSEGV"),
            (33, "SIG33"),
            (35, "SIGRTMIN+1"),
            (99, "SIG99"),
        ] {
            assert_eq!(signal_name(number), name);
        }
    }

    #[test]
    fn names_are_read_in_every_form() {
        for (name, number) in [
            ("usr1", 10),
            ("SIGPOLL", 29),
            ("SIGIOT", 6),
            ("9", 9),
            ("SIGRTMIN+0", 34),
            ("rtmin+30", 64),
            ("RTMAX", 64),
            ("SIGRTMAX-1", 63),
        ] {
            assert_eq!(signal_number(name), Some(number), "{name}");
        }
        for none in [
            "SIGNONSENSE",
            "0",
            "65",
            "-1",
            "SIG",
            "",
            "SIGRTMIN+31",
            "RTMIN-1",
            "RTMAX-31",
            "RTMAX+1",
            "SIGSIGINT",
        ] {
            assert_eq!(signal_number(none), None, "{none}");
        }
    }
}
