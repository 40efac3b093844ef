//! Shims exactly as the generator writes them, for functions of every form.

#![allow(clippy::needless_borrow, reason = "the number of `&` chooses the implementation")]

use std::error::Error as StdError;
use std::fmt;

use polars::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Error, Slots, TypeInfo};
use crate::value::Value;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Split {
    at: f64,
}

pub struct Secret;

type Rate<'a> = &'a f64;
type Maybe<T> = Option<T>;
type Outcome<T> = Result<T, Unlucky>;

#[derive(Debug)]
pub struct Unlucky;

impl fmt::Display for Unlucky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unlucky")
    }
}

impl StdError for Unlucky {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        static INNER: fmt::Error = fmt::Error;
        Some(&INNER)
    }
}

mod functions {
    use super::*;

    pub fn plain(spend: &Series, factor: Option<&f64>, region: &str) -> f64 {
        spend.mean().unwrap_or(0.0) * factor.unwrap_or(&1.0) + region.len() as f64
    }
    pub fn aliased(rate: Rate, other: Maybe<f64>, list: &[f64]) -> Outcome<f64> {
        if list.is_empty() { Err(Unlucky) } else { Ok(rate + other.unwrap_or(100.0) + list[0]) }
    }
    pub fn lazily(frame: LazyFrame, n: i64) -> PolarsResult<usize> {
        Ok(frame.collect()?.height() * n as usize)
    }
    pub async fn later(url: String, split: &Split) -> Result<String, Box<dyn StdError + Send + Sync>> {
        if url.is_empty() { Err(Box::new(Unlucky)) } else { Ok(format!("{url} {}", split.at)) }
    }
    pub fn start() -> Secret {
        Secret
    }
    pub fn split(secret: &Secret) -> Result<Split, String> {
        let _ = secret;
        Err("split".to_owned())
    }
    pub fn label() -> &'static str {
        "label"
    }
    pub fn tuple() -> (f64, Vec<Option<i64>>) {
        (1.0, vec![None])
    }
    #[allow(clippy::too_many_arguments)]
    pub fn many(
        a: i64,
        b: i64,
        c: i64,
        d: i64,
        e: i64,
        f: i64,
        g: i64,
        h: i64,
        i: i64,
        j: i64,
        k: i64,
        l: i64,
    ) -> i64 {
        a + b + c + d + e + f + g + h + i + j + k + l
    }
}

mod shims {
    use crate::glue::*;

