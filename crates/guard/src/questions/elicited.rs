//! Owns whom pages were shown: `notifications/elicitation/complete` goes to the client that was sent to one, and to nobody
//! else.
//!
//! A server sends a client to a page by a question (`elicitation/create` with `"mode":"url"`), or by refusing a request
//! until that was done (error -32042, which lists the pages). Both carry an `elicitationId`, and so does the notification
//! that it is done.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::Whom;
use crate::envelope;
use crate::session::Session;

/// A request is refused until the client's user has been at a page.
const ELICITATION_REQUIRED: &str = "-32042";
/// People do not have more pages open; of more the oldest is forgotten.
const SHOWN_MAX: usize = 1024;
/// An id is a UUID, as a rule.
const ID_BYTES_MAX: usize = 256;

/// Which page was shown to whom.
#[derive(Debug, Default)]
pub(crate) struct Elicited {
    shown: Mutex<VecDeque<(Box<str>, Whom)>>,
}

// === impl Elicited ===

impl Elicited {
    /// A client was asked something with these parameters.
    pub(super) fn asked(&self, params: Option<&str>, whom: &Whom) {
        if let Some(id) = params.and_then(id_of) {
            self.show(id, whom);
        }
    }

    /// A client's request was answered with this error.
    pub(crate) fn refused(&self, error: &str, whom: &Whom) {
        if envelope::member(error, "code") != Ok(Some(ELICITATION_REQUIRED)) {
            return;
        }
        let error: Value = serde_json::from_str(error).unwrap_or_default();
        for elicitation in error["data"]["elicitations"].as_array().into_iter().flatten().take(SHOWN_MAX) {
            if let Some(id) = elicitation["elicitationId"].as_str() {
                self.show(id.to_owned(), whom);
            }
        }
    }

    /// Who is to hear that this is done; once.
    pub(crate) fn done(&self, params: &str) -> Option<Whom> {
        let id = id_of(params)?;
        let mut shown = self.lock();
        let place = shown.iter().position(|(known, _)| **known == *id)?;
        shown.remove(place).map(|(_, whom)| whom)
    }

    /// A session is over.
    pub(super) fn leave(&self, session: &Session) {
        self.lock().retain(|(_, whom)| whom.session.id != session.id);
    }

    fn show(&self, id: String, whom: &Whom) {
        if id.len() > ID_BYTES_MAX {
            return;
        }
        let mut shown = self.lock();
        if shown.len() >= SHOWN_MAX {
            shown.pop_front();
        }
        shown.push_back((id.into(), whom.clone()));
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Box<str>, Whom)>> {
        // Every change of it is one insertion or removal.
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn id_of(params: &str) -> Option<String> {
    serde_json::from_str(envelope::member(params, "elicitationId").ok()??).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{Elicited, SHOWN_MAX};
    use crate::questions::Whom;
    use crate::session::{Newcomer, Sessions};

    #[test]
    fn who_was_shown_a_page_hears_of_it_once() {
        let now = Instant::now();
        let sessions = Sessions::new(now);
        let whom = || Whom { session: sessions.open(1, Newcomer::default(), now).unwrap(), before: None };
        let (one, two, elicited) = (whom(), whom(), Elicited::default());
        let heard = |id: &str| {
            let done = elicited.done(&format!("{{\"elicitationId\":\"{id}\"}}"));
            done.map(|whom| whom.session.id.clone())
        };
        elicited.asked(Some(r#"{"mode":"url","elicitationId":"a"}"#), &one);
        let error = r#"{"code":-32042,"message":"","data":{"elicitations":[{"elicitationId":"b"},{},{"elicitationId":"c"}]}}"#;
        elicited.refused(error, &two);
        elicited.refused(&error.replace("-32042", "-32000").replace("\"b\"", "\"d\""), &two);
        assert_eq!(heard("a"), Some(one.session.id.clone()));
        assert_eq!(heard("a"), None);
        assert_eq!(heard("c"), Some(two.session.id.clone()));
        assert_eq!(heard("d"), None);
        elicited.leave(&two.session);
        assert_eq!(heard("b"), None, "its session is over");
        for number in 0..=SHOWN_MAX {
            elicited.asked(Some(&format!("{{\"elicitationId\":\"{number}\"}}")), &one);
        }
        assert_eq!(heard("0"), None);
        assert!(heard("1").is_some());
    }
}
