//! Trees of those who wait, drawn as outlines.

use super::draw::{HEIGHT, WIDTH, arrow, node};
use super::{Edge, Graph, Node, Owned};
use crate::Text;
use maud::{Markup, html};
use std::collections::BTreeSet;

/// Boxes of all outlines, at most.
const MOST: usize = 200;
/// Boxes below one thing, at most.
const MOST_WAITERS: usize = 8;
/// How deep an outline is, at most.
const DEEPEST: usize = 24;
const INDENT: i32 = 30;
const ROW: i32 = HEIGHT + 14;
const SIDE: i32 = 4;

/// A box of an outline.
pub(super) enum Item<'e> {
    /// One who waits or has something.
    Who(u32),
    /// What is waited for.
    What(&'e Edge),
    /// So many who wait and have no box.
    More(usize),
}

/// An outline: its boxes from top to bottom, each with its depth.
pub(super) type Tree<'e> = Vec<(usize, Item<'e>)>;

/// All outlines, and how many who wait are in them.
#[derive(Default)]
pub(super) struct Outlines<'e> {
    pub(super) trees: Vec<Tree<'e>>,
    pub(super) waiters: usize,
    boxes: usize,
}

/// The outlines of these waits. Their roots are those who do not wait, or do so in a ring.
pub(super) fn outlines<'e>(
    edges: impl Iterator<Item = &'e Edge>,
    in_rings: &BTreeSet<u32>,
) -> Outlines<'e> {
    let mut owned = Owned::new();
    let mut waiters = BTreeSet::new();
    for edge in edges {
        owned
            .entry(edge.owner)
            .or_default()
            .entry(edge.thing)
            .or_default()
            .push(edge);
        waiters.insert(edge.waiter);
    }
    let is_root = |id: &&u32| in_rings.contains(id) || !waiters.contains(id);
    let mut outlines = Outlines::default();
    for root in owned.keys().filter(is_root) {
        let mut tree = vec![(0, Item::Who(*root))];
        outlines.boxes += 1;
        outlines.add_things(&owned, *root, 1, &mut tree);
        if tree.len() > 1 {
            outlines.trees.push(tree);
        }
    }
    outlines
}

impl<'e> Outlines<'e> {
    /// Adds what one has, and who waits for that.
    fn add_things(&mut self, owned: &Owned<'e>, owner: u32, depth: usize, tree: &mut Tree<'e>) {
        for edges in owned
            .get(&owner)
            .into_iter()
            .flat_map(|things| things.values())
        {
            let Some(first) = edges
                .first()
                .filter(|_| depth < DEEPEST && self.boxes < MOST)
            else {
                return;
            };
            tree.push((depth, Item::What(first)));
            self.boxes += 1;
            self.add_waiters(owned, edges, depth + 1, tree);
        }
    }

    /// Adds those who wait for a thing: those first for whom others wait.
    fn add_waiters(
        &mut self,
        owned: &Owned<'e>,
        edges: &[&'e Edge],
        depth: usize,
        tree: &mut Tree<'e>,
    ) {
        let mut edges = edges.to_vec();
        edges.sort_by_key(|edge| (!owned.contains_key(&edge.waiter), edge.waiter));
        for edge in edges.iter().take(MOST_WAITERS) {
            tree.push((depth, Item::Who(edge.waiter)));
            self.boxes += 1;
            self.waiters += 1;
            self.add_things(owned, edge.waiter, depth + 1, tree);
        }
        if let Some(more) = edges.get(MOST_WAITERS..).filter(|more| !more.is_empty()) {
            tree.push((depth, Item::More(more.len())));
            self.waiters += more.len();
        }
    }
}

/// The picture of an outline.
pub(super) fn draw(graph: &Graph<'_>, tree: &Tree<'_>, in_rings: &BTreeSet<u32>) -> Markup {
    let deepest = tree.iter().map(|(depth, _)| *depth).max().unwrap_or(0);
    let width = x_of(deepest) + WIDTH + SIDE;
    let height = tree.len() as i32 * ROW;
    let root = match tree.first() {
        Some((_, Item::Who(id))) => (graph.node)(*id),
        _ => Node::default(),
    };
    let told = format!("Who waits for what {} {} has", root.sub, root.name);
    html! {
        svg.graph role="img" aria-label=(Text(&told)) width=(width) height=(height) {
            @for (row, (depth, item)) in tree.iter().enumerate() {
                @if let Some(parent) = parent(tree, row) { (to_parent(parent, row, *depth)) }
                (self::item(graph, item, (x_of(*depth), y_of(row)), in_rings))
            }
        }
    }
}

fn item(
    graph: &Graph<'_>,
    item: &Item<'_>,
    (x, y): (i32, i32),
    in_rings: &BTreeSet<u32>,
) -> Markup {
    match item {
        Item::Who(id) if in_rings.contains(id) => node(&(graph.node)(*id), "who again", x, y),
        Item::Who(id) => node(&(graph.node)(*id), "who", x, y),
        Item::What(edge) => node(&edge.what, "what", x, y),
        Item::More(count) => html! {
            text x=(x + 14) y=(y + HEIGHT / 2 + 4) { "… " (count) " more threads" }
        },
    }
}

fn x_of(depth: usize) -> i32 {
    SIDE + depth as i32 * INDENT
}

fn y_of(row: usize) -> i32 {
    SIDE + row as i32 * ROW
}

/// The row of the box below which one stands.
fn parent(tree: &Tree<'_>, row: usize) -> Option<usize> {
    let depth = tree[row].0.checked_sub(1)?;
    (0..row).rev().find(|above| tree[*above].0 == depth)
}

/// The arrow from a box to the one below which it stands.
fn to_parent(parent: usize, row: usize, depth: usize) -> Markup {
    let x = x_of(depth - 1) + INDENT / 2;
    let y = y_of(row) + HEIGHT / 2;
    arrow(&[(x_of(depth), y), (x, y), (x, y_of(parent) + HEIGHT)])
}
