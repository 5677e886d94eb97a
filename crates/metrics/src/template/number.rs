//! Owns the numbers that a template writes: what is whole is an integer, whatever has a point or an exponent is not.

use super::ast::Base;

/// Reads a number as Go writes them: `12`, `1_000`, `0x1f`, `0b11`, `0o17`, `1.5`, `1e3`.
pub(super) fn number(written: &str) -> Option<Base> {
    let (negative, digits) = match written.as_bytes().first()? {
        b'-' => (true, &written[1..]),
        b'+' => (false, &written[1..]),
        _ => (false, written),
    };
    let digits = digits.replace('_', "");
    let lower = digits.to_ascii_lowercase();
    let whole = |text: &str, radix| {
        let number = i128::from_str_radix(text, radix).ok()?;
        i64::try_from(if negative { -number } else { number }).ok().map(Base::Int)
    };
    for (prefix, radix) in [("0x", 16), ("0b", 2), ("0o", 8)] {
        if let Some(text) = lower.strip_prefix(prefix) {
            return whole(text, radix);
        }
    }
    if !lower.contains(['.', 'e']) {
        // A leading zero is octal, as in Go.
        let is_octal = lower.len() > 1 && lower.starts_with('0');
        return whole(&lower, if is_octal { 8 } else { 10 });
    }
    let is_decimal = lower.bytes().all(|byte| byte.is_ascii_digit() || b".e+-".contains(&byte));
    let number: f64 = lower.parse().ok().filter(|_| is_decimal)?;
    number.is_finite().then_some(Base::Float(if negative { -number } else { number }))
}
