//! The error by which a `?` ends a cell, with all its sources.
//!
//! evcxr turns the error into the text of its `Display` and forgets the rest. So the cell's `?` get their
//! results through [`raise!`], which keeps the whole of an error and passes the result on as it is.

use std::error::Error;
use std::sync::Mutex;

use super::lock;

/// Passes on a result that a `?` takes next; an error is kept for whoever tells how the cell ended.
///
/// The type of the error may not be known yet where this stands (`"7".parse()`): then it is taken to be an
/// `Error`, and to have to be one.
#[macro_export]
macro_rules! raise {
    ($result:expr) => {
        match $result {
            result => {
                {
                    use $crate::cell::Raise as _;
                    (&&&$crate::cell::Raised(&result)).raise();
                }
                result
            }
        }
    };
}

/// An error's message and its sources, outermost first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raising {
    pub message: String,
    pub chain: Vec<String>,
}

/// The last error that a `?` of a cell took.
static LAST: Mutex<Option<Raising>> = Mutex::new(None);

/// Takes the last error that a `?` took, if any did since the last call.
pub fn take_raised() -> Option<Raising> {
    lock(&LAST).take()
}

/// What a `?` is about to take.
pub struct Raised<'a, R>(pub &'a R);

/// `E: Error`, else a box of one, else nothing: then there is only evcxr's text.
pub trait Raise {
    fn raise(&self);
}

impl<T, E: Error> Raise for &&Raised<'_, Result<T, E>> {
    fn raise(&self) {
        if let Err(error) = self.0 {
            keep(error);
        }
    }
}

macro_rules! boxes {
    ($($error:ty),*) => {$(
        impl<T> Raise for &Raised<'_, Result<T, Box<$error>>> {
            fn raise(&self) {
                if let Err(error) = self.0 {
                    keep(&**error);
                }
            }
        }
    )*};
}

boxes!(dyn Error, dyn Error + Send, dyn Error + Send + Sync);

impl<R> Raise for Raised<'_, R> {
    fn raise(&self) {}
}

fn keep(error: &dyn Error) {
    let mut chain = Vec::new();
    let mut source = error.source();
    while let Some(error) = source {
        chain.push(error.to_string());
        source = error.source();
    }
    *lock(&LAST) = Some(Raising { message: error.to_string(), chain });
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    #[derive(Debug)]
    struct Outer(std::num::ParseIntError);
    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "outer")
        }
    }
    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }
    #[derive(Debug)]
    struct Shown;

    /// As evcxr's, for any error.
    struct Cell;
    impl<E: fmt::Debug> From<E> for Cell {
        fn from(_: E) -> Cell {
            Cell
        }
    }

    fn outer() -> Result<i64, Outer> {
        "z".parse().map_err(Outer)
    }

    #[test]
    fn every_kind_of_result_passes_and_errors_are_kept_with_their_sources() {
        let cause = "invalid digit found in string";
        let raised = |message: &str, chain: &[&str]| {
            let chain = chain.iter().map(|it| (*it).to_owned()).collect();
            Some(Raising { message: message.to_owned(), chain })
        };
        let run = |cell: fn() -> Result<i64, Cell>| {
            let _ = cell();
            take_raised()
        };
        assert_eq!(run(|| Ok(raise!(outer())?)), raised("outer", &[cause]));
        assert_eq!(run(|| Ok(raise!("7".parse::<i64>())?)), None);
        // What is parsed is known only from the return type; so is what is collected.
        assert_eq!(run(|| Ok(raise!("x".parse())?)), raised(cause, &[]));
        assert_eq!(
            run(|| {
                let all: Vec<i64> =
                    raise!(["1", "y"].iter().map(|it| it.parse::<i64>()).collect::<Result<_, _>>())?;
                Ok(all[0])
            }),
            raised(cause, &[])
        );
        assert_eq!(run(|| Ok(raise!(outer().map_err(Box::<dyn Error>::from))?)), raised("outer", &[cause]));
        assert_eq!(
            run(|| Ok(raise!(outer().map_err(Box::<dyn Error + Send + Sync>::from))?)),
            raised("outer", &[cause])
        );
        assert_eq!(run(|| Ok(raise!(Err(Shown))?)), None);
        // A borrowed error, and one inside the operand of another.
        assert_eq!(
            run(|| {
                let lock = Mutex::new(raise!(Ok::<_, Shown>(1))?);
                let value = *raise!(lock.lock())?;
                Ok(value)
            }),
            None
        );
    }
}
