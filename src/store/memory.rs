//! Values in memory, within a budget.
//!
//! Buffers are counted by address, so that a column which ten frames share is counted once. When there is more than
//! the budget allows, values go that were not used for longest; not those that are pinned, and not those that could not
//! be had again: the store says which.

use std::collections::HashMap;
use std::sync::Arc;

use crate::content::Footprint;
use crate::executor::{Computed, StepNames};
use crate::version::Version;

/// After a sweep there is so much less than the budget, so that not every value sweeps.
const ROOM: f64 = 0.9;

/// One value.
pub struct Kept {
    pub computed: Arc<Computed>,
    pub names: Arc<StepNames>,
    pub milliseconds: f64,
    buffers: Vec<(usize, usize)>,
    /// When it was used last.
    used: u64,
}

impl Kept {
    /// The node that it was computed for.
    pub fn node(&self) -> &str {
        &self.names.node
    }

    /// Bytes in its buffers, shared ones included.
    pub fn bytes(&self) -> usize {
        self.buffers.iter().map(|it| it.1).sum()
    }
}

pub struct Memory {
    kept: HashMap<Version, Kept>,
    /// By address: bytes, and how many values have it.
    buffers: HashMap<usize, (usize, usize)>,
    bytes: usize,
    pub budget: usize,
    clock: u64,
}

impl Memory {
    pub fn new(budget: usize) -> Memory {
        Memory { kept: HashMap::new(), buffers: HashMap::new(), bytes: 0, budget, clock: 0 }
    }

    pub fn get(&mut self, key: &Version) -> Option<&Arc<Computed>> {
        self.clock += 1;
        let kept = self.kept.get_mut(key)?;
        kept.used = self.clock;
        Some(&kept.computed)
    }

    pub fn peek(&self, key: &Version) -> Option<&Kept> {
        self.kept.get(key)
    }

    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Bytes in all buffers.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn insert(
        &mut self,
        key: Version,
        computed: Arc<Computed>,
        names: &Arc<StepNames>,
        milliseconds: f64,
    ) {
        self.remove(&key);
        self.clock += 1;
        let buffers = if computed.value.ops().from_image {
            Footprint::of(&**computed.value.data()).buffers
        } else {
            Vec::new()
        };
        for (at, bytes) in &buffers {
            let known = self.buffers.entry(*at).or_insert((0, 0));
            // The same address with another length is a slice of the buffer, or the whole of one.
            self.bytes += bytes.saturating_sub(known.0);
            *known = (known.0.max(*bytes), known.1 + 1);
        }
        let kept = Kept { computed, names: names.clone(), milliseconds, buffers, used: self.clock };
        self.kept.insert(key, kept);
    }

    pub fn remove(&mut self, key: &Version) -> Option<Kept> {
        let kept = self.kept.remove(key)?;
        for (at, _) in &kept.buffers {
            if let Some(known) = self.buffers.get_mut(at) {
                known.1 -= 1;
                if known.1 == 0 {
                    self.bytes -= known.0;
                    self.buffers.remove(at);
                }
            }
        }
        Some(kept)
    }

    pub fn retain(&mut self, keep: impl Fn(&Kept) -> bool) {
        let gone: Vec<Version> = self.kept.iter().filter(|it| !keep(it.1)).map(|it| *it.0).collect();
        gone.iter().for_each(|it| drop(self.remove(it)));
    }

    /// Drops values that were not used for longest until the rest is within the budget; the keys of those dropped.
    pub fn sweep(&mut self, may_go: impl Fn(&Version, &Kept) -> bool) -> Vec<Version> {
        if self.bytes <= self.budget {
            return Vec::new();
        }
        let mut all: Vec<(u64, Version)> = self
            .kept
            .iter()
            .filter(|it| !it.1.buffers.is_empty() && may_go(it.0, it.1))
            .map(|it| (it.1.used, *it.0))
            .collect();
        all.sort();
        let target = (self.budget as f64 * ROOM) as usize;
        let mut gone = Vec::new();
        for (_, key) in all {
            if self.bytes <= target {
                break;
            }
            self.remove(&key);
            gone.push(key);
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use polars::prelude::*;

    use super::*;
    use crate::value::Value;

    fn key(number: u8) -> Version {
        Version([number; 16])
    }

    fn names(node: &str) -> Arc<StepNames> {
        Arc::new(StepNames { node: node.to_owned(), ..StepNames::default() })
    }

    fn computed(series: &Series) -> Arc<Computed> {
        Arc::new(Computed::new(Value::new(series.clone()), key(0)))
    }

    fn series(length: usize) -> Series {
        Series::new("s".into(), vec![1.0f64; length])
    }

    #[test]
    fn what_is_shared_counts_once_and_goes_with_its_last_owner() {
        let mut memory = Memory::new(1 << 20);
        let long = series(1000);
        memory.insert(key(1), computed(&long), &names("a"), 1.0);
        memory.insert(key(2), computed(&long), &names("b"), 1.0);
        assert_eq!(memory.bytes(), 8000);
        memory.insert(key(2), computed(&series(10)), &names("b"), 1.0);
        assert_eq!(memory.bytes(), 8080);
        memory.remove(&key(1));
        assert_eq!((memory.bytes(), memory.len()), (80, 1));
    }

    #[test]
    fn the_values_used_least_recently_go_first_and_others_stay() {
        let mut memory = Memory::new(20_000);
        for number in 1..=4 {
            memory.insert(key(number), computed(&series(1000)), &names(&format!("n{number}")), 1.0);
        }
        memory.get(&key(1));
        let gone = memory.sweep(|_, it| it.node() != "n2");
        assert_eq!(gone, [key(3), key(4)]);
        assert!(memory.peek(&key(1)).is_some() && memory.peek(&key(2)).is_some());
        assert!(memory.sweep(|_, _| true).is_empty());
    }
}
