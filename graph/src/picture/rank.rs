//! Which rank each node stands in, and the mesh that the rest of the layout works on.
//!
//! A rank is a column of a picture that runs left to right, a row of one that runs top to bottom. An edge
//! over several ranks would run through the boxes between; so it is led through *bends*, one place in each
//! rank that it passes. All edges of one source share their bends: one value is one wire that branches,
//! which keeps even a much-used input a single line.
//!
//! A [`Mesh`] is what results: items (nodes, then bends) in rows, linked between neighbouring rows only.

use std::collections::BTreeMap;

/// A node or a bend, by index: nodes first, as in the view.
pub(super) type Item = usize;

/// Nodes and bends in ranks.
#[derive(Clone, Debug, Default)]
pub(super) struct Mesh {
    /// How many items are nodes.
    pub nodes: usize,
    /// The rank of each item; of no meaning for nodes that are in no row.
    pub rank: Vec<usize>,
    /// For each item the node whose value it carries: itself, or a bend's source.
    pub source: Vec<usize>,
    /// The items of each rank, in the order in which they are placed.
    pub rows: Vec<Vec<Item>>,
    /// Links to the previous row.
    pub before: Vec<Vec<Item>>,
    /// Links to the next row.
    pub after: Vec<Vec<Item>>,
    /// For each edge all items from its first node to its last.
    pub chains: Vec<Vec<Item>>,
}

impl Mesh {
    /// Lays the nodes into ranks and the edges through bends. Each edge must run from a lower to a higher
    /// index, which makes cycles impossible. Nodes that `is_placed` denies are in no row.
    pub fn of(nodes: usize, edges: &[(usize, usize)], is_placed: &[bool]) -> Mesh {
        let rank = ranks(nodes, edges);
        let height = rank.iter().zip(is_placed).filter(|it| *it.1).map(|it| it.0 + 1).max().unwrap_or(0);
        let mut mesh = Mesh {
            nodes,
            source: (0..nodes).collect(),
            rows: vec![Vec::new(); height],
            before: vec![Vec::new(); nodes],
            after: vec![Vec::new(); nodes],
            chains: Vec::new(),
            rank,
        };
        for node in (0..nodes).filter(|&it| is_placed[it]) {
            mesh.rows[mesh.rank[node]].push(node);
        }
        let mut bends: BTreeMap<(usize, usize), Item> = BTreeMap::new();
        for &(from, to) in edges {
            let mut chain = vec![from];
            for rank in mesh.rank[from] + 1..mesh.rank[to] {
                let bend = *bends.entry((from, rank)).or_insert_with(|| mesh.add_bend(from, rank));
                mesh.link(chain[chain.len() - 1], bend);
                chain.push(bend);
            }
            mesh.link(chain[chain.len() - 1], to);
            chain.push(to);
            mesh.chains.push(chain);
        }
        mesh
    }

    /// How many nodes and bends there are.
    pub fn len(&self) -> usize {
        self.rank.len()
    }

    /// Whether an item is a place on a wire and not a box.
    pub fn is_bend(&self, item: Item) -> bool {
        item >= self.nodes
    }

    fn add_bend(&mut self, source: usize, rank: usize) -> Item {
        let bend = self.rank.len();
        self.rank.push(rank);
        self.source.push(source);
        self.before.push(Vec::new());
        self.after.push(Vec::new());
        self.rows[rank].push(bend);
        bend
    }

    fn link(&mut self, from: Item, to: Item) {
        if !self.after[from].contains(&to) {
            self.after[from].push(to);
            self.before[to].push(from);
        }
    }
}

/// The longest way from a source, then whatever may stand nearer to its consumers without making any wire
/// longer is moved there: an input used only by the last node belongs beside it.
fn ranks(nodes: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut above = vec![Vec::new(); nodes];
    let mut below = vec![Vec::new(); nodes];
    for &(from, to) in edges {
        above[to].push(from);
        below[from].push(to);
    }
    let mut rank = vec![0; nodes];
    let mut is_free = vec![true; nodes];
    for node in 0..nodes {
        rank[node] = above[node].iter().map(|&it| rank[it] + 1).max().unwrap_or(0);
        // A node is free to move if all above it serves nothing else and so can follow.
        is_free[node] = above[node].iter().all(|&it| is_free[it] && below[it].len() == 1);
    }
    for node in (0..nodes).rev() {
        if is_free[node]
            && let Some(nearest) = below[node].iter().map(|&it| rank[it]).min()
        {
            rank[node] = nearest - 1;
        }
    }
    rank
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_stands_beside_its_only_consumer() {
        // 0 -> 1 -> 2 -> 4 and 3 -> 4.
        let edges = [(0, 1), (1, 2), (2, 4), (3, 4)];
        assert_eq!(ranks(5, &edges), [0, 1, 2, 2, 3]);
    }

    #[test]
    fn edges_of_one_source_share_their_bends() {
        // 0 feeds 1, 2 and 3, which follow one another.
        let mesh = Mesh::of(4, &[(0, 1), (0, 2), (0, 3), (1, 2), (2, 3)], &[true; 4]);
        assert_eq!(mesh.len(), 6, "one bend in rank 1 and one in rank 2");
        assert_eq!(mesh.chains[2], [0, 4, 5, 3]);
        assert_eq!(mesh.chains[1], [0, 4, 2]);
        assert!(
            mesh.rows
                .iter()
                .flatten()
                .all(|&it| { mesh.after[it].iter().all(|&next| mesh.rank[next] == mesh.rank[it] + 1) })
        );
    }
}
