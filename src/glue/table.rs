//! The table of a generation's functions, and how a shim is called.
//!
//! A shim has two uses. Given [`Slots`] with values it calls its function. Given slots that describe, it
//! says which types it takes and gives, and returns before the call. One body serves both, so that each
//! parameter is resolved by rustc once.

use std::any::TypeId;
use std::cell::RefCell;

use crate::glue::registry;
use crate::storing::Storing;
use crate::value::{Data, Decode, Encode, Ops, ToBundle, ToJson, Value, short_type_name};

/// A type at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeInfo {
    pub id: TypeId,
    /// rustc's name, with all paths.
    pub name: &'static str,
}

impl TypeInfo {
    pub fn of<T: ?Sized + 'static>() -> TypeInfo {
        TypeInfo { id: TypeId::of::<T>(), name: std::any::type_name::<T>() }
    }

    pub fn short(&self) -> String {
        short_type_name(self.name)
    }
}

/// What a shim returns: the node's value, or why there is none.
pub type Outcome = Result<Data, Error>;

/// Why a shim gave no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Not an error: the slots only described.
    Described,
    /// A required parameter had no value.
    Missing { parameter: usize },
    /// A parameter was given a value of a type that it does not take.
    WrongType { parameter: usize, expected: String, found: String },
    /// The function returned `Err`: its message and its sources, outermost first.
    Failed { message: String, chain: Vec<String> },
}

/// The generated wrapper of one function.
pub type Shim = for<'a, 'v> fn(&'a Slots<'v>) -> Outcome;

/// What goes into one parameter.
pub enum Argument {
    /// The value of a node; none where it may be absent.
    One(Option<Value>),
    /// Several, each with its key (empty in a list), in the order of writing.
    Many(Vec<(String, Value)>),
}

/// The arguments of one call, or the wish to be told about the function.
pub struct Slots<'v> {
    values: &'v [Argument],
    description: Option<&'v RefCell<Description>>,
}

/// What a shim tells of its function.
#[derive(Default)]
pub(super) struct Description {
    params: Vec<ParamInfo>,
    output: Option<TypeInfo>,
    pub(super) encode: Option<Encode>,
    pub(super) json: Option<ToJson>,
    pub(super) render: Option<ToBundle>,
    pub(super) storing: Option<Storing>,
}

/// What one parameter takes.
#[derive(Clone, Debug)]
pub struct ParamInfo {
    /// The types of values that fit, the one that a literal is decoded to first.
    pub accepts: Vec<TypeInfo>,
    /// `Option<..>`: may be absent.
    pub optional: bool,
    /// How a literal becomes `accepts[0]`, where the shim knows and the image does not.
    pub decode: Option<Decode>,
    /// Takes several values: what they are gathered into, and how. `accepts` is then about each of them.
    pub group: Option<(GroupKind, TypeInfo)>,
}

/// How several values go into one parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupKind {
    List,
    Map,
}

impl<'v> Slots<'v> {
    /// The arguments of a call, in the order of the parameters.
    pub fn new(values: &'v [Argument]) -> Slots<'v> {
        Slots { values, description: None }
    }

    /// Ends a shim that was only asked to describe.
    ///
    /// # Errors
    /// [`Error::Described`], which says that all is well.
    pub fn ready(&self) -> Result<(), Error> {
        if self.description.is_some() { Err(Error::Described) } else { Ok(()) }
    }

    pub(super) fn get(&self, index: usize) -> Option<&'v Value> {
        match self.values.get(index) {
            Some(Argument::One(value)) => value.as_ref(),
            _ => None,
        }
    }

    pub(super) fn group(&self, index: usize) -> &'v [(String, Value)] {
        match self.values.get(index) {
            Some(Argument::Many(members)) => members,
            _ => &[],
        }
    }

    pub(super) fn describe(&self, tell: impl FnOnce(&mut Description)) {
        if let Some(description) = self.description {
            tell(&mut description.borrow_mut());
        }
    }

    pub(super) fn describe_param(&self, accepts: &[fn() -> TypeInfo], optional: bool) {
        self.describe(|it| {
            let accepts = accepts.iter().map(|info| info()).collect();
            it.params.push(ParamInfo { accepts, optional, decode: None, group: None });
        });
    }

    pub(super) fn describe_group(&self, item: fn() -> TypeInfo, whole: fn() -> TypeInfo, kind: GroupKind) {
        self.describe(|it| {
            let group = Some((kind, whole()));
            it.params.push(ParamInfo { accepts: vec![item()], optional: false, decode: None, group });
        });
    }

    pub(super) fn describe_literal(&self, index: usize, decode: Decode) {
        self.describe(|it| it.params[index].decode = Some(decode));
    }

    pub(super) fn describe_output(&self, output: fn() -> TypeInfo) {
        self.describe(|it| it.output = Some(output()));
    }
}

/// One function of a generation, described.
#[derive(Clone)]
pub struct Function {
    /// Where it stands in the generation, `marketing::avg_3wk_spend`.
    pub path: &'static str,
    pub shim: Shim,
    pub params: Vec<ParamInfo>,
    /// The operations of what the node holds.
    pub output: &'static Ops,
}

impl Function {
    fn describe(path: &'static str, shim: Shim) -> Function {
        let description = RefCell::new(Description::default());
        let result = shim(&Slots { values: &[], description: Some(&description) });
        debug_assert_eq!(result.err(), Some(Error::Described));
        let description = description.into_inner();
        let output = description.output.unwrap_or_else(TypeInfo::of::<()>);
        let ops = registry::find(output.id).unwrap_or_else(|| {
            // One small leak per user type and generation: a value keeps this table as long as it lives,
            // and the code that the table points into is never unloaded either.
            Box::leak(Box::new(Ops {
                encode: description.encode,
                json: description.json,
                render: description.render,
                storing: description.storing,
                ..Ops::opaque(output.id, output.name)
            }))
        });
        Function { path, shim, params: description.params, output: ops }
    }

    pub fn output_type(&self) -> TypeInfo {
        TypeInfo { id: self.output.type_id, name: self.output.name }
    }
}

/// All functions of one generation, in the order of the files.
#[derive(Default)]
pub struct Table {
    pub functions: Vec<Function>,
}

impl Table {
    pub fn new() -> Table {
        Table::default()
    }

    /// Adds a function. `path` is the graph's name for it.
    pub fn add(&mut self, path: &'static str, arity: usize, shim: Shim) {
        let function = Function::describe(path, shim);
        debug_assert_eq!(function.params.len(), arity);
        self.functions.push(function);
    }
}
