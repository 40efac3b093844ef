//! Where the items of each row stand: wires short and straight, boxes apart, all on a grid.
//!
//! The engine's answer is only a start, for two reasons: it averages four placements, so wires that could
//! be straight have small kinks; and it does not know at which place of a box a wire arrives. From there,
//! rows take turns. Each finds the best places for its items while the others stand still, which is
//! isotonic regression and so is solved exactly: the wanted places, less the space that the items before
//! need, must only not fall. A fixed number of turns, no thresholds: the same graph, the same picture.

use std::collections::BTreeMap;

use super::rank::{Item, Mesh};

/// All coordinates across the ranks are multiples of this.
pub(super) const GRID: f64 = 2.0;

/// What the items need.
pub(super) struct Needs<'a> {
    /// Half the size of each item across the ranks.
    pub half: &'a [f64],
    /// Bands as in `order`, in rising order within each row.
    pub band: &'a [usize],
    /// Whether bands must not overlap anywhere, and how far apart they stand; else they only order rows.
    pub band_air: f64,
    /// Where on its target each link arrives, from the target's centre: by target, then as in
    /// [`Mesh::before`].
    pub ports: &'a [Vec<f64>],
    /// Least space between two boxes.
    pub air: f64,
}

/// Moves the items from their first places to their last.
pub(super) fn relax(mesh: &Mesh, needs: &Needs<'_>, mut centre: Vec<f64>) -> Vec<f64> {
    let bands = needs.band.iter().copied().max().map_or(0, |it| it + 1);
    let mut work = Work { mesh, needs, bounds: Vec::new() };
    let turns = if mesh.len() > 600 { 12 } else { 40 };
    for turn in 0..turns {
        work.turn(&mut centre, turn, Wish::Mean);
    }
    if bands > 1 {
        work.bounds = work.separate(&mut centre, bands);
    }
    for turn in 0..turns / 2 {
        work.turn(&mut centre, turn, Wish::Mean);
    }
    for turn in 0..8 {
        work.turn(&mut centre, turn, Wish::Straight);
        work.straighten(&mut centre);
    }
    work.snap(&mut centre);
    // On the grid at last, so that what is made straight now stays exactly straight.
    for _ in 0..4 {
        work.nudge(&mut centre);
    }
    centre
}

/// A link this near to straight is made straight, even if the box then stands off the mean of its links.
const NEARLY: f64 = 14.0;
/// The part of the usual air that must stay beside an item that is moved only to be straight.
const LEAST: f64 = 0.75;

/// What an item wants.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// The mean of the places its links pull it to: spreads bends evenly, centres a box on its neighbours.
    Mean,
    /// The nearest place where some link is exactly straight, if it is near.
    Straight,
}

struct Work<'a> {
    mesh: &'a Mesh,
    needs: &'a Needs<'a>,
    /// The least and the greatest edge of each band, where bands have bounds.
    bounds: Vec<(f64, f64)>,
}

