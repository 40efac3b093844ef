//! Nodes and edges by number: loops, and an order in which everything stands behind what it needs.
//!
//! No meaning, just the data structure. Ties keep the order of declaration, so that the same sources always
//! give the same graph.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};

/// A graph of `count` nodes with edges from what is needed to what needs it.
pub(super) struct Topology {
    graph: DiGraph<(), ()>,
}

impl Topology {
    pub(super) fn new(count: usize, edges: impl IntoIterator<Item = (usize, usize)>) -> Topology {
        let mut graph = DiGraph::with_capacity(count, count);
        for _ in 0..count {
            graph.add_node(());
        }
        let mut distinct: Vec<(usize, usize)> = edges.into_iter().collect();
        distinct.sort_unstable();
        distinct.dedup();
        for (from, to) in distinct {
            graph.add_edge(NodeIndex::new(from), NodeIndex::new(to), ());
        }
        Topology { graph }
    }

    /// Groups of nodes that all need each other, members and groups in order of declaration.
    pub(super) fn knots(&self) -> Vec<Vec<usize>> {
        let mut knots: Vec<Vec<usize>> = tarjan_scc(&self.graph)
            .into_iter()
            .filter(|it| it.len() > 1)
            .map(|it| it.into_iter().map(NodeIndex::index).collect())
            .collect();
        knots.iter_mut().for_each(|it: &mut Vec<usize>| it.sort_unstable());
        knots.sort();
        knots
    }

    /// A shortest loop through a node that stays inside its knot: the node first, then what needs it, and so
    /// on, until the last one is what the first one needs.
    pub(super) fn loop_through(&self, start: usize, knot: &[usize]) -> Vec<usize> {
        let mut previous: Vec<Option<usize>> = vec![None; self.graph.node_count()];
        let mut queue = VecDeque::from([start]);
        while let Some(at) = queue.pop_front() {
            for next in self.dependents(at) {
                if next == start {
                    let mut path = vec![at];
                    while let Some(before) = path.last().and_then(|it| previous[*it]) {
                        path.push(before);
                    }
                    path.reverse();
                    return path;
                }
                if previous[next].is_none() && knot.binary_search(&next).is_ok() {
                    previous[next] = Some(at);
                    queue.push_back(next);
                }
            }
        }
        vec![start]
    }

    /// The nodes that need a node directly, in order of declaration.
    fn dependents(&self, node: usize) -> Vec<usize> {
        let mut nodes: Vec<usize> =
            self.graph.neighbors(NodeIndex::new(node)).map(NodeIndex::index).collect();
        nodes.sort_unstable();
        nodes
    }

    /// All nodes behind what they need; of several possible ones the lowest rank comes first. Nodes in or
    /// behind a loop are left out.
    pub(super) fn order(&self, rank: &[(usize, usize, usize)]) -> Vec<usize> {
        let count = self.graph.node_count();
        let mut missing = vec![0usize; count];
        for edge in self.graph.raw_edges() {
            missing[edge.target().index()] += 1;
        }
        let ready = (0..count).filter(|it| missing[*it] == 0);
        let mut heap: BinaryHeap<_> = ready.map(|it| Reverse((rank[it], it))).collect();
        let mut order = Vec::with_capacity(count);
        while let Some(Reverse((_, node))) = heap.pop() {
            order.push(node);
            for next in self.graph.neighbors(NodeIndex::new(node)).map(NodeIndex::index) {
                missing[next] -= 1;
                if missing[next] == 0 {
                    heap.push(Reverse((rank[next], next)));
                }
            }
        }
        order
    }
}
