//! What a Rust cell calls: the values of the nodes it names, and showing things.
//!
//! A cell is compiled by evcxr against the image and runs in the worker, where the values are. It names a
//! node's type by the node's own function, as shims do ([`crate::glue`]). Which values it may see is set
//! before it runs; they stay the same for the whole cell.

mod raise;

use std::any::Any;
use std::collections::HashMap;
use std::fmt::Debug;
use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use brooklet_graph::wire::{FromWorker, MimeBundle};
use crossbeam_channel::{Sender, bounded};
use polars::prelude::{Column, DataFrame, Expr, IntoLazy, LazyFrame, Series};

pub use raise::{Raise, Raised, Raising, take_raised};

use crate::glue::{NodeValue, Ty};
use crate::show::{self, Render};
use crate::value::{Data, Value, short_type_name};

/// Binds a node: `let fit = brooklet::bind_node!(r2, generation::model::fit, "fit");`, where `r2` says that
/// the function has two parameters.
#[macro_export]
macro_rules! bind_node {
    ($returns:ident, $function:path, $name:literal) => {{
        use $crate::cell::Bind as _;
        use $crate::glue::Return as _;
        (&&&(&&&&&$crate::glue::$returns($function)).ret(&$crate::glue::Slots::new(&[])).ty()).bind($name)
    }};
}

/// As [`bind_node!`], for an `async fn`.
#[macro_export]
macro_rules! bind_future {
    ($returns:ident, $function:path, $name:literal) => {{
        use $crate::cell::Bind as _;
        use $crate::glue::Return as _;
        let returned = $crate::glue::future($crate::glue::$returns($function));
        (&&&(&&&&&returned).ret(&$crate::glue::Slots::new(&[])).ty()).bind($name)
    }};
}

/// Binds an input through a parameter that takes it: `p3_1` is the second of three.
#[macro_export]
macro_rules! bind_input {
    ($parameter:ident, $function:path, $name:literal) => {{
        use $crate::cell::Bind as _;
        use $crate::glue::Arg as _;
        (&&&(&&&&$crate::glue::$parameter($function)).arg(&$crate::glue::Slots::new(&[]), 0).ty()).bind($name)
    }};
}

/// As [`bind_input!`], for an input that a parameter takes as one of several.
#[macro_export]
macro_rules! bind_member {
    ($parameter:ident, $function:path, $name:literal) => {{
        use $crate::cell::Bind as _;
        use $crate::glue::Group as _;
        (&&&(&&&&$crate::glue::$parameter($function)).group(&$crate::glue::Slots::new(&[]), 0).ty())
            .bind($name)
    }};
}

/// Binds a node that is a column.
#[macro_export]
macro_rules! bind_column {
    ($name:literal) => {{
        use $crate::cell::Bind as _;
        (&&&$crate::glue::Ty::<$crate::polars::prelude::Series>::new()).bind($name)
    }};
}

/// Binds a node that is a field or an item of what a function returns.
#[macro_export]
macro_rules! bind_part {
    ($returns:ident, $function:path, $field:tt, $name:literal) => {{
        use $crate::cell::Bind as _;
        use $crate::glue::Return as _;
        let whole = (&&&&&$crate::glue::$returns($function)).ret(&$crate::glue::Slots::new(&[])).ty();
        (&&&$crate::glue::part_type(whole, |it| &it.$field)).bind($name)
    }};
}

/// As [`bind_part!`], for an `async fn`.
#[macro_export]
macro_rules! bind_future_part {
    ($returns:ident, $function:path, $field:tt, $name:literal) => {{
        use $crate::cell::Bind as _;
        use $crate::glue::Return as _;
        let returned = $crate::glue::future($crate::glue::$returns($function));
        let whole = (&&&&&returned).ret(&$crate::glue::Slots::new(&[])).ty();
        (&&&$crate::glue::part_type(whole, |it| &it.$field)).bind($name)
    }};
}

