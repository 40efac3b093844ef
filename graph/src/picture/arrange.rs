//! Where everything stands: from a view to boxes, wires and hulls in px.
//!
//! The stages are ranks, order, places, wires. An [`Arrangement`] depends only on what a view contains, not
//! on states, so it is made once and a run is drawn into it again and again; boxes keep room for what a run
//! will write into them.
//!
//! Files are shown as hulls, rectangles behind their nodes, wherever that can be done without harm: if the
//! plain layout keeps files apart, or if putting each file into a band of its own costs little. Otherwise
//! each box carries a stripe in its file's colour. A hull never covers a box that is not its own.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::layout;
use super::measure::{Font, width};
use super::order;
use super::rank::Mesh;
use super::relax::{self, Needs};
use super::route::{self, Frame, Route};
use super::view::{Column, Kind, Orientation, View, ViewNode};

/// Space around the whole picture.
const MARGIN: f64 = 8.0;
/// Least space between two boxes of one rank.
const AIR: f64 = 16.0;
/// How far a hull reaches beyond its boxes, and how much more on top, for its label.
const HULL: f64 = 16.0;
const LABEL: f64 = 16.0;
/// Up to so many lone nodes stand in the first rank; more fill a block of their own.
const FEW_LONE: usize = 3;

/// Up to so many nodes both orientations are tried.
const BOTH: usize = 150;

/// The places of a view's nodes and edges.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arrangement {
    pub(super) width: f64,
    pub(super) height: f64,
    /// One for each node of the view.
    pub(super) boxes: Vec<Rect>,
    /// One for each edge of the view.
    pub(super) routes: Vec<Route>,
    /// The files that are drawn as hulls, in the order of [`View::files`].
    pub(super) hulls: Vec<Hull>,
    /// Several files, and hulls would overlap: each box carries its file's colour.
    pub(super) has_stripes: bool,
    /// What the arrangement was made for.
    key: Key,
}

/// A rectangle in px.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rect {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Hull {
    /// Index into [`View::files`].
    pub file: usize,
    pub rect: Rect,
}

impl Arrangement {
    /// Finds a place for everything in the view. Never fails: should the layout break one of its own rules,
    /// the boxes stand in a grid.
    pub fn of(view: &View) -> Arrangement {
        let arranged = catch_unwind(AssertUnwindSafe(|| arrange(view)));
        let mut arrangement = arranged.unwrap_or_else(|_| grid(view));
        arrangement.key = key(view);
        arrangement
    }

    /// How little the picture must shrink to be seen whole in a notebook.
    fn fit(&self) -> f64 {
        1.0_f64.min(1040.0 / self.width).min(680.0 / self.height)
    }

    /// Whether the arrangement still fits: the view has the same nodes and edges as when it was made.
    pub fn fits(&self, view: &View) -> bool {
        self.key == key(view)
    }
}

/// All that the places depend on.
#[derive(Clone, Debug, Default, PartialEq)]
struct Key {
    orientation: Orientation,
    schema: bool,
    nodes: Vec<NodeKey>,
    /// From, to, and whether it is optional.
    edges: Vec<(usize, usize, bool)>,
}

#[derive(Clone, Debug, PartialEq)]
struct NodeKey {
    name: String,
    ty: String,
    kind: Kind,
    file: String,
    is_target: bool,
    columns: Vec<Column>,
}

fn key(view: &View) -> Key {
    let node = |it: &ViewNode| NodeKey {
        name: it.name.clone(),
        ty: it.ty.clone(),
        kind: it.kind,
        file: it.file.clone(),
        is_target: it.is_target,
        columns: it.columns.clone(),
    };
    Key {
        orientation: view.orientation,
        schema: view.schema,
        nodes: view.nodes.iter().map(node).collect(),
        edges: view.edges.iter().map(|it| (it.from, it.to, it.optional)).collect(),
    }
}