    pub fn n0(s: &Slots<'_>) -> Outcome {
        let f = super::functions::plain;
        let a0 = (&&&&p3_0(f)).arg(s, 0);
        let a1 = (&&&&p3_1(f)).arg(s, 1);
        let a2 = (&&&&p3_2(f)).arg(s, 2);
        let r = (&&&&&r3(f)).ret(s);
        s.ready()?;
        r.finish(f(a0.take()?, a1.take()?, a2.take()?))
    }
    pub fn n1(s: &Slots<'_>) -> Outcome {
        let f = super::functions::aliased;
        let a0 = (&&&&p3_0(f)).arg(s, 0);
        let a1 = (&&&&p3_1(f)).arg(s, 1);
        let a2 = (&&&&p3_2(f)).arg(s, 2);
        let r = (&&&&&r3(f)).ret(s);
        s.ready()?;
        r.finish(f(a0.take()?, a1.take()?, a2.take()?))
    }
    pub fn n2(s: &Slots<'_>) -> Outcome {
        let f = super::functions::lazily;
        let a0 = (&&&&p2_0(f)).arg(s, 0);
        let a1 = (&&&&p2_1(f)).arg(s, 1);
        let r = (&&&&&r2(f)).ret(s);
        s.ready()?;
        r.finish(f(a0.take()?, a1.take()?))
    }
    pub fn n3(s: &Slots<'_>) -> Outcome {
        let f = super::functions::later;
        let a0 = (&&&&p2_0(f)).arg(s, 0);
        let a1 = (&&&&p2_1(f)).arg(s, 1);
        probe_input!(s, 1, a1);
        let r = (&&&&&future(r2(f))).ret(s);
        s.ready()?;
        r.finish(block_on(f(a0.take()?, a1.take()?)))
    }
    pub fn n4(s: &Slots<'_>) -> Outcome {
        let f = super::functions::start;
        let r = (&&&&&r0(f)).ret(s);
        probe_output!(s, r);
        s.ready()?;
        r.finish(f())
    }
    pub fn n5(s: &Slots<'_>) -> Outcome {
        let f = super::functions::split;
        let a0 = (&&&&p1_0(f)).arg(s, 0);
        probe_input!(s, 0, a0);
        let r = (&&&&&r1(f)).ret(s);
        probe_output!(s, r);
        s.ready()?;
        r.finish(f(a0.take()?))
    }
    pub fn n6(s: &Slots<'_>) -> Outcome {
        let f = super::functions::label;
        let r = (&&&&&r0(f)).ret(s);
        probe_output!(s, r);
        s.ready()?;
        r.finish(f())
    }
    pub fn n7(s: &Slots<'_>) -> Outcome {
        let f = super::functions::tuple;
        let r = (&&&&&r0(f)).ret(s);
        probe_output!(s, r);
        s.ready()?;
        r.finish(f())
    }
    #[rustfmt::skip]
    pub fn n8(s: &Slots<'_>) -> Outcome {
        let f = super::functions::many;
        let a0 = (&&&&p12_0(f)).arg(s, 0);
        let a1 = (&&&&p12_1(f)).arg(s, 1);
        let a2 = (&&&&p12_2(f)).arg(s, 2);
        let a3 = (&&&&p12_3(f)).arg(s, 3);
        let a4 = (&&&&p12_4(f)).arg(s, 4);
        let a5 = (&&&&p12_5(f)).arg(s, 5);
        let a6 = (&&&&p12_6(f)).arg(s, 6);
        let a7 = (&&&&p12_7(f)).arg(s, 7);
        let a8 = (&&&&p12_8(f)).arg(s, 8);
        let a9 = (&&&&p12_9(f)).arg(s, 9);
        let a10 = (&&&&p12_10(f)).arg(s, 10);
        let a11 = (&&&&p12_11(f)).arg(s, 11);
        let r = (&&&&&r12(f)).ret(s);
        s.ready()?;
        r.finish(f(a0.take()?, a1.take()?, a2.take()?, a3.take()?, a4.take()?, a5.take()?, a6.take()?, a7.take()?, a8.take()?, a9.take()?, a10.take()?, a11.take()?))
    }
    pub fn functions() -> Table {
        let mut t = Table::new();
        t.add("plain", 3, n0);
        t.add("aliased", 3, n1);
        t.add("lazily", 2, n2);
        t.add("later", 2, n3);
        t.add("start", 0, n4);
        t.add("split", 1, n5);
        t.add("label", 0, n6);
        t.add("tuple", 0, n7);
        t.add("many", 12, n8);
        t
    }
}

fn call(path: &str, values: &[Option<Value>]) -> Result<Value, Error> {
    let arguments: Vec<crate::glue::Argument> =
        values.iter().cloned().map(crate::glue::Argument::One).collect();
    let table = shims::functions();
    let function = table.functions.iter().find(|it| it.path == path).unwrap();
    let data = (function.shim)(&Slots::new(&arguments))?;
    Ok(Value::from_data(data, function.output))
}

fn some<T: std::any::Any + Send + Sync>(value: T) -> Option<Value> {
    Some(Value::new(value))
}

#[test]
fn arguments_arrive() {
    let spend = || some(Series::new("spend".into(), [1i64, 3]));
    assert_eq!(call("plain", &[spend(), None, some("us".to_owned())]).unwrap().get(), Some(&4.0));
    assert_eq!(call("plain", &[spend(), some(2.0), some("us")]).unwrap().get(), Some(&6.0));
    assert_eq!(call("plain", &[spend(), some(Some(2.0)), some("us")]).unwrap().get(), Some(&6.0));
    assert_eq!(call("aliased", &[some(1.0), None, some(vec![0.5])]).unwrap().get(), Some(&101.5));
    assert_eq!(call("aliased", &[some(1.0), some(2.0), some(vec![0.5])]).unwrap().get(), Some(&3.5));
    let frame = df!["a" => [1, 2, 3]].unwrap();
    assert_eq!(call("lazily", &[some(frame.clone()), some(2i64)]).unwrap().get(), Some(&6usize));
    assert_eq!(call("lazily", &[some(frame.lazy()), some(1i64)]).unwrap().get(), Some(&3usize));
    let later = call("later", &[some("u".to_owned()), some(Split { at: 0.5 })]).unwrap();
    assert_eq!(later.get(), Some(&"u 0.5".to_owned()));
    let many: Vec<_> = (1..=12i64).map(some).collect();
    assert_eq!(call("many", &many).unwrap().get(), Some(&78i64));
}