/// Shows the cell's last expression; it is only borrowed.
#[macro_export]
macro_rules! show {
    ($value:expr) => {
        match &$value {
            value => {
                use $crate::cell::ShowLast as _;
                (&&&&$crate::cell::Last(value)).show_last()
            }
        }
    };
}

/// How a cell sees a node: copies of what is `Copy`, clones of cheap handles, references to all else.
pub trait Bind {
    type Bound;
    fn bind(&self, name: &str) -> Self::Bound;
}

macro_rules! handles {
    ($([$($generics:tt)*] $handle:ty),*) => {$(
        impl<$($generics)*> Bind for &&Ty<$handle> {
            type Bound = $handle;
            fn bind(&self, name: &str) -> $handle {
                expect::<$handle>(name, &value(name)).clone()
            }
        }
    )*};
}

handles!([] Series, [] DataFrame, [] Column, [] Expr, [T: NodeValue + ?Sized] Arc<T>);

impl Bind for &&Ty<LazyFrame> {
    type Bound = LazyFrame;
    fn bind(&self, name: &str) -> LazyFrame {
        let value = value(name);
        match value.get::<DataFrame>() {
            Some(frame) => frame.clone().lazy(),
            None => expect::<LazyFrame>(name, &value).clone(),
        }
    }
}

impl<T: Copy + NodeValue> Bind for &Ty<T> {
    type Bound = T;
    fn bind(&self, name: &str) -> T {
        *expect::<T>(name, &value(name))
    }
}

impl<T: NodeValue> Bind for Ty<T> {
    type Bound = &'static T;
    fn bind(&self, name: &str) -> &'static T {
        let value = value(name);
        expect::<T>(name, &value);
        match (**pin(value.data())).downcast_ref() {
            Some(it) => it,
            None => unreachable!("the type was compared above"),
        }
    }
}

fn expect<'v, T: Any>(name: &str, value: &'v Value) -> &'v T {
    match value.get() {
        Some(it) => it,
        None => panic!(
            "`{name}` holds `{}`, but the cell was compiled for `{}`; run the cell again",
            value.type_name(),
            short_type_name(std::any::type_name::<T>())
        ),
    }
}

/// Values that cells hold references to. They are never freed: a reference may have gone into a variable of
/// the notebook, a thread or a static, and nothing tells when it is gone. One entry a value, however often
/// it is bound.
fn pin(data: &Data) -> &'static Data {
    static PINNED: Mutex<Option<HashMap<usize, &'static Data>>> = Mutex::new(None);
    let mut pinned = lock(&PINNED);
    let address = Arc::as_ptr(data).cast::<()>() as usize;
    pinned.get_or_insert_default().entry(address).or_insert_with(|| Box::leak(Box::new(data.clone())))
}

/// The values that the running cell may name.
static VALUES: Mutex<Option<HashMap<String, Value>>> = Mutex::new(None);

fn value(name: &str) -> Value {
    match lock(&VALUES).as_ref().and_then(|it| it.get(name)) {
        Some(value) => value.clone(),
        None => panic!("`{name}` has no value in this cell"),
    }
}

