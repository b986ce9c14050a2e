//! Documents that are made from the program itself: man pages and completions.

use super::Cli;
use clap::CommandFactory;
use clap_complete::Shell;
use std::{io, path::PathBuf, process::ExitCode};

/// What can be asked of `generate`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// A man page for each command, into a folder
    Man {
        /// Where to
        folder: PathBuf,
    },
    /// Completions for a shell
    Completions {
        /// Which shell
        #[arg(value_enum)]
        shell: Shell,
    },
}

/// Prints or writes it.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.what {
        What::Man { folder } => clap_mangen::generate_to(Cli::command(), folder)?,
        What::Completions { shell } => {
            let mut out = io::stdout();
            clap_complete::generate(*shell, &mut Cli::command(), "firstchance", &mut out);
        }
    }
    Ok(ExitCode::SUCCESS)
}
