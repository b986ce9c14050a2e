//! Values of the registry that are ours for a while: what was there is kept in a key of our own, and
//! put back unless somebody has changed it since.

use platform::{RegistryKey, RegistryValue, RegistryValues, Result};
use std::collections::BTreeSet;

/// In this lies what was there before.
const KEPT: &str = r"HKLM\SOFTWARE\firstchance";
/// Names of values there: what we found, what we set, and whether there was a key at all.
const FOUND: &str = "found ";
const SET: &str = "set ";
const WAS_THERE: &str = "the key was there";

/// The values of one key.
pub(super) struct Takeover {
    key: RegistryKey,
    kept: RegistryKey,
}

/// A value that is to be, by name; `None` for none.
pub(super) type NewValue<'n> = (&'n str, Option<RegistryValue>);

impl Takeover {
    /// `name` is under what it is kept.
    pub(super) fn of(key: RegistryKey, name: &str) -> Self {
        Self {
            key,
            kept: kept(name),
        }
    }

    /// Sets values; what is there and not ours is kept first, and whether there is a key at all.
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

    /// The values that somebody has changed since we set them.
    pub(super) fn changed(&self) -> Result<Vec<String>> {
        let kept = self.kept.values()?.unwrap_or_default();
        let now = self.key.values()?.unwrap_or_default();
        let changed = |name: &String| now.get(name) != kept.get(&set(name));
        Ok(names(&kept).into_iter().filter(changed).collect())
    }

    /// Whether values of this key are ours.
    pub(super) fn is_taken(&self) -> Result<bool> {
        Ok(self
            .kept
            .values()?
            .is_some_and(|kept| !names(&kept).is_empty()))
    }

    /// Puts back what was there; the values that stay because somebody has changed them since.
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

    /// What is kept is wanted no longer.
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

/// Under what names values of keys below `name` are kept.
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

/// The names of the values of which something is kept.
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
