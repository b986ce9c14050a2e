//! `firstchance inspect`: shows what is in a dump.

mod busiest;
mod frames;
mod goroutines;
mod groups;
mod heap;
mod html;
mod languages;
mod lines;
mod names;
mod open;
mod page;
mod sections;
mod series;
mod summary;
mod symbols;
mod threads;
mod verdict;
mod waits;
mod wire;
mod wire_frames;

#[cfg(test)]
mod tests;

use crate::ui::console;
use clap::ValueEnum as _;
use clap::builder::{PathBufValueParser, TypedValueParser};
use open::Opened;
pub(crate) use open::user_of;
use page::Page;
use platform::{Error, ErrorKind, Existing, OutFile};
use series::Series;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use symbols::SymbolArgs;
pub(crate) use symbols::{build, relative};

/// Options of `inspect`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A dump: an ELF core or a minidump, written by any program
    file: PathBuf,
    /// More dumps of the same process, to compare them; or sections to show in full, instead of the summary: threads, modules,
    /// memory, heap, handles, process, environment, record, all
    #[arg(value_name = "FILE|SECTION", value_parser = more())]
    more: Vec<More>,
    /// Print everything as one JSON object
    #[arg(long)]
    json: bool,
    /// Write one page of HTML that needs no other file, instead of printing text: all but the environment, or the sections that
    /// are named. A file that exists is left as it is. With --json, the object is printed as well
    #[arg(long, value_name = "OUT")]
    html: Option<PathBuf>,
    /// Number of frames to show of a stack
    #[arg(long, value_name = "N")]
    frames: Option<usize>,
    #[command(flatten)]
    symbols: SymbolArgs,
}

/// What comes behind the first file.
#[derive(Clone, Debug)]
enum More {
    /// A section, unless there is a file of this name.
    Section(Section),
    /// Another dump.
    File(PathBuf),
}

fn more() -> impl TypedValueParser<Value = More> {
    PathBufValueParser::new().map(|path| {
        let section = path
            .to_str()
            .and_then(|word| Section::from_str(word, false).ok());
        match section.filter(|_| !path.exists()) {
            Some(section) => More::Section(section),
            None => More::File(path),
        }
    })
}

impl Args {
    /// Asks for the summary of a file.
    pub(crate) fn summary(file: PathBuf) -> Self {
        Self {
            file,
            more: Vec::new(),
            json: false,
            html: None,
            frames: None,
            symbols: SymbolArgs::default(),
        }
    }

    fn files(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(self.file.as_path()).chain(self.more.iter().filter_map(More::file))
    }

    fn sections(&self) -> impl Iterator<Item = Section> {
        self.more.iter().filter_map(More::section)
    }

    /// Fails if what was asked for does not go together.
    fn expect_sense(&self) -> anyhow::Result<()> {
        let has_sections = self.sections().next().is_some();
        let is_word = |path: &&Path| path.components().count() == 1 && !path.exists();
        if let Some(word) = self.files().skip(1).find(is_word) {
            let word = word.display();
            anyhow::bail!("`{word}` is neither a file nor a section: these are {SECTIONS}");
        }
        anyhow::ensure!(
            !self.json || !has_sections,
            "--json prints all sections: leave them out"
        );
        let has_files = self.files().nth(1).is_some();
        anyhow::ensure!(
            !has_files || !has_sections,
            "several dumps are compared as a whole: leave the sections out"
        );
        Ok(())
    }
}

impl More {
    fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Section(_) => None,
        }
    }

    fn section(&self) -> Option<Section> {
        match self {
            Self::Section(section) => Some(*section),
            Self::File(_) => None,
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
    /// What the heap is made of: its blocks by size, and what they begin with
    Heap,
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

/// Their names.
const SECTIONS: &str = "threads, modules, memory, heap, handles, process, environment, record, all";

const ALL: [Section; 8] = [
    Section::Record,
    Section::Process,
    Section::Threads,
    Section::Modules,
    Section::Memory,
    Section::Heap,
    Section::Handles,
    Section::Environment,
];

/// Prints the dump, or what changed between several. Fails if a file cannot be read or is no dump.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    args.expect_sense()?;
    let open = |path| Opened::new(path, &args.symbols);
    let opened: Vec<Opened> = args.files().map(open).collect::<Result<_, _>>()?;
    let before: Vec<_> = opened
        .iter()
        .map(|opened| opened.content.trouble())
        .collect();
    if let Some(out) = &args.html {
        write_html(&opened, args, out)?;
    }
    let has_colours = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let text = match &opened[..] {
        _ if args.html.is_some() && !args.json => String::new(),
        [opened] if args.json => wire::json(opened, args.frames)?,
        [opened] => report(opened, args, has_colours),
        several if args.json => Series::of(several).json()?,
        several => Series::of(several).text(has_colours),
    };
    match io::stdout().lock().write_all(text.as_bytes()) {
        // The reader has closed the pipe (`| head`).
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        result => result?,
    }
    let pairs = opened.iter().zip(before);
    pairs.for_each(|(opened, before)| tell_of_trouble(opened, before));
    Ok(ExitCode::SUCCESS)
}

/// Writes the page under a name that is free, readable by its owner alone, as dumps are.
fn write_html(opened: &[Opened], args: &Args, out: &Path) -> anyhow::Result<()> {
    let file = OutFile::create(out, Existing::Refuse).map_err(|error| match error.kind {
        ErrorKind::Exists => error.advise("Name another file with --html."),
        _ => error,
    })?;
    let page = match opened {
        [opened] => html::dump(opened, &args.sections().collect::<Vec<_>>(), args.frames),
        several => html::series(&Series::of(several)),
    };
    let failed = |error| Error::of_file(&format!("writing {}", out.display()), &error);
    let written = file.write_at(0, page.as_bytes());
    written.and_then(|()| file.sync()).map_err(failed)?;
    let path = file.publish()?;
    if !args.json {
        console::print(&format!(
            "Page: {}",
            console::plain(&path.display().to_string())
        ))?;
    }
    Ok(())
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
    let sections: Vec<Section> = args.sections().collect();
    if sections.is_empty() {
        summary::write(&mut page, opened, args.frames);
        return page.text();
    }
    let all = sections.contains(&Section::All);
    let sections = if all { &ALL[..] } else { &sections[..] };
    if all {
        summary::comments(&mut page, opened, &opened.hint("record"));
        summary::exception(&mut page, opened);
    }
    for section in sections {
        match section {
            Section::Threads => threads::all(&mut page, opened, args.frames),
            Section::Modules => sections::modules(&mut page, opened),
            Section::Memory => sections::memory(&mut page, opened),
            Section::Heap => heap::write(&mut page, opened),
            Section::Handles => sections::handles(&mut page, opened),
            Section::Process => sections::process(&mut page, opened),
            Section::Environment => sections::environment(&mut page, opened),
            Section::Record => sections::record(&mut page, opened),
            Section::All => {}
        }
    }
    page.text()
}
