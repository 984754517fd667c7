//! What the seed decides.

use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A row of numbers that a seed and a name decide alone.
#[derive(Debug, Clone)]
pub(crate) struct Draw {
    seed: u64,
    drawn: u64,
}

impl Draw {
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        Self {
            seed: xxh3_64_with_seed(name.as_bytes(), seed),
            drawn: 0,
        }
    }

    /// Another row, which this one decides.
    pub(crate) fn fork(&mut self) -> Self {
        Self {
            seed: self.next(),
            drawn: 0,
        }
    }

    fn next(&mut self) -> u64 {
        self.drawn += 1;
        xxh3_64_with_seed(&self.drawn.to_le_bytes(), self.seed)
    }

    /// Less than `end`, which is above 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    pub(crate) fn one_of<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        let count = choices.len().max(1) as u64;
        choices.get(usize::try_from(self.below(count)).unwrap_or_default())
    }

    pub(crate) fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_always_the_same_and_another_seed_something_else() {
        let row = |seed| {
            let mut draw = Draw::new(seed, "faults");
            [(); 20].map(|()| draw.below(1000))
        };
        assert_eq!(row(7), row(7));
        assert_ne!(row(7), row(8));
        assert!(row(7).iter().all(|drawn| *drawn < 1000));
    }
}
