use super::*;
use crate::{End, Frame, How};
use snapshot::{Range, Region, RegionKind, Thread, WallTime};
use std::time::Duration;

fn stack(places: &[(u64, u64)]) -> Stack {
    let frame = |&(ip, sp): &(u64, u64)| Frame {
        ip,
        sp,
        module: None,
        offset: ip,
        symbol: None,
        how: How::Cfi,
        is_signal_frame: false,
        language: Vec::new(),
    };
    Stack::whole(places.iter().map(frame).collect(), End::Root)
}

fn thread(id: u32, seconds: u64) -> Thread {
    Thread {
        id,
        user_time: Duration::from_secs(seconds),
        ..Thread::default()
    }
}

fn heap(len: u64) -> Region {
    Region {
        range: Range::new(0x1000, 0x1000 + len),
        kind: RegionKind::Heap,
        name: "[heap]".to_owned(),
        resident: vec![Range::new(0x1000, 0x1000 + len)],
        ..Region::default()
    }
}

fn dump(threads: Vec<Thread>, heap_bytes: u64) -> Snapshot {
    Snapshot {
        threads,
        regions: vec![heap(heap_bytes)],
        ..Snapshot::default()
    }
}

#[test]
fn who_worked_who_stood_who_came_and_who_went_is_told() {
    let dumps = [
        dump(vec![thread(1, 5), thread(2, 0), thread(3, 1)], 0x1000),
        dump(vec![thread(1, 15), thread(2, 0), thread(4, 0)], 0x3000),
        dump(vec![thread(1, 27), thread(2, 0), thread(4, 2)], 0x9000),
    ];
    let (here, there) = (stack(&[(1, 10), (2, 20)]), stack(&[(1, 10), (3, 20)]));
    let nothing = stack(&[]);
    let moments: Vec<Moment> = dumps
        .iter()
        .zip([
            vec![&here, &here, &here],
            vec![&there, &here, &nothing],
            vec![&here, &here, &nothing],
        ])
        .map(|(snapshot, stacks)| Moment { snapshot, stacks })
        .collect();
    let found = compare(&moments);
    let by_id = |id| found.threads.iter().find(|seen| seen.id == id).expect("it");
    let seconds = |s| Some(Duration::from_secs(s));
    assert_eq!(by_id(1).used_between(), [seconds(10), seconds(12)]);
    assert_eq!(by_id(1).stood, Stood::Moved);
    assert_eq!(by_id(2).stood, Stood::Since(0));
    assert_eq!((by_id(3).first(), by_id(3).last()), (0, 0));
    assert_eq!((by_id(4).first(), by_id(4).last()), (1, 2));
    assert_eq!(by_id(4).used_between(), [None, seconds(2)]);
    assert_eq!(by_id(4).stood, Stood::Unknown);
    assert_eq!(found.classes[0].of, Class::Heap);
    assert_eq!(found.classes[0].bytes, [0x1000, 0x3000, 0x9000]);
    assert_eq!(found.regions[0].grown(), 0x8000);
}

/// The kernel joins new memory to what lies above it.
#[test]
fn a_region_that_grew_downwards_is_the_same() {
    let region = |start: u64, end: u64| Region {
        range: Range::new(start, end),
        resident: vec![Range::new(start, end)],
        ..Region::default()
    };
    let of = |regions| Snapshot {
        regions,
        ..Snapshot::default()
    };
    let dumps = [
        of(vec![region(0x8000, 0x9000)]),
        of(vec![region(0x2000, 0x9000), region(0xa000, 0xb000)]),
    ];
    let moments = dumps.iter().map(|snapshot| Moment {
        snapshot,
        stacks: vec![],
    });
    let found = compare(&moments.collect::<Vec<_>>()).regions;
    assert_eq!(found[0].of.range, Range::new(0x2000, 0x9000));
    assert_eq!(found[0].bytes, [0x1000, 0x7000]);
    assert_eq!(found[1].bytes, [0, 0x1000]);
}

#[test]
fn a_pid_that_another_process_got_is_not_the_same_process() {
    let of = |pid, started| {
        let mut process = Process::default();
        process.key.pid = pid;
        process.started = WallTime(started);
        process
    };
    assert!(is_same_process(&of(7, 1), &of(7, 1)));
    assert!(is_same_process(&of(7, 1), &of(7, 0)), "not told by one");
    assert!(is_same_process(&of(7, 1), &of(7, 2)), "the clock was set");
    assert!(!is_same_process(&of(7, 1), &of(7, 9_000_000_000)));
    assert!(!is_same_process(&of(7, 1), &of(8, 1)));
}
