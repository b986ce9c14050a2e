//! The extended registers of every kind of processor, on whatever processor the tests run.

mod common;

use common::processors::*;
use common::*;
use snapshot::*;

/// Where the standard layout has the components, by Intel's manual, written down once more.
const STANDARD: [(u32, usize); 10] = [
    (2, 576),
    (3, 960),
    (4, 1024),
    (5, 1088),
    (6, 1152),
    (7, 1664),
    (9, 2688),
    (17, 2752),
    (18, 2816),
    (19, 960),
];
const NT_X86_XSTATE: u32 = 0x202;
const NT_X86_SHSTK: u32 = 0x204;
const NT_X86_XSAVE_LAYOUT: u32 = 0x205;
const NT_MORE_REGISTERS: u32 = 0x4643_0003;

fn size_of_component(number: u32) -> u32 {
    xsave::standard(number).unwrap().size
}

fn standard_offset(number: u32) -> usize {
    STANDARD.iter().find(|place| place.0 == number).unwrap().1
}

#[test]
fn every_processors_registers_lie_where_intels_manual_has_them() {
    for processor in PROCESSORS {
        let name = processor.name;
        let area = processor.layout().to_standard(&processor.area());
        assert_eq!(area[..464], processor.area()[..464], "{name}: x87 and SSE");
        assert_eq!(word(&area, 464), processor.xcr0, "{name}: XCR0");
        assert_eq!(word(&area, 512), processor.xcr0, "{name}: XSTATE_BV");
        assert_eq!(word(&area, 520), 0, "{name}: XCOMP_BV, not compact");
        for number in processor.components() {
            let want = contents(number, size_of_component(number));
            let got = &area[standard_offset(number)..][..want.len()];
            assert_eq!(got, want, "{name}: component {number}");
        }
    }
}

/// As the kernel's own cores had it before Linux 6.12, and as gcore has it on every processor.
#[test]
fn a_core_that_tells_no_layout_is_read_by_the_size_of_its_areas() {
    for processor in PROCESSORS {
        let want = processor.layout().to_standard(&processor.area());
        let core = core_of_another_writer(&processor.area(), None);
        assert_eq!(extended(&core), want, "{}", processor.name);
        // gcore writes the standard layout for the same components, with gdb's length.
        let gcores = &want[..want.len().min(processor.size_for_gdb)];
        let got = extended(&core_of_another_writer(gcores, None));
        assert_eq!(got[576..gcores.len()], gcores[576..], "{}", processor.name);
    }
}

/// As Linux 6.12 and newer write them.
#[test]
fn a_core_that_tells_its_layout_is_read_by_it() {
    // No size tells this one: AVX-512 without AVX-512's masks, in places of its own.
    let layout = [(2, 576, 256), (6, 2000, 512), (9, 900, 8)];
    let mut area = vec![0; 2600];
    area[464..472].copy_from_slice(&0x247u64.to_le_bytes());
    area[512..520].copy_from_slice(&0x247u64.to_le_bytes());
    for (number, offset, size) in layout {
        area[offset as usize..][..size as usize].copy_from_slice(&contents(number, size));
    }
    let told = layout.map(|(number, offset, size)| [number, size, offset, 0].map(u32::to_le_bytes));
    let core = core_of_another_writer(&area, Some(told.as_flattened().as_flattened()));
    let got = extended(&core);
    for (number, _, size) in layout {
        let got = &got[standard_offset(number)..][..size as usize];
        assert_eq!(got, contents(number, size), "component {number}");
    }
}

/// The handler of crashes reads the kernel's notes as they come, and knows the layout before.
#[test]
fn the_notes_of_the_kernels_core_are_read_by_the_processors_layout() {
    for processor in PROCESSORS {
        let core = core_of_another_writer(&processor.area(), None);
        let keep = Box::new(SparseBytes::new);
        let mut reader = formats::NoteReader::new(&core, processor.layout(), keep).unwrap();
        reader.feed(&core[120..]);
        let thread = reader.done().threads.remove(0);
        let want = processor.layout().to_standard(&processor.area());
        assert_eq!(thread.extended.to_vec(), want, "{}", processor.name);
    }
}

