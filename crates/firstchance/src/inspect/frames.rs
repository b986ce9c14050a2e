//! The frames of a stack, as text.

use super::groups::{StackLine, lines};
use super::languages;
use super::lines::{self as sources, LONGEST_NAME, Places};
use super::open::Walked;
use super::page::Page;
use crate::ui::console;
use analysis::{End, Frame, How, Place, Stack};
use policy::print_count;

/// Adds the frames of a stack, and why there are no more.
pub(super) fn show_stack(
    page: &mut Page,
    walked: &Walked,
    stack: &Stack,
    places: &Places,
    limit: usize,
) {
    for line in lines(stack, limit) {
        match line {
            StackLine::Frame(number, frame) => {
                show_frame(page, walked, stack, number, frame, places);
                languages::show(page, frame, limit);
            }
            StackLine::Repeated { frames: 1, times } => {
                page.line(&format!("        … the same {times} times more"));
            }
            StackLine::Repeated { frames, times } => {
                page.line(&format!("        … these {frames} {times} times more"));
            }
            StackLine::More(count) => {
                page.line(&format!(
                    "        … {}",
                    print_count(count as u64, "more frame")
                ));
            }
        }
    }
    if stack.end != End::Root {
        page.faint_end("        ", &format!("({})", stack.end));
    }
}

/// Adds a frame, and before it the calls that are inlined in it, innermost first.
fn show_frame(
    page: &mut Page,
    walked: &Walked,
    stack: &Stack,
    number: usize,
    frame: &Frame,
    places: &Places,
) {
    let place = places.at(stack, number);
    for line in place.iter().flat_map(|place| &place.inlined) {
        let function = line.function.as_deref().unwrap_or("?");
        let function = console::cut(function, LONGEST_NAME);
        page.frame(
            None,
            &format!("{function}{}", sources::source(line)),
            "  inlined",
        );
    }
    let source = place.map_or_else(String::new, |place| sources::source(&place.own));
    let marks = format!("{}{}", walked.doubt_of(frame), mark(frame));
    page.frame(
        Some(number),
        &format!("{}{source}", describe(frame, place)),
        &marks,
    );
}

fn describe(frame: &Frame, place: Option<&Place>) -> String {
    let frame = Frame {
        symbol: sources::function(frame, place),
        ..frame.clone()
    };
    console::cut(&frame.to_string(), LONGEST_NAME)
}

fn mark(frame: &Frame) -> &'static str {
    match frame.how {
        How::Scan => "   (guessed)",
        How::LinkRegister => "   (by link register)",
        How::FramePointer => "   (by frame pointer)",
        How::SignalFrame | How::Cfi | How::Context => "",
    }
}
