//! The wires: from places to paths.
//!
//! A wire leaves the middle of its source's far side and arrives at a place of its own on its target's near
//! side, always square to the box. Between two ranks it is one smooth S; through a rank it is straight. So
//! wires never touch a box they do not belong to, and parallel wires stay parallel.

use super::rank::{Item, Mesh};

/// Path data of one edge.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Route {
    pub line: String,
    /// The arrow's head, relative to where `tip` says; empty for none.
    pub head: &'static str,
    /// Moves to the head's tip; empty where that is the end of the line.
    pub tip: String,
    /// Moves to the head's tip even so, for a head drawn without its line.
    pub alone: String,
}

/// Where ranks begin and end, and where the items stand in them.
pub(super) struct Frame {
    is_across: bool,
    /// Begin and end of each rank.
    ranks: Vec<(f64, f64)>,
    /// Centre of each item across the ranks.
    centre: Vec<f64>,
    /// Size of each node along the ranks.
    thick: Vec<f64>,
    /// As [`super::relax::Needs::ports`].
    ports: Vec<Vec<f64>>,
    /// Length of all wires across the ranks, before any shift.
    ink: f64,
    origin: (f64, f64),
    /// How far off each node's box the heads of its wires end.
    off: Vec<f64>,
}

impl Frame {
    pub fn of(mesh: &Mesh, centre: &[f64], thick: &[f64], ports: Vec<Vec<f64>>, is_across: bool) -> Frame {
        let mut frame = Frame {
            is_across,
            ranks: Vec::with_capacity(mesh.rows.len()),
            centre: centre.to_vec(),
            thick: thick.to_vec(),
            ports,
            ink: 0.0,
            origin: (0.0, 0.0),
            off: vec![1.0; thick.len()],
        };
        let mut start = 0.0;
        for row in &mesh.rows {
            let end = start + row.iter().filter_map(|&it| thick.get(it)).copied().fold(0.0, f64::max);
            frame.ranks.push((start, end));
            start = end + frame.gap(mesh, row);
        }
        frame
    }

    /// The space after a row: more where many wires turn in it, or one has far to go.
    fn gap(&mut self, mesh: &Mesh, row: &[Item]) -> f64 {
        let mut turning = 0;
        let mut farthest: f64 = 0.0;
        for &item in row {
            for &next in &mesh.after[item] {
                let far = (self.arrival(mesh, item, next) - self.centre[item]).abs();
                self.ink += far;
                farthest = farthest.max(far);
                turning += usize::from(far > 1.0);
            }
        }
        let base = 40.0;
        let many = (turning.saturating_sub(4) as f64 / 3.0).floor().min(4.0) * 8.0;
        let far = (farthest / 128.0).floor().min(4.0) * 8.0;
        base + many.max(far)
    }

    /// Where the link from one item to the next arrives, across the ranks.
    fn arrival(&self, mesh: &Mesh, from: Item, to: Item) -> f64 {
        let port = mesh.before[to].iter().position(|&it| it == from);
        self.centre[to] + port.and_then(|it| self.ports[to].get(it)).copied().unwrap_or(0.0)
    }

    /// How much all wires move across the ranks: the less, the calmer.
    pub fn ink(&self) -> f64 {
        self.ink
    }

    pub fn across(&self, item: Item) -> f64 {
        self.centre[item]
    }

    /// The centre of an item in the picture.
    pub fn centre(&self, mesh: &Mesh, item: Item) -> (f64, f64) {
        let (start, end) = self.ranks[mesh.rank[item]];
        self.point((start + end) / 2.0, self.centre[item])
    }

    /// The centres of all bends.
    pub fn bends<'a>(&'a self, mesh: &'a Mesh) -> impl Iterator<Item = (f64, f64)> + 'a {
        (mesh.nodes..mesh.len()).map(|it| self.centre(mesh, it))
    }

    /// Ends wires outside the ring that targets have.
    pub fn keep_off(&mut self, is_target: impl Iterator<Item = bool>) {
        self.off = is_target.map(|it| if it { 5.0 } else { 1.0 }).collect();
    }

    pub fn shift(&mut self, dx: f64, dy: f64) {
        self.origin = (self.origin.0 + dx, self.origin.1 + dy);
    }