#[test]
fn what_is_written_of_every_processor_is_as_long_as_gdb_wants_it_and_described() {
    for processor in PROCESSORS {
        let name = processor.name;
        let core = core_of(&processor, None);
        let notes = notes(&core);
        let xstate = find(&notes, NT_X86_XSTATE).unwrap();
        assert_eq!(xstate.len(), processor.size_for_gdb, "{name}");
        let described = find(&notes, NT_X86_XSAVE_LAYOUT).unwrap_or_default();
        let mut mask = 3;
        for entry in described.as_chunks::<16>().0 {
            let words = entry.as_chunks().0.iter().copied().map(u32::from_le_bytes);
            let words: Vec<usize> = words.map(|word| word as usize).collect();
            let (number, size, offset) = (words[0] as u32, words[1], words[2]);
            mask |= 1u64 << number;
            assert_eq!(words[3], 0, "{name}: flags");
            assert_eq!(offset, standard_offset(number), "{name}");
            let want = contents(number, size as u32);
            assert_eq!(xstate[offset..][..size], want, "{name}: {number}");
        }
        assert_eq!(word(xstate, 464), mask, "{name}: XCR0");
        assert_eq!(word(xstate, 512), mask, "{name}: XSTATE_BV");
        let elsewhere = processor.xcr0 & !mask;
        assert!(elsewhere & !(1 << 17 | 1 << 18) == 0, "{name}: all but AMX");
    }
}

#[test]
fn amx_is_written_and_read_byte_by_byte() {
    let amx = |p: &Processor| p.xcr0 & 1 << 18 != 0;
    for processor in PROCESSORS.into_iter().filter(amx) {
        let core = core_of(&processor, None);
        let notes = notes(&core);
        let more = find(&notes, NT_MORE_REGISTERS).unwrap();
        let mut want = processor.xcr0.to_le_bytes().to_vec();
        for (number, size) in [(17u32, 64u32), (18, 8192)] {
            want.extend(number.to_le_bytes());
            want.extend(size.to_le_bytes());
            want.extend(contents(number, size));
        }
        assert_eq!(more, want, "{}", processor.name);
        let got = extended(&core);
        assert_eq!(got.len(), 11_008);
        assert_eq!(got[2752..2816], contents(17, 64));
        assert_eq!(got[2816..], contents(18, 8192));
    }
}

/// The tiles of most threads are in their initial state, and take no room in the file.
#[test]
fn amx_that_is_not_in_use_takes_no_room_and_comes_back_as_zeros() {
    let processor = &PROCESSORS[9];
    let mut area = processor.area();
    let in_use = processor.xcr0 & !(3 << 17);
    area[512..520].copy_from_slice(&in_use.to_le_bytes());
    area[2752..].fill(0);
    let core = core_of_area(&area);
    let notes = notes(&core);
    assert_eq!(
        find(&notes, NT_MORE_REGISTERS).unwrap(),
        processor.xcr0.to_le_bytes()
    );
    assert_eq!(extended(&core), area);
}

#[test]
fn a_shadow_stacks_pointer_is_written_as_the_kernel_does_and_read() {
    const POINTER: u64 = 0x7fff_f7bf_ffd8;
    let processor = &PROCESSORS[8];
    let core = core_of(processor, Some([1, POINTER]));
    let notes = notes(&core);
    assert_eq!(find(&notes, NT_X86_SHSTK).unwrap(), POINTER.to_le_bytes());
    let got = extended(&core);
    let registers = xsave::get(&got, xsave::SHADOW_STACK).unwrap();
    assert_eq!((word(registers, 0), word(registers, 8)), (1, POINTER));
    assert_eq!(word(&got, 464), processor.xcr0 | 1 << 11);
    // A core of the kernel has no more than the pointer.
    let mut area = note(NT_X86_XSTATE, "LINUX", &processor.area());
    area.extend(note(NT_X86_SHSTK, "LINUX", &POINTER.to_le_bytes()));
    assert_eq!(extended(&core_with(&area)), got);
}

#[test]
fn both_formats_give_back_every_processors_registers() {
    for processor in PROCESSORS {
        for shadow_stack in [None, Some([1, 0x7fff_0000])] {
            let snapshot = snapshot_of(&processor, shadow_stack);
            for format in [DumpFormat::Core, DumpFormat::Minidump] {
                let file = write(format, &snapshot, &everything(&snapshot));
                let got = read(&file).unwrap().snapshot;
                let case = format!("{}, {format:?}, {shadow_stack:?}", processor.name);
                assert!(got.threads == snapshot.threads, "{case}");
            }
        }
    }
}

