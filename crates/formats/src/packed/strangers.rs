//! What the tools `xz` and `lz4` make is read. They are not there under Wine.

use super::tests::{all, file, shared};
use super::*;
use std::io::Read;

/// What the tool of that name makes of the content.
fn packed_by(tool: &str, arguments: &[&str], content: &[u8]) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    let mut command = std::process::Command::new(tool);
    let output = command.args(arguments).arg(file.path()).output();
    let output = output.unwrap_or_else(|error| panic!("{tool} is needed: {error}"));
    assert!(output.status.success(), "{tool}: {output:?}");
    output.stdout
}

#[test]
fn what_xz_and_lz4_compress_is_read_as_a_whole_and_as_far_as_it_goes() {
    let (_, content) = file();
    let several = ["--block-size=65536", "-T2", "-c"];
    for (tool, arguments, kind) in [
        ("xz", &["-9", "-c"][..], Packing::Xz),
        ("xz", &several, Packing::Xz),
        ("xz", &["-C", "none", "-c"], Packing::Xz),
        ("lz4", &["-c"], Packing::Lz4),
        ("lz4", &["-9", "-B4", "--content-size", "-c"], Packing::Lz4),
    ] {
        let packed = packed_by(tool, arguments, &content);
        assert_eq!(packing(&packed), Some(kind), "{tool} {arguments:?}");
        assert!(
            all(&packed, kind).unwrap() == content,
            "{tool} {arguments:?}"
        );
        assert_eq!(head(&packed, 100).unwrap(), content[..100]);
        let cut = &packed[..packed.len() / 2];
        assert!(all(cut, kind).is_err(), "{tool} {arguments:?}");
    }
}

#[test]
fn streams_of_xz_may_follow_each_other() {
    let one = packed_by("xz", &["-c"], b"one ");
    let two = packed_by("xz", &["-c"], b"two");
    let both = [&one[..], &[0; 8], &two].concat();
    assert_eq!(all(&both, Packing::Xz).unwrap(), b"one two");
}

#[test]
fn a_dictionary_that_is_too_large_is_refused() {
    let packed = packed_by("xz", &["--lzma2=dict=1GiB", "-c"], &[7; 4096]);
    let error = all(&packed, Packing::Xz).unwrap_err();
    assert_eq!(error.to_string(), "its dictionary is larger than 128 MiB");
}

#[test]
fn damaged_files_of_xz_and_lz4_fail_and_do_no_harm() {
    let (_, content) = file();
    let content = &content[..20_000];
    let kinds = [("xz", Packing::Xz), ("lz4", Packing::Lz4)];
    for (tool, kind) in kinds {
        let whole = packed_by(tool, &["-c"], content);
        for n in 0..1000usize {
            let mut broken = whole.clone();
            // Each byte of the head is changed, and others all over the file.
            let at = if n < 64 { n } else { n * 7919 } % broken.len();
            broken[at] ^= 1 << (n % 8);
            let mut read = Vec::new();
            let stream = unpacked(&shared(&broken), kind).unwrap();
            // It may be read nevertheless, but not be longer than the content by much.
            let _ = stream.take(1 << 20).read_to_end(&mut read);
            assert!(read.len() < 1 << 20, "{tool} {at}");
        }
    }
}
