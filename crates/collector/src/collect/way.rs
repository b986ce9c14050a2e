//! How a dump gets into its file.

use super::{
    pack::Packer,
    plain_first::{PlainFirst, When},
    sink::Sink,
};
use formats::Plan;
use snapshot::{Compression, Warning};
use std::sync::Arc;

/// How a dump gets into its file.
#[derive(Default)]
pub(super) enum Way {
    /// As it is.
    #[default]
    Plain,
    /// Compressed while it is copied.
    Packed(Arc<Packer>),
    /// As it is into another file first, and compressed from there.
    PlainFirst(PlainFirst),
}

impl Way {
    /// The way of a dump that is to be compressed as it was `asked`. While the process stands it is copied alone, if there is
    /// room for the dump as it is, and compressed at a low level else. Returns the compression that is used, and a warning
    /// if it is not so that the process goes on soon.
    pub(super) fn to_compress(
        plan: &Arc<Plan>,
        sink: &Sink,
        asked: Compression,
        when: When<'_>,
    ) -> (Self, Compression, Option<Warning>) {
        let at_once = |used| Self::Packed(Arc::new(Packer::new(plan, used, sink)));
        if !when.stands {
            return (at_once(asked), asked, None);
        }
        let used = asked.while_it_stands();
        let why = match sink {
            Sink::Stream(_) => "it goes to a pipe".to_owned(),
            Sink::File(file) => match PlainFirst::make(&file.path(), plan, when) {
                Ok(plain) => return (Self::PlainFirst(plain), asked, None),
                Err(error) => error.what,
            },
        };
        let warning = format!(
            "compressed by {used} while the process stood, and not afterwards by {asked}: {why}"
        );
        (at_once(used), used, Some(warning))
    }

    pub(super) fn packer(&self) -> Option<&Arc<Packer>> {
        match self {
            Self::Packed(packer) => Some(packer),
            Self::Plain | Self::PlainFirst(_) => None,
        }
    }
}