/// They may hold a piece of a text that a limited dump must not tell.
#[test]
fn a_limited_dump_tells_no_extended_registers() {
    for processor in PROCESSORS {
        let snapshot = snapshot_of(&processor, None);
        for format in [DumpFormat::Core, DumpFormat::Minidump] {
            let told = |detail| {
                let selection = Selection {
                    detail,
                    ..Selection::default()
                };
                let file = write(format, &snapshot, &selection);
                let is_in_file = |want: &[u8]| file.windows(want.len()).any(|part| part == want);
                let thread = &read(&file).unwrap().snapshot.threads[0];
                (
                    is_in_file(&vector(&processor, 3)[..16]),
                    !thread.extended.is_empty(),
                )
            };
            let case = format!("{}, {format:?}", processor.name);
            assert_eq!(told(Detail::All), (true, true), "{case}");
            assert_eq!(told(Detail::Limited), (false, false), "{case}");
        }
    }
}

/// The extended registers of a core's first thread.
fn extended(core: &[u8]) -> Vec<u8> {
    let dump = read(core).unwrap();
    dump.snapshot.threads[0].extended.to_vec()
}

/// A core with one thread, whose area is `area`, and with `layout` as `NT_X86_XSAVE_LAYOUT`.
fn core_of_another_writer(area: &[u8], layout: Option<&[u8]>) -> Vec<u8> {
    let mut more = note(NT_X86_XSTATE, "LINUX", area);
    if let Some(layout) = layout {
        more.extend(note(NT_X86_XSAVE_LAYOUT, "LINUX", layout));
    }
    core_with(&more)
}

/// A core with nothing but the status of one thread and these notes (elf(5)).
fn core_with(more: &[u8]) -> Vec<u8> {
    let notes = [note(1, "CORE", &[0; 336]), more.to_vec()].concat();
    let mut core = b"\x7fELF\x02\x01\x01".to_vec();
    core.resize(16, 0);
    let program_header = 64u64;
    let notes_at = program_header + 56;
    for field in [
        &4u16.to_le_bytes()[..], // ET_CORE
        &62u16.to_le_bytes(),    // EM_X86_64
        &1u32.to_le_bytes(),
        &0u64.to_le_bytes(),
        &program_header.to_le_bytes(),
        &0u64.to_le_bytes(),
        &0u32.to_le_bytes(),
        &64u16.to_le_bytes(), // length of this header, and of each of the one program header
        &56u16.to_le_bytes(),
        &1u16.to_le_bytes(),
        &[0; 6],
        &4u32.to_le_bytes(), // PT_NOTE
        &0u32.to_le_bytes(),
        &notes_at.to_le_bytes(),
        &[0; 16],
        &(notes.len() as u64).to_le_bytes(),
        &0u64.to_le_bytes(),
        &4u64.to_le_bytes(),
    ] {
        core.extend(field);
    }
    core.extend(notes);
    core
}

fn note(kind: u32, owner: &str, descriptor: &[u8]) -> Vec<u8> {
    let sizes = [owner.len() as u32 + 1, descriptor.len() as u32, kind];
    let mut out = sizes.map(u32::to_le_bytes).as_flattened().to_vec();
    for part in [owner.as_bytes(), &[0], descriptor] {
        out.extend(part);
        if part != owner.as_bytes() {
            out.resize(out.len().next_multiple_of(4), 0);
        }
    }
    out
}

/// The notes of a core: kind and descriptor.
fn notes(core: &[u8]) -> Vec<(u32, &[u8])> {
    let segment = &core[word(core, 32) as usize..][..56];
    let (at, size) = (word(segment, 8) as usize, word(segment, 32) as usize);
    let mut rest = &core[at..at + size];
    let mut all = Vec::new();
    while rest.len() >= 12 {
        let [owner, length, kind] =
            [0, 4, 8].map(|at| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap()));
        let start = 12 + (owner as usize).next_multiple_of(4);
        all.push((kind, &rest[start..start + length as usize]));
        rest = &rest[start + (length as usize).next_multiple_of(4)..];
    }
    all
}

/// The first note of this kind.
fn find<'a>(notes: &[(u32, &'a [u8])], kind: u32) -> Option<&'a [u8]> {
    notes.iter().find(|note| note.0 == kind).map(|note| note.1)
}
