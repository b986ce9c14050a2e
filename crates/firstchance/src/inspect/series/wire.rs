//! The comparison as one JSON object.

use super::Series;
use crate::ui::console;
use analysis::compare::{Growth, SeenThread, Stood};
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    /// The dumps, in the order in which they were taken.
    dumps: Vec<DumpWire>,
    same_process: bool,
    threads: Vec<ThreadWire>,
    classes: Vec<GrowthWire>,
    regions: Vec<GrowthWire>,
    modules: Vec<GrowthWire>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct DumpWire {
    path: String,
    pid: u32,
    taken: String,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ThreadWire {
    id: u32,
    name: String,
    /// Processor time in each dump; null where the thread is not in it.
    used_ms: Vec<Option<u64>>,
    /// The number of the first dump since which its stack is the same as in the last one, beginning with 1; null if it has
    /// moved, or is not in the last one.
    stood_since: Option<usize>,
}

/// How many bytes there were in each dump.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct GrowthWire {
    name: String,
    start: Option<String>,
    end: Option<String>,
    bytes: Vec<u64>,
    grown: i64,
}

pub(super) fn json(series: &Series) -> anyhow::Result<String> {
    let compared = &series.compared;
    let dumps = series.dumps.iter().map(|(opened, _)| DumpWire {
        path: opened.path.display().to_string(),
        pid: opened.dump.snapshot.process.key.pid,
        taken: console::rfc3339(opened.dump.snapshot.taken),
    });
    let regions = compared.regions.iter().map(|growth| GrowthWire {
        start: Some(format!("{:#x}", growth.of.range.start)),
        end: Some(format!("{:#x}", growth.of.range.end)),
        ..sizes(growth.of.name.clone(), growth)
    });
    let document = Document {
        dumps: dumps.collect(),
        same_process: series.is_of_one_process(),
        threads: compared.threads.iter().map(thread).collect(),
        classes: compared
            .classes
            .iter()
            .map(|growth| sizes(growth.of.to_string(), growth))
            .collect(),
        regions: regions.collect(),
        modules: compared
            .modules
            .iter()
            .map(|growth| sizes(growth.of.clone(), growth))
            .collect(),
    };
    let text = serde_json::to_string_pretty(&document)?;
    Ok(console::plain_json(&text) + "\n")
}

fn thread(thread: &SeenThread) -> ThreadWire {
    let milliseconds =
        |used: &Option<std::time::Duration>| used.map(|used| used.as_millis() as u64);
    ThreadWire {
        id: thread.id,
        name: thread.name.clone(),
        used_ms: thread.used.iter().map(milliseconds).collect(),
        stood_since: match thread.stood {
            Stood::Since(at) => Some(at + 1),
            Stood::Moved | Stood::Unknown => None,
        },
    }
}

fn sizes<T>(name: String, growth: &Growth<T>) -> GrowthWire {
    GrowthWire {
        name,
        start: None,
        end: None,
        bytes: growth.bytes.clone(),
        grown: growth.grown(),
    }
}
