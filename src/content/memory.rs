//! Versions of series that were hashed before: a column that frames share is hashed once.
//!
//! A version is remembered for the very series, by the address of what all its clones share. It cannot be confused
//! with another one's, because a weak reference is kept beside it: as long as that lives the address is not given to
//! anything else, and when the last clone is gone the entry counts for nothing. Nor can it outlive the content it was
//! made of: polars changes a series in place only if there is no other reference to it, weak ones included
//! (`Series::_get_inner_mut`), and makes a new one otherwise.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use polars::prelude::{Series, SeriesTrait};

use super::columns;
use crate::version::Version;

/// Shorter ones are hashed sooner than looked up.
const WORTH_IT: usize = 1 << 12;

#[derive(Default)]
struct Memory {
    known: HashMap<usize, (Weak<dyn SeriesTrait>, Version)>,
    /// Entries of the dead are removed when there are so many.
    swept_at: usize,
}

fn memory() -> MutexGuard<'static, Memory> {
    static MEMORY: OnceLock<Mutex<Memory>> = OnceLock::new();
    MEMORY.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

fn address(series: &Series) -> usize {
    Arc::as_ptr(&series.0).cast::<()>() as usize
}

fn remembered(series: &Series) -> Option<Version> {
    memory().known.get(&address(series)).filter(|it| it.0.strong_count() > 0).map(|it| it.1)
}

/// Whether the version of a series is to be had at once.
pub(super) fn knows(series: &Series) -> bool {
    series.len() < WORTH_IT || remembered(series).is_some()
}

/// The version of a series; `None` if its content cannot be seen.
pub(super) fn version_of(series: &Series) -> Option<Version> {
    if series.len() < WORTH_IT {
        return columns::version(series);
    }
    if let Some(version) = remembered(series) {
        return Some(version);
    }
    // Not under the lock: it takes a while, and others hash other columns meanwhile.
    let version = columns::version(series)?;
    let mut memory = memory();
    if memory.known.len() >= memory.swept_at {
        memory.known.retain(|_, it| it.0.strong_count() > 0);
        memory.swept_at = (2 * memory.known.len()).max(256);
    }
    memory.known.insert(address(series), (Arc::downgrade(&series.0), version));
    Some(version)
}

#[cfg(test)]
mod tests {
    use polars::prelude::*;

    use super::*;

    fn long(name: &str, add: i64) -> Series {
        Series::new(name.into(), (0..WORTH_IT as i64).map(|it| it + add).collect::<Vec<_>>())
    }

    #[test]
    fn a_series_that_is_changed_in_place_has_another_version() {
        let mut series = long("a", 0);
        let before = version_of(&series).unwrap();
        assert_eq!(version_of(&series.clone()), Some(before));
        series.rename("b".into());
        let renamed = version_of(&series).unwrap();
        assert_ne!(renamed, before);
        series.append(&long("b", 1)).unwrap();
        assert_ne!(version_of(&series), Some(renamed));
        assert_eq!(version_of(&series), columns::version(&series));
    }

    #[test]
    fn an_address_that_is_used_again_is_not_taken_for_the_old_series() {
        for round in 0..2_000 {
            let series = long("a", round);
            assert_eq!(version_of(&series), columns::version(&series));
        }
        assert!(memory().known.len() <= 512);
    }
}
