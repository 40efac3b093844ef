//! A graph joined to its functions: names become numbers, and every edge is compared.
//!
//! The types are rustc's, told by the shims, so the comparison is exact where any reading of source text
//! would guess. It is done on the graph in force, which no compiler has seen as a whole.

use std::any::TypeId;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use brooklet_graph::graph::{Caching, Dependency, Fixed, Graph, Node, NodeKind, PartOf, Place, StoredAs};
use brooklet_graph::source::Span;
use brooklet_graph::wire::EdgeMismatch;
use polars::prelude::{DataFrame, LazyFrame, Series};

use super::CommitError;
use super::files;
use super::part::Column;
use crate::executor::{StepNames, Work};
use crate::glue::{Function, GroupKind, ParamInfo, TypeInfo, registry};
use crate::storing::Format;
use crate::value::{Decode, Ops};
use crate::version::{Encoder, Version};

/// What a node's code hashes to: one part of its key.
pub(super) type Code = Version;

/// A graph that is ready to run.
#[derive(Default)]
pub(super) struct Committed {
    pub graph: Graph,
    /// In the order of the graph, which is topological.
    pub nodes: Vec<Ready>,
}

/// One node, with everything looked up.
pub(super) struct Ready {
    pub names: Arc<StepNames>,
    pub code: Code,
    /// `None` for an input.
    pub call: Option<Call>,
    /// All values that go into it, parameter by parameter.
    pub feeds: Vec<Feed>,
    /// What the node holds, and how a literal in its place is read. `None` for an input that nothing takes.
    pub holds: Option<(TypeInfo, Option<Decode>)>,
    /// What becomes of its results.
    pub caching: Caching,
    /// Nodes that take this one; one that takes it several times is here as often.
    pub dependents: Vec<usize>,
}

/// What is done to compute a node.
pub(super) struct Call {
    pub work: Work,
    pub output: &'static Ops,
    /// By parameter.
    pub params: Vec<Shape>,
}

/// How the values of one parameter lie in the feeds: one, or several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    One,
    List(usize),
    Map(usize),
}

/// One value that goes into a node.
pub(super) struct Feed {
    /// The node that it comes from, if it comes from one.
    pub from: Option<usize>,
    pub optional: bool,
    /// The parameter is an `Option`: absence has a value of its own.
    pub takes_none: bool,
    /// Its value names files, whose content counts.
    pub names_files: bool,
    /// The key in a map of several.
    pub key: String,
    /// A literal: the value itself, or what stands for a node that has none.
    pub literal: Option<Written>,
}

/// A literal of an attribute, with the type that it is read as.
#[derive(Clone)]
pub(super) struct Written {
    pub raw: String,
    /// The parameter, for messages.
    pub parameter: String,
    pub ty: TypeInfo,
    pub decode: Option<Decode>,
    /// Where it stands.
    pub span: Span,
}

impl Committed {
    pub fn new(graph: Graph, functions: &[Function]) -> Result<Committed, CommitError> {
        let by_path: HashMap<&str, &Function> = functions.iter().map(|it| (it.path, it)).collect();
        let resolved: Vec<Option<Resolved<'_>>> =
            graph.nodes.values().map(|node| Resolved::new(node, &by_path)).collect();
        let missing: Vec<String> = graph
            .nodes
            .values()
            .zip(&resolved)
            .filter(|(node, found)| node.kind == NodeKind::Transform && found.is_none())
            .map(|(node, _)| node.name.clone())
            .collect();
        if !missing.is_empty() {
            return Err(CommitError::MissingFunctions(missing));
        }
        let consumers = consumers(&graph, &resolved);
        let mut mismatches = Vec::new();
        let mut nodes = Vec::with_capacity(graph.nodes.len());
        for (index, node) in graph.nodes.values().enumerate() {
            let function = resolved[index].as_ref();
            let (holds, mut wrong) = match function {
                Some(function) => compare_transform(node, function, &consumers[index]),
                None => compare_input(node, &consumers[index]),
            };
            mismatches.append(&mut wrong);
            let feeds = function.map_or_else(Vec::new, |it| feeds(node, &graph, it));
            let call = function.map(|it| Call {
                work: it.work.clone(),
                output: it.output,
                params: shapes(node, it.params.len()),
            });
            if let (Some(call), Some(function)) = (&call, function) {
                mismatches.extend(compare_groups(node, call, function));
                mismatches.extend(compare_caching(node, function));
            }
            nodes.push(Ready {
                names: Arc::new(names(node, function.map_or(0, |it| it.params.len()))),
                code: code(node, function),
                call,
                feeds,
                holds,
                caching: node.caching.clone(),
                dependents: consumers[index].iter().map(|it| it.index).collect(),
            });
        }
        if mismatches.is_empty() {
            Ok(Committed { graph, nodes })
        } else {
            Err(CommitError::Edges(mismatches))
        }
    }

