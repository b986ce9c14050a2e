//! A small HotSpot's tables of itself, for tests and for the fuzzer: real names, and offsets that are easy to remember.

/// Owner, name and type of a field, and its offset; a static one is so many bytes behind [`STATICS`].
type Field = (&'static str, &'static str, &'static str, u64);

/// Where static fields are, and where the rest of the memory begins, in bytes behind the start.
pub(crate) const STATICS: u64 = 0x3000;
pub(crate) const REST: u64 = 0x3200;

/// Where the variables that the library exports are; the tables and names follow.
const VARIABLES: u64 = 0;
const TABLES: u64 = 0x100;

const FIELDS: &[Field] = &[
    ("CodeBlob", "_name", "const char*", 0),
    ("CodeBlob", "_size", "int", 8),
    ("CodeBlob", "_frame_size", "int", 12),
    ("CodeBlob", "_code_begin", "address", 16),
    ("CodeBlob", "_frame_complete_offset", "int", 24),
    ("nmethod", "_metadata_offset", "int", 28),
    ("nmethod", "_scopes_pcs_offset", "int", 32),
    ("nmethod", "_dependencies_offset", "int", 36),
    ("CompiledMethod", "_method", "Method*", 40),
    ("CompiledMethod", "_scopes_data_begin", "address", 48),
    ("CompiledMethod", "_deopt_handler_begin", "address", 56),
    ("nmethod", "_orig_pc_offset", "int", 64),
    ("CodeHeap", "_memory", "VirtualSpace", 0),
    ("CodeHeap", "_segmap", "VirtualSpace", 16),
    ("CodeHeap", "_log2_segment_size", "int", 32),
    ("VirtualSpace", "_low", "char*", 0),
    ("VirtualSpace", "_high", "char*", 8),
    ("GrowableArrayBase", "_len", "int", 0),
    ("GrowableArray<int>", "_data", "int*", 8),
    ("PcDesc", "_pc_offset", "int", 0),
    ("PcDesc", "_scope_decode_offset", "int", 4),
    ("Method", "_constMethod", "ConstMethod*", 0),
    ("ConstMethod", "_constants", "ConstantPool*", 0),
    ("ConstMethod", "_constMethod_size", "int", 8),
    ("ConstMethod", "_flags", "u2", 12),
    ("ConstMethod", "_code_size", "u2", 14),
    ("ConstMethod", "_name_index", "u2", 16),
    ("ConstantPool", "_pool_holder", "InstanceKlass*", 0),
    ("ConstantPool", "_source_file_name_index", "u2", 8),
    ("Klass", "_name", "Symbol*", 0),
    ("Klass", "_super", "Klass*", 8),
    ("InstanceKlass", "_constants", "ConstantPool*", 16),
    ("InstanceKlass", "_fields", "Array<u2>*", 24),
    ("InstanceKlass", "_java_fields_count", "u2", 32),
    ("Array<u2>", "_data", "", 4),
    ("Symbol", "_length", "u2", 0),
    ("Symbol", "_body", "", 2),
    ("oopDesc", "_metadata._klass", "Klass*", 8),
    ("ThreadsList", "_length", "uint", 0),
    ("ThreadsList", "_threads", "JavaThread *const *const", 8),
    ("JavaThread", "_threadObj", "OopHandle", 0),
    ("JavaThread", "_osthread", "OSThread*", 8),
    ("JavaThread", "_stack_base", "address", 16),
    ("JavaThread", "_stack_size", "size_t", 24),
    (
        "JavaThread",
        "_current_pending_monitor",
        "ObjectMonitor*",
        32,
    ),
    (
        "JavaThread",
        "_current_waiting_monitor",
        "ObjectMonitor*",
        40,
    ),
    ("JavaThread", "_lock_stack", "LockStack", 48),
    ("LockStack", "_top", "uint", 0),
    ("LockStack", "_base[0]", "oop", 8),
    ("OSThread", "_thread_id", "int", 0),
    ("ObjectMonitor", "_object", "", 0),
    ("ObjectMonitor", "_owner", "", 8),
];

const STATIC_FIELDS: &[Field] = &[
    ("CodeCache", "_low_bound", "address", 0),
    ("CodeCache", "_high_bound", "address", 8),
    ("CodeCache", "_heaps", "GrowableArray<CodeHeap*>*", 16),
    ("Abstract_VM_Version", "_vm_major_version", "int", 24),
    ("ThreadsSMRSupport", "_java_thread_list", "ThreadsList*", 32),
    ("JVMFlag", "flags", "JVMFlag*", 40),
    ("JVMFlag", "numFlags", "size_t", 48),
];

/// Names of types, their sizes, and whether they are numbers without a sign.
const TYPES: &[(&str, u64, u32)] = &[
    ("HeapBlock", 8, 0),
    ("PcDesc", 8, 0),
    ("ConstMethod", 24, 0),
    ("ConstantPool", 16, 0),
    ("int", 4, 0),
    ("uint", 4, 1),
    ("u2", 2, 1),
];

/// The names of the exported variables, behind `gHotSpotVM`, and what is in each: an offset in an entry, the size of an entry.
const LAYOUT: &[(&str, u64)] = &[
    ("StructEntryArrayStride", 48),
    ("StructEntryTypeNameOffset", 0),
    ("StructEntryFieldNameOffset", 8),
    ("StructEntryTypeStringOffset", 16),
    ("StructEntryIsStaticOffset", 24),
    ("StructEntryOffsetOffset", 32),
    ("StructEntryAddressOffset", 40),
    ("TypeEntryArrayStride", 24),
    ("TypeEntryTypeNameOffset", 0),
    ("TypeEntryIsUnsignedOffset", 8),
    ("TypeEntrySizeOffset", 16),
    ("IntConstantEntryArrayStride", 16),
    ("IntConstantEntryNameOffset", 0),
    ("IntConstantEntryValueOffset", 8),
];

/// The exported variables: their names, and how far behind the start each is.
pub(crate) fn symbols() -> Vec<(String, u64)> {
    let tables = ["Structs", "Types", "IntConstants"].into_iter();
    let names = tables.chain(LAYOUT.iter().map(|(name, _)| *name));
    let placed = names.zip((VARIABLES..).step_by(8));
    placed
        .map(|(name, at)| (format!("gHotSpotVM{name}"), at))
        .collect()
}

/// The variables, tables and names, for memory that starts at `start`: [`STATICS`] bytes.
pub(crate) fn bytes(start: u64) -> Vec<u8> {
    let mut words: Vec<Vec<u64>> = vec![Vec::new(); 3];
    let mut names = Vec::new();
    let names_at = start + 0x1c00;
    let mut name = |text: &str| {
        let at = names_at + names.len() as u64;
        names.extend_from_slice(text.as_bytes());
        names.push(0);
        at
    };
    let statics = STATIC_FIELDS.iter().map(|field| (field, 1));
    for ((owner, field, kind, at), is_static) in FIELDS.iter().map(|f| (f, 0)).chain(statics) {
        let address = start + STATICS + at;
        words[0].extend([
            name(owner),
            name(field),
            name(kind),
            is_static,
            *at,
            address,
        ]);
    }
    for (kind, size, is_unsigned) in TYPES {
        words[1].extend([name(kind), u64::from(*is_unsigned), *size]);
    }
    words[2].extend([name("ConstMethod::_has_linenumber_table"), 1]);
    let mut bytes = vec![0; STATICS as usize];
    let mut next = TABLES;
    let mut variables = Vec::new();
    for table in words {
        variables.push(start + next);
        put(&mut bytes, next, &table);
        next += 8 * (table.len() as u64 + 6);
    }
    variables.extend(LAYOUT.iter().map(|(_, value)| *value));
    put(&mut bytes, VARIABLES, &variables);
    let at = 0x1c00;
    assert!(
        next <= at as u64 && at + names.len() <= bytes.len(),
        "{next:#x} {}",
        names.len()
    );
    bytes[at..at + names.len()].copy_from_slice(&names);
    bytes
}

fn put(bytes: &mut [u8], at: u64, words: &[u64]) {
    for (number, word) in words.iter().enumerate() {
        let at = at as usize + 8 * number;
        bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }
}