fn is_number(ty: &str) -> bool {
    let is_sized = |it: &str| it.starts_with(['i', 'u', 'f']) && it[1..].parse::<u8>().is_ok();
    matches!(ty, "bool" | "usize" | "isize") || is_sized(ty)
}

/// The size a box wants: room for its name, its type, and what a run adds.
fn size(node: &ViewNode, schema: bool) -> (f64, f64) {
    let name = width(&node.name, Font::Name);
    let ty = width(&node.ty, Font::Meta);
    let value = width("1 000 × f64", Font::Meta);
    let time = 8.0 + width("999 ms", Font::Meta);
    let (wide, high) = match node.kind {
        // A number is short; anything else an input can be may be a column or a path.
        Kind::Input if is_number(&node.ty) => (26.0 + name + 10.0 + 48.0 + 12.0, 32.0),
        Kind::Input => (26.0 + name + 10.0 + ty.clamp(value, 120.0) + 12.0, 32.0),
        Kind::Transform | Kind::File => (28.0 + name.max(ty.clamp(value, 160.0) + time) + 10.0, 48.0),
    };
    let mut wide: f64 = wide.clamp(120.0, 256.0);
    let mut high: f64 = high;
    if schema && !node.columns.is_empty() {
        let shown = node.columns.len().min(super::svg::COLUMNS);
        let rows = shown + usize::from(node.columns.len() > shown);
        // Even half heights keep centres on the grid.
        high = 48.0 + ((rows * 16 + 8) as f64 / 8.0).ceil() * 8.0;
        let widest =
            node.columns[..shown].iter().map(|it| width(&it.name, Font::Meta) + width(&it.ty, Font::Meta));
        wide = wide.max(widest.fold(0.0, f64::max) + 40.0).min(288.0);
    }
    ((wide / 8.0).ceil() * 8.0, high)
}

fn arrange(view: &View) -> Arrangement {
    match view.orientation {
        _ if view.nodes.is_empty() => {
            Arrangement { width: 2.0 * MARGIN, height: 2.0 * MARGIN, ..Arrangement::default() }
        }
        Orientation::Lr => arrange_in(view, true),
        Orientation::Tb => arrange_in(view, false),
        // A large picture is scrolled either way, and wide ranks are then better long columns than long rows.
        Orientation::Auto if view.nodes.len() > BOTH => arrange_in(view, true),
        Orientation::Auto => {
            let (across, down) = (arrange_in(view, true), arrange_in(view, false));
            if across.fit() >= 0.8 * down.fit() { across } else { down }
        }
    }
}

fn arrange_in(view: &View, is_across: bool) -> Arrangement {
    let count = view.nodes.len();
    // Edges against the order of nodes exist only where a file is collapsed; they are laid out reversed.
    let edges: Vec<(usize, usize)> =
        view.edges.iter().map(|it| (it.from.min(it.to), it.from.max(it.to))).collect();
    let mut is_lone = vec![true; count];
    for &(from, to) in &edges {
        is_lone[from] = false;
        is_lone[to] = false;
    }
    let lone = is_lone.iter().filter(|it| **it).count();
    let has_block = lone > FEW_LONE;
    let is_placed: Vec<bool> = is_lone.iter().map(|it| !(*it && has_block)).collect();

    let mesh = Mesh::of(count, &edges, &is_placed);
    let mut sizes: Vec<(f64, f64)> = view.nodes.iter().map(|it| size(it, view.schema)).collect();
    if is_across {
        // Boxes of one rank are equally wide: their wires then leave and arrive in one line.
        for row in &mesh.rows {
            let nodes = || row.iter().filter(|&&it| !mesh.is_bend(it));
            let widest = nodes().map(|&it| sizes[it].0).fold(0.0, f64::max);
            nodes().for_each(|&it| sizes[it].0 = widest);
        }
    }

    let plan = Plan { view, edges: &edges, sizes: &sizes, is_across };
    let mut drawn = plan.best(mesh);
    if has_block {
        plan.add_block(&mut drawn, &is_placed);
    }
    plan.finish(drawn)
}

