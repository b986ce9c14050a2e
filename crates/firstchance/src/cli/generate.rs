//! `firstchance generate` (hidden): man pages and shell completions, made from the command line's
//! own definition.

use super::Cli;
use clap::CommandFactory;
use clap_complete::Shell;
use std::{io, path::PathBuf, process::ExitCode};

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
        What::Man { folder } => clap_mangen::generate_to(Cli::command(), folder)?,
        What::Completions { shell } => {
            let mut out = io::stdout();
            clap_complete::generate(*shell, &mut Cli::command(), "firstchance", &mut out);
        }
    }
    Ok(ExitCode::SUCCESS)
}
