//! Identity of programs and libraries, from files and from memory.

mod common;

use common::*;
use formats::image;
use snapshot::*;
use std::process::Command;

/// What `readelf -n` says of the build-id; `None` where there is no readelf.
fn readelf_build_id(path: &str) -> Option<String> {
    let output = Command::new("readelf").args(["-n", path]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let id = text.split("Build ID: ").nth(1)?;
    id.split_whitespace().next().map(str::to_owned)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn files_have_the_build_id_that_readelf_prints() {
    let own = std::env::current_exe().unwrap();
    let candidates = [own.to_str().unwrap(), "/bin/sh", "/usr/bin/env"];
    for path in candidates {
        let Ok(bytes) = std::fs::read(path) else {
            continue;
        };
        let identity = image::of_file(&bytes).unwrap();
        assert!(identity.size > 4096, "{path}");
        if let Some(want) = readelf_build_id(path) {
            assert_eq!(hex(&identity.build_id), want, "{path}");
        }
    }
}

/// Memory in which some bytes lie somewhere.
struct Loaded(Vec<(u64, Vec<u8>)>);

impl Memory for Loaded {
    fn read(&self, address: u64, buf: &mut [u8]) -> usize {
        let part = self.0.iter().find_map(|(start, bytes)| {
            let within = usize::try_from(address.checked_sub(*start)?).ok()?;
            bytes.get(within..).filter(|rest| !rest.is_empty())
        });
        let part = part.unwrap_or_default();
        let count = part.len().min(buf.len());
        buf[..count].copy_from_slice(&part[..count]);
        count
    }
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

const BASE: u64 = 0x7f00_0000_0000;
const MAP: u64 = 0x7f00_1000_0000;

fn segment(kind: u32, at: u64, size: u64) -> Vec<u8> {
    let head = [kind.to_le_bytes(), 4u32.to_le_bytes()].concat();
    [head, words(&[at, at, 0, size, size, 8])].concat()
}

/// A library at `BASE`: header, four segments, build-id, names, dynamic section.
fn library() -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    file.extend(3u16.to_le_bytes());
    file.extend(62u16.to_le_bytes());
    file.extend(1u32.to_le_bytes());
    file.extend(words(&[0, 64, 0]));
    file.extend(0u32.to_le_bytes());
    [64u16, 56, 4, 0, 0, 0]
        .into_iter()
        .for_each(|half| file.extend(half.to_le_bytes()));
    file.extend(segment(1, 0, 0x1000));
    file.extend(segment(2, 0x400, 0x60));
    file.extend(segment(4, 0x300, 20 + 4));
    file.extend(segment(6, 64, 4 * 56));
    file.resize(0x300, 0);
    file.extend([4u32, 8, 3].into_iter().flat_map(u32::to_le_bytes));
    file.extend(b"GNU\0\x11\x22\x33\x44\x55\x66\x77\x88");
    file.resize(0x380, 0);
    file.extend(b"\0libmade-up.so.3\0");
    file.resize(0x400, 0);
    // DT_SONAME, DT_STRTAB, DT_DEBUG, DT_NULL.
    file.extend(words(&[14, 1, 5, 0x380, 21, MAP, 0, 0]));
    file.resize(0x1000, 0);
    file
}

#[test]
fn an_image_in_memory_tells_its_build_id_and_soname() {
    let file = library();
    let identity = image::in_memory(&Loaded(vec![(BASE, file.clone())]), BASE).unwrap();
    assert_eq!(
        identity.build_id,
        [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88]
    );
    assert_eq!(identity.soname, "libmade-up.so.3");
    assert_eq!(identity.version, "3");
    assert_eq!(identity.size, 0x1000);
    assert_eq!(image::of_file(&file), Some(identity));
    assert_eq!(image::in_memory(&Pattern, BASE), None);
}

/// `r_debug` at `MAP`, and link_maps of which the last points back to the first.
#[test]
fn loader_ranges_hold_every_link_map_and_end_when_the_list_loops() {
    let name = MAP + 0x800;
    let maps = [
        words(&[1, MAP + 0x100, 0, 0, 0, 0]),
        vec![0; 0x100 - 48],
        words(&[0, name, BASE + 0x400, MAP + 0x200, 0]),
        vec![0; 0x100 - 40],
        words(&[BASE, name, BASE + 0x400, MAP + 0x100, MAP + 0x100]),
        vec![0; 0x600 - 40],
        b"/lib/libmade-up.so.3\0".to_vec(),
    ]
    .concat();
    let memory = Loaded(vec![(BASE, library()), (MAP, maps)]);
    let mut snapshot = two_threads();
    snapshot.process.auxv = vec![(3, BASE + 64), (5, 4)];
    snapshot.modules[0].range = Range::new(BASE, BASE + 0x1000);
    let ranges = image::loader_ranges(&snapshot, &memory, Detail::All);
    let holds = |start: u64, size: u64| {
        let want = Range::new(start, start + size);
        assert!(
            ranges.iter().any(|r| r.intersect(want) == Some(want)),
            "{want:x?} is not in {ranges:x?}"
        );
    };
    holds(MAP, 48);
    holds(MAP + 0x100, 40);
    holds(MAP + 0x200, 40);
    holds(name, 21);
    holds(BASE, 64 + 4 * 56);
    holds(BASE + 0x400, 0x60);
    holds(BASE + 0x300, 24);
    assert!(total_bytes(&ranges) < 2000);
}

#[test]
fn loader_ranges_of_a_process_without_a_loader_are_none() {
    let empty = Snapshot::default();
    assert_eq!(image::loader_ranges(&empty, &NoMemory, Detail::All), []);
    image::loader_ranges(&two_threads(), &Pattern, Detail::All);
}

/// A PE file with a CodeView record and a version resource.
fn pe() -> Vec<u8> {
    let mut file = b"MZ".to_vec();
    file.resize(0x3c, 0);
    file.extend(0x40u32.to_le_bytes());
    file.extend(b"PE\0\0");
    file.extend(0x8664u16.to_le_bytes());
    file.extend(1u16.to_le_bytes());
    file.extend(
        [0x6543_2100u32, 0, 0]
            .into_iter()
            .flat_map(u32::to_le_bytes),
    );
    file.extend(240u16.to_le_bytes());
    file.extend(0u16.to_le_bytes());
    let optional = file.len();
    file.resize(optional + 240, 0);
    let mut put = |at: usize, bytes: &[u8]| {
        file[optional + at..][..bytes.len()].copy_from_slice(bytes);
    };
    put(0, &0x20bu16.to_le_bytes());
    put(56, &0x9000u32.to_le_bytes());
    put(64, &0xabcdu32.to_le_bytes());
    put(108, &16u32.to_le_bytes());
    put(
        112 + 2 * 8,
        &[0x2000u32.to_le_bytes(), 0x100u32.to_le_bytes()].concat(),
    );
    put(
        112 + 6 * 8,
        &[0x2200u32.to_le_bytes(), 28u32.to_le_bytes()].concat(),
    );
    // One section: 0x2000..0x2400 from offset 0x200 on.
    file.extend(b".rdata\0\0");
    let section = [0x400u32, 0x2000, 0x400, 0x200, 0, 0, 0, 0];
    file.extend(section.into_iter().flat_map(u32::to_le_bytes));
    file.resize(0x200, 0);
    // Type 16, name 1, language 0x409, data.
    for (id, offset) in [(16u32, 0x8000_0018u32), (1, 0x8000_0030), (0x409, 0x48)] {
        file.extend([0u8; 12]);
        file.extend([0u16, 1].into_iter().flat_map(u16::to_le_bytes));
        file.extend([id, offset].into_iter().flat_map(u32::to_le_bytes));
    }
    file.extend([0x2080u32, 32, 0, 0].into_iter().flat_map(u32::to_le_bytes));
    file.resize(0x200 + 0x80, 0);
    let version = [0xfeef_04bdu32, 0x10000, 0x0001_0002, 0x0003_0004];
    file.extend(version.into_iter().flat_map(u32::to_le_bytes));
    file.resize(0x200 + 0x200, 0);
    let debug = [0u32, 0, 0, 2, 24 + 7, 0x2240, 0x440];
    file.extend(debug.into_iter().flat_map(u32::to_le_bytes));
    file.resize(0x200 + 0x240, 0);
    file.extend(b"RSDS0123456789abcdef\x05\0\0\0app.pdb\0");
    file.resize(0x600, 0);
    file
}

#[test]
fn a_pe_file_tells_its_pdb_and_version() {
    let identity = image::of_file(&pe()).unwrap();
    assert_eq!(identity.timestamp, 0x6543_2100);
    assert_eq!(identity.checksum, 0xabcd);
    assert_eq!(identity.size, 0x9000);
    assert_eq!(identity.version, "1.2.3.4");
    let codeview = identity.codeview.unwrap();
    assert_eq!((codeview.age, codeview.file.as_str()), (5, "app.pdb"));
    assert_eq!(&codeview.guid, b"0123456789abcdef");
}
