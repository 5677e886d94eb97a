//! Owns the numbers that plugins print: `'label'=value[UOM];[warn];[crit];[min];[max]`, in base units.

use serde::Serialize;

/// How many numbers of one plugin are kept.
const NUMBERS_MAX: usize = 64;

/// The longest label, in bytes.
const LABEL_BYTES_MAX: usize = 128;

/// Units of plugins: what each is in a base unit.
const UNITS: [(&str, &str, f64); 12] = [
    ("s", "seconds", 1.0),
    ("ms", "seconds", 1e-3),
    ("us", "seconds", 1e-6),
    ("ns", "seconds", 1e-9),
    ("B", "bytes", 1.0),
    ("KB", "bytes", 1024.0),
    ("MB", "bytes", 1_048_576.0),
    ("GB", "bytes", 1_073_741_824.0),
    ("TB", "bytes", 1_099_511_627_776.0),
    ("%", "percent", 1.0),
    ("c", "count", 1.0),
    ("", "", 1.0),
];

/// A number that a plugin printed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Perfdata {
    /// What is measured.
    pub label: String,
    /// The value, in its unit.
    pub value: f64,
    /// `seconds`, `bytes`, `percent`, `count`, or nothing.
    pub unit: String,
}

/// The words and the numbers of what a plugin printed. What is no number is left out.
pub(super) fn perfdata(printed: &str) -> (&str, Vec<Perfdata>) {
    let (first, rest) = printed.split_once('\n').unwrap_or((printed, ""));
    let (words, mut numbers) = match first.split_once('|') {
        Some((words, numbers)) => (words, read(numbers)),
        None => (first, Vec::new()),
    };
    if let Some((_, more)) = rest.split_once('|') {
        numbers.extend(read(more));
    }
    numbers.truncate(NUMBERS_MAX);
    (words, numbers)
}

fn read(mut text: &str) -> Vec<Perfdata> {
    let mut numbers = Vec::new();
    while numbers.len() < NUMBERS_MAX {
        text = text.trim_start();
        let Some((label, rest)) = label(text) else { break };
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        numbers.extend(number(&label, &rest[..end]));
        text = &rest[end..];
    }
    numbers
}

/// The label at the beginning, and what comes after its `=`.
fn label(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('\'') else {
        let (label, rest) = text.split_once('=')?;
        return Some((label.to_owned(), rest));
    };
    let (mut label, mut rest) = (String::new(), quoted);
    loop {
        let (part, after) = rest.split_once('\'')?;
        label.push_str(part);
        // Two of them are one that belongs to the label.
        match after.strip_prefix('\'') {
            Some(more) => {
                label.push('\'');
                rest = more;
            }
            None => return Some((label, after.strip_prefix('=')?)),
        }
    }
}

fn number(label: &str, text: &str) -> Option<Perfdata> {
    let value = text.split(';').next().unwrap_or_default();
    let digits = value.find(|letter: char| !(letter.is_ascii_digit() || "+-.".contains(letter)));
    let (value, unit) = value.split_at(digits.unwrap_or(value.len()));
    let fits = !label.is_empty() && label.len() <= LABEL_BYTES_MAX && !label.contains(char::is_control);
    let value: f64 = value.parse().ok().filter(|_| fits)?;
    let known = UNITS.iter().find(|(name, ..)| name.eq_ignore_ascii_case(unit));
    let (unit, factor) = known.map_or(("", 1.0), |(_, unit, factor)| (*unit, *factor));
    Some(Perfdata { label: label.to_owned(), value: value * factor, unit: unit.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(printed: &str, words: &str, numbers: &[(&str, f64, &str)]) {
        let (found, all) = perfdata(printed);
        let all: Vec<(&str, f64, &str)> =
            all.iter().map(|one| (one.label.as_str(), one.value, one.unit.as_str())).collect();
        assert_eq!((found, all.as_slice()), (words, numbers));
    }

    #[test]
    fn numbers_of_plugins() {
        check("OK", "OK", &[]);
        check(
            "PING OK - rta 0.5 ms|rta=0.500ms;3000.000;5000.000;0.000 pl=0%;80;100;0",
            "PING OK - rta 0.5 ms",
            &[("rta", 0.0005, "seconds"), ("pl", 0.0, "percent")],
        );
        check(
            "DISK OK | /=2643MB;5948;5958;0;5968\nlong text\nmore | /boot=68KB;88;93;0;98\n'it''s a=b'=7c;;;;\n",
            "DISK OK ",
            &[
                ("/", 2643.0 * 1_048_576.0, "bytes"),
                ("/boot", 68.0 * 1024.0, "bytes"),
                ("it's a=b", 7.0, "count"),
            ],
        );
    }

    #[test]
    fn what_is_no_number_is_left_out() {
        check("x|a=U b=1 c d=2", "x", &[("b", 1.0, ""), ("c d", 2.0, "")]);
        check("x|=1 'a=1", "x", &[]);
        check("x|a=1.5.2 b=--3 c=+4furlongs", "x", &[("c", 4.0, "")]);
        check("x|", "x", &[]);
        let many = format!("x|{}", "a=1 ".repeat(1_000));
        assert_eq!(perfdata(&many).1.len(), NUMBERS_MAX);
    }
}
