//! The figures of a process that Windows tells directly.

use super::{hang, process::Process, regions, threads};
use snapshot::Measure;

/// Returns one figure of a process: a size in bytes, a number, or 1 if it hangs. `None` if it
/// cannot be read, or has to be computed from other figures.
pub(crate) fn value(process: &Process, measure: &Measure) -> Option<f64> {
    match measure {
        Measure::Memory => Some(process.memory_use().ok()?.private as f64),
        Measure::Rss => Some(process.memory_use().ok()?.resident as f64),
        Measure::Virtual => {
            let regions = regions::regions(process.raw());
            Some(regions.iter().map(|region| region.range.len()).sum::<u64>() as f64)
        }
        Measure::Threads => Some(threads::ids(process.key.pid).ok()?.len() as f64),
        Measure::Handles => process.handle_count().ok().map(f64::from),
        Measure::Hang => Some(if hang::hangs(process.key.pid) {
            1.0
        } else {
            0.0
        }),
        Measure::RssAndSwap
        | Measure::MemoryOfLimit
        | Measure::CpuLimit
        | Measure::Cpu
        | Measure::Counter(_)
        | Measure::Http(_) => None,
    }
}
