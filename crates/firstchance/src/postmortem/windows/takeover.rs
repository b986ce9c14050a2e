//! Sets values of the registry and restores the old ones later. The old values are saved in a key
//! of our own; a value that somebody else has changed meanwhile is left alone.

use platform::{RegistryKey, RegistryValue, RegistryValues, Result};
use std::collections::BTreeSet;

/// The key with all saved values.
const KEPT: &str = r"HKLM\SOFTWARE\firstchance";
/// For a value NAME, `found NAME` saves what was there and `set NAME` what we have set; the third
/// value says whether the key existed.
const FOUND: &str = "found ";
const SET: &str = "set ";
const WAS_THERE: &str = "the key was there";

/// The values of one key that are ours.
pub(super) struct Takeover {
    key: RegistryKey,
    kept: RegistryKey,
}

/// The name of a value and what it shall be; `None` means that it shall not exist.
pub(super) type NewValue<'n> = (&'n str, Option<RegistryValue>);

impl Takeover {
    /// The values of `key`, which are saved under `name`.
    pub(super) fn of(key: RegistryKey, name: &str) -> Self {
        Self {
            key,
            kept: kept(name),
        }
    }

    /// Sets values. First it saves those that are not ours, and whether the key existed.
    pub(super) fn take(&self, wanted: &[NewValue<'_>]) -> Result<()> {
        let kept = self.kept.values()?.unwrap_or_default();
        if kept.get(WAS_THERE).is_none() {
            let there = RegistryValue::Number(self.key.values()?.is_some().into());
            self.kept.set(WAS_THERE, &there)?;
        }
        for (name, value) in wanted {
            self.take_one(name, value.as_ref())?;
        }
        Ok(())
    }

    fn take_one(&self, name: &str, value: Option<&RegistryValue>) -> Result<()> {
        let now = self.key.values()?.unwrap_or_default();
        let kept = self.kept.values()?.unwrap_or_default();
        let is_ours = names(&kept).contains(name) && now.get(name) == kept.get(&set(name));
        if !is_ours {
            put(&self.kept, &found(name), now.get(name))?;
        }
        put(&self.kept, &set(name), value)?;
        put(&self.key, name, value)
    }

    /// The names of values that somebody has changed since we set them.
    pub(super) fn changed(&self) -> Result<Vec<String>> {
        let kept = self.kept.values()?.unwrap_or_default();
        let now = self.key.values()?.unwrap_or_default();
        let changed = |name: &String| now.get(name) != kept.get(&set(name));
        Ok(names(&kept).into_iter().filter(changed).collect())
    }

    /// Whether any values of the key are ours.
    pub(super) fn is_taken(&self) -> Result<bool> {
        Ok(self
            .kept
            .values()?
            .is_some_and(|kept| !names(&kept).is_empty()))
    }

    /// Restores the old values. Returns the names of those that were left alone because somebody
    /// has changed them since.
    pub(super) fn give_back(&self) -> Result<Vec<String>> {
        let changed = self.changed()?;
        let Some(kept) = self.kept.values()? else {
            return Ok(changed);
        };
        for name in names(&kept).iter().filter(|name| !changed.contains(name)) {
            put(&self.key, name, kept.get(&found(name)))?;
        }
        let was_there = kept.get(WAS_THERE).and_then(RegistryValue::number) == Some(1);
        if !was_there && self.is_empty()? {
            self.key.remove()?;
        }
        self.forget()?;
        Ok(changed)
    }

    /// Removes the saved values.
    pub(super) fn forget(&self) -> Result<()> {
        self.kept.remove()?;
        let all = RegistryKey::new(KEPT);
        match all.keys()?.is_empty() {
            true => all.remove(),
            false => Ok(()),
        }
    }

    fn is_empty(&self) -> Result<bool> {
        let values = self.key.values()?.unwrap_or_default();
        Ok(values.iter().next().is_none() && self.key.keys()?.is_empty())
    }
}

/// The names below `name` under which values are saved.
pub(super) fn names_below(name: &str) -> Result<Vec<String>> {
    kept(name).keys()
}

fn kept(name: &str) -> RegistryKey {
    RegistryKey::new(KEPT).below(name)
}

fn found(name: &str) -> String {
    format!("{FOUND}{name}")
}

fn set(name: &str) -> String {
    format!("{SET}{name}")
}

/// The names of the values that were saved.
fn names(kept: &RegistryValues) -> BTreeSet<String> {
    let name = |name: &str| {
        let name = name.strip_prefix(FOUND).or(name.strip_prefix(SET))?;
        Some(name.to_owned())
    };
    kept.iter().filter_map(|(kept, _)| name(kept)).collect()
}

fn put(key: &RegistryKey, name: &str, value: Option<&RegistryValue>) -> Result<()> {
    match value {
        Some(value) => key.set(name, value),
        None => key.unset(name),
    }
}
