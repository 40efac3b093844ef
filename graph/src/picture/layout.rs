//! The engine's first guess at where the items of each row stand. The only file that names `layout`.
//!
//! layout-rs places blocks by the method of Brandes and Köpf. It is used through its lower level: rows and
//! their order are ours, edges go straight into its graph (its own entry tests reachability in a way that
//! is exponential in the number of paths), and places are read back from the elements instead of from a
//! drawing. Its drawn curves are not used: they meet boxes at slanted points on any side.
//!
//! The engine asserts what it believes, and panics where that does not hold, so it is called under
//! `catch_unwind`; without an answer the caller starts from evenly filled rows.

use std::panic::{AssertUnwindSafe, catch_unwind};

use layout::adt::dag::NodeHandle;
use layout::core::base::Orientation;
use layout::core::format::Visible;
use layout::core::geometry::{Point, Position};
use layout::core::style::StyleAttr;
use layout::std_shapes::shapes::{Element, ShapeKind};
use layout::topo::layout::VisualGraph;
use layout::topo::placer::Placer;

use super::rank::Mesh;

/// The engine looks items up by scanning rows: above this many it would take seconds.
const LIMIT: usize = 1500;

/// The centres of all items across the ranks; `None` if the engine gives no usable answer.
///
/// `extent` is the size of each item across the ranks, `air` the least space between two items.
pub(super) fn place(mesh: &Mesh, extent: &[f64], air: f64) -> Option<Vec<f64>> {
    let count: usize = mesh.rows.iter().map(Vec::len).sum();
    // The engine underflows on an empty graph.
    if count == 0 || count > LIMIT {
        return None;
    }
    let centres = catch_unwind(AssertUnwindSafe(|| run(mesh, extent, air))).ok()?;
    centres.iter().all(|it| it.is_finite()).then_some(centres)
}

fn run(mesh: &Mesh, extent: &[f64], air: f64) -> Vec<f64> {
    let mut graph = VisualGraph::new(Orientation::TopToBottom);
    graph.dag.set_validate(false);
    // Items that are in no row do not exist for the engine.
    let mut handle: Vec<Option<NodeHandle>> = vec![None; mesh.len()];
    let mut rows = Vec::with_capacity(mesh.rows.len());
    for row in &mesh.rows {
        let mut handles = Vec::with_capacity(row.len());
        for &item in row {
            let element = if mesh.is_bend(item) { bend() } else { block(extent[item], air) };
            let new = graph.add_node(element);
            handle[item] = Some(new);
            handles.push(new);
        }
        rows.push(handles);
    }
    for &item in mesh.rows.iter().flatten() {
        for &next in &mesh.after[item] {
            if let (Some(from), Some(to)) = (handle[item], handle[next]) {
                graph.dag.add_edge(from, to);
            }
        }
    }
    *graph.dag.ranks_mut() = rows;
    for node in graph.iter_nodes() {
        graph.element_mut(node).resize();
    }
    Placer::new(&mut graph).layout(false);
    handle.into_iter().map(|it| it.map_or(0.0, |it| graph.pos(it).center().x)).collect()
}

fn block(extent: f64, air: f64) -> Element {
    let size = Point::new(extent, 48.0);
    let mut element =
        Element::create(ShapeKind::new_box(""), StyleAttr::simple(), Orientation::TopToBottom, size);
    element.pos = Position::new(Point::zero(), size, Point::zero(), Point::splat(air));
    element
}

fn bend() -> Element {
    Element::empty_connector(Orientation::TopToBottom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_graph_gives_no_answer_and_no_panic() {
        assert_eq!(place(&Mesh::default(), &[], 16.0), None);
    }

    #[test]
    fn a_diamond_keeps_the_order_of_its_row() {
        let mesh = Mesh::of(4, &[(0, 1), (0, 2), (1, 3), (2, 3)], &[true; 4]);
        let centres = place(&mesh, &[48.0; 4], 16.0).expect("the engine places a diamond");
        assert!(centres[1] < centres[2], "{centres:?}");
    }
}