#[test]
fn errors_keep_their_sources() {
    let failed = |message: &str, chain: &[&str]| {
        Some(Error::Failed {
            message: message.into(),
            chain: chain.iter().map(ToString::to_string).collect(),
        })
    };
    let cause = fmt::Error.to_string();
    assert_eq!(
        call("aliased", &[some(1.0), None, some(Vec::<f64>::new())]).err(),
        failed("unlucky", &[&cause])
    );
    assert_eq!(
        call("later", &[some(String::new()), some(Split { at: 0.0 })]).err(),
        failed("unlucky", &[&cause])
    );
    assert_eq!(call("split", &[some(Secret)]).err(), failed("split", &[]));
}

#[test]
fn missing_and_wrong_values_are_told() {
    assert_eq!(call("lazily", &[None, some(1i64)]).err(), Some(Error::Missing { parameter: 0 }));
    let wrong = call("lazily", &[some(1.5), some(1i64)]).err();
    let expected = Error::WrongType { parameter: 0, expected: "LazyFrame".into(), found: "f64".into() };
    assert_eq!(wrong, Some(expected));
}

#[test]
fn shims_describe_themselves() {
    let table = shims::functions();
    let types = |path: &str, parameter: usize| {
        let function = table.functions.iter().find(|it| it.path == path).unwrap();
        let info = &function.params[parameter];
        (info.accepts.iter().map(TypeInfo::short).collect::<Vec<_>>(), info.optional)
    };
    assert_eq!(types("plain", 0), (vec!["Series".into()], false));
    assert_eq!(types("plain", 1), (vec!["f64".into(), "Option<f64>".into()], true));
    assert_eq!(types("plain", 2), (vec!["String".into(), "&str".into()], false));
    assert_eq!(types("aliased", 0), (vec!["f64".into()], false));
    assert_eq!(types("aliased", 1), (vec!["f64".into(), "Option<f64>".into()], true));
    assert_eq!(types("aliased", 2), (vec!["Vec<f64>".into()], false));
    assert_eq!(types("lazily", 0), (vec!["LazyFrame".into(), "DataFrame".into()], false));
    let outputs: Vec<_> = table.functions.iter().map(|it| it.output_type().short()).collect();
    assert_eq!(
        outputs,
        ["f64", "f64", "usize", "String", "Secret", "Split", "&str", "(f64, Vec<Option<i64>>)", "i64"]
    );
}

#[test]
fn user_types_are_probed() {
    let table = shims::functions();
    let output = |path: &str| table.functions.iter().find(|it| it.path == path).unwrap().output;
    let secret = output("start");
    assert!(secret.render.is_none() && secret.json.is_none() && secret.encode.is_none());
    let split = output("split");
    assert!(split.render.is_some() && split.json.is_some() && split.encode.is_none() && !split.from_image);
    let value = Value::from_data(std::sync::Arc::new(Split { at: 0.5 }), split);
    assert_eq!(value.json().unwrap().to_string(), r#"{"at":0.5}"#);
    assert_eq!(value.render("x").plain(), "Split { at: 0.5 }");
    let tuple = output("tuple");
    assert!(tuple.encode.is_some() && tuple.json.is_some());
    assert!(output("label").from_image);

    let later = table.functions.iter().find(|it| it.path == "later").unwrap();
    let context = crate::literal::LiteralContext::new("split", std::path::Path::new(""));
    let split = later.params[1].accepts[0];
    let value = crate::literal::decode("{at = 2}", split, later.params[1].decode, &context).unwrap();
    assert_eq!(value.get(), Some(&Split { at: 2.0 }));
}