impl Work<'_> {
    fn turn(&self, centre: &mut [f64], turn: usize, wish: Wish) {
        let height = self.mesh.rows.len();
        for step in 0..height {
            let at = if turn.is_multiple_of(2) { step } else { height - 1 - step };
            self.settle(&self.mesh.rows[at], centre, wish);
        }
    }

    /// Finds the best places for one row.
    fn settle(&self, row: &[Item], centre: &mut [f64], wish: Wish) {
        for segment in row.chunk_by(|a, b| self.is_one_space(*a, *b)) {
            let offsets = self.offsets(segment);
            let mut wanted = Vec::with_capacity(segment.len());
            let mut weights = Vec::with_capacity(segment.len());
            for (&item, offset) in segment.iter().zip(&offsets) {
                let (place, weight) = self.wanted(item, centre, wish);
                wanted.push(place - offset);
                weights.push(weight);
            }
            let mut places = isotonic(&wanted, &weights);
            if let Some(&(low, high)) = self.bounds.get(self.needs.band[segment[0]]) {
                let last = segment.len() - 1;
                let high = high - self.needs.half[segment[last]] - offsets[last];
                let low = low + self.needs.half[segment[0]];
                for place in &mut places {
                    *place = place.min(high).max(low);
                }
            }
            for ((&item, offset), place) in segment.iter().zip(&offsets).zip(places) {
                centre[item] = place + offset;
            }
        }
    }

    /// Without bounds a row is one sequence; with them each band has its own.
    fn is_one_space(&self, a: Item, b: Item) -> bool {
        self.bounds.is_empty() || self.needs.band[a] == self.needs.band[b]
    }

    /// How far each item must at least stand from the first one.
    fn offsets(&self, row: &[Item]) -> Vec<f64> {
        let mut offsets = vec![0.0];
        for pair in row.windows(2) {
            let apart = self.half_sum(pair[0], pair[1]) + self.air(pair[0], pair[1]);
            offsets.push(offsets[offsets.len() - 1] + apart);
        }
        offsets
    }

    /// Least space between two neighbours in a row.
    fn air(&self, a: Item, b: Item) -> f64 {
        match (self.mesh.is_bend(a), self.mesh.is_bend(b)) {
            (true, true) => 8.0_f64.min(self.needs.air),
            (true, false) | (false, true) => 12.0_f64.min(self.needs.air),
            (false, false) => self.needs.air,
        }
    }

    fn half_sum(&self, a: Item, b: Item) -> f64 {
        self.needs.half[a] + self.needs.half[b]
    }

    /// Where an item wants to stand, and how much.
    fn wanted(&self, item: Item, centre: &[f64], wish: Wish) -> (f64, f64) {
        let pulls = self.pulls(item, centre);
        let total: f64 = pulls.iter().map(|it| it.1).sum();
        if total == 0.0 {
            return (centre[item], 0.1);
        }
        match wish {
            // Who is nearly straight pushes the others of its row aside.
            Wish::Straight => match straightest(&pulls, centre[item]) {
                Some(place) => (place, total * 16.0),
                None => (centre[item], total),
            },
            Wish::Mean => (pulls.iter().map(|it| it.0 * it.1).sum::<f64>() / total, total),
        }
    }

    /// Where each link of an item would be straight, and its weight.
    fn pulls(&self, item: Item, centre: &[f64]) -> Vec<(f64, f64)> {
        let mut pulls = Vec::new();
        for (&from, port) in self.mesh.before[item].iter().zip(&self.needs.ports[item]) {
            pulls.push((centre[from] - port, self.weight(from, item)));
        }
        for &to in &self.mesh.after[item] {
            pulls.push((centre[to] + self.port(item, to), self.weight(item, to)));
        }
        pulls
    }

    /// Long wires are straightened before short ones: a kink far from any box looks like a mistake.
    fn weight(&self, from: Item, to: Item) -> f64 {
        match (self.mesh.is_bend(from), self.mesh.is_bend(to)) {
            (true, true) => 8.0,
            (true, false) | (false, true) => 2.0,
            (false, false) => 1.0,
        }
    }

    /// Moves each wire's bends to one line, as far along the wire as the items beside it allow.
    fn straighten(&self, centre: &mut [f64]) {
        for wire in self.wires() {
            let mut rest = wire.as_slice();
            while !rest.is_empty() {
                let (run, room);
                (run, room, rest) = self.run(rest, centre);
                let place = median(&mut self.pulls_of(run, centre), centre[run[0]]);
                let place = place.max(room.0).min(room.1);
                run.iter().for_each(|&it| centre[it] = place);
            }
        }
    }

    /// Moves boxes and wires a little where that makes more links exactly straight than it bends.
    fn nudge(&self, centre: &mut [f64]) {
        for &item in self.mesh.rows.iter().flatten().filter(|&&it| !self.mesh.is_bend(it)) {
            self.nudge_unit(&[item], centre);
        }
        for wire in self.wires() {
            // A box and the wire that leaves it in one line move as one, or neither could.
            let mut unit = vec![self.mesh.source[wire[0]]];
            for bend in wire {
                if centre[bend] != centre[unit[0]] {
                    self.nudge_unit(&unit, centre);
                    unit.clear();
                }
                unit.push(bend);
            }
            self.nudge_unit(&unit, centre);
        }
    }

    fn nudge_unit(&self, unit: &[Item], centre: &mut [f64]) {
        let mut room = (f64::NEG_INFINITY, f64::INFINITY);
        for &item in unit {
            let own = self.room(item, centre, LEAST);
            room = (room.0.max(own.0), room.1.min(own.1));
        }
        let pulls = self.pulls_of(unit, centre);
        let place = nudged(&pulls, centre[unit[0]], room);
        unit.iter().for_each(|&it| centre[it] = place);
    }

    /// The bends of each source, in the order of ranks.
    fn wires(&self) -> impl Iterator<Item = Vec<Item>> {
        let mut wires: BTreeMap<usize, Vec<Item>> = BTreeMap::new();
        for item in self.mesh.nodes..self.mesh.len() {
            wires.entry(self.mesh.source[item]).or_default().push(item);
        }
        wires.into_values().map(|mut wire| {
            wire.sort_by_key(|&it| self.mesh.rank[it]);
            wire
        })
    }

    /// The longest beginning of a wire that can be one straight line, the room that line has, and the rest.
    fn run<'w>(&self, wire: &'w [Item], centre: &[f64]) -> (&'w [Item], (f64, f64), &'w [Item]) {
        let mut room = self.room(wire[0], centre, 1.0);
        let mut count = 1;
        for &bend in &wire[1..] {
            let own = self.room(bend, centre, 1.0);
            let next = (room.0.max(own.0), room.1.min(own.1));
            if next.0 > next.1 {
                break;
            }
            room = next;
            count += 1;
        }
        // A bend that has no room at all stays where it is.
        if room.0 > room.1 {
            room = (centre[wire[0]], centre[wire[0]]);
        }
        (&wire[..count], room, &wire[count..])
    }

    /// Where items that move as one are pulled by all others.
    fn pulls_of(&self, unit: &[Item], centre: &[f64]) -> Vec<(f64, f64)> {
        let mut pulls = Vec::new();
        for &item in unit {
            for (&from, port) in self.mesh.before[item].iter().zip(&self.needs.ports[item]) {
                if !unit.contains(&from) {
                    pulls.push((centre[from] - port, 1.5));
                }
            }
            for &to in self.mesh.after[item].iter().filter(|it| !unit.contains(it)) {
                pulls.push((centre[to] + self.port(item, to), 1.0));
            }
        }
        pulls
    }

    /// How far an item can move while the others of its row stand still, if that part of the usual air is left.
    fn room(&self, item: Item, centre: &[f64], air: f64) -> (f64, f64) {
        let row = &self.mesh.rows[self.mesh.rank[item]];
        let at = row.iter().position(|&it| it == item).unwrap_or(0);
        let (mut low, mut high) = (f64::NEG_INFINITY, f64::INFINITY);
        if at > 0 {
            low = centre[row[at - 1]] + self.half_sum(row[at - 1], item) + self.air(row[at - 1], item) * air;
        }
        if at + 1 < row.len() {
            high = centre[row[at + 1]] - self.half_sum(item, row[at + 1]) - self.air(item, row[at + 1]) * air;
        }
        if let Some(bound) = self.bounds.get(self.needs.band[item]) {
            let half = self.needs.half[item];
            let beyond = (1.0 - air) * self.needs.air;
            (low, high) = (low.max(bound.0 + half - beyond), high.min(bound.1 - half + beyond));
        }
        (low, high)
    }

    /// Where a link arrives, from its target's centre.
    fn port(&self, from: Item, to: Item) -> f64 {
        let port = self.mesh.before[to].iter().position(|&it| it == from);
        port.and_then(|it| self.needs.ports[to].get(it)).copied().unwrap_or(0.0)
    }

    /// Pushes the bands apart and gives each the room that it then fills.
    fn separate(&self, centre: &mut [f64], bands: usize) -> Vec<(f64, f64)> {
        let mut bounds = vec![(f64::INFINITY, f64::NEG_INFINITY); bands];
        for &item in self.mesh.rows.iter().flatten() {
            let bound = &mut bounds[self.needs.band[item]];
            bound.0 = bound.0.min(centre[item] - self.needs.half[item]);
            bound.1 = bound.1.max(centre[item] + self.needs.half[item]);
        }
        let mut shift = vec![0.0; bands];
        let mut end = f64::NEG_INFINITY;
        for band in 0..bands {
            let (low, high) = bounds[band];
            if low > high {
                continue;
            }
            let start = low.max(end + self.needs.band_air);
            let start = (start / GRID).ceil() * GRID;
            shift[band] = start - low;
            end = ((high + shift[band]) / GRID).ceil() * GRID;
            bounds[band] = (start, end);
        }
        for &item in self.mesh.rows.iter().flatten() {
            centre[item] += shift[self.needs.band[item]];
        }
        bounds
    }

    /// Rounds to the grid. All offsets are multiples of it, so what was apart stays apart.
    fn snap(&self, centre: &mut [f64]) {
        for row in &self.mesh.rows {
            for segment in row.chunk_by(|a, b| self.is_one_space(*a, *b)) {
                let first = self.needs.half[segment[0]];
                for (&item, offset) in segment.iter().zip(self.offsets(segment)) {
                    let place = centre[item] - offset - first;
                    centre[item] = (place / GRID + 1e-6).round() * GRID + offset + first;
                }
            }
        }
    }
}

