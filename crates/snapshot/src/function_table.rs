/// Where the functions of code lie that a Windows process made itself, as a just-in-time compiler does,
/// and how they are unwound: a table that it has registered by `RtlAddFunctionTable`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunctionTable {
    /// The lowest and the highest address of its functions.
    pub addresses: (u64, u64),
    /// What the addresses in its entries count from.
    pub base: u64,
    /// The entries, 12 bytes each (`RUNTIME_FUNCTION`). None if the process finds functions by a
    /// callback.
    pub functions: Vec<u8>,
    /// The table's description in the process (`DYNAMIC_FUNCTION_TABLE`), as it is there.
    pub native: Vec<u8>,
}

impl FunctionTable {
    /// The size of an entry, in bytes.
    pub const ENTRY: usize = 12;
}