struct Plan<'a> {
    view: &'a View,
    edges: &'a [(usize, usize)],
    sizes: &'a [(f64, f64)],
    is_across: bool,
}

/// A layout before it is moved to the origin.
struct Drawn {
    mesh: Mesh,
    frame: Frame,
    boxes: Vec<Rect>,
    hulls: Vec<Hull>,
    has_stripes: bool,
    crossings: usize,
}

impl Plan<'_> {
    /// The plain layout, or the one in bands of files if that shows the files at little cost.
    fn best(&self, mesh: Mesh) -> Drawn {
        let files = self.view.files();
        let parts = parts(&mesh);
        let mut plain = self.place(mesh.clone(), parts.clone(), 40.0);
        if files.len() < 2 {
            return plain;
        }
        plain.hulls = self.hulls(&plain.boxes, &files);
        if self.are_clear(&plain.hulls, &plain.boxes, &files) {
            return plain;
        }
        let bands = self.file_bands(&mesh, &plain, &parts, &files);
        // Two hulls' rims, the label of one, and a space between.
        let air = 3.0 * HULL + 8.0 + if self.is_across { LABEL } else { 0.0 };
        let mut banded = self.place(mesh, bands, air);
        banded.hulls = self.hulls(&banded.boxes, &files);
        let (before, after) = (plain.frame.ink(), banded.frame.ink());
        let is_cheap = banded.crossings as f64 <= plain.crossings as f64 * 1.3 + 4.0
            && after <= before * 1.5 + 400.0
            && extent(&banded.boxes).area() <= extent(&plain.boxes).area() * 1.6;
        if is_cheap && self.are_clear(&banded.hulls, &banded.boxes, &files) {
            return banded;
        }
        plain.hulls.clear();
        plain.has_stripes = true;
        plain
    }

    /// Orders the rows and finds all places.
    fn place(&self, mut mesh: Mesh, band: Vec<usize>, band_air: f64) -> Drawn {
        let crossings = order::sort(&mut mesh, &band);
        let size_across = |item: usize| match self.sizes.get(item) {
            Some(size) => {
                if self.is_across {
                    size.1
                } else {
                    size.0
                }
            }
            None => 0.0,
        };
        let extent: Vec<f64> = (0..mesh.len()).map(size_across).collect();
        let half: Vec<f64> = extent.iter().map(|it| it / 2.0).collect();
        let ports = ports(&mut mesh, &extent, self.is_across);
        let start = layout::place(&mesh, &extent, AIR).unwrap_or_else(|| packed(&mesh, &extent));
        let needs = Needs { half: &half, band: &band, band_air, ports: &ports, air: AIR };
        let centre = relax::relax(&mesh, &needs, start);
        let thick: Vec<f64> = self.sizes.iter().map(|it| if self.is_across { it.0 } else { it.1 }).collect();
        let frame = Frame::of(&mesh, &centre, &thick, ports, self.is_across);
        let boxes = self.boxes(&mesh, &frame);
        Drawn { mesh, frame, boxes, hulls: Vec::new(), has_stripes: false, crossings }
    }

    fn boxes(&self, mesh: &Mesh, frame: &Frame) -> Vec<Rect> {
        let mut boxes = vec![Rect::default(); self.view.nodes.len()];
        for &item in mesh.rows.iter().flatten().filter(|&&it| !mesh.is_bend(it)) {
            let (width, height) = self.sizes[item];
            let (x, y) = frame.centre(mesh, item);
            boxes[item] = Rect { x: x - width / 2.0, y: y - height / 2.0, width, height };
        }
        boxes
    }

    /// The rectangle of each file's transforms, and of the inputs that nothing else uses.
    fn hulls(&self, boxes: &[Rect], files: &[&str]) -> Vec<Hull> {
        let owner = self.owners(files);
        let mut hulls = Vec::new();
        for (file, path) in files.iter().enumerate() {
            let own = boxes.iter().zip(&owner).filter(|it| *it.1 == Owner::File(file)).map(|it| *it.0);
            let own: Vec<Rect> = own.collect();
            let is_box = self.view.nodes.iter().any(|it| it.kind == Kind::File && it.file == *path);
            if own.is_empty() || is_box {
                continue;
            }
            let around = extent(&own);
            let rect = Rect {
                x: around.x - HULL,
                y: around.y - HULL - LABEL,
                width: around.width + 2.0 * HULL,
                height: around.height + 2.0 * HULL + LABEL,
            };
            hulls.push(Hull { file, rect });
        }
        hulls
    }

    /// Whether no hull touches another hull or covers a box of another owner.
    fn are_clear(&self, hulls: &[Hull], boxes: &[Rect], files: &[&str]) -> bool {
        let owner = self.owners(files);
        hulls.iter().enumerate().all(|(index, hull)| {
            hulls[index + 1..].iter().all(|it| !it.rect.overlaps(&hull.rect))
                && boxes
                    .iter()
                    .zip(&owner)
                    .all(|(rect, owner)| *owner == Owner::File(hull.file) || !rect.overlaps(&hull.rect))
        })
    }

    fn owners(&self, files: &[&str]) -> Vec<Owner> {
        let file = |node: &ViewNode| files.iter().position(|it| *it == node.file);
        let nodes = &self.view.nodes;
        let of_node = |index: usize| {
            if let Some(file) = file(&nodes[index]) {
                return Owner::File(file);
            }
            let mut users: Vec<usize> = self
                .view
                .edges
                .iter()
                .filter(|it| it.from == index)
                .filter_map(|it| file(&nodes[it.to]))
                .collect();
            users.sort_unstable();
            users.dedup();
            match users.as_slice() {
                [] => Owner::Nobody,
                [only] => Owner::File(*only),
                _ => Owner::Shared(users),
            }
        };
        (0..nodes.len()).map(of_node).collect()
    }

    /// A band for each file in the order in which the plain layout has them, inputs shared by several files
    /// between; within each, the unconnected parts of the graph one after the other.
    fn file_bands(&self, mesh: &Mesh, plain: &Drawn, parts: &[usize], files: &[&str]) -> Vec<usize> {
        let owner = self.owners(files);
        let middle = |file: usize| {
            let own: Vec<f64> = (0..plain.boxes.len())
                .filter(|&it| owner[it] == Owner::File(file))
                .map(|it| plain.frame.across(it))
                .collect();
            own.iter().sum::<f64>() / own.len().max(1) as f64
        };
        let mut by_place: Vec<(f64, usize)> = (0..files.len()).map(|it| (middle(it), it)).collect();
        by_place.sort_by(|a, b| a.0.total_cmp(&b.0));
        let level = |file: usize| by_place.iter().position(|it| it.1 == file).unwrap_or(0) as f64;
        let key = |item: usize| match &owner[item] {
            Owner::File(file) => level(*file),
            Owner::Shared(files) => {
                files.iter().map(|it| level(*it)).sum::<f64>() / files.len() as f64 + 0.01
            }
            Owner::Nobody => files.len() as f64,
        };
        let mut keys: Vec<f64> = (0..self.view.nodes.len()).map(key).collect();
        // A bend runs in its source's band while the wire still has ends there, else where it goes next.
        for item in mesh.nodes..mesh.len() {
            let (source, rank) = (mesh.source[item], mesh.rank[item]);
            let ends: Vec<f64> = self
                .edges
                .iter()
                .filter(|it| it.0 == source && mesh.rank[it.1] > rank)
                .map(|it| keys[it.1])
                .collect();
            let stays = ends.contains(&keys[source]);
            keys.push(if stays { keys[source] } else { ends.first().copied().unwrap_or(keys[source]) });
        }
        dense(keys.iter().zip(parts).map(|(key, part)| (*key, *part as f64)).collect())
    }

    /// Nodes without any edge, in rows below the rest.
    fn add_block(&self, drawn: &mut Drawn, is_placed: &[bool]) {
        let placed: Vec<Rect> =
            drawn.boxes.iter().zip(is_placed).filter(|it| *it.1).map(|it| *it.0).collect();
        let rest = if placed.is_empty() { Rect::default() } else { extent(&placed) };
        let lone: Vec<usize> = (0..is_placed.len()).filter(|&it| !is_placed[it]).collect();
        let wide = lone.iter().map(|&it| self.sizes[it].0).fold(0.0, f64::max);
        let high = lone.iter().map(|&it| self.sizes[it].1).fold(0.0, f64::max);
        let columns = ((rest.width.max(900.0) + AIR) / (wide + AIR)).floor().max(1.0) as usize;
        let top = if placed.is_empty() { 0.0 } else { rest.y + rest.height + 2.0 * HULL + AIR };
        for (index, node) in lone.into_iter().enumerate() {
            let (column, row) = (index % columns, index / columns);
            let height = self.sizes[node].1;
            let x = rest.x + column as f64 * (wide + AIR);
            let y = top + row as f64 * (high + AIR) + (high - height) / 2.0;
            drawn.boxes[node] = Rect { x, y, width: wide, height };
        }
        // A lone node of a file stands outside its hull: then hulls would tell half the truth.
        if !drawn.hulls.is_empty() {
            drawn.hulls.clear();
            drawn.has_stripes = true;
        }
    }

    /// Moves everything to the origin and draws the wires.
    fn finish(&self, mut drawn: Drawn) -> Arrangement {
        let mut all = drawn.boxes.clone();
        all.extend(drawn.hulls.iter().map(|it| it.rect));
        all.extend(drawn.frame.bends(&drawn.mesh).map(|(x, y)| Rect { x, y, ..Rect::default() }));
        let bounds = extent(&all);
        let (dx, dy) = (MARGIN - bounds.x, MARGIN - bounds.y);
        for rect in drawn.boxes.iter_mut().chain(drawn.hulls.iter_mut().map(|it| &mut it.rect)) {
            rect.x += dx;
            rect.y += dy;
        }
        drawn.frame.shift(dx, dy);
        let reversed = self.view.edges.iter().map(|it| it.from > it.to);
        drawn.frame.keep_off(self.view.nodes.iter().map(|it| it.is_target));
        let routes = drawn
            .mesh
            .chains
            .iter()
            .zip(reversed)
            .map(|(chain, is_reversed)| route::route(&drawn.mesh, &drawn.frame, chain, is_reversed))
            .collect();
        Arrangement {
            width: bounds.width + 2.0 * MARGIN,
            height: bounds.height + 2.0 * MARGIN,
            boxes: drawn.boxes,
            routes,
            hulls: drawn.hulls,
            has_stripes: drawn.has_stripes,
            key: Key::default(),
        }
    }
}