/// The non-falling sequence nearest to the wanted one, by weighted squares: neighbours that would fall are
/// pooled into blocks of their mean.
fn isotonic(wanted: &[f64], weights: &[f64]) -> Vec<f64> {
    struct Block {
        sum: f64,
        weight: f64,
        count: usize,
    }
    let mut blocks: Vec<Block> = Vec::new();
    for (&place, &weight) in wanted.iter().zip(weights) {
        let mut block = Block { sum: place * weight, weight, count: 1 };
        while let Some(last) = blocks.pop_if(|it| it.sum / it.weight >= block.sum / block.weight) {
            block.sum += last.sum;
            block.weight += last.weight;
            block.count += last.count;
        }
        blocks.push(block);
    }
    blocks.iter().flat_map(|it| std::iter::repeat_n(it.sum / it.weight, it.count)).collect()
}

/// A place near `here` within the room where more weight of links is exactly straight; else `here`.
fn nudged(pulls: &[(f64, f64)], here: f64, room: (f64, f64)) -> f64 {
    let weight =
        |place: f64| -> f64 { pulls.iter().filter(|it| (it.0 - place).abs() < 0.5).map(|it| it.1).sum() };
    let mut best = (weight(here), here);
    for &(place, _) in pulls {
        let is_free = room.0 <= place && place <= room.1 && (place - here).abs() <= NEARLY;
        if is_free && weight(place) > best.0 {
            best = (weight(place), place);
        }
    }
    best.1
}