    /// How a node's frames are to be written, if not as usual.
    pub fn format(&self, index: usize) -> Option<Format> {
        self.nodes[index].caching.format.map(|it| match it {
            StoredAs::Arrow => Format::Arrow,
            StoredAs::Parquet => Format::Parquet,
        })
    }

    pub fn find(&self, name: &str) -> Option<usize> {
        self.graph.nodes.get_index_of(name)
    }

    pub fn name(&self, index: usize) -> &str {
        &self.nodes[index].names.node
    }

    /// The short name of what each node holds.
    pub fn types(&self) -> BTreeMap<String, String> {
        let short = |it: &Ready| it.holds.as_ref().map_or_else(String::new, |(ty, _)| ty.short());
        self.nodes.iter().map(|it| (it.names.node.clone(), short(it))).collect()
    }
}

/// What computes a node: a function of the generation, or the driver itself.
struct Resolved<'a> {
    work: Work,
    output: &'static Ops,
    params: std::borrow::Cow<'a, [ParamInfo]>,
}

impl<'a> Resolved<'a> {
    fn new(node: &Node, by_path: &HashMap<&str, &'a Function>) -> Option<Resolved<'a>> {
        if let Some(PartOf::Column { column, fill }) = &node.part {
            let frame = ParamInfo {
                accepts: vec![TypeInfo::of::<DataFrame>(), TypeInfo::of::<LazyFrame>()],
                optional: false,
                decode: None,
                group: None,
            };
            return Some(Resolved {
                work: Work::Column(Arc::new(Column::new(column, fill.as_deref()))),
                output: registry::find(TypeId::of::<Series>())?,
                params: vec![frame].into(),
            });
        }
        let function = by_path.get(node.function.as_str())?;
        let is_covered = |parameter: usize| {
            node.dependencies.iter().any(|it| it.parameter == parameter)
                || node.fixed.iter().any(|it| it.parameter == parameter)
                // A group of none is an empty list.
                || function.params[parameter].group.is_some()
        };
        let count = function.params.len();
        let in_range =
            node.dependencies.iter().map(|it| it.parameter).chain(node.fixed.iter().map(|it| it.parameter));
        let fits = in_range.into_iter().all(|it| it < count) && (0..count).all(is_covered);
        fits.then(|| Resolved {
            work: Work::Call(function.shim),
            output: function.output,
            params: function.params.as_slice().into(),
        })
    }

    fn output_type(&self) -> TypeInfo {
        TypeInfo { id: self.output.type_id, name: self.output.name }
    }
}

/// One parameter that takes a node.
struct Consumer<'a> {
    index: usize,
    name: &'a str,
    parameter: usize,
    takes: &'a ParamInfo,
}

fn consumers<'a>(graph: &'a Graph, functions: &'a [Option<Resolved<'a>>]) -> Vec<Vec<Consumer<'a>>> {
    let mut consumers: Vec<Vec<Consumer<'a>>> = graph.nodes.iter().map(|_| Vec::new()).collect();
    for (index, node) in graph.nodes.values().enumerate() {
        let Some(function) = &functions[index] else { continue };
        for dependency in &node.dependencies {
            if let Some(from) = graph.nodes.get_index_of(&dependency.name) {
                let takes = &function.params[dependency.parameter];
                consumers[from].push(Consumer {
                    index,
                    name: &node.name,
                    parameter: dependency.parameter,
                    takes,
                });
            }
        }
    }
    consumers
}

