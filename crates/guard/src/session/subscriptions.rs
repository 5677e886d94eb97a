//! Owns which resources a client wants to hear of.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::envelope;

/// A client that watches more has lost its count.
const SUBSCRIPTIONS_MAX: usize = 1000;
/// As long as a path may be, as URI.
const URI_BYTES_MAX: usize = 16 << 10;

/// What one client has subscribed to, by URI.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    uris: Mutex<BTreeSet<Box<str>>>,
}

/// It has subscribed to as much as it may.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

// === impl Subscriptions ===

impl Subscriptions {
    pub(crate) fn add(&self, uri: &str) -> Result<(), TooMany> {
        let mut uris = self.uris();
        if uri.len() > URI_BYTES_MAX || (uris.len() >= SUBSCRIPTIONS_MAX && !uris.contains(uri)) {
            return Err(TooMany);
        }
        uris.insert(uri.into());
        Ok(())
    }

    pub(crate) fn remove(&self, uri: &str) {
        self.uris().remove(uri);
    }

    pub(crate) fn contain(&self, uri: &str) -> bool {
        self.uris().contains(uri)
    }

    /// Whether it wants to hear of this resource, which may be a part of one that it has subscribed to.
    pub(crate) fn concern(&self, uri: &str) -> bool {
        self.uris().iter().any(|own| uri.starts_with(&**own))
    }

    fn uris(&self) -> MutexGuard<'_, BTreeSet<Box<str>>> {
        // Every change of it is one insertion or removal.
        self.uris.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The URI in the parameters of a subscription or an update.
pub(crate) fn uri(params: &str) -> Option<String> {
    serde_json::from_str(envelope::member(params, "uri").ok()??).ok()
}

#[cfg(test)]
mod tests {
    use super::{SUBSCRIPTIONS_MAX, Subscriptions, TooMany, URI_BYTES_MAX, uri};

    #[test]
    fn subscriptions_are_bounded_and_concern_parts() {
        let subscriptions = Subscriptions::default();
        for number in 0..SUBSCRIPTIONS_MAX {
            subscriptions.add(&format!("mem://{number:04}/")).unwrap();
        }
        assert_eq!(subscriptions.add("mem://more"), Err(TooMany));
        assert_eq!(subscriptions.add("mem://0007/"), Ok(()), "it is there already");
        assert!(subscriptions.concern("mem://0007/a") && !subscriptions.concern("mem://0007"));
        subscriptions.remove("mem://0007/");
        assert!(!subscriptions.concern("mem://0007/a") && !subscriptions.contain("mem://0007/"));
        assert_eq!(subscriptions.add(&"x".repeat(URI_BYTES_MAX + 1)), Err(TooMany));
        assert_eq!(uri(r#"{"uri":"mem:\/\/a"}"#).as_deref(), Some("mem://a"));
        assert_eq!(uri(r#"{"uri":1}"#), None);
    }
}
