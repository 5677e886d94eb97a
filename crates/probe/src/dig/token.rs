//! Owns when a configured token is over: a JWT says so itself, in the field `exp` of its middle part.
//!
//! `HEAD.BODY.SEAL`, each in base64url without padding; the body is JSON. The seal is not looked at: whether the token is good
//! is for whom it is shown to. Nothing of it but that one number is kept.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use diagnosis::{Finding, Severity, kind};
use serde::Deserialize;

/// Somebody has to be found who puts a new one there.
const SECONDS_SHORT: f64 = 24.0 * 3600.0;
/// Servers of the web refuse headers that are longer.
const TOKEN_BYTES_MAX: usize = 16 << 10;

#[derive(Deserialize)]
struct Body {
    exp: f64,
}

/// What a token says of its own end; none of what is no such token, or has no end. It is known
/// as that dependency.
pub fn token(dependency: &str, value: &str, now: SystemTime) -> Option<Finding> {
    let seconds = seconds_left(value, now)?;
    let (severity, says) = match seconds {
        ..=0.0 => (Severity::Critical, "the token in that variable is over, by its own word"),
        ..SECONDS_SHORT => (Severity::Warning, "the token in that variable is over soon, by its own word"),
        _ => (Severity::Info, "the token in that variable says itself when it is over"),
    };
    let finding = Finding::new(kind::TOKEN_SECONDS_LEFT, dependency).with_value(seconds);
    Some(finding.with_severity(severity).with_message(says))
}

/// How many seconds a token is still good for, below 0 where it is over; `None` for what is no such token, or has no end.
fn seconds_left(token: &str, now: SystemTime) -> Option<f64> {
    let token = token.trim();
    let token = token.strip_prefix("Bearer ").unwrap_or(token).trim();
    if token.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let mut parts = token.split('.');
    let (_, body, _) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(body.trim_end_matches('=')).ok()?;
    let body: Body = serde_json::from_slice(&bytes).ok()?;
    let now = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64();
    let left = (body.exp - now).round();
    left.is_finite().then_some(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_tokens() {
        let token = |body: &str| format!("e30.{}.c2VhbA", URL_SAFE_NO_PAD.encode(body));
        let now = UNIX_EPOCH + Duration::from_secs(1000);
        for (text, expect) in [
            (token("{\"exp\":1060,\"sub\":\"ann\"}"), Some(60.0)),
            (format!("Bearer {}", token("{\"exp\":400.5}")), Some(-600.0)),
            (token("{\"sub\":\"ann\"}"), None),
            (token("{\"exp\":\"soon\"}"), None),
            (token("no json"), None),
            ("ghp_0123456789".to_owned(), None),
            ("a.b".to_owned(), None),
            ("a.b.c.d".to_owned(), None),
            ("..".to_owned(), None),
            ("x".repeat(TOKEN_BYTES_MAX + 1), None),
        ] {
            assert_eq!(seconds_left(&text, now), expect, "{text}");
        }
    }
}
