//! The objects that a process shows and that are put aside while it stands, mapped by us as well: what a clone lacks of them
//! is copied from there, in a third of the time. They are mapped before the stop.

use super::{
    memory::LiveMemory,
    open_mapped::{Files, Opened, Which},
    proc::ProcDir,
    sys::{careful_copy::Missing, object_view::ObjectView},
};
use snapshot::{FileKey, Memory, Range, Region, coalesce};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// A larger object is not mapped, in bytes.
const LARGEST: u64 = 1 << 40;
const PAGE: u64 = 4096;

/// Such objects.
pub(super) struct ObjectViews(HashMap<FileKey, Shown>);

impl ObjectViews {
    /// Maps the objects of these regions, as far as they can be opened, which takes root.
    pub(super) fn of(proc: &ProcDir, regions: &[Region]) -> Self {
        let objects = || regions.iter().filter(|region| region.object().is_some());
        let mut parts: HashMap<FileKey, Vec<Range>> = HashMap::new();
        for region in objects() {
            let parts = parts.entry(region.file_key()).or_default();
            parts.push(region.in_file(region.range));
        }
        let files = Files::open(proc, objects(), Which::OnTmpfs);
        let shown = files.opened.iter().filter_map(|(key, opened)| {
            let shown = Shown::of(opened, parts.remove(key)?)?;
            Some((*key, shown))
        });
        Self(shown.collect())
    }

    /// Prepares what is shown for reading, as long as it `goes_on`.
    pub(super) fn set_up(&self, goes_on: impl Fn() -> bool) {
        for shown in self.0.values() {
            for part in &shown.parts {
                let part = part.start as usize..part.end as usize;
                shown.view.populate(part, &goes_on);
            }
        }
    }

    /// Whether the pages of a region can be read here.
    pub(super) fn show(&self, region: &Region) -> bool {
        region.object().is_some() && self.0.contains_key(&region.file_key())
    }

    /// The memory of a process, which reads what these regions show of the objects from there. They are those that it has now;
    /// ascending.
    pub(super) fn over(&self, regions: &[Region], memory: Arc<LiveMemory>) -> WithViews {
        let shown = regions.iter().filter(|region| self.show(region));
        let shown = shown.map(|region| View {
            range: region.range,
            offset: region.offset,
            object: self.0[&region.file_key()].view.clone(),
        });
        WithViews {
            views: shown.collect(),
            memory,
            is_lost: AtomicBool::new(false),
        }
    }
}

/// An object, and which parts of it are shown, in bytes.
struct Shown {
    view: Arc<ObjectView>,
    parts: Vec<Range>,
}

impl Shown {
    fn of(opened: &Opened, parts: Vec<Range>) -> Option<Self> {
        let len = opened.facts.size.checked_next_multiple_of(PAGE);
        let len = len.filter(|len| (1..LARGEST).contains(len))?;
        let view = ObjectView::of(&opened.file, len as usize).ok()?;
        Some(Self {
            view: Arc::new(view),
            parts: coalesce(parts, 0),
        })
    }
}

/// Memory of which some regions are read from objects. What can be read of them is read once.
pub(super) struct WithViews {
    views: Vec<View>,
    memory: Arc<LiveMemory>,
    is_lost: AtomicBool,
}

/// A region, and where what it shows begins in an object.
struct View {
    range: Range,
    offset: u64,
    object: Arc<ObjectView>,
}

impl WithViews {
    /// Whether something was read into a place that was gone.
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed)
    }

    /// Reads from an object, if one is shown at these addresses.
    fn read_object(&self, wanted: Range, buffer: &mut [u8]) -> Result<(), Missing> {
        let next = self
            .views
            .partition_point(|view| view.range.end <= wanted.start);
        let view = self.views.get(next).ok_or(Missing::Source)?;
        match wanted.intersect(view.range) == Some(wanted) {
            true => {
                let at = (wanted.start - view.range.start).saturating_add(view.offset);
                view.object.copy(at as usize, buffer)
            }
            false => Err(Missing::Source),
        }
    }
}

impl Memory for WithViews {
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
        let wanted = Range::new(address, address.saturating_add(buffer.len() as u64));
        match self.read_object(wanted, buffer) {
            Ok(()) => buffer.len(),
            Err(Missing::Source) => self.memory.read(address, buffer),
            Err(Missing::Target) => {
                self.is_lost.store(true, Ordering::Relaxed);
                0
            }
        }
    }
}
