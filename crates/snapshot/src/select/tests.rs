use super::*;
use crate::{
    CodeView, Module, Protection, X86_64,
    choice::{Choice, MODULE, MODULE_CODE, THREAD, USUAL_MODULE, WHOLE_THREAD},
};
use std::collections::BTreeMap;

/// Words at addresses; everything else reads as zero.
struct Words(BTreeMap<u64, u64>);

impl Memory for Words {
    fn read(&self, address: u64, buf: &mut [u8]) -> usize {
        for (at, word) in buf.chunks_exact_mut(8).enumerate() {
            let value = self.0.get(&(address + at as u64 * 8)).copied().unwrap_or(0);
            word.copy_from_slice(&value.to_le_bytes());
        }
        buf.len()
    }
}

fn region(start: u64, end: u64, kind: RegionKind, access: &str) -> Region {
    let has = |c| access.contains(c);
    let pages = vec![Range::new(start, end)];
    Region {
        range: pages[0],
        kind,
        protection: Protection {
            read: has('r'),
            write: has('w'),
            execute: has('x'),
        },
        resident: pages.clone(),
        private_pages: if kind == RegionKind::Image {
            vec![]
        } else {
            pages
        },
        inode: u64::from(kind == RegionKind::Image),
        ..Region::default()
    }
}

fn process() -> Snapshot {
    let registers = X86_64 {
        rip: 0x1800,
        rsp: 0x9_0800,
        ..X86_64::default()
    };
    let mut snapshot = Snapshot {
        regions: vec![
            region(0x1000, 0x3000, RegionKind::Image, "rx"),
            region(0x3000, 0x4000, RegionKind::Image, "rw"),
            region(0x1_0000, 0x5_0000, RegionKind::Heap, "rw"),
            region(0x9_0000, 0xA_0000, RegionKind::Stack, "rw"),
        ],
        threads: vec![Thread {
            registers: Some(Registers::X86_64(registers)),
            ..Thread::default()
        }],
        ..Snapshot::default()
    };
    snapshot.process.stack_start = 0x9_F000;
    snapshot
}

fn chosen(kind: DumpKind, snapshot: &Snapshot, words: &[(u64, u64)]) -> Selection {
    select(kind, snapshot, &Words(words.iter().copied().collect()), &[])
}

fn holds(selection: &Selection, address: u64) -> bool {
    selection.ranges.iter().any(|range| range.contains(address))
}

#[test]
fn full_takes_all_that_is_resident_and_nothing_else() {
    let mut snapshot = process();
    snapshot.regions[2].resident = vec![Range::new(0x1_0000, 0x1_1000)];
    let full = chosen(DumpKind::Full, &snapshot, &[]);
    assert!(holds(&full, 0x1000) && holds(&full, 0x1_0FFF) && holds(&full, 0x9_0000));
    assert!(!holds(&full, 0x1_1000));
}

#[test]
fn triage_leaves_out_heap_arguments_and_environment() {
    let triage = chosen(DumpKind::Triage, &process(), &[(0x9_0900, 0x2_0000)]);
    assert_eq!(triage.detail, Detail::Limited);
    let headers = [Range::new(0x1000, 0x2000), Range::new(0x3000, 0x4000)];
    assert_eq!(triage.ranges[..2], headers);
    assert_eq!(triage.ranges[2..], [Range::new(0x9_0800 - 128, 0x9_F000)]);
}

#[test]
fn mini_follows_pointers_two_steps_and_no_further() {
    let words = [
        (0x9_0900, 0x2_0000),
        (0x2_0010, 0x3_0000),
        (0x3_0010, 0x4_0000),
    ];
    let mini = chosen(DumpKind::Mini, &process(), &words);
    assert!(holds(&mini, 0x2_0000), "what the stack points at");
    assert!(holds(&mini, 0x3_0000), "what that points at");
    assert!(!holds(&mini, 0x4_0000), "and no further");
    assert!(holds(&mini, 0x1800), "the code at the instruction pointer");
}

#[test]
fn plus_leaves_out_unwritable_image_pages_but_keeps_the_headers() {
    let plus = chosen(DumpKind::Plus, &process(), &[]);
    assert!(holds(&plus, 0x1000) && !holds(&plus, 0x2000) && holds(&plus, 0x3000));
    assert!(holds(&plus, 0x1_0000));
}

#[test]
fn custom_follows_the_coredump_filter_bits() {
    let anonymous = chosen(DumpKind::Custom(0x1), &process(), &[]);
    assert!(holds(&anonymous, 0x1_0000) && !holds(&anonymous, 0x2000));
    let files = chosen(DumpKind::Custom(0x4), &process(), &[]);
    assert!(files.ranges.iter().all(|r| !r.contains(0x1_0000)) && holds(&files, 0x2000));
    let mut snapshot = process();
    snapshot.regions[0].private_pages = vec![Range::new(0x1000, 0x2000)];
    let written = chosen(DumpKind::Custom(0x1), &snapshot, &[]);
    assert!(
        holds(&written, 0x2000),
        "a mapping that was written to is whole"
    );
}

#[test]
fn n45_shared_memory_without_a_named_file_is_anonymous_to_the_filter() {
    let mut snapshot = process();
    snapshot.regions[0].shared = true;
    let holds_it =
        |snapshot: &Snapshot, mask| holds(&chosen(DumpKind::Custom(mask), snapshot, &[]), 0x2000);
    assert!(!holds_it(&snapshot, 0x2) && holds_it(&snapshot, 0x8));
    snapshot.regions[0].deleted = true;
    assert!(holds_it(&snapshot, 0x2) && !holds_it(&snapshot, 0x8));
}

