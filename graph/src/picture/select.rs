//! From a request to the part of the graph that is drawn.
//!
//! Everything here works on positions in the graph's own order, which is topological, so that the picture's
//! order is the graph's order and a picture of the same graph is always the same picture.

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::{Graph, NodeKind, SchemaColumn};

use super::view::{Column, Kind, Member, Selection, View, ViewEdge, ViewNode};

/// Builds the view: picks the nodes, hides inputs, collapses files.
pub(super) fn view(graph: &Graph, selection: &Selection) -> View {
    let links = Links::of(graph);
    let mut chosen = chosen(graph, &links, selection);
    if selection.hide_inputs {
        chosen.retain(|&it| graph.nodes[it].kind != NodeKind::Input);
    }

    let mut view = View { orientation: selection.orientation, schema: selection.schema, ..View::default() };
    // Position in the graph -> position in the view. Nodes of a collapsed file share one box, which stands
    // where the first of them would.
    let mut place: BTreeMap<usize, usize> = BTreeMap::new();
    let mut boxes: BTreeMap<&str, usize> = BTreeMap::new();
    for &position in &chosen {
        let node = &graph.nodes[position];
        let is_target = selection.targets.contains(&node.name);
        if is_collapsed(&node.file, &selection.collapse) {
            let at = *boxes.entry(&node.file).or_insert_with(|| {
                view.nodes.push(ViewNode {
                    name: file_name(&node.file).to_owned(),
                    kind: Kind::File,
                    file: node.file.clone(),
                    ..ViewNode::default()
                });
                view.nodes.len() - 1
            });
            let shown = &mut view.nodes[at];
            shown.is_target |= is_target;
            shown.members.push(Member { name: node.name.clone(), ..Member::default() });
            let count = shown.members.len();
            shown.ty = format!("{count} node{}", if count == 1 { "" } else { "s" });
            place.insert(position, at);
        } else {
            place.insert(position, view.nodes.len());
            view.nodes.push(ViewNode {
                name: node.name.clone(),
                ty: node.ty.clone(),
                kind: node.kind.into(),
                file: node.file.clone(),
                line: node.line,
                doc: graph.absent.get(&node.name).map_or_else(|| node.doc.clone(), |it| it.message.clone()),
                columns: node.schema.iter().map(column).collect(),
                is_target,
                ..ViewNode::default()
            });
        }
    }
    view.edges = edges(graph, &place);
    if !boxes.is_empty() {
        sort(&mut view);
    }
    view
}

fn column(declared: &SchemaColumn) -> Column {
    Column { name: declared.name.clone(), ty: declared.ty.clone() }
}

/// Makes the order topological again after files became boxes. Two files that need each other cannot be in
/// any such order; the one that comes first stays first.
fn sort(view: &mut View) {
    let count = view.nodes.len();
    let mut order: Vec<usize> = Vec::with_capacity(count);
    let mut is_placed = vec![false; count];
    while order.len() < count {
        let is_free = |node: usize| view.edges.iter().all(|it| it.to != node || is_placed[it.from]);
        let mut waiting = (0..count).filter(|&it| !is_placed[it]);
        let first = waiting.clone().next();
        let Some(next) = waiting.find(|&it| is_free(it)).or(first) else { break };
        is_placed[next] = true;
        order.push(next);
    }
    let mut place = vec![0; count];
    for (new, &old) in order.iter().enumerate() {
        place[old] = new;
    }
    let mut nodes: Vec<Option<ViewNode>> = std::mem::take(&mut view.nodes).into_iter().map(Some).collect();
    view.nodes = order.iter().filter_map(|&it| nodes[it].take()).collect();
    for edge in &mut view.edges {
        (edge.from, edge.to) = (place[edge.from], place[edge.to]);
    }
    view.edges.sort_by_key(|it| it.to);
}

/// The edges between what is drawn, once each: an edge is optional if every parameter behind it is.
fn edges(graph: &Graph, place: &BTreeMap<usize, usize>) -> Vec<ViewEdge> {
    let mut edges: Vec<ViewEdge> = Vec::new();
    let mut known: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for (&position, &to) in place {
        for dependency in &graph.nodes[position].dependencies {
            let from = graph.nodes.get_index_of(&dependency.name).and_then(|it| place.get(&it));
            let Some(&from) = from.filter(|&&it| it != to) else { continue };
            match known.get(&(from, to)) {
                Some(&at) => edges[at].optional &= dependency.optional,
                None => {
                    known.insert((from, to), edges.len());
                    edges.push(ViewEdge { from, to, optional: dependency.optional });
                }
            }
        }
    }
    edges
}

fn chosen(graph: &Graph, links: &Links, selection: &Selection) -> BTreeSet<usize> {
    let find = |name: &String| graph.nodes.get_index_of(name);
    if selection.targets.is_empty() && selection.around.is_none() && selection.path.is_none() {
        return (0..graph.nodes.len()).collect();
    }
    let mut chosen = BTreeSet::new();
    let targets: Vec<usize> = selection.targets.iter().filter_map(find).collect();
    let up = match (selection.up, selection.down) {
        (Some(up), _) => up,
        (None, Some(_)) => 0,
        (None, None) => usize::MAX,
    };
    chosen.extend(reach(&targets, up, |it| &links.up[it]));
    chosen.extend(reach(&targets, selection.down.unwrap_or(0), |it| &links.down[it]));
    if let Some((name, hops)) = &selection.around {
        let start: Vec<usize> = find(name).into_iter().collect();
        chosen.extend(reach(&start, *hops, |it| &links.both[it]));
    }
    if let Some((a, b)) = &selection.path
        && let (Some(a), Some(b)) = (find(a), find(b))
    {
        // The order is topological, so the later of the two can only be downstream.
        let below = reach(&[a.min(b)], usize::MAX, |it| &links.down[it]);
        let above = reach(&[a.max(b)], usize::MAX, |it| &links.up[it]);
        chosen.extend(below.intersection(&above));
        chosen.extend([a, b]);
    }
    chosen
}

/// Neighbours by position in the graph.
struct Links {
    up: Vec<Vec<usize>>,
    down: Vec<Vec<usize>>,
    both: Vec<Vec<usize>>,
}

impl Links {
    fn of(graph: &Graph) -> Links {
        let empty = vec![Vec::new(); graph.nodes.len()];
        let mut links = Links { up: empty.clone(), down: empty.clone(), both: empty };
        for (to, node) in graph.nodes.values().enumerate() {
            for dependency in &node.dependencies {
                let Some(from) = graph.nodes.get_index_of(&dependency.name) else { continue };
                links.up[to].push(from);
                links.down[from].push(to);
                links.both[to].push(from);
                links.both[from].push(to);
            }
        }
        links
    }
}

/// Everything within `steps` edges of the start, the start included.
fn reach<'a>(start: &[usize], steps: usize, neighbours: impl Fn(usize) -> &'a Vec<usize>) -> BTreeSet<usize> {
    let mut seen: BTreeSet<usize> = start.iter().copied().collect();
    let mut frontier: Vec<usize> = start.to_vec();
    for _ in 0..steps {
        let next: Vec<usize> =
            frontier.iter().flat_map(|&it| neighbours(it)).copied().filter(|&it| seen.insert(it)).collect();
        if next.is_empty() {
            break;
        }
        frontier = next;
    }
    seen
}

fn is_collapsed(file: &str, collapse: &[String]) -> bool {
    !file.is_empty() && collapse.iter().any(|it| it == file || it == file_name(file))
}

/// The last part of a path.
pub(super) fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}
