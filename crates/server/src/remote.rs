//! Owns asking other systems over HTTP, as the configuration says where they are and who we are to them: within a
//! deadline, up to a length, without following anybody elsewhere.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use probe::Tls;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, StatusCode};

use crate::config::Remote;
use crate::identity::{self, IdentityError};
use crate::secrets::Secrets;

/// How much of a refusal is shown, in bytes.
pub(crate) const REFUSAL_BYTES_MAX: usize = 300;

/// The longest that `Retry-After` is believed: whoever says more is asked again all the same.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(5 * 60);

/// The header that names a tenant, of Mimir, Cortex, Loki and others.
pub(crate) const TENANT: HeaderName = HeaderName::from_static("x-scope-orgid");

/// One system that is asked. Its client is made anew only where its certificates or keys have changed.
#[derive(Debug, Default)]
pub(crate) struct Asker {
    client: Mutex<Option<(Tls, Client)>>,
}

/// A question.
pub(crate) struct Question<'a> {
    pub(crate) method: Method,
    /// What is added to the address: it begins with `/`.
    pub(crate) path: &'a str,
    /// Parameters after the path.
    pub(crate) query: &'a [(&'a str, &'a str)],
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Vec<u8>>,
    /// The longest answer that is read, in bytes, unpacked.
    pub(crate) bytes_max: usize,
    /// How much of a refusal is read.
    pub(crate) error_bytes_max: usize,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// Who we are to it, or whom it has to be, is not known.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The client cannot be made, or nobody answered.
    #[error("no answer")]
    Request(#[source] reqwest::Error),
    /// It took too long.
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// It is longer than anybody reads.
    #[error("the answer has more than {0} bytes")]
    TooLong(usize),
    /// It says no.
    #[error("HTTP {status}{said}")]
    Status {
        status: u16,
        said: String,
        /// When it wants to be asked again.
        after: Option<Duration>,
    },
}

// === impl AskError ===

impl AskError {
    /// Whether it may be answered when it is asked again.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Status { status, .. } => *status >= 500 || *status == 429 || *status == 408,
            Self::TooLong(_) | Self::Identity(IdentityError::Header(_)) => false,
            _ => true,
        }
    }

    /// When it wants to be asked again.
    pub(crate) fn after(&self) -> Option<Duration> {
        match self {
            Self::Status { after, .. } => *after,
            _ => None,
        }
    }
}

// === impl Question ===

impl<'a> Question<'a> {
    /// A question that changes nothing.
    pub(crate) fn get(path: &'a str, query: &'a [(&'a str, &'a str)], bytes_max: usize) -> Self {
        let (headers, error_bytes_max) = (HeaderMap::new(), REFUSAL_BYTES_MAX);
        Self { method: Method::GET, path, query, headers, body: None, bytes_max, error_bytes_max }
    }
}

// === impl Asker ===

impl Asker {
    /// Asks, and returns the whole answer where it is a yes.
    ///
    /// # Errors
    /// Where there is no answer in time, it is too long, or it is a no.
    pub(crate) async fn ask(
        &self,
        remote: &Remote<'_>,
        secrets: &Secrets,
        question: Question<'_>,
    ) -> Result<Vec<u8>, AskError> {
        let deadline = remote.timeout.get();
        let ask = self.ask_unbounded(remote, secrets, question);
        tokio::time::timeout(deadline, ask).await.map_err(|_| AskError::Late(deadline))?
    }

    async fn ask_unbounded(
        &self,
        remote: &Remote<'_>,
        secrets: &Secrets,
        question: Question<'_>,
    ) -> Result<Vec<u8>, AskError> {
        let failed = |error: reqwest::Error| AskError::Request(error.without_url());
        let client = self.client(remote, secrets).await?;
        let mut url = format!("{}{}", remote.url.trim_end_matches('/'), question.path);
        if !question.query.is_empty() {
            url.push('?');
            url.push_str(&serde_urlencoded::to_string(question.query).unwrap_or_default());
        }
        let mut request = client.request(question.method, url).headers(question.headers);
        if let Some(value) = identity::authorization(secrets, remote.authorization).await? {
            request = request.header(AUTHORIZATION, value);
        }
        if let Some(tenant) = remote.tenant.and_then(|tenant| HeaderValue::from_str(tenant).ok()) {
            request = request.header(TENANT, tenant);
        }
        if let Some(body) = question.body {
            request = request.body(body);
        }
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status();
        let after = retry_after(response.headers());
        let bytes_max = if status.is_success() { question.bytes_max } else { question.error_bytes_max };
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if status.is_success() && body.len() + chunk.len() > bytes_max {
                return Err(AskError::TooLong(bytes_max));
            }
            body.extend_from_slice(&chunk);
            if body.len() > bytes_max {
                break;
            }
        }
        if status.is_success() {
            return Ok(body);
        }
        body.truncate(bytes_max);
        Err(AskError::Status { status: status.as_u16(), said: said(status, &body), after })
    }

    async fn client(&self, remote: &Remote<'_>, secrets: &Secrets) -> Result<Client, AskError> {
        let wanted = identity::tls(secrets, remote.ca, remote.certificate.zip(remote.key)).await?;
        let mut held = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = held.as_ref().filter(|(tls, _)| *tls == wanted) {
            return Ok(client.clone());
        }
        let client = probe::client_with(&wanted).map_err(|error| AskError::Request(error.without_url()))?;
        *held = Some((wanted, client.clone()));
        Ok(client)
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

/// The beginning of a refusal, for people.
fn said(status: StatusCode, body: &[u8]) -> String {
    let text = plain(body);
    let reason = status.canonical_reason().map(|reason| format!(" {reason}")).unwrap_or_default();
    if text.is_empty() { reason } else { format!("{reason}: {text}") }
}

/// A text of somebody else on one line.
pub(crate) fn plain(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let text: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_to_ask_again_is_believed_within_reason() {
        let check = |value: &str, expect: Option<u64>| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_str(value).unwrap())]);
            assert_eq!(retry_after(&headers), expect.map(Duration::from_secs), "{value}");
        };
        check("3", Some(3));
        check(" 0 ", Some(0));
        check("86400", Some(300));
        // A date, or what is none.
        check("Wed, 21 Oct 2026 07:28:00 GMT", None);
        check("-1", None);
        check("18446744073709551616", None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }

    #[test]
    fn what_may_pass_is_asked_again() {
        let status = |status| AskError::Status { status, said: String::new(), after: None };
        let pass = [408, 429, 500, 503].map(|code| status(code).may_pass());
        let never = [302, 400, 401, 404, 413].map(|code| status(code).may_pass());
        assert_eq!((pass, never), ([true; 4], [false; 5]));
        assert!(AskError::Late(Duration::from_secs(1)).may_pass() && !AskError::TooLong(1).may_pass());
    }
}