/// Whose hull a node belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Owner {
    File(usize),
    /// An input of transforms in several files.
    Shared(Vec<usize>),
    Nobody,
}

/// Numbers the unconnected parts of the graph, in the order of their first nodes.
fn parts(mesh: &Mesh) -> Vec<usize> {
    let mut part = vec![usize::MAX; mesh.len()];
    let mut count = 0;
    for first in 0..mesh.len() {
        if part[first] != usize::MAX {
            continue;
        }
        let mut stack = vec![first];
        while let Some(item) = stack.pop() {
            if part[item] == usize::MAX {
                part[item] = count;
                stack.extend(mesh.before[item].iter().chain(&mesh.after[item]));
            }
        }
        count += 1;
    }
    part
}

/// Replaces keys by their ranks.
fn dense(keys: Vec<(f64, f64)>) -> Vec<usize> {
    let order = |a: &(f64, f64), b: &(f64, f64)| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1));
    let mut sorted = keys.clone();
    sorted.sort_by(order);
    sorted.dedup();
    keys.iter().map(|key| sorted.binary_search_by(|it| order(it, key)).unwrap_or(0)).collect()
}

/// Where links arrive on their targets, from the centre: evenly, in the order in which they come. All places
/// are even numbers, so that a wire can reach any of them in a straight line.
fn ports(mesh: &mut Mesh, extent: &[f64], is_across: bool) -> Vec<Vec<f64>> {
    let mut place = vec![0; mesh.len()];
    for row in &mesh.rows {
        for (index, &item) in row.iter().enumerate() {
            place[item] = index;
        }
    }
    for before in &mut mesh.before {
        before.sort_by_key(|&it| place[it]);
    }
    let of_item = |item: usize| {
        let count = mesh.before[item].len();
        let last = count.saturating_sub(1) as f64;
        let room = (extent[item] - 16.0).max(0.0);
        let wanted = match (is_across, count) {
            (false, _) => 16.0,
            (true, 0..=2) => 12.0,
            (true, 3) => 10.0,
            (true, _) => 8.0,
        };
        let pitch = if last * wanted > room { room / last } else { wanted };
        (0..count).map(|it| (it as f64 - last / 2.0) * pitch).collect()
    };
    (0..mesh.len()).map(of_item).collect()
}