fn names(node: &Node, count: usize) -> StepNames {
    let mut parameters = vec![String::new(); count];
    for dependency in &node.dependencies {
        if parameters[dependency.parameter].is_empty() {
            dependency.name.clone_into(&mut parameters[dependency.parameter]);
        }
    }
    let feeds = in_order(node).into_iter().map(|(_, _, from)| from.name().to_owned()).collect();
    StepNames {
        node: node.name.clone(),
        parameters,
        feeds,
        function: node.origin.clone(),
        fingerprint: node.fingerprint.clone(),
    }
}

/// Everything that goes into a node, with the types of literals.
fn feeds(node: &Node, graph: &Graph, function: &Resolved<'_>) -> Vec<Feed> {
    let written = |parameter: usize, name: &str, raw: &str, span: Span| {
        let takes = &function.params[parameter];
        let (ty, decode) = (takes.accepts[0], takes.decode);
        Written { raw: raw.to_owned(), parameter: name.to_owned(), ty, decode, span }
    };
    in_order(node)
        .into_iter()
        .map(|(parameter, place, from)| {
            let names_files = node.caching.files.contains(&parameter);
            let key = if let Place::Entry(_, key) = place { key.clone() } else { String::new() };
            match from {
                From::Node(it) => Feed {
                    from: graph.nodes.get_index_of(&it.name),
                    optional: it.optional,
                    takes_none: function.params[parameter].optional,
                    names_files,
                    key,
                    literal: it
                        .default
                        .as_deref()
                        .map(|raw| written(parameter, &it.name, raw, it.default_span)),
                },
                From::Literal(it) => Feed {
                    from: None,
                    optional: false,
                    takes_none: false,
                    names_files,
                    key,
                    literal: Some(written(parameter, &it.name, &it.literal, it.span)),
                },
            }
        })
        .collect()
}

/// Where a value comes from.
enum From<'a> {
    Node(&'a Dependency),
    Literal(&'a Fixed),
}

impl<'a> From<'a> {
    fn name(&self) -> &'a str {
        match self {
            From::Node(it) => &it.name,
            From::Literal(it) => &it.name,
        }
    }
}

/// All that goes into a node, by parameter, and in a group by position.
fn in_order(node: &Node) -> Vec<(usize, &Place, From<'_>)> {
    let nodes = node.dependencies.iter().map(|it| (it.parameter, &it.place, From::Node(it)));
    let literals = node.fixed.iter().map(|it| (it.parameter, &it.place, From::Literal(it)));
    let mut all: Vec<(usize, &Place, From<'_>)> = nodes.chain(literals).collect();
    all.sort_by_key(|it| (it.0, position(it.1)));
    all
}

fn position(place: &Place) -> usize {
    match place {
        Place::Whole => 0,
        Place::Item(at) | Place::Entry(at, _) => *at,
    }
}

fn shapes(node: &Node, count: usize) -> Vec<Shape> {
    (0..count)
        .map(|parameter| {
            let places = || {
                let nodes =
                    node.dependencies.iter().filter(move |it| it.parameter == parameter).map(|it| &it.place);
                nodes.chain(node.fixed.iter().filter(move |it| it.parameter == parameter).map(|it| &it.place))
            };
            match places().next() {
                Some(Place::Whole) => Shape::One,
                Some(Place::Entry(..)) => Shape::Map(places().count()),
                Some(Place::Item(_)) | None => Shape::List(places().count()),
            }
        })
        .collect()
}

/// Fingerprints reach helpers by name, and a name means something else in another module. So the module
/// belongs to the code; the function's own name does not.
fn code(node: &Node, function: Option<&Resolved<'_>>) -> Code {
    let module = node.origin.rsplit_once("::").map_or("", |(module, _)| module);
    let holds = function.map_or("", |it| it.output.name);
    let mut encoder = Encoder::new();
    [module, &node.fingerprint, holds].iter().for_each(|it| encoder.text(it));
    encoder.finish().expect("text can be seen")
}

type Compared = (Option<(TypeInfo, Option<Decode>)>, Vec<EdgeMismatch>);

/// Every consumer must accept what the function gives.
fn compare_transform(node: &Node, function: &Resolved<'_>, consumers: &[Consumer<'_>]) -> Compared {
    let found = function.output_type();
    let mismatches = consumers
        .iter()
        .filter(|it| !it.takes.accepts.iter().any(|accepted| accepted.id == found.id))
        .map(|it| EdgeMismatch {
            from: node.name.clone(),
            to: it.name.to_owned(),
            parameter: it.parameter,
            expected: it.takes.accepts[0].short(),
            found: found.short(),
            other_consumer: None,
            is_group: false,
            in_cache: false,
        })
        .collect();
    let decode =
        consumers.iter().filter(|it| it.takes.accepts[0].id == found.id).find_map(|it| it.takes.decode);
    (Some((found, decode)), mismatches)
}

