//! Owns classic histograms: buckets that count what is not above their bound, and the quantiles they tell.

/// The label that holds the upper bound of a bucket.
pub(super) const BUCKET_LABEL: &str = "le";
/// Counts that differ by no more than this part are equal: sums of rates are not exact.
const TOLERANCE: f64 = 1e-12;

/// One bucket of a histogram: how many observations are not above a bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bucket {
    pub(super) upper: f64,
    pub(super) count: f64,
}

/// Where counts had to be raised so that no bucket has fewer than the one below it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Raised {
    /// The lowest bound of a raised bucket.
    pub(super) lowest: f64,
    /// The highest bound of a raised bucket.
    pub(super) highest: f64,
    /// The most that was added.
    pub(super) most: f64,
}

/// Returns the value below which the part `q` of all observations lies, assuming they are spread evenly within a
/// bucket; and what had to be set right. What lies in the highest bucket is as large as the highest finite bound.
///
/// The buckets come in any order and leave sorted and raised, so that the next quantile costs less.
pub(super) fn quantile(q: f64, buckets: &mut Vec<Bucket>) -> (f64, Option<Raised>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    order(buckets);
    if buckets.last().is_none_or(|last| last.upper != f64::INFINITY) {
        return (f64::NAN, None);
    }
    correct(buckets);
    let raised = raise(buckets);
    let [.., before_last, last] = &buckets[..] else { return (f64::NAN, None) };
    if last.count == 0.0 || last.count.is_nan() {
        return (f64::NAN, None);
    }
    let mut rank = q * last.count;
    let below_last = &buckets[..buckets.len() - 1];
    let reaches = |bucket: &Bucket| bucket.count >= rank;
    let index = below_last.partition_point(|bucket| !reaches(bucket));
    let Some(bucket) = below_last.get(index) else { return (before_last.upper, raised) };
    if index == 0 && bucket.upper <= 0.0 {
        return (bucket.upper, raised);
    }
    let (mut start, mut count) = (0.0, bucket.count);
    if let Some(below) = index.checked_sub(1).map(|below| buckets[below]) {
        start = below.upper;
        count -= below.count;
        rank -= below.count;
    }
    (start + (bucket.upper - start) * (rank / count), raised)
}

/// Returns the part of all observations that lies between two values.
pub(super) fn fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    order(buckets);
    let Some(last) = buckets.last().filter(|last| last.upper == f64::INFINITY) else { return f64::NAN };
    let total = last.count;
    if total == 0.0 || total.is_nan() || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (count_below(buckets, upper).min(total) - count_below(buckets, lower).min(total)) / total
}

/// Returns how many observations lie below a value. Within a bucket of infinite width nothing is known: those of the
/// highest lie above, those of the lowest below.
fn count_below(buckets: &[Bucket], value: f64) -> f64 {
    let mut below = 0.0;
    for (index, bucket) in buckets.iter().enumerate() {
        let start = match index.checked_sub(1) {
            Some(before) => buckets[before].upper,
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
fn order(buckets: &mut Vec<Bucket>) {
    if buckets.windows(2).all(|pair| pair[0].upper < pair[1].upper) {
        return;
    }
    buckets.sort_by(|left, right| left.upper.total_cmp(&right.upper));
    buckets.dedup_by(|later, earlier| {
        let same = later.upper == earlier.upper;
        if same {
            earlier.count += later.count;
        }
        same
    });
}

/// Makes counts that are nearly that of the bucket below equal to it.
fn correct(buckets: &mut [Bucket]) {
    let Some(mut before) = buckets.first().map(|bucket| bucket.count) else { return };
    for bucket in buckets.iter_mut().skip(1) {
        let difference = (bucket.count - before).abs();
        if difference != 0.0 && difference / bucket.count <= TOLERANCE {
            bucket.count = before;
        } else {
            before = bucket.count;
        }
    }
}

/// Raises each count to the one below: rates of buckets that were not scraped at one moment can be out of step.
fn raise(buckets: &mut [Bucket]) -> Option<Raised> {
    let mut most = buckets.first()?.count;
    let mut raised: Option<Raised> = None;
    for bucket in buckets.iter_mut().skip(1) {
        if bucket.count > most {
            most = bucket.count;
        } else if bucket.count < most {
            let added = most - bucket.count;
            bucket.count = most;
            let (lowest, before) = raised.map_or((bucket.upper, 0.0), |raised| (raised.lowest, raised.most));
            raised = Some(Raised { lowest, highest: bucket.upper, most: before.max(added) });
        }
    }
    raised
}
