//! `firstchance inspect`: shows what is in a dump.

mod busiest;
mod groups;
mod open;
mod page;
mod sections;
mod summary;
mod threads;
mod waits;
mod wire;

#[cfg(test)]
mod tests;

use crate::ui::console;
use open::Opened;
pub(crate) use open::user_of;
use page::Page;
pub(crate) use sections::build;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// Options of `inspect`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A dump: an ELF core or a minidump, written by any program
    file: PathBuf,
    /// Sections to show in full, instead of the summary
    #[arg(value_enum)]
    sections: Vec<Section>,
    /// Print everything as one JSON object
    #[arg(long, conflicts_with = "sections")]
    json: bool,
    /// Number of frames to show of a stack
    #[arg(long, value_name = "N")]
    frames: Option<usize>,
}

impl Args {
    /// Asks for the summary of a file.
    pub(crate) fn summary(file: PathBuf) -> Self {
        Self {
            file,
            sections: Vec::new(),
            json: false,
            frames: None,
        }
    }
}

/// A section of a dump that can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Section {
    /// Every thread with its stack
    Threads,
    /// Programs and libraries
    Modules,
    /// Memory by class, and every region
    Memory,
    /// Open descriptors or handles
    Handles,
    /// The process and the machine
    Process,
    /// The environment variables
    Environment,
    /// Why and how the dump was taken, with its gaps
    Record,
    /// All sections
    All,
}

const ALL: [Section; 7] = [
    Section::Record,
    Section::Process,
    Section::Threads,
    Section::Modules,
    Section::Memory,
    Section::Handles,
    Section::Environment,
];

/// Prints the dump. Fails if the file cannot be read or is no dump.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let opened = Opened::new(&args.file)?;
    let before = opened.content.trouble();
    let text = if args.json {
        wire::json(&opened, args.frames)?
    } else {
        let is_terminal = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        report(&opened, args, is_terminal)
    };
    match io::stdout().lock().write_all(text.as_bytes()) {
        // The reader has closed the pipe (`| head`).
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        result => result?,
    }
    tell_of_trouble(&opened, before);
    Ok(ExitCode::SUCCESS)
}

/// Tells of damage that showed only when the dump was looked at.
fn tell_of_trouble(opened: &Opened, before: Option<String>) {
    let trouble = opened.content.trouble().filter(|_| before.is_none());
    trouble.iter().for_each(|trouble| {
        console::complain(&format!(
            "firstchance: {}: {trouble}",
            opened.path.display()
        ));
    });
}

fn report(opened: &Opened, args: &Args, has_colours: bool) -> String {
    let mut page = Page::new(has_colours);
    if args.sections.is_empty() {
        summary::write(&mut page, opened, args.frames);
        return page.text();
    }
    let all = args.sections.contains(&Section::All);
    let sections = if all { &ALL[..] } else { &args.sections[..] };
    for section in sections {
        match section {
            Section::Threads => threads::all(&mut page, opened, args.frames),
            Section::Modules => sections::modules(&mut page, opened),
            Section::Memory => sections::memory(&mut page, opened),
            Section::Handles => sections::handles(&mut page, opened),
            Section::Process => sections::process(&mut page, opened),
            Section::Environment => sections::environment(&mut page, opened),
            Section::Record => sections::record(&mut page, opened),
            Section::All => {}
        }
    }
    page.text()
}