/// The place near `here` where most weight of links is exactly straight, if there is one.
fn straightest(pulls: &[(f64, f64)], here: f64) -> Option<f64> {
    let near = |it: &&(f64, f64)| (it.0 - here).abs() <= NEARLY;
    let weight =
        |place: f64| -> f64 { pulls.iter().filter(|it| (it.0 - place).abs() < 0.5).map(|it| it.1).sum() };
    let better = |a: &&(f64, f64), b: &&(f64, f64)| {
        weight(a.0).total_cmp(&weight(b.0)).then((b.0 - here).abs().total_cmp(&(a.0 - here).abs()))
    };
    pulls.iter().filter(near).max_by(better).map(|it| it.0)
}

/// The weighted median; where a whole stretch is one, its end nearer to `here`.
fn median(pulls: &mut [(f64, f64)], here: f64) -> f64 {
    pulls.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = pulls.iter().map(|it| it.1).sum::<f64>() / 2.0;
    let mut passed = 0.0;
    for index in 0..pulls.len() {
        passed += pulls[index].1;
        if (passed - half).abs() < 1e-9 && index + 1 < pulls.len() {
            let (low, high) = (pulls[index].0, pulls[index + 1].0);
            return if (here - low).abs() <= (high - here).abs() { low } else { high };
        }
        if passed > half {
            return pulls[index].0;
        }
    }
    here
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_that_would_fall_are_pooled() {
        assert_eq!(isotonic(&[0.0, 4.0, 2.0, 9.0], &[1.0; 4]), [0.0, 3.0, 3.0, 9.0]);
        assert_eq!(isotonic(&[6.0, 0.0], &[1.0, 2.0]), [2.0, 2.0]);
        assert!(isotonic(&[], &[]).is_empty());
    }

    #[test]
    fn the_median_of_two_is_the_nearer_one() {
        assert_eq!(median(&mut [(0.0, 1.0), (10.0, 1.0)], 7.0), 10.0);
        assert_eq!(median(&mut [(0.0, 1.0), (10.0, 8.0)], 1.0), 10.0);
    }

    #[test]
    fn a_long_wire_is_straight_and_boxes_stay_apart() {
        let mesh = Mesh::of(5, &[(0, 1), (1, 2), (2, 3), (0, 3), (3, 4)], &[true; 5]);
        let half: Vec<f64> = (0..mesh.len()).map(|it| if mesh.is_bend(it) { 0.0 } else { 24.0 }).collect();
        let ports: Vec<Vec<f64>> = mesh.before.iter().map(|it| vec![0.0; it.len()]).collect();
        let band = vec![0; mesh.len()];
        let needs = Needs { half: &half, band: &band, band_air: 0.0, ports: &ports, air: 16.0 };
        let centre = relax(&mesh, &needs, vec![0.0; mesh.len()]);
        let bends: Vec<f64> = (5..mesh.len()).map(|it| centre[it]).collect();
        assert!(bends.windows(2).all(|it| it[0] == it[1]), "{centre:?}");
        for row in &mesh.rows {
            for pair in row.windows(2) {
                assert!(
                    centre[pair[1]] - centre[pair[0]] >= half[pair[0]] + half[pair[1]] + 12.0,
                    "{centre:?}"
                );
            }
        }
        assert!(centre.iter().all(|it| it % GRID == 0.0), "{centre:?}");
    }
}
