//! Owns plots for the terminal: one series after another, in dots of braille.

use crate::show;

/// The dots of one character: two beside each other, four above each other.
const DOTS: [[u32; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];

/// An empty character of dots.
const BRAILLE: u32 = 0x2800;

/// How large a plot is, in characters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Without the numbers at its side.
    pub(crate) width: usize,
    pub(crate) height: usize,
}

/// The stretch of time that a plot shows, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch {
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
}

/// Draws the samples of one series; the numbers at the side are its largest and its smallest value. Values that are no
/// numbers have no place in it.
pub(crate) fn plot(samples: &[(i64, f64)], stretch: Stretch, size: Size) -> String {
    let finite = || samples.iter().filter(|(_, value)| value.is_finite());
    let low = finite().map(|(_, value)| *value).fold(f64::INFINITY, f64::min);
    let high = finite().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max);
    if low > high {
        return "  (no numbers)\n".to_owned();
    }
    let mut cells = vec![vec![BRAILLE; size.width]; size.height];
    let (columns, rows) = (size.width * 2, size.height * 4);
    let length_ms = (stretch.to_ms - stretch.from_ms).max(1) as f64;
    for (at_ms, value) in finite() {
        let across = (at_ms - stretch.from_ms) as f64 / length_ms;
        let up = if high > low { (value - low) / (high - low) } else { 0.5 };
        let (column, row) = (place(across, columns), rows - 1 - place(up, rows));
        cells[row / 4][column / 2] |= DOTS[row % 4][column % 2];
    }
    let (top, bottom) = (number(high), number(low));
    let margin = top.len().max(bottom.len());
    let mut drawn = String::new();
    for (index, row) in cells.iter().enumerate() {
        let side = match index {
            0 => top.as_str(),
            last if last + 1 == size.height => bottom.as_str(),
            _ => "",
        };
        let row: String = row.iter().filter_map(|cell| char::from_u32(*cell)).collect();
        drawn.push_str(&format!("{side:>margin$} │{}\n", row.trim_end_matches('\u{2800}')));
    }
    let (from, to) = (show::time(stretch.from_ms), show::time(stretch.to_ms));
    let gap = size.width.saturating_sub(from.len() + to.len());
    drawn.push_str(&format!("{:>margin$} └{from}{}{to}\n", "", " ".repeat(gap.max(1))));
    drawn
}

/// Which of so many places a share of the whole is at.
fn place(share: f64, places: usize) -> usize {
    ((share.clamp(0.0, 1.0) * (places - 1) as f64).round() as usize).min(places - 1)
}

/// A number in few characters: enough to read a plot by.
pub(crate) fn number(value: f64) -> String {
    const UNITS: [(f64, &str); 4] = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    let magnitude = value.abs();
    if magnitude >= 1e15 || (magnitude > 0.0 && magnitude < 1e-3) {
        return format!("{value:.2e}");
    }
    let unit = UNITS.iter().find(|(unit, _)| magnitude >= 10.0 * unit);
    let (value, unit) = unit.map_or((value, ""), |(unit, sign)| (value / unit, *sign));
    let digits = if value.fract() == 0.0 { 0 } else { 3 };
    format!("{value:.digits$}{unit}")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_line_goes_from_corner_to_corner() {
        let samples: Vec<(i64, f64)> = (0..=40).map(|at| (at * 1_000, at as f64)).collect();
        let drawn = plot(&samples, Stretch { from_ms: 0, to_ms: 40_000 }, Size { width: 41, height: 3 });
        expect![[r#"
            40 │⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⢀⢀⢀⠠⠠⠠⠠⠐⠐⠐⠐⠈⠈
               │⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⡀⡀⡀⡀⠄⠄⠄⠐⠐⠐⠐⠈⠈⠈⠈
             0 │⡀⡀⠄⠄⠄⠄⠂⠂⠂⠂⠁⠁⠁
               └1970-01-01 00:00:00   1970-01-01 00:00:40
        "#]]
        .assert_eq(&drawn);
    }

    #[test]
    fn what_is_constant_is_in_the_middle_and_what_is_no_number_is_left_out() {
        let samples = [(0, 7.0), (500, f64::NAN), (1_000, 7.0), (700, f64::INFINITY)];
        let drawn = plot(&samples, Stretch { from_ms: 0, to_ms: 1_000 }, Size { width: 40, height: 3 });
        expect![[r#"
            7 │
              │⠂⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠐
            7 │
              └1970-01-01 00:00:00  1970-01-01 00:00:01
        "#]]
        .assert_eq(&drawn);
        let none = plot(&[(0, f64::NAN)], Stretch { from_ms: 0, to_ms: 1 }, Size { width: 4, height: 1 });
        assert_eq!(none, "  (no numbers)\n");
    }

    #[test]
    fn numbers_are_short() {
        let check = |value, expect| assert_eq!(number(value), expect);
        check(0.0, "0");
        check(1.0, "1");
        check(-2.5, "-2.500");
        check(1234.0, "1234");
        check(123_456.0, "123.456k");
        check(73.0 * 1024.0 * 1024.0, "76.546M");
        check(0.000_012, "1.20e-5");
        check(1e300, "1.00e300");
    }
}
