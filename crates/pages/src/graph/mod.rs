//! A graph of who waits for what, and who has that.
//!
//! Whoever waits, waits for one thing, and each thing has one owner at most. So the graph is made of circles, each of which is drawn
//! as a ring, and of trees, each of which is drawn as an outline: below its owner stand the things that it has, and below these who
//! waits for them.

mod draw;
mod outline;
mod ring;

use maud::{Markup, html};
use std::collections::{BTreeMap, BTreeSet};

/// Waits in a ring that is drawn, at most.
const LONGEST_RING: usize = 30;
/// Rings that are drawn, at most.
const MOST_RINGS: usize = 20;

/// What stands in a box.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// What it is called.
    pub name: String,
    /// What stands below that.
    pub sub: String,
    /// The id of the place on the page that tells more of it.
    pub link: Option<String>,
}

/// One who waits, and what for.
#[derive(Clone, Debug)]
pub struct Edge {
    /// Who waits.
    pub waiter: u32,
    /// What it waits for is the same thing if this and the owner are the same.
    pub thing: u64,
    /// How that is shown.
    pub what: Node,
    /// Who has it.
    pub owner: u32,
}

/// Who waits for whom.
pub struct Graph<'g> {
    /// All who wait for another one.
    pub edges: Vec<Edge>,
    /// Those who wait for each other in circles, in the order in which they do.
    pub rings: Vec<Vec<u32>>,
    /// How one who waits, or has something, is shown.
    pub node: &'g dyn Fn(u32) -> Node,
}

/// The graph as pictures, with a sentence on how to read them.
pub fn graph(label: &str, graph: &Graph<'_>) -> Markup {
    let drawn = graph.rings.iter().filter(|ring| ring.len() <= LONGEST_RING);
    let rings: Vec<&Vec<u32>> = drawn.take(MOST_RINGS).collect();
    let in_rings: BTreeSet<u32> = rings.iter().flat_map(|ring| ring.iter().copied()).collect();
    let edges = || {
        graph
            .edges
            .iter()
            .filter(|edge| !in_rings.contains(&edge.waiter))
    };
    let outlines = outline::outlines(edges(), &in_rings);
    let left = edges().count().saturating_sub(outlines.waiters);
    html! {
        @if !graph.edges.is_empty() {
            p.faint {
                "An arrow leads from a thread to what it waits for, and from there to the thread that has it."
                @if !in_rings.is_empty() && !outlines.trees.is_empty() { " A dashed box is a thread of a circle again." }
            }
            div.scroll role="region" tabindex="0" aria-label=(label) {
                @for ring in &rings { (ring::draw(graph, ring)) }
                @for tree in &outlines.trees { (outline::draw(graph, tree, &in_rings)) }
            }
            @if left > 0 { p.faint { "… " (left) " more threads that wait are not drawn." } }
        }
    }
}

/// The things that each owner has, and the edges that lead to them.
type Owned<'e> = BTreeMap<u32, BTreeMap<u64, Vec<&'e Edge>>>;

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(waiter: u32, thing: u64, owner: u32) -> Edge {
        let what = Node {
            name: format!("lock{thing}"),
            ..Node::default()
        };
        Edge {
            waiter,
            thing,
            what,
            owner,
        }
    }

    fn shown(edges: Vec<Edge>, rings: Vec<Vec<u32>>) -> String {
        let node = |id| Node {
            name: format!("t{id}<"),
            sub: format!("thread {id}"),
            link: Some(format!("thread-{id}")),
        };
        let graph = Graph {
            edges,
            rings,
            node: &node,
        };
        super::graph("waits", &graph).into_string()
    }

    #[test]
    fn a_circle_is_a_ring_that_says_so() {
        let page = shown(
            vec![edge(1, 10, 2), edge(2, 20, 1), edge(3, 10, 2)],
            vec![vec![1, 2]],
        );
        assert_eq!(page.matches("<svg").count(), 2, "{page}");
        assert!(page.contains("circle"), "{page}");
        assert!(page.contains("href=\"#thread-1\""), "{page}");
        assert!(page.contains("t3&lt;"), "{page}");
        // Two boxes and two locks in the ring, and two boxes and a lock in the outline.
        assert_eq!(page.matches("class=\"box\"").count(), 7, "{page}");
    }

    #[test]
    fn one_that_waits_for_itself_is_a_ring_too() {
        let page = shown(vec![edge(1, 10, 1)], vec![vec![1]]);
        assert_eq!(page.matches("class=\"box\"").count(), 2, "{page}");
        assert_eq!(page.matches("class=\"head\"").count(), 2, "{page}");
    }

    #[test]
    fn who_is_not_drawn_is_counted() {
        let edges: Vec<Edge> = (1..=5000)
            .map(|id| edge(id, u64::from(id), id + 1))
            .collect();
        let page = shown(edges, vec![]);
        assert!(
            page.contains("more threads that wait are not drawn"),
            "{page}"
        );
        assert!(page.len() < 200_000, "{}", page.len());
        let one_lock: Vec<Edge> = (1..=5000).map(|id| edge(id, 7, 0)).collect();
        let page = shown(one_lock, vec![]);
        assert!(page.contains("more threads"), "{page}");
        assert!(page.len() < 200_000, "{}", page.len());
        // A ring that is not drawn.
        let ring: Vec<Edge> = (0..100)
            .map(|id| edge(id, u64::from(id), (id + 1) % 100))
            .collect();
        let page = shown(ring, vec![(0..100).collect()]);
        assert!(page.contains("… 100 more threads"), "{page}");
    }
}
