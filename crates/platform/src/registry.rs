//! The registry of Windows. Elsewhere there is none, which every call says.

use crate::{Result, os};

/// What a value of the registry holds
/// (<https://learn.microsoft.com/windows/win32/sysinfo/registry-value-types>).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryValue {
    /// `REG_SZ`.
    Text(String),
    /// `REG_EXPAND_SZ`: a name between two `%` stands for a variable of whoever reads it.
    Expand(String),
    /// `REG_DWORD`.
    Number(u32),
    /// Any other type, by its number, with its bytes.
    Other(u32, Vec<u8>),
}

impl RegistryValue {
    /// The text of one that is a text.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Expand(text) => Some(text),
            Self::Number(_) | Self::Other(..) => None,
        }
    }

    /// The number of one that is a number.
    pub fn number(&self) -> Option<u32> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }
}

/// The values of a key; a name means the same in capitals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistryValues(pub(crate) Vec<(String, RegistryValue)>);

impl RegistryValues {
    /// The value of that name.
    pub fn get(&self, name: &str) -> Option<&RegistryValue> {
        let mut values = self.0.iter();
        let found = values.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }

    /// All of them with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RegistryValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

/// A key of the registry as 64-bit programs see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryKey {
    path: String,
}

impl RegistryKey {
    /// The key of this path, which begins with `HKLM` or `HKCU`.
    pub fn new(path: impl Into<String>) -> Self {
        Self { path: path.into() }
    }

    /// The key of that name in this one.
    pub fn below(&self, name: &str) -> Self {
        Self::new(format!("{}\\{name}", self.path))
    }

    /// Its path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its values; `None` where there is no such key.
    pub fn values(&self) -> Result<Option<RegistryValues>> {
        os::registry::values(&self.path)
    }

    /// The names of the keys in it.
    pub fn keys(&self) -> Result<Vec<String>> {
        os::registry::keys(&self.path)
    }

    /// Sets a value, and makes the key where there is none.
    pub fn set(&self, name: &str, value: &RegistryValue) -> Result<()> {
        os::registry::set(&self.path, name, value)
    }

    /// Makes the key where there is none.
    pub fn make(&self) -> Result<()> {
        os::registry::make(&self.path)
    }

    /// Takes a value away; one that is not there is no error.
    pub fn unset(&self, name: &str) -> Result<()> {
        os::registry::unset(&self.path, name)
    }

    /// Takes the key away with all that is in it; one that is not there is no error.
    pub fn remove(&self) -> Result<()> {
        os::registry::remove(&self.path)
    }
}
