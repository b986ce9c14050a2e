//! A virtual machine: its code and its threads.

use super::code::CodeHeaps;
use super::list::List;
use super::place::Place;
use super::remembered::Remembered;
use super::tables::Tables;
use super::view::{Layout, View};
use snapshot::{Memory, Range};
use std::cell::OnceCell;
use std::rc::Rc;

/// A HotSpot.
pub(crate) struct Vm {
    pub(super) layout: Layout,
    /// Where the code that it makes is.
    code: Range,
    heaps: CodeHeaps,
    threads: OnceCell<List>,
    places: Remembered<u64, Option<Rc<Place>>>,
}

impl Vm {
    /// Reads what a HotSpot tells of itself. `symbol` tells where a variable of its library is. `None` if it is none.
    pub(crate) fn read(symbol: &dyn Fn(&str) -> Option<u64>, memory: &dyn Memory) -> Option<Self> {
        let layout = Layout::read(Tables::read(symbol, memory)?, memory);
        let view = layout.view(memory);
        let word = |name| view.static_word(name).unwrap_or(0);
        let (start, end) = (word("CodeCache._low_bound"), word("CodeCache._high_bound"));
        let heaps = CodeHeaps::read(&view);
        Some(Self {
            code: Range::new(start.min(end), end),
            heaps,
            layout,
            threads: OnceCell::new(),
            places: Remembered::new(),
        })
    }

    /// Whether it may have made code at an address.
    pub(crate) fn has_code_at(&self, address: u64) -> bool {
        self.code.contains(address)
    }

    /// It with the memory of its process.
    pub(crate) fn view<'a>(&'a self, memory: &'a dyn Memory) -> View<'a> {
        self.layout.view(memory)
    }

    /// What is at this address of code; `None` if that is not of the machine.
    pub(crate) fn place(&self, address: u64, memory: &dyn Memory) -> Option<Rc<Place>> {
        let find = || {
            let view = self.view(memory);
            let blob = self.heaps.blob(address, &view)?;
            Some(Rc::new(Place::of(view, blob, address)))
        };
        let is_code = self.has_code_at(address);
        is_code.then(|| self.places.get(address, find))?
    }

    /// Its threads.
    pub(super) fn threads(&self, memory: &dyn Memory) -> &List {
        self.threads.get_or_init(|| List::read(self.view(memory)))
    }
}
