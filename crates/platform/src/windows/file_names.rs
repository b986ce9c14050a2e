//! Names that Windows does not take for the name of a file
//! (<https://learn.microsoft.com/windows/win32/fileio/naming-a-file>).

use std::io;

/// Checks the name of a file.
///
/// # Errors
/// If Windows takes it for a device, a stream, another folder, or another name.
pub(super) fn refuse_odd_name(name: &str) -> io::Result<()> {
    let stem = name.split('.').next().unwrap_or("").trim_end();
    let stem = stem.to_ascii_uppercase();
    let numbered = ["COM", "LPT"].iter().any(|start| {
        let rest = stem.strip_prefix(start).unwrap_or("");
        rest.chars().count() == 1 && rest.starts_with(|c| "0123456789¹²³".contains(c))
    });
    let device = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"].contains(&&stem[..]);
    let odd = name.contains(['/', '\\', ':', '*', '?', '"', '<', '>', '|', '\0']);
    if device || numbered || odd || name.is_empty() || name.ends_with(['.', ' ']) {
        let what = format!("\"{name}\" is no name for a file on Windows");
        return Err(io::Error::new(io::ErrorKind::InvalidFilename, what));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::refuse_odd_name;

    #[test]
    fn devices_streams_and_other_names_are_refused() {
        for name in [
            "nul", "CON.dmp", "com1.dmp", "a:b", "a.", "a ", "..\\x", "", "LPT9",
        ] {
            assert!(refuse_odd_name(name).is_err(), "{name:?}");
        }
        for name in [
            "x.dmp",
            "console.dmp",
            "com.dmp",
            "w3wp.exe_1.dmp",
            "компания.dmp",
        ] {
            assert!(refuse_odd_name(name).is_ok(), "{name:?}");
        }
    }
}
