//! Owns the writing of floats as Go does: `%g` and `%v`, `%e`, `%f`.

/// The digits of a number, without zeros at the end, and the exponent of the first one; `0` has one digit.
struct Digits {
    digits: String,
    exponent: i32,
}

/// Returns the decimal digits: as few as tell it from its neighbours, or so many.
fn digits(magnitude: f64, significant: Option<usize>) -> Digits {
    let written = match significant {
        None => format!("{magnitude:e}"),
        Some(count) => format!("{magnitude:.*e}", count.max(1) - 1),
    };
    let (mantissa, exponent) = written.split_once('e').unwrap_or((&written, "0"));
    let all = mantissa.replace('.', "");
    let digits = all.trim_end_matches('0');
    let digits = if digits.is_empty() { "0" } else { digits };
    Digits { digits: digits.to_owned(), exponent: exponent.parse().unwrap_or_default() }
}

/// Infinities and NaN as Go writes them.
fn special(number: f64) -> Option<&'static str> {
    if number.is_nan() {
        Some("NaN")
    } else if number == f64::INFINITY {
        Some("+Inf")
    } else if number == f64::NEG_INFINITY {
        Some("-Inf")
    } else {
        None
    }
}

fn sign(number: f64) -> &'static str {
    if number.is_sign_negative() { "-" } else { "" }
}

/// `%v` and `%g`: with an exponent if it is below -4, or not below the precision (6 where there is none).
pub(super) fn general(number: f64, precision: Option<usize>) -> String {
    if let Some(special) = special(number) {
        return special.to_owned();
    }
    let Digits { digits, exponent } = digits(number.abs(), precision);
    let limit = match precision {
        None => 6,
        Some(precision) => {
            let (precision, before_point) = (precision.max(1) as i32, exponent + 1);
            let count = digits.len() as i32;
            if precision > count && count >= before_point { count } else { precision }
        }
    };
    if exponent < -4 || exponent >= limit {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        return format!("{}{first}{point}{rest}{}", sign(number), exponent_shown(exponent));
    }
    format!("{}{}", sign(number), plain(&digits, exponent))
}

fn exponent_shown(exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("e{sign}{:02}", exponent.abs())
}

/// The digits with the point where it belongs.
fn plain(digits: &str, exponent: i32) -> String {
    if exponent < 0 {
        let zeros = "0".repeat(usize::try_from(-exponent - 1).unwrap_or_default());
        return format!("0.{zeros}{digits}");
    }
    let before = usize::try_from(exponent + 1).unwrap_or(1);
    if digits.len() <= before {
        return format!("{digits}{}", "0".repeat(before - digits.len()));
    }
    format!("{}.{}", &digits[..before], &digits[before..])
}

/// `%e`
pub(super) fn scientific(number: f64, precision: usize) -> String {
    if let Some(special) = special(number) {
        return special.to_owned();
    }
    let written = format!("{:.precision$e}", number.abs());
    let (mantissa, exponent) = written.split_once('e').unwrap_or((&written, "0"));
    format!("{}{mantissa}{}", sign(number), exponent_shown(exponent.parse().unwrap_or_default()))
}

/// `%f`
pub(super) fn fixed(number: f64, precision: usize) -> String {
    special(number).map_or_else(|| format!("{number:.precision$}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_writes_them() {
        let check = |number, precision, expect| assert_eq!(general(number, precision), expect);
        check(0.0, None, "0");
        check(1.0, None, "1");
        check(-2.5, None, "-2.5");
        check(100_000.0, None, "100000");
        check(1e6, None, "1e+06");
        check(1_234_567.0, None, "1.234567e+06");
        check(123_456_789.0, Some(4), "1.235e+08");
        check(1234.0, Some(4), "1234");
        check(12_345.0, Some(4), "1.234e+04");
        check(100.0, Some(4), "100");
        check(0.0001, None, "0.0001");
        check(0.000_01, None, "1e-05");
        check(1.5e-7, Some(4), "1.5e-07");
        check(f64::INFINITY, None, "+Inf");
        check(f64::NAN, None, "NaN");
        assert_eq!(scientific(1_234_567.0, 2), "1.23e+06");
        assert_eq!(scientific(0.0, 6), "0.000000e+00");
        assert_eq!(fixed(2.0 / 3.0, 2), "0.67");
        assert_eq!(fixed(-0.5, 0), "-0");
    }
}
