//! Who waits for whom, as a graph and in words.

use super::blocks::markup;
use super::{threads, written};
use crate::inspect::open::{Opened, Walked};
use crate::inspect::waits;
use analysis::waits::{On, Wait, cycles};
use maud::{Markup, html};
use pages::{Edge, Graph, Node, graph};
use std::collections::HashMap;

/// The graph, and the sentences that say the same; nothing if no thread waits for another one.
pub(super) fn shown(opened: &Opened, walked: &Walked) -> Markup {
    let snapshot = &opened.dump.snapshot;
    let edges: Vec<Edge> = walked
        .waits
        .iter()
        .filter_map(|wait| edge(walked, wait))
        .collect();
    if edges.is_empty() {
        return html! {};
    }
    let ids = |cycle: &Vec<&Wait>| cycle.iter().map(|wait| wait.thread).collect();
    let names = names(walked);
    let drawn = Graph {
        edges,
        rings: cycles(&walked.waits).iter().map(ids).collect(),
        node: &|id| node(&names, id),
    };
    html! {
        h3 #waits { "Who waits for whom" }
        (markup(written(|page| waits::write(page, snapshot, walked))))
        (graph("Who waits for whom", &drawn))
    }
}

fn names<'a>(walked: &'a Walked) -> HashMap<u32, &'a str> {
    let threads = walked.threads.iter();
    threads
        .map(|(thread, _)| (thread.id, walked.name_of(thread)))
        .collect()
}

fn node(names: &HashMap<u32, &str>, id: u32) -> Node {
    let name = names.get(&id).copied().unwrap_or_default();
    Node {
        name: if name.is_empty() { "(no name)" } else { name }.to_owned(),
        sub: format!("thread {id}"),
        link: names.contains_key(&id).then(|| threads::id(id)),
    }
}

/// A thread that waits for another one.
fn edge(walked: &Walked, wait: &Wait) -> Option<Edge> {
    let (name, sub) = match wait.on {
        On::Lock(lock) => {
            let address = format!("{:#x}", lock.address);
            match walked.variable(lock.address) {
                Some(name) => (name.to_owned(), format!("{} {address}", lock.kind)),
                None => (address, lock.kind.to_string()),
            }
        }
        On::End { thread } => ("its end".to_owned(), format!("of thread {thread}")),
        _ => return None,
    };
    Some(Edge {
        waiter: wait.thread,
        thing: wait.address().unwrap_or(0),
        what: Node {
            name,
            sub,
            link: None,
        },
        owner: wait.owner()?,
    })
}