/// Sets what the next cell may name.
pub fn set_values(values: impl IntoIterator<Item = (String, Value)>) {
    let values = Some(values.into_iter().collect());
    // The old ones are dropped when the lock is not held any more.
    let old = std::mem::replace(&mut *lock(&VALUES), values);
    drop(old);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends a message towards the frontend.
pub type Send = Arc<dyn Fn(FromWorker) + std::marker::Send + Sync>;

/// Where shown things go; without one, as text to stdout.
static OUTPUT: Mutex<Option<Send>> = Mutex::new(None);
/// The cell that runs.
static REQUEST: Mutex<Option<u64>> = Mutex::new(None);
/// Marks the running cell's own output; 0 between cells.
static NONCE: Mutex<u64> = Mutex::new(0);

/// Sets where shown things go.
pub fn set_output(send: Send) {
    *lock(&OUTPUT) = Some(send);
}

/// Says which cell runs; its last expression is sent as that cell's value. By the nonce its output is marked.
pub fn set_request(request: Option<u64>, nonce: u64) {
    *lock(&REQUEST) = request;
    *lock(&NONCE) = nonce;
}

/// Called by a cell before its first statement: what is printed from here on is the user's.
pub fn began() {
    mark_own('(');
}

/// Called by a cell behind its last statement, unless a panic, a `?` or a `return` ended it sooner.
pub fn ended() {
    mark_own(')');
}

fn mark_own(bracket: char) {
    let nonce = *lock(&NONCE);
    if nonce != 0 {
        println!("\x1ebrooklet{bracket}{nonce}\x1e");
    }
}

fn send(message: FromWorker, plain: &str) {
    // What was printed before must not appear after.
    let _ = std::io::stdout().flush();
    let output = lock(&OUTPUT).clone();
    match output {
        Some(send) => send(message),
        None if plain.is_empty() => {}
        None => println!("{plain}"),
    }
}

/// Shows a value below the running cell, now.
pub fn display<T: Render + ?Sized>(value: &T) {
    let bundle = value.render();
    let plain = bundle.plain().to_owned();
    send(FromWorker::Display { bundle }, &plain);
}

/// The format of the message that clears a cell's output: `{"wait": bool}`.
pub const CLEAR_OUTPUT: &str = "application/vnd.brooklet.clear-output+json";

/// Clears what the running cell has shown; with `wait` only when the next thing is shown.
pub fn clear_output(wait: bool) {
    let bundle = MimeBundle::default().with(CLEAR_OUTPUT, serde_json::json!({ "wait": wait }));
    send(FromWorker::Display { bundle }, "");
}

/// Where the answer to the one open question goes.
static QUESTION: Mutex<Option<Sender<Result<String, String>>>> = Mutex::new(None);

/// Asks the person at the notebook for a line of text.
///
/// # Errors
/// If the frontend cannot ask (a notebook that is run without a person), or the question was interrupted.
pub fn input(prompt: &str) -> io::Result<String> {
    ask(prompt, false)
}

/// As [`input`], for text that is not shown while it is typed.
///
/// # Errors
/// As [`input`].
pub fn password(prompt: &str) -> io::Result<String> {
    ask(prompt, true)
}

fn ask(prompt: &str, password: bool) -> io::Result<String> {
    // One question at a time, whatever thread asks.
    static ASKING: Mutex<()> = Mutex::new(());
    let _asking = lock(&ASKING);
    if lock(&OUTPUT).is_none() {
        return Err(io::Error::other("there is no notebook to ask"));
    }
    let (answer, answered) = bounded(1);
    *lock(&QUESTION) = Some(answer);
    send(FromWorker::Ask { prompt: prompt.to_owned(), password }, "");
    let text = answered.recv().unwrap_or_else(|_| Err("the notebook is gone".to_owned()));
    text.map_err(io::Error::other)
}

/// Gives the answer to whoever asks; an answer to nobody is dropped.
pub fn answer(text: Result<String, String>) {
    if let Some(question) = lock(&QUESTION).take() {
        let _ = question.send(text);
    }
}

/// A cell's last expression.
pub struct Last<'a, T: ?Sized>(pub &'a T);

/// The type of an expression that never has a value, `!`, which has no name of its own yet.
type Never = <fn() -> ! as Returning>::Output;

#[doc(hidden)]
pub trait Returning {
    type Output;
}

impl<T> Returning for fn() -> T {
    type Output = T;
}

/// [`Render`], else `Debug`, else the type's name.
pub trait ShowLast {
    fn show_last(&self);
}

/// A block that ends by a panic has nothing to show, and must be let run all the same. Here and not as a `Render`,
/// which users implement: then the two could overlap, as far as the compiler knows.
impl ShowLast for &&&Last<'_, Never> {
    fn show_last(&self) {
        *self.0
    }
}

