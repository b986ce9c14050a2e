//! The Windows registry. Every function fails on Linux, which has none.

use crate::{Result, os};
use snapshot::same_name;

/// The data of a registry value
/// (<https://learn.microsoft.com/windows/win32/sysinfo/registry-value-types>).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryValue {
    /// A text (`REG_SZ`).
    Text(String),
    /// A text in which a name between two `%` stands for an environment variable (`REG_EXPAND_SZ`).
    Expand(String),
    /// A 32-bit number (`REG_DWORD`).
    Number(u32),
    /// Data of any other type: the number of the type, and its bytes.
    Other(u32, Vec<u8>),
}

impl RegistryValue {
    /// Returns the text, if the data is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Expand(text) => Some(text),
            Self::Number(_) | Self::Other(..) => None,
        }
    }

    /// Returns the number, if the data is one.
    pub fn number(&self) -> Option<u32> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }
}

/// The values of a key, by name. Upper and lower case are the same in names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistryValues(pub(crate) Vec<(String, RegistryValue)>);

impl RegistryValues {
    /// Returns the value of that name.
    pub fn get(&self, name: &str) -> Option<&RegistryValue> {
        let mut values = self.0.iter();
        let found = values.find(|(known, _)| same_name(known, name));
        found.map(|(_, value)| value)
    }

    /// Returns all values with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RegistryValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

/// A key of the registry, as 64-bit programs see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryKey {
    path: String,
}

impl RegistryKey {
    /// Names the key with this path, which begins with `HKLM` or `HKCU`. Nothing is opened yet.
    pub fn new(path: impl Into<String>) -> Self {
        Self { path: path.into() }
    }

    /// Names the key of that name below this one.
    pub fn below(&self, name: &str) -> Self {
        Self::new(format!("{}\\{name}", self.path))
    }

    /// Returns the path of the key.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Reads the values of the key; `None` if the key does not exist.
    pub fn values(&self) -> Result<Option<RegistryValues>> {
        os::registry::values(&self.path)
    }

    /// Reads the names of the keys below it.
    pub fn keys(&self) -> Result<Vec<String>> {
        os::registry::keys(&self.path)
    }

    /// Sets a value, and makes the key if it does not exist.
    pub fn set(&self, name: &str, value: &RegistryValue) -> Result<()> {
        os::registry::set(&self.path, name, value)
    }

    /// Makes the key if it does not exist.
    pub fn make(&self) -> Result<()> {
        os::registry::make(&self.path)
    }

    /// Removes a value. It is no error if it does not exist.
    pub fn unset(&self, name: &str) -> Result<()> {
        os::registry::unset(&self.path, name)
    }

    /// Removes the key with everything below it. It is no error if it does not exist.
    pub fn remove(&self) -> Result<()> {
        os::registry::remove(&self.path)
    }
}
