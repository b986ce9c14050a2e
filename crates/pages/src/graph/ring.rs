//! A circle, drawn as a ring in two columns.

use super::draw::{HEIGHT, WIDTH, arrow, node};
use super::{Edge, Graph, Node};
use crate::Text;
use maud::{Markup, html};

/// Between the columns, and between the rows.
const GAP: i32 = 46;
/// Room for the heading, and at the sides.
const TOP: i32 = 26;
const SIDE: i32 = 4;

/// A ring: who waits, what for, who has that and so waits itself.
pub(super) fn draw(graph: &Graph<'_>, ring: &[u32]) -> Markup {
    let nodes = nodes(graph, ring);
    let count = nodes.len();
    let rows = (count / 2) as i32;
    let height = TOP + rows * (HEIGHT + GAP) - GAP + SIDE;
    let width = 2 * (WIDTH + SIDE) + GAP;
    let names: Vec<&str> = nodes.iter().map(|(node, _)| &node.name[..]).collect();
    let told = format!(
        "A circle: {} → {}",
        names.join(" → "),
        names.first().copied().unwrap_or("")
    );
    html! {
        svg.graph.whole role="img" aria-label=(Text(&told)) width=(width) height=(height) viewBox=(format!("0 0 {width} {height}")) {
            text.circle x=(SIDE) y="15" { "▲ deadlock: a circle" }
            g.ring {
                @for at in 0..count { (between(at, count)) }
                @for (at, (node, class)) in nodes.iter().enumerate() {
                    @let (x, y) = place(at, count);
                    (self::node(node, class, x, y))
                }
            }
        }
    }
}

/// Those who wait, and after each what it waits for.
fn nodes(graph: &Graph<'_>, ring: &[u32]) -> Vec<(Node, &'static str)> {
    let edge = |id: u32| graph.edges.iter().find(|edge| edge.waiter == id);
    let what = |edge: Option<&Edge>| edge.map_or_else(Node::default, |edge| edge.what.clone());
    let pair = |&id: &u32| [((graph.node)(id), "who"), (what(edge(id)), "what")];
    ring.iter().flat_map(pair).collect()
}

/// Where a node is: the first at the left, the next ones down the right column, the others up the left one.
fn place(at: usize, count: usize) -> (i32, i32) {
    let (is_right, row) = match at {
        0 => (false, 0),
        at if at <= count / 2 => (true, at - 1),
        at => (false, count - at),
    };
    let x = if is_right { SIDE + WIDTH + GAP } else { SIDE };
    (x, TOP + row as i32 * (HEIGHT + GAP))
}

/// The arrow from a node to the next one.
fn between(at: usize, count: usize) -> Markup {
    let next = (at + 1) % count;
    let (from, to) = (place(at, count), place(next, count));
    // Two arrows between the same two nodes do not cover each other.
    let aside = match count {
        2 if at == 0 => -8,
        2 => 8,
        _ => 0,
    };
    let middle = |y: i32| y + HEIGHT / 2 + aside;
    let centre = from.0 + WIDTH / 2;
    arrow(&match (to.0 - from.0, to.1 - from.1) {
        (1.., _) => [(from.0 + WIDTH, middle(from.1)), (to.0, middle(to.1))],
        (..0, _) => [(from.0, middle(from.1)), (to.0 + WIDTH, middle(to.1))],
        (0, 1..) => [(centre, from.1 + HEIGHT), (centre, to.1)],
        (0, _) => [(centre, from.1), (centre, to.1 + HEIGHT)],
    })
}
