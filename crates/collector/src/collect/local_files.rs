//! The files of this machine, by which the stacks of its processes are walked.

use analysis::{Candidates, DebugFile, Files};
use platform::ImageFiles;
use snapshot::Module;
use std::path::Path;

/// The files of the images of a process, as the process has them, and of their debug information.
pub(crate) struct LocalFiles {
    /// `None` if they cannot be had any more.
    pub(crate) images: Option<ImageFiles>,
    /// Whose process it is: what an image names is opened only if this user may read it.
    pub(crate) user: Option<u32>,
}

impl Files for LocalFiles {
    fn images<'a>(&'a self, module: &'a Module) -> Candidates<'a> {
        let files = self.images.as_ref();
        Box::new(files.and_then(|files| files.open(module)).into_iter())
    }

    fn debug<'a>(&'a self, wanted: &'a DebugFile) -> Candidates<'a> {
        let paths = wanted.paths().into_iter();
        let open = |path: String| platform::open_file_of(Path::new(&path), self.user).ok();
        Box::new(paths.filter_map(open))
    }
}
