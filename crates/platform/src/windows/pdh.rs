//! Performance counters of the system by PDH (pdh.dll), which is loaded when the first counter is
//! read.

use super::sys::{function, wide};
use std::{collections::HashMap, ptr::null};
use windows_sys::Win32::System::Performance::{
    PDH_CSTATUS_NEW_DATA, PDH_CSTATUS_VALID_DATA, PDH_FMT_COUNTERVALUE, PDH_FMT_DOUBLE,
    PDH_HCOUNTER, PDH_HQUERY,
};

/// Lets shares exceed 100 %, as those of several processors do (`PDH_FMT_NOCAP100` of `pdh.h`).
const PDH_FMT_NOCAP100: u32 = 0x8000;

/// The open queries, by the path of their counter.
#[derive(Default)]
pub(crate) struct Pdh {
    functions: Option<Option<Functions>>,
    open: HashMap<String, Option<Query>>,
}

/// A counter with a query of its own. The query is closed when this is dropped.
struct Query {
    functions: Functions,
    query: PDH_HQUERY,
    counter: PDH_HCOUNTER,
}

#[derive(Clone, Copy)]
struct Functions {
    open: unsafe extern "system" fn(*const u16, usize, *mut PDH_HQUERY) -> u32,
    add: unsafe extern "system" fn(PDH_HQUERY, *const u16, usize, *mut PDH_HCOUNTER) -> u32,
    collect: unsafe extern "system" fn(PDH_HQUERY) -> u32,
    format:
        unsafe extern "system" fn(PDH_HCOUNTER, u32, *mut u32, *mut PDH_FMT_COUNTERVALUE) -> u32,
    close: unsafe extern "system" fn(PDH_HQUERY) -> u32,
}

// SAFETY: PDH's handles belong to the process, not to a thread.
unsafe impl Send for Query {}
// SAFETY: no method of it takes a shared reference.
unsafe impl Sync for Query {}

impl Pdh {
    /// Returns the value of a counter; `None` if it cannot be read. A rate needs two readings, so
    /// its first is `None`.
    pub(crate) fn read(&mut self, path: &str) -> Option<f64> {
        self.query(path)?.read()
    }

    /// Returns whether there is such a counter.
    pub(crate) fn has(&mut self, path: &str) -> bool {
        self.query(path).is_some()
    }

    fn query(&mut self, path: &str) -> Option<&mut Query> {
        let functions = (*self.functions.get_or_insert_with(Functions::load))?;
        let open = || Query::open(functions, path);
        let query = self.open.entry(path.to_owned()).or_insert_with(open);
        query.as_mut()
    }
}

impl Query {
    /// Opens a query for a counter, whose path has English names whatever the language of the
    /// system.
    fn open(functions: Functions, path: &str) -> Option<Self> {
        let path = wide(path);
        let mut query = Self {
            functions,
            query: std::ptr::null_mut(),
            counter: std::ptr::null_mut(),
        };
        // SAFETY: the path ends with a NUL, and the handles are written to live fields. A query
        // that was opened is closed when dropped.
        unsafe {
            if (functions.open)(null(), 0, &raw mut query.query) != 0 {
                query.query = std::ptr::null_mut();
                return None;
            }
            let added = (functions.add)(query.query, path.as_ptr(), 0, &raw mut query.counter);
            (added == 0).then_some(query)
        }
    }

    fn read(&mut self) -> Option<f64> {
        let mut value = PDH_FMT_COUNTERVALUE::default();
        let format = PDH_FMT_DOUBLE | PDH_FMT_NOCAP100;
        // SAFETY: an open query and its counter; the member of the union is the one that the format
        // asks for.
        unsafe {
            if (self.functions.collect)(self.query) != 0 {
                return None;
            }
            let nowhere = std::ptr::null_mut();
            let status = (self.functions.format)(self.counter, format, nowhere, &raw mut value);
            let valid = [PDH_CSTATUS_VALID_DATA, PDH_CSTATUS_NEW_DATA].contains(&value.CStatus);
            let number = value.Anonymous.doubleValue;
            (status == 0 && valid).then_some(number)
        }
    }
}

impl Drop for Query {
    fn drop(&mut self) {
        if !self.query.is_null() {
            // SAFETY: our own query, which nobody uses any more.
            unsafe { (self.functions.close)(self.query) };
        }
    }
}

impl Functions {
    fn load() -> Option<Self> {
        const LIBRARY: &str = "pdh.dll";
        // SAFETY: the types are those of the documented functions.
        unsafe {
            Some(Self {
                open: function(LIBRARY, c"PdhOpenQueryW")?,
                add: function(LIBRARY, c"PdhAddEnglishCounterW")?,
                collect: function(LIBRARY, c"PdhCollectQueryData")?,
                format: function(LIBRARY, c"PdhGetFormattedCounterValue")?,
                close: function(LIBRARY, c"PdhCloseQuery")?,
            })
        }
    }
}
