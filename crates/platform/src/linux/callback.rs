//! Callback routines of DLLs, which Linux does not have.

use crate::{Error, ErrorKind, Result};
use snapshot::{
    ProcessKey,
    choice::{Choice, Offer},
};
use std::path::Path;

/// A routine; there is none.
#[derive(Clone, Debug)]
pub(crate) enum Routine {}

pub(crate) fn load(path: &Path) -> Result<Routine> {
    let what = format!("{} cannot be loaded: Linux has no DLLs", path.display());
    Err(Error::new(ErrorKind::Unsupported, what))
}

impl Routine {
    pub(crate) fn choose(&self, _process: ProcessKey, _offer: &Offer) -> Result<Choice> {
        match *self {}
    }
}
