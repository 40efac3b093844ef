//! The order of the items within each row, so that few wires cross.
//!
//! Barycentre sweeps, down and up, each followed by swaps of neighbours, and the best order seen is kept.
//! layout-rs has an optimiser of its own, but it is cubic in the width of a row; this one is nearly linear
//! in the number of links, and it knows *bands*: items of a lower band always stand before those of a
//! higher one, which keeps the nodes of one file together.

use super::rank::{Item, Mesh};

/// Above this many items fewer sweeps are made: the picture is then read by scrolling, not at a glance.
const MANY: usize = 400;

/// Orders every row; returns the number of crossings left.
pub(super) fn sort(mesh: &mut Mesh, band: &[usize]) -> usize {
    let sweeps = if mesh.len() > MANY { 6 } else { 16 };
    let mut best: Option<(usize, Vec<Vec<Item>>)> = None;
    // Two starts: as declared, and as a walk from the last nodes back. Sweeps only find the nearest valley.
    for start in [declared(mesh, band), walked(mesh, band)] {
        mesh.rows = start;
        let mut work = Work { place: vec![0; mesh.len()], band };
        work.number(&mesh.rows);
        for sweep in 0..sweeps {
            if best.as_ref().is_some_and(|it| it.0 == 0) {
                break;
            }
            work.sweep(mesh, sweep % 2 == 0);
            if mesh.len() <= MANY * 4 {
                work.swap_neighbours(mesh);
            }
            let crossings = work.crossings(mesh);
            if best.as_ref().is_none_or(|it| crossings < it.0) {
                best = Some((crossings, mesh.rows.clone()));
            }
        }
    }
    let (crossings, rows) = best.unwrap_or_default();
    mesh.rows = rows;
    crossings
}

fn declared(mesh: &Mesh, band: &[usize]) -> Vec<Vec<Item>> {
    let mut rows = mesh.rows.clone();
    for row in &mut rows {
        row.sort_by_key(|&it| (band[it], mesh.source[it], it));
    }
    rows
}

/// Rows in the order in which a depth-first walk from the ends of the graph meets their items.
fn walked(mesh: &Mesh, band: &[usize]) -> Vec<Vec<Item>> {
    let mut met = vec![usize::MAX; mesh.len()];
    let mut clock = 0;
    let mut ends: Vec<Item> = mesh.rows.iter().flatten().copied().collect();
    ends.retain(|&it| mesh.after[it].is_empty());
    ends.sort_unstable();
    let mut stack: Vec<Item> = ends.into_iter().rev().collect();
    while let Some(item) = stack.pop() {
        if met[item] == usize::MAX {
            met[item] = clock;
            clock += 1;
            stack.extend(mesh.before[item].iter().rev());
        }
    }
    let mut rows = mesh.rows.clone();
    for row in &mut rows {
        row.sort_by_key(|&it| (band[it], met[it], it));
    }
    rows
}

struct Work<'a> {
    /// The index of each item in its row.
    place: Vec<usize>,
    band: &'a [usize],
}

