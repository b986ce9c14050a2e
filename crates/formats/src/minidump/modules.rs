//! The lists of modules and of handles.

use super::body::{Body, put};
use crate::bytes::Put;
use minidump_common::format::{
    CvSignature, MINIDUMP_HANDLE_DESCRIPTOR, MINIDUMP_LOCATION_DESCRIPTOR as Location,
    MINIDUMP_MODULE, VS_FFI_SIGNATURE, VS_FFI_STRUCVERSION, VS_FIXEDFILEINFO,
};
use snapshot::{Handle, Module, Snapshot};

/// Appends `MINIDUMP_MODULE_LIST`. The program is the first module: every reader expects it there.
pub(super) fn module_list(body: &mut Body, snapshot: &Snapshot) -> Location {
    let is_program = |module: &&Module| module.path == snapshot.process.exe;
    let (program, others): (Vec<_>, Vec<_>) = snapshot.modules.iter().partition(is_program);
    let mut out = Vec::new();
    out.u32(snapshot.modules.len() as u32);
    for module in program.into_iter().chain(others) {
        let entry = entry(body, module);
        put(&mut out, entry);
    }
    body.bytes(&out)
}

fn entry(body: &mut Body, module: &Module) -> MINIDUMP_MODULE {
    MINIDUMP_MODULE {
        base_of_image: module.range.start,
        size_of_image: module.range.len().min(u32::MAX.into()) as u32,
        checksum: module.checksum,
        time_date_stamp: module.timestamp,
        module_name_rva: body.string(&module.path),
        version_info: version_info(&module.version),
        cv_record: match codeview(module) {
            record if record.is_empty() => Location::default(),
            record => body.bytes(&record),
        },
        ..MINIDUMP_MODULE::default()
    }
}

/// The identity of the debug information: for a PDB `RSDS`, GUID, age and path; for an ELF image
/// Breakpad's `BpEL` and the build-id.
pub(super) fn codeview(module: &Module) -> Vec<u8> {
    let mut record = Vec::new();
    if let Some(pdb) = &module.codeview {
        record.u32(CvSignature::Pdb70 as u32);
        record.put(&pdb.guid);
        record.u32(pdb.age);
        record.text(pdb.file.as_bytes(), pdb.file.len() + 1);
    } else if !module.build_id.is_empty() {
        record.u32(CvSignature::Elf as u32);
        record.put(&module.build_id);
    }
    record
}

/// The version, as the resource of a PE image has it.
pub(super) fn version_info(version: &str) -> VS_FIXEDFILEINFO {
    let parts = version.split('.').map(|part| part.parse::<u16>());
    let Ok(parts) = parts.collect::<Result<Vec<_>, _>>() else {
        return VS_FIXEDFILEINFO::default();
    };
    let part = |n: usize| u32::from(parts.get(n).copied().unwrap_or_default());
    let (high, low) = (part(0) << 16 | part(1), part(2) << 16 | part(3));
    VS_FIXEDFILEINFO {
        signature: VS_FFI_SIGNATURE,
        struct_version: VS_FFI_STRUCVERSION,
        file_version_hi: high,
        file_version_lo: low,
        product_version_hi: high,
        product_version_lo: low,
        ..VS_FIXEDFILEINFO::default()
    }
}

/// `MINIDUMP_HANDLE_DATA_STREAM`.
pub(super) fn handle_data(body: &mut Body, handles: &[Handle]) -> Location {
    let mut out = Vec::new();
    [16, 32, handles.len() as u32, 0]
        .into_iter()
        .for_each(|word| out.u32(word));
    for handle in handles {
        let descriptor = MINIDUMP_HANDLE_DESCRIPTOR {
            handle: handle.number,
            type_name_rva: body.string_or_none(&handle.kind),
            object_name_rva: body.string_or_none(&handle.name),
            attributes: handle.attributes,
            granted_access: handle.flags,
            handle_count: handle.handle_count,
            pointer_count: handle.pointer_count,
        };
        put(&mut out, descriptor);
    }
    body.bytes(&out)
}
