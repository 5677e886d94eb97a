//! Owns how often something happened when, in a fixed number of bins that get wider as time goes on.

/// So many bins: their width is at most a sixteenth of what they cover.
const BINS: usize = 32;

/// The width of the first ones.
const WIDTH_MS: i64 = 1000;

/// Counts over time. What comes before the first one counts with it.
#[derive(Clone, Debug)]
pub(super) struct Bins {
    origin_ms: i64,
    width_ms: i64,
    counts: [u32; BINS],
}

// === impl Bins ===

impl Bins {
    pub(super) fn new(origin_ms: i64) -> Self {
        Self { origin_ms, width_ms: WIDTH_MS, counts: [0; BINS] }
    }

    pub(super) fn count(&mut self, at_ms: i64) {
        let after_ms = at_ms.saturating_sub(self.origin_ms).max(0);
        while after_ms / self.width_ms >= BINS as i64 {
            for idx in 0..BINS / 2 {
                self.counts[idx] = self.counts[2 * idx].saturating_add(self.counts[2 * idx + 1]);
            }
            self.counts[BINS / 2..].fill(0);
            self.width_ms = self.width_ms.saturating_mul(2);
        }
        let bin = &mut self.counts[usize::try_from(after_ms / self.width_ms).unwrap_or(0)];
        *bin = bin.saturating_add(1);
    }

    /// About how many there were from a moment on; a bin across it counts in part.
    pub(super) fn since(&self, since_ms: i64) -> f64 {
        let width = self.width_ms as f64;
        let bins = self.counts.iter().zip(0_i64..).filter(|(count, _)| **count > 0);
        bins.map(|(count, idx)| {
            let begin = self.origin_ms as f64 + idx as f64 * width;
            f64::from(*count) * ((begin + width - since_ms as f64) / width).clamp(0.0, 1.0)
        })
        .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::Bins;

    #[test]
    fn counts_over_time() {
        let mut bins = Bins::new(0);
        for second in 0..1000 {
            bins.count(second * 1000);
        }
        assert!((bins.since(0) - 1000.0).abs() < 1e-9);
        assert!((bins.since(750_000) - 250.0).abs() < 40.0, "{}", bins.since(750_000));
        assert!(bins.since(2_000_000).abs() < 1e-9);
        // Before the first, and at the end of all times.
        bins.count(-5);
        bins.count(i64::MAX);
        assert!((bins.since(i64::MIN) - 1002.0).abs() < 1e-9);
    }
}
