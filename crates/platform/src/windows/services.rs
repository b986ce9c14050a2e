//! Which service a process runs, by the service control manager.

use super::sys::narrow;
use std::collections::HashMap;
use windows_sys::Win32::System::Services::{
    CloseServiceHandle, ENUM_SERVICE_STATUS_PROCESSW, EnumServicesStatusExW, OpenSCManagerW,
    SC_ENUM_PROCESS_INFO, SC_MANAGER_ENUMERATE_SERVICE, SERVICE_ACTIVE, SERVICE_WIN32,
};

/// Returns the names of running services by pid; several in one process are separated by commas.
/// Empty if the service manager does not answer us, as in a sandbox.
pub(crate) fn by_pid() -> HashMap<u32, String> {
    let mut services: HashMap<u32, String> = HashMap::new();
    for (pid, name) in running() {
        let names = services.entry(pid).or_default();
        if !names.is_empty() {
            names.push(',');
        }
        names.push_str(&name);
    }
    services
}

fn running() -> Vec<(u32, String)> {
    let none = std::ptr::null();
    // SAFETY: the answer is an array of `count` structures at the start of the buffer, which is
    // aligned for them, with texts that end with a NUL behind them in the same buffer.
    unsafe {
        let manager = OpenSCManagerW(none, none, SC_MANAGER_ENUMERATE_SERVICE);
        if manager.is_null() {
            return Vec::new();
        }
        // The largest buffer that the call accepts, in bytes: 256 KiB.
        let mut buffer = vec![0u64; (256 << 10) / 8];
        let (mut needed, mut count, mut resume) = (0, 0, 0);
        EnumServicesStatusExW(
            manager,
            SC_ENUM_PROCESS_INFO,
            SERVICE_WIN32,
            SERVICE_ACTIVE,
            buffer.as_mut_ptr().cast(),
            256 << 10,
            &raw mut needed,
            &raw mut count,
            &raw mut resume,
            none,
        );
        CloseServiceHandle(manager);
        let list = buffer.as_ptr().cast::<ENUM_SERVICE_STATUS_PROCESSW>();
        let entries = std::slice::from_raw_parts(list, count as usize);
        let named = |entry: &ENUM_SERVICE_STATUS_PROCESSW| {
            let name = entry.lpServiceName;
            let length = (0..256).take_while(|&n| *name.add(n) != 0).count();
            let name = narrow(std::slice::from_raw_parts(name, length));
            (entry.ServiceStatusProcess.dwProcessId, name)
        };
        entries.iter().map(named).collect()
    }
}