    fn point(&self, along: f64, across: f64) -> (f64, f64) {
        let (x, y) = if self.is_across { (along, across) } else { (across, along) };
        (x + self.origin.0, y + self.origin.1)
    }
}

/// The path along one chain of items. A reversed edge has its head at the chain's first item.
pub(super) fn route(mesh: &Mesh, frame: &Frame, chain: &[Item], is_reversed: bool) -> Route {
    let (first, last) = (chain[0], chain[chain.len() - 1]);
    let near = |item: Item, side: f64| {
        let (start, end) = frame.ranks[mesh.rank[item]];
        (start + end) / 2.0 + side * frame.thick[item] / 2.0
    };
    // The head's tip stays one px off the box, or its border would blunt it.
    let (tail, tip) = if is_reversed { (frame.off[first], 0.0) } else { (0.0, frame.off[last]) };
    let start = (near(first, 1.0) + tail, frame.centre[first]);
    let mut path = Path::from(frame, start);
    for pair in chain.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let arrival = frame.arrival(mesh, from, to);
        if mesh.is_bend(to) {
            let (begin, end) = frame.ranks[mesh.rank[to]];
            path.turn((begin, arrival));
            path.straight(end);
        } else {
            path.turn((near(to, -1.0) - tip, arrival));
        }
    }
    path.finish();
    let tip = if is_reversed { start } else { path.here };
    let (x, y) = frame.point(tip.0, tip.1);
    let alone = format!("M{} {}", num(x), num(y));
    let tip = if is_reversed { alone.clone() } else { String::new() };
    let head = match (frame.is_across, is_reversed) {
        (true, false) => "m-4.5-3 4.5 3-4.5 3",
        (true, true) => "m4.5-3-4.5 3 4.5 3",
        (false, false) => "m-3-4.5 3 4.5 3-4.5",
        (false, true) => "m-3 4.5 3-4.5 3 4.5",
    };
    Route { line: path.data, head, tip, alone }
}

/// A straight line between two points, for pictures without a layout.
pub(super) fn straight(from: (f64, f64), to: (f64, f64)) -> Route {
    let line = format!("M{} {}L{} {}", num(from.0), num(from.1), num(to.0), num(to.1));
    Route { line, ..Route::default() }
}

/// Path data under construction. Straight pieces in a row become one.
struct Path<'a> {
    frame: &'a Frame,
    data: String,
    here: (f64, f64),
    /// Whether a straight piece up to `here` is still to be written.
    is_pending: bool,
}

impl Path<'_> {
    fn from(frame: &Frame, start: (f64, f64)) -> Path<'_> {
        let (x, y) = frame.point(start.0, start.1);
        Path { frame, data: format!("M{} {}", num(x), num(y)), here: start, is_pending: false }
    }

    fn turn(&mut self, to: (f64, f64)) {
        if (to.1 - self.here.1).abs() < 0.5 {
            return self.straight(to.0);
        }
        self.finish();
        let (along, across) = (to.0 - self.here.0, to.1 - self.here.1);
        let points = [(along / 2.0, 0.0), (along / 2.0, across), (along, across)];
        self.data.push('c');
        for (along, across) in points {
            let (x, y) = if self.frame.is_across { (along, across) } else { (across, along) };
            for value in [x, y] {
                let text = num(value);
                // A minus sign parts two numbers by itself.
                if !text.starts_with('-') && !self.data.ends_with('c') {
                    self.data.push(' ');
                }
                self.data.push_str(&text);
            }
        }
        self.here = to;
    }

    fn straight(&mut self, along: f64) {
        self.here.0 = along;
        self.is_pending = true;
    }

    fn finish(&mut self) {
        if self.is_pending {
            let (x, y) = self.frame.point(self.here.0, self.here.1);
            let (letter, value) = if self.frame.is_across { ('H', x) } else { ('V', y) };
            self.data.push(letter);
            self.data.push_str(&num(value));
            self.is_pending = false;
        }
    }
}

/// A coordinate with at most one decimal.
pub(super) fn num(value: f64) -> String {
    let rounded = (value * 10.0).round() / 10.0;
    if rounded == rounded.trunc() { format!("{}", rounded as i64) } else { format!("{rounded:.1}") }
}