impl<T: Render + ?Sized> ShowLast for &&Last<'_, T> {
    fn show_last(&self) {
        show_bundle(self.0.render());
    }
}

impl<T: Debug + ?Sized> ShowLast for &Last<'_, T> {
    fn show_last(&self) {
        show_bundle(show::debug(self.0, ""));
    }
}

impl<T: ?Sized> ShowLast for Last<'_, T> {
    fn show_last(&self) {
        show_bundle(show::type_name_only(&short_type_name(std::any::type_name::<T>()), ""));
    }
}

fn show_bundle(bundle: MimeBundle) {
    if bundle.data.is_empty() {
        return;
    }
    let plain = bundle.plain().to_owned();
    let request = *lock(&REQUEST);
    match request {
        Some(request) => send(FromWorker::CellValue { request, bundle }, &plain),
        None => send(FromWorker::Display { bundle }, &plain),
    }
}

#[cfg(test)]
#[allow(clippy::needless_borrow, reason = "the number of `&` chooses the implementation")]
mod tests {
    use super::*;

    fn number() -> i64 {
        0
    }
    fn frame() -> polars::prelude::PolarsResult<DataFrame> {
        Ok(DataFrame::empty())
    }
    fn words(_: &str, _: Option<&Series>) -> Vec<String> {
        Vec::new()
    }
    async fn later() -> Result<String, std::fmt::Error> {
        Ok(String::new())
    }

    #[test]
    fn nodes_bind_by_their_functions() {
        set_values([
            ("number".to_owned(), Value::new(7i64)),
            ("frame".to_owned(), Value::new(DataFrame::empty_with_height(2))),
            ("words".to_owned(), Value::new(vec!["a".to_owned()])),
            ("later".to_owned(), Value::new("x".to_owned())),
            (
                "spend".to_owned(),
                Value::new(Series::full_null("spend".into(), 3, &polars::prelude::DataType::Int64)),
            ),
        ]);
        let a: i64 = crate::bind_node!(r0, number, "number");
        let b: DataFrame = crate::bind_node!(r0, frame, "frame");
        let c: &'static Vec<String> = crate::bind_node!(r2, words, "words");
        let d: &'static String = crate::bind_future!(r0, later, "later");
        let e: Series = crate::bind_input!(p2_1, words, "spend");
        assert_eq!((a, b.height(), c[0].as_str(), d.as_str(), e.len()), (7, 2, "a", "x", 3));

        let panic = crate::panics::catch(|| crate::bind_node!(r0, number, "words")).unwrap_err();
        assert!(panic.message.contains("`words` holds `Vec<String>`"), "{}", panic.message);
    }

    #[test]
    fn anything_can_be_the_last_expression() {
        struct Silent;
        let shown: Arc<Mutex<Vec<String>>> = Arc::default();
        let keep = shown.clone();
        set_output(Arc::new(move |message| {
            if let FromWorker::CellValue { bundle, .. } = message {
                keep.lock().unwrap().push(bundle.plain().to_owned());
            }
        }));
        set_request(Some(1), 0);
        let text = String::from("a");
        crate::show!(1 + 1);
        crate::show!(text);
        crate::show!(text.as_str());
        crate::show!(());
        crate::show!(Silent);
        crate::show!(vec![&text]);
        crate::show!([1.5][..]);
        crate::show!(polars::prelude::df!["a" => [1i64]]);
        set_request(None, 0);
        let shown = shown.lock().unwrap();
        assert_eq!(shown[..4], ["2", "\"a\"", "\"a\"", "<Silent>"]);
        assert_eq!(shown[4], "[\"a\"]");
        assert_eq!(shown[5], "[1.5]");
        assert!(shown[6].contains("shape: (1, 1)"), "{}", shown[6]);
    }
}