/// Rows filled evenly and centred on each other: where to start without the engine.
fn packed(mesh: &Mesh, extent: &[f64]) -> Vec<f64> {
    let mut centre = vec![0.0; mesh.len()];
    for row in &mesh.rows {
        let mut end = 0.0;
        for &item in row {
            centre[item] = end + extent[item] / 2.0;
            end += extent[item] + AIR;
        }
        for &item in row {
            centre[item] -= end / 2.0;
        }
    }
    centre
}

/// All boxes in rows, wires straight: what is drawn when the layout has a fault.
fn grid(view: &View) -> Arrangement {
    let columns = (view.nodes.len() as f64).sqrt().ceil().max(1.0) as usize;
    let place = |index: usize| Rect {
        x: MARGIN + (index % columns) as f64 * 304.0,
        y: MARGIN + (index / columns) as f64 * 80.0,
        width: 256.0,
        height: 48.0,
    };
    let boxes: Vec<Rect> = (0..view.nodes.len()).map(place).collect();
    let routes = view.edges.iter().map(|edge| {
        let (from, to) = (&boxes[edge.from], &boxes[edge.to]);
        route::straight((from.x + from.width, from.y + 24.0), (to.x, to.y + 24.0))
    });
    let routes = routes.collect();
    let bounds = extent(&boxes);
    Arrangement {
        width: bounds.width + 2.0 * MARGIN,
        height: bounds.height + 2.0 * MARGIN,
        boxes,
        routes,
        has_stripes: view.files().len() > 1,
        ..Arrangement::default()
    }
}

/// The smallest rectangle around all.
fn extent(all: &[Rect]) -> Rect {
    let low = |of: fn(&Rect) -> f64| all.iter().map(of).fold(f64::INFINITY, f64::min);
    let high = |of: fn(&Rect) -> f64| all.iter().map(of).fold(f64::NEG_INFINITY, f64::max);
    if all.is_empty() {
        return Rect::default();
    }
    let (x, y) = (low(|it| it.x), low(|it| it.y));
    Rect { x, y, width: high(|it| it.x + it.width) - x, height: high(|it| it.y + it.height) - y }
}

impl Rect {
    fn area(&self) -> f64 {
        self.width * self.height
    }

    fn overlaps(&self, other: &Rect) -> bool {
        self.x < other.x + other.width
            && other.x < self.x + self.width
            && self.y < other.y + other.height
            && other.y < self.y + self.height
    }
}
