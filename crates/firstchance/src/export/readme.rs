//! The text in a pack that tells its receiver how to open it.

use super::modules::{Packed, ROOT};
use crate::ui::console::quoted;
use formats::Dump;
use snapshot::{DumpFormat, OperatingSystem};
use std::fmt::Write as _;

/// The text for a pack with the dump `name`.
pub(super) fn text(name: &str, dump: &Dump, modules: &[Packed]) -> String {
    let process = &dump.snapshot.process;
    let mut text = format!(
        "A dump of {} (process {}), with its record (record.json), and its programs and libraries\n\
         below {ROOT}/; manifest.json tells which are verified, and which are missing.\n\
         Keep it secret: it contains whatever the process had in its memory.\n\n\
         To open it, in this folder:\n\n",
        shown(&process.name),
        process.key.pid
    );
    for line in commands(name, dump, modules) {
        let _ = writeln!(text, "    {line}");
    }
    let missing: Vec<&Packed> = modules.iter().filter(|m| m.missing.is_some()).collect();
    if !missing.is_empty() {
        text.push_str("\nMissing:\n\n");
    }
    for module in missing {
        let why = module.missing.as_deref().unwrap_or_default();
        let _ = writeln!(text, "    {}: {}", shown(&module.path), shown(why));
    }
    text
}

fn commands(name: &str, dump: &Dump, modules: &[Packed]) -> Vec<String> {
    let exe = &dump.snapshot.process.exe;
    let exe = modules.iter().find(|module| module.path == *exe);
    let exe = exe.and_then(|module| module.file.as_deref());
    let exe = exe.map(quoted).unwrap_or_default();
    let name = quoted(name);
    let is_linux = dump.snapshot.system.os == OperatingSystem::Linux;
    let inspect = format!("firstchance inspect {name}");
    match dump.format {
        DumpFormat::Core => vec![
            format!("gdb -iex 'set sysroot {ROOT}' {exe} {name}"),
            format!("lldb -O 'platform select --sysroot {ROOT} remote-linux' -c {name} {exe}"),
            inspect,
        ],
        DumpFormat::Minidump if is_linux => vec![inspect, format!("lldb -c {name} {exe}")],
        DumpFormat::Minidump => vec![
            format!("windbg -z {name} -i {ROOT}"),
            format!("lldb -c {name}"),
        ],
    }
}

fn shown(text: &str) -> String {
    crate::ui::console::plain(text)
}
