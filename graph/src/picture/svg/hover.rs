//! What lights up when the mouse rests on a node.
//!
//! Each element carries one class for each node that lights it, and each node has one rule. Up to
//! [`FULL`] nodes that is everything upstream and downstream; the classes grow with the pairs of nodes that
//! reach each other, so larger pictures light direct neighbours only.

use std::collections::BTreeSet;

use super::View;

/// The largest picture, in nodes, whose whole paths light up.
pub(super) const FULL: usize = 150;

pub(super) struct Hover {
    nodes: Vec<BTreeSet<usize>>,
    edges: Vec<BTreeSet<usize>>,
}

impl Hover {
    pub fn of(view: &View) -> Hover {
        let count = view.nodes.len();
        let steps = if count <= FULL { usize::MAX } else { 1 };
        let mut up = vec![Vec::new(); count];
        let mut down = vec![Vec::new(); count];
        for edge in &view.edges {
            up[edge.to].push(edge.from);
            down[edge.from].push(edge.to);
        }
        let mut hover = Hover { nodes: vec![BTreeSet::new(); count], edges: Vec::new() };
        let above: Vec<BTreeSet<usize>> = (0..count).map(|it| reach(it, &up, steps)).collect();
        let below: Vec<BTreeSet<usize>> = (0..count).map(|it| reach(it, &down, steps)).collect();
        for (node, lit_by) in hover.nodes.iter_mut().enumerate() {
            lit_by.extend(above[node].iter().chain(&below[node]));
        }
        for edge in &view.edges {
            // Resting above its source or below its target lights an edge.
            let lit_by = if steps == 1 {
                BTreeSet::from([edge.from, edge.to])
            } else {
                above[edge.from].union(&below[edge.to]).copied().collect()
            };
            hover.edges.push(lit_by);
        }
        hover
    }

    pub fn rules(&self, id: &str) -> String {
        if self.nodes.len() < 2 {
            return String::new();
        }
        let mut out = format!("#{id}:has(.n:hover) .n{{opacity:.3}}#{id}:has(.n:hover) .e{{opacity:.2}}\n");
        let rules: Vec<String> =
            (0..self.nodes.len()).map(|it| format!("#{id}:has(.x{0}:hover) ._{0}", short(it))).collect();
        out += &rules.join(",");
        out += "{opacity:1;--b-wire:var(--b-brand)}\n";
        out
    }

    /// The classes of a node: its own, and of those that light it. Begins with a space.
    pub fn of_node(&self, node: usize) -> String {
        format!(" x{}{}", short(node), classes(&self.nodes[node]))
    }

    /// The classes of an edge. Begins with a space.
    pub fn of_edge(&self, edge: usize) -> String {
        classes(&self.edges[edge])
    }
}

fn reach(start: usize, next: &[Vec<usize>], steps: usize) -> BTreeSet<usize> {
    let mut seen = BTreeSet::from([start]);
    let mut frontier = vec![start];
    for _ in 0..steps {
        frontier = frontier.iter().flat_map(|&it| &next[it]).copied().filter(|&it| seen.insert(it)).collect();
        if frontier.is_empty() {
            break;
        }
    }
    seen
}

fn classes(nodes: &BTreeSet<usize>) -> String {
    nodes.iter().map(|&it| format!(" _{}", short(it))).collect()
}

/// A number in few letters.
fn short(mut number: usize) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(b"0123456789abcdefghijklmnopqrstuvwxyz"[number % 36]);
        number /= 36;
        if number == 0 {
            break;
        }
    }
    digits.iter().rev().map(|&it| char::from(it)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_all_different() {
        assert_eq!(short(0), "0");
        assert_eq!(short(35), "z");
        assert_eq!(short(36), "10");
        let all: BTreeSet<String> = (0..2000).map(short).collect();
        assert_eq!(all.len(), 2000);
    }
}
