//! Owns how a list that can grow is given out in parts. The order of what is listed is that of a key which each has and
//! keeps, so that a part begins behind the last one of the part before, whatever has come or gone meanwhile.

use axum::Json;
use axum::http::header::LINK;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use checksum::hex;
use serde::Serialize;

use super::problem::Failure;
use super::wire::{
    BundleQuestion, IncidentQuestion, JournalQuestion, LIMIT_MAX, ListQuestion, TraceQuestion,
};

/// The longest cursor, in bytes: two digits for each of the key.
const CURSOR_BYTES_MAX: usize = 600;

/// In which order the keys go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// The smallest first.
    Up,
    /// The greatest first.
    Down,
}

/// A question for a part of a list.
pub(super) trait Question: Serialize + Sized {
    fn limit(&self) -> Option<u32>;
    fn cursor(&self) -> Option<&str>;
    /// The same question for the next part.
    fn go_on(self, cursor: String) -> Self;
}

/// A part of a list, and the question for the next.
#[derive(Debug)]
pub(super) struct Listed<T> {
    pub(super) items: Vec<T>,
    next: Option<String>,
}

// === impl Listed ===

impl<T> Listed<T> {
    /// The part of `all` that is asked for; each has a key that no other has.
    pub(super) fn of(
        question: impl Question,
        order: Order,
        all: impl IntoIterator<Item = (String, T)>,
    ) -> Result<Self, Failure> {
        let (after, limit) = (after(&question)?, limit(&question)?);
        let is_behind = |key: &String| match (&after, order) {
            (None, _) => true,
            (Some(after), Order::Up) => key > after,
            (Some(after), Order::Down) => key < after,
        };
        let mut all: Vec<(String, T)> = all.into_iter().filter(|(key, _)| is_behind(key)).collect();
        all.sort_by(|(one, _), (other, _)| match order {
            Order::Up => one.cmp(other),
            Order::Down => other.cmp(one),
        });
        Ok(Self::first(question, limit, all))
    }

    /// What is in it, and the question for the next.
    pub(super) fn into_parts(self) -> (Vec<T>, Option<String>) {
        (self.items, self.next)
    }

    /// The first of those that are behind the cursor, in their order; one more than the limit says that there are others.
    pub(super) fn first(question: impl Question, limit: usize, mut all: Vec<(String, T)>) -> Self {
        let is_more = all.len() > limit;
        all.truncate(limit);
        let last = all.last().filter(|_| is_more).map(|(key, _)| hex::write(key.as_bytes()));
        let next = last.and_then(|cursor| serde_urlencoded::to_string(question.go_on(cursor)).ok());
        Self { items: all.into_iter().map(|(_, item)| item).collect(), next }
    }
}

impl<T: Serialize> IntoResponse for Listed<T> {
    fn into_response(self) -> Response {
        let mut response = Json(self.items).into_response();
        response.headers_mut().extend(self.next.as_deref().and_then(link));
        response
    }
}

/// The header that says where it goes on.
pub(super) fn link(query: &str) -> Option<(axum::http::HeaderName, HeaderValue)> {
    HeaderValue::try_from(format!("<?{query}>; rel=\"next\"")).ok().map(|value| (LINK, value))
}

/// How many are wanted.
pub(super) fn limit(question: &impl Question) -> Result<usize, Failure> {
    match question.limit() {
        None => Ok(LIMIT_MAX as usize),
        Some(limit) if (1..=LIMIT_MAX).contains(&limit) => Ok(limit as usize),
        Some(limit) => {
            let words = format!("`limit` is 1 to {LIMIT_MAX}, not {limit}");
            Err(Failure::new(StatusCode::BAD_REQUEST, words))
        }
    }
}

/// The key behind which it goes on.
pub(super) fn after(question: &impl Question) -> Result<Option<String>, Failure> {
    let Some(cursor) = question.cursor() else { return Ok(None) };
    let key = Some(cursor)
        .filter(|cursor| cursor.len() <= CURSOR_BYTES_MAX)
        .and_then(|cursor| String::from_utf8(hex::read(cursor)?).ok())
        .filter(|key| !key.is_empty());
    let strange = || Failure::new(StatusCode::BAD_REQUEST, "this is no `cursor` of an answer of this list");
    key.map(Some).ok_or_else(strange)
}

/// The key of what has a time, and a name of its own.
pub(super) fn key(at_ms: i64, name: &impl std::fmt::Display) -> String {
    format!("{:020}{name}", at_ms.max(0))
}

// === impl Question ===

macro_rules! question {
    ($($question:ty),*) => {$(
        impl Question for $question {
            fn limit(&self) -> Option<u32> {
                self.limit
            }
            fn cursor(&self) -> Option<&str> {
                self.cursor.as_deref()
            }
            fn go_on(self, cursor: String) -> Self {
                Self { cursor: Some(cursor), ..self }
            }
        }
    )*};
}

question!(ListQuestion, IncidentQuestion, BundleQuestion, JournalQuestion, TraceQuestion);

#[cfg(test)]
mod tests {
    use super::*;

    fn part(
        limit: u32,
        cursor: Option<String>,
        order: Order,
        keys: &[&str],
    ) -> (Vec<String>, Option<String>) {
        let question = ListQuestion { limit: Some(limit), cursor };
        let all = keys.iter().map(|key| ((*key).to_owned(), (*key).to_owned()));
        let listed = Listed::of(question, order, all).unwrap();
        let next = listed.next.map(|query| {
            let next: ListQuestion = serde_urlencoded::from_str(&query).unwrap();
            assert_eq!(next.limit, Some(limit), "the next question is like this one");
            next.cursor.unwrap()
        });
        (listed.items, next)
    }

    #[test]
    fn parts_follow_each_other_while_things_come_and_go() {
        let (first, next) = part(2, None, Order::Up, &["c", "a", "b"]);
        assert_eq!(first, ["a", "b"]);
        // One before is new, the last one that was seen is gone, and one behind is new.
        let (second, next) = part(2, next, Order::Up, &["_", "a", "c", "d"]);
        assert_eq!((second, next), (vec!["c".to_owned(), "d".to_owned()], None));
        let (first, next) = part(1, None, Order::Down, &["1", "2", "3"]);
        assert_eq!(first, ["3"]);
        assert_eq!(
            part(5, next, Order::Down, &["1", "2", "3", "4"]),
            (vec!["2".to_owned(), "1".to_owned()], None)
        );
        assert_eq!(part(1, None, Order::Up, &[]), (vec![], None));
    }

    #[test]
    fn what_nobody_has_given_out_is_refused() {
        for cursor in ["", "0", "zz", "ff", "é", &"00".repeat(400)] {
            let question = ListQuestion { limit: None, cursor: Some(cursor.to_owned()) };
            let failure = Listed::of(question, Order::Up, [(String::new(), ())]).unwrap_err();
            assert_eq!(failure.status, StatusCode::BAD_REQUEST, "{cursor}");
        }
        for limit in [0, 1001, u32::MAX] {
            let question = ListQuestion { limit: Some(limit), cursor: None };
            assert!(Listed::of(question, Order::Up, [(String::new(), ())]).is_err(), "{limit}");
        }
    }
}
