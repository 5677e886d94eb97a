//! Owns handing out what was appended in a stretch of time, a piece at a time, for whoever sends it on.

use super::Store;
use crate::labels::Labels;

/// The samples of one series, stale markers included.
#[derive(Debug, Clone, PartialEq)]
pub struct Stretch {
    /// The series.
    pub labels: Labels,
    /// Its samples, in the order of time.
    pub samples: Vec<(i64, f64)>,
}

/// Where the next piece begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Piece(usize);

/// How many places are looked at for one piece: the store is held that long.
const PLACES_MAX: usize = 4_096;

// === impl Store ===

impl Store {
    /// Returns the samples after `from_ms` and not after `to_ms` of some series, beginning where the last piece ended; about
    /// as many as `samples_max`. The second part is where the next piece begins; none after the last.
    pub fn piece(
        &self,
        begin: Piece,
        (from_ms, to_ms): (i64, i64),
        samples_max: usize,
    ) -> (Vec<Stretch>, Option<Piece>) {
        let Some(series) = self.table.range(begin.0, PLACES_MAX) else { return (Vec::new(), None) };
        let (mut found, mut count) = (Vec::new(), 0);
        for (place, series) in series {
            let mut samples = Vec::new();
            series.read(from_ms, to_ms, &mut samples);
            if samples.is_empty() {
                continue;
            }
            count += samples.len();
            found.push(Stretch { labels: series.labels().clone(), samples });
            if count >= samples_max {
                return (found, Some(Piece(place as usize + 1)));
            }
        }
        (found, Some(Piece(begin.0 + PLACES_MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Limits;

    #[test]
    fn all_pieces_together_are_the_whole_stretch() {
        let limits = Limits { retention_ms: 1_000_000, series_max: 10_000, samples_per_series_max: 1_000 };
        let mut store = Store::new(limits);
        for number in 0..5_000_i64 {
            let labels = Labels::metric("x", &[("n", &number.to_string())]);
            for at_ms in [1_000, 2_000, 3_000] {
                store.append(&labels, at_ms, number as f64).unwrap();
            }
        }
        for samples_max in [1, 7, 1_000, 1_000_000] {
            let (mut begin, mut all) = (Some(Piece::default()), Vec::new());
            while let Some(from) = begin {
                let (found, next) = store.piece(from, (1_000, 3_000), samples_max);
                assert!(found.iter().map(|one| one.samples.len()).sum::<usize>() <= samples_max + 2);
                all.extend(found);
                begin = next;
            }
            assert_eq!(all.len(), 5_000);
            assert!(all.iter().all(|one| one.samples.iter().map(|(at_ms, _)| *at_ms).eq([2_000, 3_000])));
        }
        assert_eq!(store.piece(Piece::default(), (3_000, 9_000), 10).0, []);
    }
}
