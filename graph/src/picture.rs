//! Pictures of a graph: one plain [`View`], drawn in many formats.
//!
//! A picture is looked at more than anything else here, so it must be calm, exact and the same every time:
//! nothing depends on hash order or on the clock, and a node keeps its place while its state changes.
//! The work is split so that each part can be read alone: `view` says *what* is drawn and knows no
//! coordinates, `arrange` says *where* and knows no colours, `svg` says *how* and decides nothing.
//!
//! Guiding rule: a picture never fails. Whatever it is given, it draws something true.

mod view;

mod select;

mod arrange;
mod layout;
mod order;
mod rank;
mod relax;
mod route;

mod measure;
mod svg;

mod export;
mod list;
mod tree;
mod words;

#[cfg(test)]
mod tests;

pub use arrange::Arrangement;
pub use export::{dot, mermaid};
pub use list::{json, json_of};
pub use svg::{svg, svg_in_place};
pub use tree::text;
pub use view::{Column, Edit, Kind, Member, Orientation, Places, Selection, State, View, ViewEdge, ViewNode};
