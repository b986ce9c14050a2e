//! Boxes and arrows.

use super::Node;
use crate::Text;
use maud::{Markup, html};

/// Width of a box in pixels.
pub(super) const WIDTH: i32 = 176;
/// Its height.
pub(super) const HEIGHT: i32 = 42;
/// Letters of a name that have room in a box.
const LETTERS: usize = 20;
/// Letters of the smaller line below it.
const SMALL_LETTERS: usize = 26;

/// A box at a place. `class` is `who` or `what`: they differ in shape.
pub(super) fn node(node: &Node, class: &str, x: i32, y: i32) -> Markup {
    let corner = if class.starts_with("what") {
        HEIGHT / 2
    } else {
        4
    };
    let shape = html! {
        g class=(class) transform=(format!("translate({x} {y})")) {
            title { (Text(&node.name)) " " (Text(&node.sub)) }
            rect.box width=(WIDTH) height=(HEIGHT) rx=(corner) {}
            text.name x="14" y="18" { (Text(&cut(&node.name, LETTERS))) }
            text.sub x="14" y="33" { (Text(&cut(&node.sub, SMALL_LETTERS))) }
        }
    };
    html! {
        @match &node.link {
            Some(id) => a href=(format!("#{id}")) { (shape) },
            None => (shape),
        }
    }
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most - 1).chain(['…']).collect(),
    }
}

/// An arrow through these points, with its head at the last.
pub(super) fn arrow(points: &[(i32, i32)]) -> Markup {
    let line: Vec<String> = points.iter().map(|(x, y)| format!("{x},{y}")).collect();
    let head = points
        .len()
        .checked_sub(2)
        .map(|at| head(points[at], points[at + 1]));
    html! {
        polyline.arrow points=(line.join(" ")) {}
        @if let Some(head) = head { polygon.head points=(head) {} }
    }
}

/// The head of an arrow from one point to another that is right, left, above or below it.
fn head(from: (i32, i32), to: (i32, i32)) -> String {
    let (dx, dy) = ((to.0 - from.0).signum(), (to.1 - from.1).signum());
    let (back, side) = (9, 5);
    let (x, y) = (to.0 - dx * back, to.1 - dy * back);
    format!(
        "{},{} {},{} {},{}",
        to.0,
        to.1,
        x + dy * side,
        y + dx * side,
        x - dy * side,
        y - dx * side
    )
}
