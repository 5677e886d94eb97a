//! Owns the ways to make one number of many: sums that keep their precision, means, variances, quantiles.

/// A sum with Neumaier's compensation: what each addition loses is kept apart and added at the end.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    sum: f64,
    lost: f64,
}

// === impl Sum ===

impl Sum {
    pub(super) fn add(&mut self, value: f64) {
        let total = self.sum + value;
        self.lost = if total.is_infinite() {
            0.0
        } else if self.sum.abs() >= value.abs() {
            self.lost + ((self.sum - total) + value)
        } else {
            self.lost + ((value - total) + self.sum)
        };
        self.sum = total;
    }

    pub(super) fn total(self) -> f64 {
        if self.sum.is_infinite() { self.sum } else { self.sum + self.lost }
    }

    /// The sum and what was lost, whatever they are.
    pub(super) fn whole(self) -> f64 {
        self.sum + self.lost
    }

    fn scaled(self, factor: f64) -> Self {
        Self { sum: self.sum * factor, lost: self.lost * factor }
    }
}

pub(super) fn sum(values: impl Iterator<Item = f64>) -> f64 {
    let mut sum = Sum::default();
    values.for_each(|value| sum.add(value));
    sum.total()
}

/// The mean: the sum divided, or taken step by step once the sum would overflow.
pub(super) fn mean(mut values: impl Iterator<Item = f64>) -> f64 {
    let Some(first) = values.next() else { return f64::NAN };
    let mut sum = Sum { sum: first, lost: 0.0 };
    let mut count = 1.0;
    let mut stepwise = false;
    for value in values {
        count += 1.0;
        if !stepwise {
            let mut next = sum;
            next.add(value);
            if !next.sum.is_infinite() {
                sum = next;
                continue;
            }
            stepwise = true;
            sum = Sum { sum: sum.sum / (count - 1.0), lost: sum.lost / (count - 1.0) };
        }
        sum = sum.scaled((count - 1.0) / count);
        sum.add(value / count);
    }
    if stepwise { sum.sum + sum.lost } else { sum.sum / count + sum.lost / count }
}

/// The smallest value; NaN only if there is nothing else.
pub(super) fn min(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(f64::NAN, |least, value| if value < least || least.is_nan() { value } else { least })
}

/// The largest value; NaN only if there is nothing else.
pub(super) fn max(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(f64::NAN, |most, value| if value > most || most.is_nan() { value } else { most })
}

/// The population variance, by Welford's method with compensated sums.
pub(super) fn variance(values: impl Iterator<Item = f64>) -> f64 {
    let mut count = 0.0;
    let mut mean = Sum::default();
    let mut squares = Sum::default();
    for value in values {
        count += 1.0;
        let delta = value - (mean.sum + mean.lost);
        mean.add(delta / count);
        squares.add(delta * (value - (mean.sum + mean.lost)));
    }
    (squares.sum + squares.lost) / count
}

/// The quantile by linear interpolation between ranks; NaN counts as the smallest value. Sorts the values.
pub(super) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_by(|left, right| {
        right
            .is_nan()
            .cmp(&left.is_nan())
            .then_with(|| left.partial_cmp(right).unwrap_or(std::cmp::Ordering::Equal))
    });
    let last = values.len() - 1;
    let rank = q * last as f64;
    let lower = (rank.floor() as usize).min(last);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[(lower + 1).min(last)] * weight
}

/// The line of least squares through points, of which there is at least one; returns its slope and its value at 0.
pub(super) fn line(points: impl Iterator<Item = (f64, f64)>) -> (f64, f64) {
    let (mut sum_x, mut sum_y) = (Sum::default(), Sum::default());
    let (mut sum_xy, mut sum_xx) = (Sum::default(), Sum::default());
    let (mut count, mut first, mut constant) = (0.0, f64::NAN, true);
    for (x, y) in points {
        if count == 0.0 {
            first = y;
        }
        constant &= count == 0.0 || y == first;
        count += 1.0;
        sum_x.add(x);
        sum_y.add(y);
        sum_xy.add(x * y);
        sum_xx.add(x * x);
    }
    if constant {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let (x, y, xy, xx) = (sum_x.whole(), sum_y.whole(), sum_xy.whole(), sum_xx.whole());
    let slope = (xy - x * y / count) / (xx - x * x / count);
    (slope, y / count - slope * x / count)
}
