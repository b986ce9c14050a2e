/// Linux's signals from 1 on, without `SIG`.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// Names that mean the same signal.
const ALIASES: [(&str, i32); 4] = [("IOT", 6), ("CLD", 17), ("POLL", 29), ("UNUSED", 31)];

/// The first real-time signal as glibc has it; it keeps 32 and 33 for itself.
const REAL_TIME: i32 = 34;
const LAST: i32 = 64;

/// The name of a Linux signal on x86 and ARM: `SIGSEGV`, `SIGRTMIN+3`; the number as text where it
/// has none.
pub fn signal_name(number: i32) -> String {
    match number {
        1..=31 => format!("SIG{}", NAMES[number as usize - 1]),
        REAL_TIME => "SIGRTMIN".to_owned(),
        35..=LAST => format!("SIGRTMIN+{}", number - REAL_TIME),
        other => other.to_string(),
    }
}

/// The number of a Linux signal, by name (with or without `SIG`, in any case) or as a number.
pub fn signal_number(name: &str) -> Option<i32> {
    if let Ok(number) = name.parse() {
        return (1..=LAST).contains(&number).then_some(number);
    }
    let upper = name.to_ascii_uppercase();
    let short = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(after) = short.strip_prefix("RTMIN") {
        return real_time(after);
    }
    let at = NAMES.iter().position(|&known| known == short);
    let alias = || ALIASES.iter().find(|(known, _)| *known == short);
    at.map(|at| at as i32 + 1)
        .or_else(|| alias().map(|(_, number)| *number))
}

fn real_time(after: &str) -> Option<i32> {
    let offset = match after {
        "" => 0,
        _ => after.strip_prefix('+')?.parse().ok()?,
    };
    (0..=LAST - REAL_TIME)
        .contains(&offset)
        .then_some(REAL_TIME + offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_name_that_means_it() {
        for number in 1..=LAST {
            assert_eq!(signal_number(&signal_name(number)), Some(number));
        }
        assert_eq!(signal_name(11), "SIGSEGV");
        assert_eq!(signal_number("usr1"), Some(10));
        assert_eq!(signal_number("SIGPOLL"), Some(29));
        assert_eq!(signal_number("SIGNONSENSE"), None);
        assert_eq!(signal_number("SIGRTMIN+99"), None);
        assert_eq!(signal_number("0"), None);
    }
}
