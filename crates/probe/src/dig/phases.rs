//! Owns how long each phase of an answer takes.

use std::fmt;
use std::time::Duration;

/// The phases of one question, as far as it came; each counts from the end of the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    /// Finding the addresses of a name.
    pub name: Option<Duration>,
    /// Connecting to one of them.
    pub connect: Option<Duration>,
    /// Agreeing on keys, and looking at the certificate.
    pub tls: Option<Duration>,
    /// From the question to the first byte of the answer.
    pub wait: Option<Duration>,
    /// The rest of the answer, as far as it was read.
    pub rest: Option<Duration>,
}

// === impl Phases ===

impl Phases {
    /// From the beginning to the first byte of the answer; none where none came.
    pub fn first_byte(&self) -> Option<Duration> {
        let before = [self.name, self.connect, self.tls].into_iter().flatten().sum::<Duration>();
        Some(before + self.wait?)
    }
}

impl fmt::Display for Phases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phases = [
            ("name look-up", self.name),
            ("connect", self.connect),
            ("TLS", self.tls),
            ("first byte", self.wait),
            ("rest", self.rest),
        ];
        let mut between = "";
        for (name, took) in phases.into_iter().filter_map(|(name, took)| Some((name, took?))) {
            write!(f, "{between}{name} {:.1} ms", took.as_secs_f64() * 1e3)?;
            between = ", ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_came_is_told() {
        let ms = |ms| Some(Duration::from_millis(ms));
        let phases = Phases { name: ms(3), connect: ms(1), wait: ms(20), ..Phases::default() };
        assert_eq!(phases.to_string(), "name look-up 3.0 ms, connect 1.0 ms, first byte 20.0 ms");
        assert_eq!(phases.first_byte(), ms(24));
        assert_eq!(Phases { connect: ms(1), ..Phases::default() }.first_byte(), None);
    }
}