#[test]
fn pages_behind_a_server_that_may_hang_are_left_alone() {
    let mut snapshot = process();
    snapshot.regions[0].remote = true;
    snapshot.regions[2].untouchable = true;
    let full = chosen(DumpKind::Full, &snapshot, &[]);
    assert!(!holds(&full, 0x1000) && !holds(&full, 0x1_0000));
}

#[test]
fn n10_a_stack_pointer_below_its_stack_finds_the_stack_above() {
    let mut snapshot = process();
    snapshot.regions.remove(2);
    // In the guard page, and where a function has taken 384 KiB for its variables.
    for rsp in [0x8_FFF0, 0x3_0000] {
        let low = X86_64 {
            rsp,
            ..X86_64::default()
        };
        snapshot.threads[0].registers = Some(Registers::X86_64(low));
        let triage = chosen(DumpKind::Triage, &snapshot, &[]);
        assert!(holds(&triage, 0x9_0000), "{rsp:#x}");
        assert!(without_stack(&snapshot, &triage).is_empty(), "{rsp:#x}");
    }
}

#[test]
fn n10_threads_whose_stack_is_not_in_the_dump_are_told() {
    let mut snapshot = process();
    snapshot.threads[0].id = 7;
    let nowhere = X86_64 {
        rsp: 0x7000_0000,
        ..X86_64::default()
    };
    snapshot.threads.push(Thread {
        id: 8,
        registers: Some(Registers::X86_64(nowhere)),
        ..Thread::default()
    });
    let mini = chosen(DumpKind::Mini, &snapshot, &[]);
    assert_eq!(without_stack(&snapshot, &mini), [8]);
    snapshot.threads[1].is_kernel_worker = true;
    assert_eq!(without_stack(&snapshot, &mini), [8], "it has registers");
    snapshot.threads[1].registers = Some(Registers::X86_64(X86_64::default()));
    // The lowest region is so near to 0 that it could be the stack of such a thread.
    snapshot.regions.clear();
    assert_eq!(without_stack(&snapshot, &mini), [7]);
    snapshot.threads[1].is_kernel_worker = false;
    assert_eq!(without_stack(&snapshot, &mini), [7, 8], "it called null");
}

/// A process of Windows, whose image at 0x1000 is a module, and what a routine chooses of it.
fn of_routine(thread: u32, module: u32) -> (Snapshot, Choice) {
    let mut snapshot = process();
    snapshot.threads[0].id = 7;
    snapshot.regions[..2]
        .iter_mut()
        .for_each(|region| region.allocation_base = 0x1000);
    snapshot.modules = vec![Module {
        range: Range::new(0x1000, 0x4000),
        codeview: Some(CodeView::default()),
        ..Module::default()
    }];
    let choice = Choice {
        threads: [(7, thread)].into(),
        modules: [(0x1000, module)].into(),
        added: vec![Range::new(0x1_0000, 0x1_3000)],
        removed: vec![Range::new(0x1_1000, 0x1_2000)],
    };
    (snapshot, choice)
}

#[test]
fn n49_a_routine_chooses_by_thread_by_module_and_by_address() {
    let (snapshot, choice) = of_routine(WHOLE_THREAD, USUAL_MODULE);
    let selection = select_chosen(&choice, &snapshot, &Words(BTreeMap::new()), &[]);
    assert!(holds(&selection, 0x9_0800) && holds(&selection, 0x1800));
    assert!(!holds(&selection, 0x2800));
    let (snapshot, choice) = of_routine(THREAD, MODULE | MODULE_CODE);
    let selection = select_chosen(&choice, &snapshot, &Words(BTreeMap::new()), &[]);
    assert!(holds(&selection, 0x2800) && !holds(&selection, 0x9_0800));
    assert!(holds(&selection, 0x1_0800) && holds(&selection, 0x1_2800));
    assert!(!holds(&selection, 0x1_1800) && !holds(&selection, 0x1_3800));
    assert_eq!(selection.kind, DumpKind::Callback);
    assert_eq!(added_in_vain(&choice, &snapshot), 0);
    let beyond = Choice {
        added: vec![Range::new(0x8_FFF0, 0x9_0010)],
        ..choice
    };
    assert_eq!(added_in_vain(&beyond, &snapshot), 16);
}

#[test]
fn n49_what_a_routine_leaves_out_is_not_shown() {
    let shown = |thread, module| {
        let (mut snapshot, choice) = of_routine(thread, module);
        choice.restrict(&mut snapshot);
        snapshot
    };
    let all = shown(WHOLE_THREAD, USUAL_MODULE);
    assert!(all.threads[0].registers.is_some() && all.modules[0].codeview.is_some());
    let some = shown(THREAD, MODULE);
    assert!(some.threads[0].registers.is_none() && some.modules[0].codeview.is_none());
    // The flags of what is not there say nothing.
    let none = shown(WHOLE_THREAD & !THREAD, USUAL_MODULE & !MODULE);
    assert!(none.threads.is_empty() && none.modules.is_empty());
}

#[test]
fn n49_modules_that_a_stack_refers_to_are_known() {
    let (snapshot, _) = of_routine(WHOLE_THREAD, USUAL_MODULE);
    let on_stacks = |word| {
        let words = Words([(0x9_0900, word)].into());
        modules_on_stacks(&snapshot, &words)
    };
    assert_eq!(on_stacks(0x2345), [0x1000].into());
    assert_eq!(on_stacks(0x5000), [].into());
}
