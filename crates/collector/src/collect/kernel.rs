//! The kernel dump beside a dump (ProcDump's `-mk`).

use super::names::without_packed;
use platform::{Existing, KernelDump, OutFile, Result};
use snapshot::Thread;
use std::path::{Path, PathBuf};

/// Takes a kernel dump of the threads of a captured process. What goes wrong, or lacks, becomes a warning.
pub(super) fn take(threads: &[Thread], warnings: &mut Vec<String>) -> Option<KernelDump> {
    let ids: Vec<u32> = threads.iter().map(|thread| thread.id).collect();
    match platform::kernel_dump(&ids) {
        Ok(dump) => {
            let (some, all) = (dump.threads, ids.len());
            if some < all {
                warnings.push(format!(
                    "the kernel dump has the stacks of {some} threads of {all}"
                ));
            }
            Some(dump)
        }
        Err(error) => {
            warnings.push(error.to_string());
            None
        }
    }
}

/// Writes a kernel dump beside the dump at `path`, as `NAME.Kernel.dmp`, with the same care. Returns its path.
///
/// # Errors
/// If it cannot be written. The dump itself is not concerned.
pub(super) fn write_beside(path: &Path, existing: Existing, dump: &KernelDump) -> Result<PathBuf> {
    let path = beside(path);
    let file = OutFile::create(&path, existing)?;
    let failed = |error: &std::io::Error| {
        platform::Error::of_file(&format!("writing {}", path.display()), error)
    };
    let size = dump.bytes.len() as u64;
    let written = file
        .set_len(size)
        .and_then(|()| file.write_at(0, &dump.bytes))
        .and_then(|()| file.sync());
    written.map_err(|error| failed(&error))?;
    file.publish()
}

fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let plain = without_packed(&name);
    let stem = plain.strip_suffix(".dmp").unwrap_or(plain);
    path.with_file_name(format!("{stem}.Kernel.dmp"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n49_a_kernel_dump_is_written_beside_the_dump_and_replaces_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let dump = KernelDump {
            bytes: b"PAGEDU64 and so on".to_vec(),
            threads: 3,
        };
        let path = folder.path().join("a b.dmp");
        for name in ["a b.Kernel.dmp", "a b.Kernel-1.dmp"] {
            let written = write_beside(&path, Existing::NextName, &dump).expect("written");
            assert_eq!(written, folder.path().join(name));
            assert_eq!(std::fs::read(written).expect("readable"), dump.bytes);
        }
        let missing = folder.path().join("no folder").join("x.dmp");
        assert!(write_beside(&missing, Existing::NextName, &dump).is_err());
        assert_eq!(
            beside(Path::new("/d/x.dmp.zst")),
            Path::new("/d/x.Kernel.dmp")
        );
        assert_eq!(
            beside(Path::new("/d/x.core")),
            Path::new("/d/x.core.Kernel.dmp")
        );
    }
}
