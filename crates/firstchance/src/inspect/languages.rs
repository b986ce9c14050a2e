//! Functions of languages with a runtime of their own, in the frames that run them.

use super::lines::{self, LONGEST_NAME};
use super::open::Walked;
use super::page::Page;
use crate::ui::console;
use analysis::thrown::Thrown;
use analysis::{Frame, LanguageFrame};
use policy::print_count;
use serde::Serialize;
use snapshot::Thread;

/// Functions that are the same are shown so often before they are only counted.
const SAME: usize = 3;

/// A function of a language, in JSON.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(super) struct LanguageWire<'a> {
    language: String,
    function: &'a str,
    file: Option<&'a str>,
    line: Option<u32>,
}

pub(super) fn wire(frame: &LanguageFrame) -> LanguageWire<'_> {
    LanguageWire {
        language: frame.language.to_string(),
        function: &frame.function,
        file: frame.file.as_deref(),
        line: frame.line,
    }
}

/// Adds the functions that an interpreter runs in a frame, at most `limit` of them.
pub(super) fn show(page: &mut Page, frame: &Frame, limit: usize) {
    if lines::place(frame).is_some() {
        return;
    }
    let runs: Vec<&[LanguageFrame]> = frame.language.chunk_by(|a, b| a == b).collect();
    let mut left = limit;
    for (number, run) in runs.iter().enumerate() {
        if left == 0 {
            let more = runs[number..].iter().map(|run| run.len()).sum::<usize>();
            let more = print_count(more as u64, "more function");
            page.line(&format!("           … {more}"));
            return;
        }
        left -= 1;
        show_run(page, run);
    }
}

/// Functions that are all the same, as those of a recursion are.
fn show_run(page: &mut Page, run: &[LanguageFrame]) {
    let shown = if run.len() > SAME { 1 } else { run.len() };
    for frame in &run[..shown] {
        page.line(&format!("           {}: {}", frame.language, told(frame)));
    }
    if run.len() > shown {
        page.line(&format!(
            "           … the same {} times more",
            run.len() - shown
        ));
    }
}

/// `Shop.checkout  (shop.py:12)`.
pub(super) fn told(frame: &LanguageFrame) -> String {
    let function = console::cut(&frame.function, LONGEST_NAME);
    function + &lines::source(&lines::line_of(frame))
}

/// The exceptions of a language that a thread raises or handles, in words.
pub(super) fn exceptions(walked: &Walked, thread: &Thread) -> Vec<String> {
    let python = walked.languages.python.iter();
    let mut threads = python.flat_map(|python| &python.threads);
    let python = threads.find(|found| found.thread == Some(thread.id));
    let java = walked.languages.java_thread(thread.id);
    let raised = python.and_then(|python| python.raises.as_ref());
    let raised = raised.or_else(|| java?.raises.as_ref());
    let raises = raised.map(|thrown| thrown_as("raises", thrown));
    let handles = python.and_then(|python| python.handles.as_ref());
    let handles = handles.map(|thrown| thrown_as("handles", thrown));
    raises.into_iter().chain(handles).collect()
}

/// `raises ValueError "no such customer"`.
fn thrown_as(what: &str, thrown: &Thrown) -> String {
    let mut languages = ["PYTHON.", "JAVA."].iter();
    let name = languages.find_map(|language| thrown.name.strip_prefix(language));
    let name = name.unwrap_or(&thrown.name);
    match &thrown.message[..] {
        "" => format!("{what} {name}"),
        message => format!("{what} {name} \"{}\"", console::cut(message, LONGEST_NAME)),
    }
}
