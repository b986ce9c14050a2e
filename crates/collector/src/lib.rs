//! Carries out rules (`run`), takes dumps (`collect`), and looks after stored dumps (`store`).

mod collect;
pub mod local_time;
mod run;
mod sparse;
mod store;

pub use collect::{
    Collected, CoreHead, Crash, Destination, Opened, Request, Series, Step, WindowsOptions,
    Written, collect, expect_file_name, output_folder, store_stream,
};
pub use run::{
    DumpOptions, ExceptionRow, Machine, ProgramStep, RunEvent, Runner, RunnerHandle, Setup,
    identity, prepare,
};
pub use store::content::{DumpContent, is_packed, unpack};
pub use store::foreign::{foreign_dump, foreign_dumps};
pub use store::keep::{
    LeftOver, NO_ROOM_ADVICE, Pruned, Stored, clear_left_over, delete_dump, keep_within,
    stored_dumps,
};
pub use store::readers::note_readable;
pub use store::record::{AbsentFile, BusyThread, Gap, Record};
pub use store::repeats::note_repeats;
