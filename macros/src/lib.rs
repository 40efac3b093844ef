//! Brooklet's attributes, all inert (each returns its item unchanged), and `flow!`.
//!
//! A transform file is ordinary Rust. What an attribute means is decided by the one parser in
//! `brooklet-graph`, which reads the source; here it only has to exist, so that the file compiles and its
//! unit tests run with plain `cargo test`.

mod flow;

use proc_macro::TokenStream;

/// The transforms of some modules as a `Flow`: `flow!(transforms::{marketing, channels})`.
///
/// The modules are named from the crate root, and each is a file of its own. What is wrong with them as a graph
/// is an error of the compiler.
#[proc_macro]
pub fn flow(arguments: TokenStream) -> TokenStream {
    // The parser works on text, on several threads, and wants its spans to be places in that text: the tokens of
    // the compiler can do neither.
    proc_macro2::fallback::force();
    let directory = std::env::var_os("CARGO_MANIFEST_DIR").map(std::path::PathBuf::from).unwrap_or_default();
    let call_site = proc_macro::Span::call_site().local_file();
    let code = match flow::expand(&arguments.to_string(), &directory, call_site) {
        Ok(code) => code,
        Err(message) => format!("compile_error!({message:?})"),
    };
    code.parse().unwrap_or_else(|error| {
        let message = format!("flow! wrote code that is no Rust ({error}); this is a bug in Brooklet");
        format!("compile_error!({message:?})").parse().unwrap_or_default()
    })
}

macro_rules! inert {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[proc_macro_attribute]
        pub fn $name(_arguments: TokenStream, item: TokenStream) -> TokenStream {
            item
        }
    )*};
}

inert! {
    /// Renames the node (`name = "rate"`) or says that the function is none (`skip`).
    node
    /// The variant exists if the configuration matches: `when(region = "us")`, `when_not`, `any`, `all`, `otherwise`.
    config
    /// Values for parameters that nothing provides: `window = 3`.
    defaults
    /// Makes one node for each entry: `p1(x = value(1)), p2(x = source(base))`.
    parameterize
    /// Feeds several upstream nodes into one parameter: `nums = [a, value(10), b]`.
    inject
    /// Makes a node of each named column of the returned frame.
    extract_columns
    /// Makes a node of each public field of the returned struct, or of the named ones.
    extract_fields
    /// Makes a node of each part of the returned tuple.
    unpack
    /// Metadata of the node: `owner = "ds"`.
    tag
    /// Metadata of the nodes that an expanding attribute makes.
    tag_outputs
    /// The columns and types of the frame, as documentation.
    schema
    /// A rule that the value must keep: `range(0.0, 1.0), importance = "fail"`.
    check_output
    /// A function that judges the value.
    check
    /// The columns and types that the frame must have.
    check_schema
    /// Steps that a parameter goes through before the function.
    pipe_input
    /// Steps that the value goes through after the function.
    pipe_output
    /// Makes the function a later step of another node.
    mutate
    /// Takes the functions of a module as a part of the graph, with inputs and configuration of its own.
    subdag
    /// Adds columns to a frame by functions of single columns.
    with_columns
    /// How the value is kept: `recompute`, `ignore`, `disable`, `format = "parquet"`.
    cache
    /// Reads a parameter from storage: `df = csv(path = source(location))`.
    load
    /// Writes the value to storage: `parquet(path = value("o.parquet"))`.
    save
    /// Makes the function a way of reading values.
    loader
    /// Makes the function a way of writing values.
    saver
}
