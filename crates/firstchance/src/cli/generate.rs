//! `firstchance generate` (hidden): man pages and shell completions, made from the command line's
//! own definition.

use super::Cli;
use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;
use platform::Error;
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Options of `generate`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Write a man page for each command into a folder
    Man {
        /// The folder
        folder: PathBuf,
    },
    /// Print completions for a shell
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
}

/// Writes the man pages, or prints the completions.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.what {
        What::Man { folder } => {
            let mut all = Cli::command().disable_help_subcommand(true);
            all.build();
            write_pages(all, folder)?;
        }
        What::Completions { shell } => {
            let mut out = io::stdout();
            clap_complete::generate(*shell, &mut Cli::command(), "firstchance", &mut out);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the page of a command, and those of the commands in it, as `clap_mangen::generate_to` does, which would follow a
/// link that somebody else has put into the folder.
fn write_pages(command: clap::Command, folder: &Path) -> anyhow::Result<()> {
    let inner = command
        .get_subcommands()
        .filter(|inner| !inner.is_hide_set());
    for inner in inner.cloned() {
        write_pages(inner, folder)?;
    }
    let page = Man::new(command);
    let mut text = Vec::new();
    page.render(&mut text)?;
    let path = folder.join(page.get_filename());
    let failed = |e: io::Error| Error::of_file(&format!("writing {}", path.display()), &e);
    Ok(write_new(&path, &text).map_err(failed)?)
}

/// Writes a file in place of one that is there.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => File::create_new(path)?.write_all(bytes),
    }
}