/// All consumers must accept one type: the first in the order of the first consumer that all accept.
fn compare_input(node: &Node, consumers: &[Consumer<'_>]) -> Compared {
    let Some(first) = consumers.first() else { return (None, Vec::new()) };
    let accepts =
        |it: &Consumer<'_>, ty: TypeInfo| it.takes.accepts.iter().any(|accepted| accepted.id == ty.id);
    let common = first.takes.accepts.iter().copied().find(|ty| consumers.iter().all(|it| accepts(it, *ty)));
    if let Some(ty) = common {
        let same_type = consumers.iter().filter(|it| it.takes.accepts[0].id == ty.id);
        let decode = same_type.into_iter().find_map(|it| it.takes.decode);
        return (Some((ty, decode)), Vec::new());
    }
    let mismatches: Vec<EdgeMismatch> = consumers[1..]
        .iter()
        .filter(|it| !first.takes.accepts.iter().any(|ty| accepts(it, *ty)))
        .map(|it| EdgeMismatch {
            from: node.name.clone(),
            to: it.name.to_owned(),
            parameter: it.parameter,
            expected: it.takes.accepts[0].short(),
            found: first.takes.accepts[0].short(),
            other_consumer: Some((first.name.to_owned(), first.parameter)),
            is_group: false,
            in_cache: false,
        })
        .collect();
    (None, mismatches)
}

/// A list must go where a list is taken, and a map where a map is.
fn compare_groups(node: &Node, call: &Call, function: &Resolved<'_>) -> Vec<EdgeMismatch> {
    let mut mismatches = Vec::new();
    for (parameter, (shape, takes)) in call.params.iter().zip(function.params.iter()).enumerate() {
        let found = match (shape, &takes.group) {
            (Shape::List(count), Some((GroupKind::Map, _))) if *count > 0 => "a list of nodes",
            (Shape::Map(_), Some((GroupKind::List, _))) => "named nodes",
            _ => continue,
        };
        let from = node.dependencies.iter().find(|it| it.parameter == parameter);
        mismatches.push(EdgeMismatch {
            from: from.map(|it| it.name.clone()).unwrap_or_default(),
            to: node.name.clone(),
            parameter,
            expected: takes.group.as_ref().map_or_else(String::new, |it| it.1.short()),
            found: found.to_owned(),
            other_consumer: None,
            is_group: true,
            in_cache: false,
        });
    }
    mismatches
}

/// Files are named by paths and texts, and only frames have a file format of their own.
fn compare_caching(node: &Node, function: &Resolved<'_>) -> Vec<EdgeMismatch> {
    let mismatch = |from: &str, parameter, found: TypeInfo| EdgeMismatch {
        from: from.to_owned(),
        to: node.name.clone(),
        parameter,
        expected: String::new(),
        found: found.short(),
        other_consumer: None,
        is_group: false,
        in_cache: true,
    };
    let mut mismatches = Vec::new();
    for parameter in &node.caching.files {
        let accepts = &function.params[*parameter].accepts;
        if !accepts.iter().any(|it| files::can_name(it.id)) {
            let dependency = node.dependencies.iter().find(|it| it.parameter == *parameter);
            let fixed = node.fixed.iter().find(|it| it.parameter == *parameter);
            let name = dependency.map(|it| &it.name).or(fixed.map(|it| &it.name));
            mismatches.push(mismatch(name.map_or("", String::as_str), *parameter, accepts[0]));
        }
    }
    let output = function.output_type();
    let is_frame = function.output.storing.is_some_and(|it| it.format == Format::Arrow);
    if node.caching.format.is_some() && !is_frame {
        mismatches.push(mismatch(&node.name, 0, output));
    }
    mismatches
}
