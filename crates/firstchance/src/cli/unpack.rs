//! `firstchance unpack`: writes the plain dump of one that is compressed.

use crate::{
    export::without_packing,
    ui::{console, exit::Usage, values},
};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Options of `unpack`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A dump that is compressed by zstd, gzip, xz or lz4, by firstchance or any program
    file: PathBuf,
    /// The file to write [default: the name without .zst, .gz, .xz or .lz4, in the same folder]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace an existing file of the same name; otherwise the dump gets the next free name
    #[arg(long)]
    overwrite: bool,
}

/// Unpacks the file.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let to = match &args.output {
        Some(path) => path.clone(),
        None => unpacked_name(&args.file)?,
    };
    let (path, bytes) = collector::unpack(&args.file, &to, values::existing(args.overwrite))?;
    let (path, size) = (path.display().to_string(), console::size(bytes));
    console::print(&format!("Unpacked: {} ({size})", console::plain(&path)))?;
    Ok(ExitCode::SUCCESS)
}

/// The name of the file without the ending of a compressed one.
fn unpacked_name(file: &Path) -> Result<PathBuf, Usage> {
    let name = file.file_name().and_then(|name| name.to_str());
    let name = name.unwrap_or_default();
    match without_packing(name) {
        stem if stem != name && !stem.is_empty() => Ok(file.with_file_name(stem)),
        _ => Err(Usage(format!(
            "{} ends in none of .zst, .gz, .xz and .lz4: say with -o where its content is to be written",
            console::plain(&file.display().to_string())
        ))),
    }
}
