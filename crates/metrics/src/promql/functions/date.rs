//! Owns the functions that read a number as a moment and tell a part of its date, in UTC.

use super::{Arguments, Function, Signature, elementwise};
use crate::labels::Labels;
use crate::promql::QueryError;
use crate::promql::value::{Key, Operand, Vector};

const DAY_S: i64 = 86_400;

/// A moment of the Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::promql) struct Date {
    year: i64,
    /// From 1.
    month: i64,
    /// From 1.
    day: i64,
    /// Days since the Unix epoch.
    days: i64,
    second_of_day: i64,
}

pub(super) fn find(name: &str) -> Option<Signature> {
    let (name, part): (_, fn(Date) -> i64) = match name {
        "day_of_month" => ("day_of_month", |date| date.day),
        // The epoch was a Thursday; Sunday is 0.
        "day_of_week" => ("day_of_week", |date| (date.days + 4).rem_euclid(7)),
        "day_of_year" => ("day_of_year", |date| date.days - days_of(date.year, 1, 1) + 1),
        "days_in_month" => ("days_in_month", |date| {
            let (year, month) =
                if date.month == 12 { (date.year + 1, 1) } else { (date.year, date.month + 1) };
            days_of(year, month, 1) - days_of(date.year, date.month, 1)
        }),
        "hour" => ("hour", |date| date.second_of_day / 3600),
        "minute" => ("minute", |date| date.second_of_day / 60 % 60),
        "month" => ("month", |date| date.month),
        "year" => ("year", |date| date.year),
        _ => return None,
    };
    Some(Signature::vector(name, Function::Date(part)).optional(1))
}

pub(super) fn evaluate(arguments: Arguments<'_>, part: fn(Date) -> i64) -> Result<Operand, QueryError> {
    if arguments.len() > 0 {
        return elementwise::each(arguments.vector(0)?, |_, value| part(Date::of(value)) as f64);
    }
    let grid = arguments.grid;
    let mut now = Vector::empty(arguments.evaluator.scalars(grid)?);
    let row = now.add(Key::of(Labels::empty()));
    for (value, at_ms) in row.iter_mut().zip(grid.moments()) {
        *value = part(Date::of((at_ms / 1000) as f64)) as f64;
    }
    Ok(Operand::Vector(now))
}

// === impl Date ===

impl Date {
    /// Returns the date of a number of seconds since the Unix epoch; what is no date is as near as one gets.
    fn of(seconds: f64) -> Self {
        let seconds = seconds as i64;
        let days = seconds.div_euclid(DAY_S);
        // Counted in eras of 400 years from 0000-03-01, so that leap days come last.
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Self { year, month, day, days, second_of_day: seconds.rem_euclid(DAY_S) }
    }
}

/// Returns the days since the Unix epoch of a date.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    era * 146_097 + of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_days_agree() {
        for days in (-800_000..800_000).step_by(97) {
            let date = Date::of((days * DAY_S) as f64);
            assert_eq!(days_of(date.year, date.month, date.day), days);
        }
    }

    #[test]
    fn what_is_no_date_does_not_panic() {
        for seconds in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN] {
            let date = Date::of(seconds);
            assert!((1..=12).contains(&date.month));
        }
    }
}
