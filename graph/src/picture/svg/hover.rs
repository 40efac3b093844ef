//! What lights up when the mouse rests on a node.
//!
//! Each node has one rule, and elements carry classes that say for which nodes they light up. Up to [`FULL`]
//! nodes that is everything upstream and downstream; the classes grow with the pairs of nodes that reach
//! each other, so larger pictures light direct neighbours only. A node that reaches nearly everything, as
//! in a long chain, has its class on what stays *dark* instead, which bounds the worst case by half.

use std::collections::BTreeSet;

use super::View;

/// The largest picture, in nodes, whose whole paths light up.
pub(super) const FULL: usize = 150;

pub(super) struct Hover {
    /// For each node and each edge the classes it carries, by the node they are of.
    nodes: Vec<BTreeSet<usize>>,
    edges: Vec<BTreeSet<usize>>,
    /// For each node whether its class marks what stays dark.
    marks_dark: Vec<bool>,
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
        let above: Vec<BTreeSet<usize>> = (0..count).map(|it| reach(it, &up, steps)).collect();
        let below: Vec<BTreeSet<usize>> = (0..count).map(|it| reach(it, &down, steps)).collect();
        let nodes = (0..count).map(|it| &above[it] | &below[it]).collect();
        let of_edge = |edge: &super::super::view::ViewEdge| match steps {
            1 => BTreeSet::from([edge.from, edge.to]),
            // Resting above its source or below its target lights an edge.
            _ => &above[edge.from] | &below[edge.to],
        };
        let edges = view.edges.iter().map(of_edge).collect();
        let mut hover = Hover { nodes, edges, marks_dark: vec![false; count] };
        hover.invert_the_many();
        hover
    }

    /// Lets a node's class mark the dark elements where these are fewer.
    fn invert_the_many(&mut self) {
        let total = self.nodes.len() + self.edges.len();
        let mut lit = vec![0; self.nodes.len()];
        for &node in self.nodes.iter().chain(&self.edges).flatten() {
            lit[node] += 1;
        }
        self.marks_dark = lit.iter().map(|it| it * 2 > total).collect();
        let dark: BTreeSet<usize> = (0..lit.len()).filter(|it| self.marks_dark[*it]).collect();
        if !dark.is_empty() {
            for classes in self.nodes.iter_mut().chain(&mut self.edges) {
                *classes = &*classes ^ &dark;
            }
        }
    }

    pub fn rules(&self, id: &str) -> String {
        if self.nodes.len() < 2 {
            return String::new();
        }
        let rule = |node: usize| {
            let own = short(node);
            let lit =
                if self.marks_dark[node] { format!(":is(.n,.e):not(._{own})") } else { format!("._{own}") };
            format!("#{id}:has(.x{own}:hover) {lit}")
        };
        let rules: Vec<String> = (0..self.nodes.len()).map(rule).collect();
        format!(
            "#{id}:has(.n:hover) .n{{opacity:.3}}#{id}:has(.n:hover) .e{{opacity:.2}}\n\
             {}{{opacity:1;--b-wire:var(--b-brand)}}\n",
            rules.join(",")
        )
    }

    /// The classes of a node: its own, and those that say when it lights up. Begins with a space.
    pub fn of_node(&self, node: usize) -> String {
        format!(" x{}{}", short(node), classes(&self.nodes[node]))
    }

    /// The classes of an edge; if not empty, begins with a space.
    pub fn of_edge(&self, edge: usize) -> String {
        classes(&self.edges[edge])
    }

    /// Whether an element that carries these classes lights up when the mouse rests on a node.
    #[cfg(test)]
    fn is_lit(&self, classes: &BTreeSet<usize>, node: usize) -> bool {
        classes.contains(&node) != self.marks_dark[node]
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
    use super::super::super::view::{ViewEdge, ViewNode};
    use super::*;

    fn view(nodes: usize, edges: &[(usize, usize)]) -> View {
        let edges = edges.iter().map(|&(from, to)| ViewEdge { from, to, optional: false }).collect();
        View { nodes: vec![ViewNode::default(); nodes], edges, ..View::default() }
    }

    #[test]
    fn the_whole_path_lights_up_and_nothing_else() {
        // 0 -> 1 -> 2 -> 3 and 1 -> 4.
        let hover = Hover::of(&view(5, &[(0, 1), (1, 2), (2, 3), (1, 4)]));
        let nodes =
            |of: usize| -> Vec<usize> { (0..5).filter(|&it| hover.is_lit(&hover.nodes[it], of)).collect() };
        let edges =
            |of: usize| -> Vec<usize> { (0..4).filter(|&it| hover.is_lit(&hover.edges[it], of)).collect() };
        assert_eq!((nodes(2), edges(2)), (vec![0, 1, 2, 3], vec![0, 1, 2]));
        assert_eq!((nodes(4), edges(4)), (vec![0, 1, 4], vec![0, 3]));
        assert_eq!((nodes(0), edges(0)), (vec![0, 1, 2, 3, 4], vec![0, 1, 2, 3]));
    }

    #[test]
    fn a_long_chain_needs_no_classes_at_all() {
        let chain: Vec<_> = (1..FULL).map(|it| (it - 1, it)).collect();
        let hover = Hover::of(&view(FULL, &chain));
        assert!(hover.nodes.iter().chain(&hover.edges).all(BTreeSet::is_empty));
    }

    #[test]
    fn numbers_are_short_and_all_different() {
        assert_eq!(short(0), "0");
        assert_eq!(short(35), "z");
        assert_eq!(short(36), "10");
        let all: BTreeSet<String> = (0..2000).map(short).collect();
        assert_eq!(all.len(), 2000);
    }
}