impl Work<'_> {
    fn number(&mut self, rows: &[Vec<Item>]) {
        for row in rows {
            for (place, &item) in row.iter().enumerate() {
                self.place[item] = place;
            }
        }
    }

    /// Sorts each row by the mean place of its neighbours in the row before (down) or after (up).
    fn sweep(&mut self, mesh: &mut Mesh, is_down: bool) {
        let height = mesh.rows.len();
        for step in 1..height {
            let at = if is_down { step } else { height - 1 - step };
            let neighbours = if is_down { &mesh.before } else { &mesh.after };
            let mean = |item: Item| {
                let list = &neighbours[item];
                let sum: usize = list.iter().map(|&it| self.place[it]).sum();
                (!list.is_empty()).then(|| sum as f64 / list.len() as f64)
            };
            let row = &mut mesh.rows[at];
            for segment in row.chunk_by_mut(|a, b| self.band[*a] == self.band[*b]) {
                // An item without neighbours on that side keeps its slot; the others are sorted around it.
                let slots: Vec<usize> =
                    (0..segment.len()).filter(|&it| mean(segment[it]).is_some()).collect();
                let mut items: Vec<(f64, Item)> =
                    slots.iter().map(|&it| (mean(segment[it]).unwrap_or(0.0), segment[it])).collect();
                items.sort_by(|a, b| a.0.total_cmp(&b.0));
                for (slot, (_, item)) in slots.into_iter().zip(items) {
                    segment[slot] = item;
                }
            }
            for (place, &item) in mesh.rows[at].iter().enumerate() {
                self.place[item] = place;
            }
        }
    }

    /// Swaps neighbours in a row while that removes crossings.
    fn swap_neighbours(&mut self, mesh: &mut Mesh) {
        for _ in 0..8 {
            let mut swapped = false;
            for at in 0..mesh.rows.len() {
                for place in 1..mesh.rows[at].len() {
                    let (a, b) = (mesh.rows[at][place - 1], mesh.rows[at][place]);
                    if self.band[a] != self.band[b] {
                        continue;
                    }
                    let kept = self.between(&mesh.before, a, b) + self.between(&mesh.after, a, b);
                    let swapped_crossings =
                        self.between(&mesh.before, b, a) + self.between(&mesh.after, b, a);
                    if swapped_crossings < kept {
                        mesh.rows[at].swap(place - 1, place);
                        self.place[a] = place;
                        self.place[b] = place - 1;
                        swapped = true;
                    }
                }
            }
            if !swapped {
                break;
            }
        }
    }

    /// Crossings of the links of `first` with those of `second` if `first` stands before.
    fn between(&self, neighbours: &[Vec<Item>], first: Item, second: Item) -> usize {
        let pairs = neighbours[first]
            .iter()
            .map(|&a| neighbours[second].iter().filter(|&&b| self.place[b] < self.place[a]).count());
        pairs.sum()
    }

    /// All crossings, counted rank by rank with a tree of partial sums.
    fn crossings(&self, mesh: &Mesh) -> usize {
        let mut total = 0;
        for at in 1..mesh.rows.len() {
            let mut tree = vec![0usize; mesh.rows[at].len() + 1];
            let mut seen = 0;
            for &item in &mesh.rows[at - 1] {
                let mut ends: Vec<usize> = mesh.after[item].iter().map(|&it| self.place[it]).collect();
                ends.sort_unstable();
                for &end in &ends {
                    let mut not_after = 0;
                    let mut index = end + 1;
                    while index > 0 {
                        not_after += tree[index];
                        index &= index - 1;
                    }
                    total += seen - not_after;
                }
                for &end in &ends {
                    seen += 1;
                    let mut index = end + 1;
                    while index < tree.len() {
                        tree[index] += 1;
                        index += index & index.wrapping_neg();
                    }
                }
            }
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crossed_wires_are_uncrossed() {
        // 0, 1, 2 each feed one of 3, 4, 5, in reverse.
        let mut mesh = Mesh::of(6, &[(2, 3), (1, 4), (0, 5)], &[true; 6]);
        assert_eq!(sort(&mut mesh, &[0; 6]), 0);
    }

    #[test]
    fn a_complete_bipartite_graph_keeps_the_crossings_it_must_have() {
        let edges: Vec<_> = (0..3).flat_map(|a| (3..6).map(move |b| (a, b))).collect();
        let mut mesh = Mesh::of(6, &edges, &[true; 6]);
        assert_eq!(sort(&mut mesh, &[0; 6]), 9);
    }

    #[test]
    fn bands_are_never_mixed() {
        let edges = [(0, 4), (1, 5), (2, 6), (3, 7), (0, 7), (3, 4)];
        let band = [1, 0, 1, 0, 1, 0, 0, 1];
        let mut mesh = Mesh::of(8, &edges, &[true; 8]);
        sort(&mut mesh, &band);
        for row in &mesh.rows {
            assert!(row.is_sorted_by_key(|&it| band[it]), "{row:?}");
        }
    }
}
