//! HTML: what pages are made of, whatever they are about.
//!
//! The markup has no styles and no scripts in it, so that it fits into a page under any content security policy: the page
//! that stands alone ([`document()`]), and those of a server, which has the [`STYLE`] as a file.

mod blocks;
mod document;
mod graph;
mod picture;
mod text;

pub use blocks::{Column, bar, bars, section, table};
pub use document::{SCRIPT, STYLE, document};
pub use graph::{Edge, Graph, Node, graph};
pub use picture::{Part, treemap};
pub use text::Text;
