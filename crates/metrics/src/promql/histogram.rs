//! Owns classic histograms: buckets that count what is not above their bound, and the quantiles they tell.

use std::collections::HashMap;

use super::value::Point;
use crate::labels::Labels;

/// The label that holds the upper bound of a bucket.
pub(super) const BUCKET_LABEL: &str = "le";
/// Counts that differ by less than this part are equal: sums of rates are not exact.
const SMALL_DIFFERENCE: f64 = 1e-12;

/// One bucket of a histogram: how many observations are not above a bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bucket {
    upper: f64,
    count: f64,
}

/// The buckets of one histogram, by ascending bounds, each bound once.
#[derive(Debug)]
pub(super) struct Histogram {
    pub(super) labels: Labels,
    buckets: Vec<Bucket>,
}

/// Puts buckets together by their other labels; an element without a bound is none.
pub(super) fn collect(points: &[Point]) -> Vec<Histogram> {
    let mut index: HashMap<Labels, usize> = HashMap::new();
    let mut histograms: Vec<Histogram> = Vec::new();
    for point in points {
        let Some(upper) = point.labels.get(BUCKET_LABEL).and_then(|bound| bound.parse().ok()) else {
            continue;
        };
        let labels = point.labels.without(BUCKET_LABEL);
        let position = *index.entry(labels).or_insert_with_key(|labels| {
            histograms.push(Histogram { labels: labels.clone(), buckets: Vec::new() });
            histograms.len() - 1
        });
        histograms[position].buckets.push(Bucket { upper, count: point.value });
    }
    histograms.iter_mut().for_each(Histogram::order);
    histograms
}

// === impl Histogram ===

impl Histogram {
    /// Returns the value below which the part `q` of all observations lies, assuming they are spread evenly within
    /// a bucket. What lies in the highest bucket is as large as the highest finite bound.
    pub(super) fn quantile(&self, q: f64) -> f64 {
        if q.is_nan() {
            return f64::NAN;
        }
        if q < 0.0 {
            return f64::NEG_INFINITY;
        }
        if q > 1.0 {
            return f64::INFINITY;
        }
        let buckets = monotonic(&self.buckets);
        let [.., before_last, last] = &buckets[..] else { return f64::NAN };
        if last.upper != f64::INFINITY || last.count == 0.0 || last.count.is_nan() {
            return f64::NAN;
        }
        let mut rank = q * last.count;
        let found = buckets[..buckets.len() - 1].iter().position(|bucket| bucket.count >= rank);
        let Some(index) = found else { return before_last.upper };
        let bucket = buckets[index];
        if index == 0 && bucket.upper <= 0.0 {
            return bucket.upper;
        }
        let (mut start, mut count) = (0.0, bucket.count);
        if let Some(below) = index.checked_sub(1).map(|below| buckets[below]) {
            start = below.upper;
            count -= below.count;
            rank -= below.count;
        }
        start + (bucket.upper - start) * (rank / count)
    }

    /// Returns the part of all observations that lies between two values.
    pub(super) fn fraction(&self, lower: f64, upper: f64) -> f64 {
        let Some(last) = self.buckets.last() else { return f64::NAN };
        let total = last.count;
        let unknown = last.upper != f64::INFINITY || total == 0.0 || total.is_nan();
        if unknown || lower.is_nan() || upper.is_nan() {
            return f64::NAN;
        }
        if lower >= upper {
            return 0.0;
        }
        (self.count_below(upper).min(total) - self.count_below(lower).min(total)) / total
    }

    /// Returns how many observations lie below a value. Within a bucket of infinite width nothing is known: those
    /// of the highest lie above, those of the lowest below.
    fn count_below(&self, value: f64) -> f64 {
        let mut below = 0.0;
        for (index, bucket) in self.buckets.iter().enumerate() {
            let start = match index.checked_sub(1) {
                Some(before) => self.buckets[before].upper,
                None if bucket.upper > 0.0 => 0.0,
                None => f64::NEG_INFINITY,
            };
            if start >= value {
                return below;
            }
            if bucket.upper > value {
                if start == f64::NEG_INFINITY {
                    return bucket.count;
                }
                return below + (bucket.count - below) * (value - start) / (bucket.upper - start);
            }
            below = bucket.count;
        }
        below
    }

    /// Sorts the buckets and adds up those that write the same bound in different ways.
    fn order(&mut self) {
        self.buckets.sort_by(|left, right| left.upper.total_cmp(&right.upper));
        self.buckets.dedup_by(|later, earlier| {
            let same = later.upper == earlier.upper;
            if same {
                earlier.count += later.count;
            }
            same
        });
    }
}

/// Raises each count to the one before it: rates of buckets that were not scraped at one moment can be out of step.
fn monotonic(buckets: &[Bucket]) -> Vec<Bucket> {
    let mut raised = buckets.to_vec();
    for index in 1..raised.len() {
        let before = raised[index - 1].count;
        if raised[index].count < before || nearly_equal(raised[index].count, before) {
            raised[index].count = before;
        }
    }
    raised
}

fn nearly_equal(left: f64, right: f64) -> bool {
    left == right || (left - right).abs() / (left.abs() + right.abs()).min(f64::MAX) < SMALL_DIFFERENCE
}
