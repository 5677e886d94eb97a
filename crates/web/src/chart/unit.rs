//! Owns numbers for people: few digits, and a unit that fits.

/// In what values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Hundredths: of a processor, for one.
    Percent,
    /// How often in a second.
    PerSecond,
    /// How many.
    Count,
}

const BINARY: [(f64, &str); 4] =
    [(1_099_511_627_776.0, "TiB"), (1_073_741_824.0, "GiB"), (1_048_576.0, "MiB"), (1024.0, "KiB")];

// === impl Unit ===

impl Unit {
    /// A value in few characters.
    pub fn show(self, value: f64) -> String {
        if !value.is_finite() {
            return "no number".to_owned();
        }
        match self {
            Self::Seconds => seconds(value),
            Self::Bytes => match BINARY.iter().find(|(size, _)| value.abs() >= *size) {
                Some((size, name)) => format!("{} {name}", digits(value / size)),
                None => format!("{} B", digits(value)),
            },
            Self::Percent => format!("{} %", digits(value)),
            Self::PerSecond => format!("{}/s", digits(value)),
            Self::Count => digits(value),
        }
    }
}

fn seconds(value: f64) -> String {
    match value.abs() {
        0.0 => "0 s".to_owned(),
        small if small < 1e-3 => format!("{} µs", digits(value * 1e6)),
        small if small < 1.0 => format!("{} ms", digits(value * 1e3)),
        small if small < 120.0 => format!("{} s", digits(value)),
        small if small < 7_200.0 => format!("{} min", digits(value / 60.0)),
        _ => format!("{} h", digits(value / 3_600.0)),
    }
}

/// Three digits, without zeros that say nothing.
fn digits(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude >= 1e6 || (magnitude > 0.0 && magnitude < 1e-3) {
        return format!("{value:.1e}");
    }
    let places = match magnitude {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    let text = format!("{value:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}
