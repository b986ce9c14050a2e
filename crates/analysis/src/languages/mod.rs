//! What runtimes of languages know of themselves: the functions of the language that a thread runs, with file and line, and where
//! it keeps that.
//!
//! Each runtime is one folder: [`go`] by the tables that every Go program carries, [`python`] by the map that CPython publishes
//! (3.13 and later) or by a table for each version, [`java`] by the tables that HotSpot has of itself. They read through
//! [`Memory`](snapshot::Memory) alone, so that whoever passes one that keeps account knows which pages they need. What they read may be
//! damaged or made to do harm: lists, texts and tables have limits, and a place that is read twice ends a walk.

pub(crate) mod go;
pub(crate) mod java;
#[cfg(test)]
mod made_up;
mod native;
pub(crate) mod python;

use crate::runtime::Runtime;

pub use java::{Blocked, Java, JavaThread, Object};
pub use python::{Gil, Python, PythonThread};

/// The longest name of a function or file that is read, in bytes.
const LONGEST_NAME: usize = 1024;

/// A function of a language, as the language's runtime knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LanguageFrame {
    /// The language.
    pub language: Runtime,
    /// The function: `Shop.checkout`, `main.(*Shop).Checkout`.
    pub function: String,
    /// Its source file.
    pub file: Option<String>,
    /// The line in that file where it is.
    pub line: Option<u32>,
}
