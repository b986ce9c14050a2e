use super::*;
use crate::FileBytes;
use std::{io::Read, sync::Arc};

/// Three frames, the second one stored, and their table; and their content.
pub(super) fn file() -> (Vec<u8>, Vec<u8>) {
    let text = |seed: u32| -> Vec<u8> {
        let words = (0..40_000u32).flat_map(|n| (n * seed / 7).to_le_bytes());
        words.collect()
    };
    let parts = [text(3), vec![7; 8192], text(5)];
    let mut writer = FrameWriter::new(1).unwrap();
    let (mut file, mut table) = (Vec::new(), SeekTable::default());
    for (at, part) in parts.iter().enumerate() {
        let frame = match at {
            1 => stored(part).0,
            _ => writer.frame(part).unwrap(),
        };
        table.add(frame.len(), part.len()).unwrap();
        file.extend(frame);
    }
    file.extend(table.into_bytes().unwrap());
    (file, parts.concat())
}

pub(super) fn shared(file: &[u8]) -> FileBytes {
    Arc::new(file.to_vec())
}

pub(super) fn all(file: &[u8], packing: Packing) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    unpacked(&shared(file), packing)?.read_to_end(&mut content)?;
    Ok(content)
}

#[test]
fn what_is_written_is_read_in_any_part_and_as_a_whole() {
    let (file, content) = file();
    assert_eq!(packing(&file), Some(Packing::Zstd));
    let seekable = Seekable::open(&shared(&file)).expect("seekable");
    assert_eq!(seekable.len(), content.len() as u64);
    for at in [0, 1, 159_999, 160_000, 168_191, 168_192, content.len() - 1] {
        let mut part = vec![0; 9000.min(content.len() - at)];
        assert_eq!(seekable.read_at(at as u64, &mut part), part.len());
        assert_eq!(part, content[at..at + part.len()], "{at}");
    }
    assert_eq!(seekable.read_at(content.len() as u64, &mut [0; 9]), 0);
    assert_eq!(seekable.trouble(), None);
    assert_eq!(all(&file, Packing::Zstd).unwrap(), content);
    assert_eq!(head(&file[..file.len() / 2], 100).unwrap(), content[..100]);
    assert_eq!(head(b"\x7fELF and so on", 100), None);
}

#[test]
fn a_stored_frame_is_changed_in_the_file() {
    let (mut file, mut content) = file();
    let place = |file: &[u8], at, len| Seekable::open(&shared(file)).unwrap().stored_at(at, len);
    let at = place(&file, 160_000, 8192).expect("it is stored") as usize;
    file[at..at + 5].copy_from_slice(b"hello");
    content[160_000..160_005].copy_from_slice(b"hello");
    assert_eq!(all(&file, Packing::Zstd).unwrap(), content);
    for (at, len) in [(0, 160_000), (160_000, 8191), (160_001, 8191), (1 << 40, 1)] {
        assert_eq!(place(&file, at, len), None, "{at}");
    }
}

#[test]
fn a_damaged_frame_is_told_and_others_are_read() {
    let (mut file, content) = file();
    file[200] ^= 0xFF;
    let seekable = Seekable::open(&shared(&file)).expect("the table is whole");
    let mut part = [1; 100];
    assert_eq!(seekable.read_at(0, &mut part), 0);
    let trouble = seekable.trouble().expect("trouble");
    assert!(trouble.contains("bytes 0 to 160000"), "{trouble}");
    assert_eq!(seekable.read_at(160_000, &mut part), 100);
    assert_eq!(part, content[160_000..160_100]);
    assert!(all(&file, Packing::Zstd).is_err());
}

/// The table says what it wants: such a file is read from its beginning, or not at all.
#[test]
fn tables_that_lie_are_not_believed() {
    let (file, _) = file();
    let table = file.len() - (17 + 3 * 8);
    let changed = |at: usize, value: u32| {
        let mut file = file.clone();
        file[at..at + 4].copy_from_slice(&value.to_le_bytes());
        Seekable::open(&shared(&file)).map(|seekable| {
            let mut part = vec![0; 1 << 20];
            let got = seekable.read_at(0, &mut part);
            (got, seekable.trouble().is_some())
        })
    };
    let count = file.len() - 9;
    for frames in [0, 2, 4, 1 << 20, 1 << 27, u32::MAX] {
        assert_eq!(changed(count, frames), None, "{frames} frames");
    }
    // The length of the first frame, and that of its content.
    for len in [0, 1, u32::MAX] {
        assert_eq!(changed(table + 8, len), None, "{len}");
    }
    assert_eq!(changed(table + 12, u32::MAX), None);
    assert_eq!(changed(table + 12, 8 << 20), Some((0, true)));
    assert_eq!(changed(table + 12, 159_999), Some((0, true)));
}

#[test]
fn a_file_that_is_cut_gives_what_it_has() {
    let (file, content) = file();
    for cut in (0..file.len()).step_by(997) {
        let part = &file[..cut];
        assert!(Seekable::open(&shared(part)).is_none(), "{cut}");
        let got = head(part, u64::MAX).unwrap_or_default();
        assert!(content.starts_with(&got), "{cut}");
    }
}

/// A window of 2 GiB is refused before anything of it is set aside (RFC 8878, 3.1.1.1.2).
#[test]
fn a_huge_window_is_refused() {
    let mut frame = ZSTD.to_le_bytes().to_vec();
    frame.extend([0, 21 << 3, 1, 0, 0]);
    let error = all(&frame, Packing::Zstd).expect_err("too large");
    assert!(error.to_string().contains("memory"), "{error}");
}

#[test]
fn gzip_is_read_with_all_its_members() {
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write as _;
    let member = |text: &[u8]| {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(text).unwrap();
        gzip.finish().unwrap()
    };
    let file = [member(b"one "), member(b"two")].concat();
    assert_eq!(packing(&file), Some(Packing::Gzip));
    assert_eq!(all(&file, Packing::Gzip).unwrap(), b"one two");
    assert!(all(&file[..file.len() - 3], Packing::Gzip).is_err());
}
