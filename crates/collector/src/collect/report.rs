//! Reports of dumps to Windows Error Reporting (ProcDump's `-wer`).

use super::Written;
use crate::store::change::change_record;
use snapshot::DumpKind;

/// Queues a report with a whole dump. What goes wrong becomes a warning of its record.
pub(super) fn queue(written: &mut Written) {
    let Some(path) = written.path.as_ref().filter(|_| written.record.complete) else {
        return;
    };
    let is_large = !matches!(written.kind, DumpKind::Mini | DumpKind::Triage);
    let record = &written.record;
    let queued = platform::queue_report(path, is_large, &record.process, &record.reason);
    let Err(error) = queued else {
        return;
    };
    let warning = error.to_string();
    let noted = change_record(path, |record| record.warnings.push(warning.clone())).is_ok();
    log::debug!("{warning}; in the record: {noted}");
    written.record.warnings.push(warning);
}
