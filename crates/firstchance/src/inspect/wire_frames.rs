//! The frames of a stack, in JSON.

use super::languages::{self, LanguageWire};
use super::lines::{Places, function};
use super::open::Walked;
use analysis::{Frame, Line, Place, Stack};
use serde::Serialize;

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(super) struct FrameWire<'a> {
    ip: String,
    sp: String,
    module: Option<&'a str>,
    offset: String,
    function: Option<String>,
    function_offset: Option<u64>,
    /// The source file, as the compiler wrote it, and the number of the line.
    file: Option<&'a str>,
    line: Option<u32>,
    /// Whether it is a call that the compiler replaced by the function's code; the frame that holds that code comes after it.
    inlined: bool,
    found_by: String,
    /// Whether its names may be wrong, because the file that they are of may be another build.
    unverified: bool,
    signal_handler_return: bool,
    /// What it is to the runtime of its language, innermost first.
    language: Vec<LanguageWire<'a>>,
}

/// So many frames of a stack, with the calls that are inlined in them.
pub(super) fn frames<'a>(
    walked: &Walked,
    stack: &'a Stack,
    places: &'a Places,
    limit: usize,
) -> Vec<FrameWire<'a>> {
    let numbered = stack.frames.iter().enumerate().take(limit);
    let wire = |(number, frame)| {
        let place = places.at(stack, number);
        let unverified = !walked.doubt_of(frame).is_empty();
        let inlined = place.map_or(&[][..], |place| &place.inlined);
        let inlined = inlined
            .iter()
            .map(move |line| inlined_frame(frame, line, unverified));
        inlined.chain([self::frame(frame, place, unverified)])
    };
    numbered.flat_map(wire).collect()
}

fn inlined_frame<'a>(frame: &'a Frame, line: &'a Line, unverified: bool) -> FrameWire<'a> {
    FrameWire {
        function: line.function.clone(),
        function_offset: None,
        file: line.file.as_deref(),
        line: line.line,
        inlined: true,
        signal_handler_return: false,
        language: Vec::new(),
        ..self::frame(frame, None, unverified)
    }
}

fn frame<'a>(frame: &'a Frame, place: Option<&'a Place>, unverified: bool) -> FrameWire<'a> {
    let symbol = function(frame, place);
    FrameWire {
        ip: hex(frame.ip),
        sp: hex(frame.sp),
        module: frame.module.as_deref(),
        offset: hex(frame.offset),
        function_offset: symbol.as_ref().map(|s| s.offset),
        function: symbol.map(|s| s.name),
        file: place.and_then(|place| place.own.file.as_deref()),
        line: place.and_then(|place| place.own.line),
        inlined: false,
        found_by: frame.how.to_string(),
        unverified,
        signal_handler_return: frame.is_signal_frame,
        language: frame.language.iter().map(languages::wire).collect(),
    }
}

fn hex(value: u64) -> String {
    format!("{value:#x}")
}
