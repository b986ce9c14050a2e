//! Expands the core pattern (core(5)) of the handler that was registered before us, to pass a crash
//! on to it.

use super::call::Call;
use std::path::PathBuf;

/// The program that a core pattern names, and its arguments with all `%` letters replaced. Returns
/// `None` if the pattern is a file name.
pub(super) fn expand(pattern: &str, call: &Call, facts: &Facts) -> Option<(PathBuf, Vec<Vec<u8>>)> {
    let mut words = pattern.strip_prefix('|')?.split_ascii_whitespace();
    let program = words.next()?.into();
    let arguments = words.map(|word| expand_word(word, call, facts));
    Some((program, arguments.collect()))
}

/// Values of letters that are not on our own command line.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// The pid in the process's own pid namespace.
    pub(super) inner_pid: u32,
    pub(super) comm: String,
    pub(super) exe: String,
    pub(super) host: String,
}

/// Expands one argument. Each is expanded by itself, so that no text of the crashed process can add
/// an argument.
fn expand_word(word: &str, call: &Call, facts: &Facts) -> Vec<u8> {
    let mut out = String::new();
    let mut letters = word.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '%' => out.push_str(&meaning(letters.next(), call, facts)),
            other => out.push(other),
        }
    }
    out.into_bytes()
}

fn meaning(letter: Option<char>, call: &Call, facts: &Facts) -> String {
    let plain = |text: &str| text.replace('/', "!");
    match letter {
        Some('%') => "%".to_owned(),
        Some('P') => call.pid.to_string(),
        Some('p') => facts.inner_pid.to_string(),
        Some('I' | 'i') => call.thread.to_string(),
        Some('s') => call.signal.to_string(),
        Some('u') => call.uid.to_string(),
        Some('g') => call.gid.to_string(),
        Some('d') => call.dumpable.to_string(),
        Some('c') => call.limit.clone(),
        Some('t') => call.time.to_string(),
        Some('F') => call.descriptor.map(|fd| fd.to_string()).unwrap_or_default(),
        Some('h') => plain(&facts.host),
        Some('e' | 'f') => plain(&facts.comm),
        Some('E') => plain(&facts.exe),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e1_hostile_names_stay_one_argument() {
        let call = Call::parse(&["7", "8", "11", "0", "0", "1", "0", "5", "3"].map(str::to_owned));
        let facts = Facts {
            inner_pid: 1,
            comm: "a b/../%p".to_owned(),
            ..Facts::default()
        };
        let (program, arguments) =
            expand("|/lib/x %P %p %s %e --f=%F %%", &call.unwrap(), &facts).unwrap();
        let texts: Vec<String> = arguments
            .into_iter()
            .map(|argument| String::from_utf8(argument).unwrap())
            .collect();
        assert_eq!(program, PathBuf::from("/lib/x"));
        assert_eq!(texts, ["7", "1", "11", "a b!..!%p", "--f=3", "%"]);
        assert_eq!(expand("core.%p", &Call::default(), &facts), None);
    }
}
