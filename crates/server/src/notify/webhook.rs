//! Owns contacts of kind `webhook`: the notice as JSON in an HTTP request, with its key in `Idempotency-Key`.

use std::sync::OnceLock;
use std::time::Duration;

use incident::{Notice, error_chain};
use reqwest::header::{AUTHORIZATION, RETRY_AFTER};
use reqwest::{Response, StatusCode};

use super::attempt::{Again, Attempt, Failed};
use crate::config::Contact;
use crate::secrets::{SecretError, Secrets};

/// How much of an answer is shown where it is no yes, in bytes.
const ANSWER_BYTES_MAX: usize = 300;

/// Sends requests. The client is made when it is first needed: it reads the certificates of the machine.
#[derive(Debug, Default)]
pub(super) struct Sender {
    client: OnceLock<Result<reqwest::Client, String>>,
}

// === impl Sender ===

impl Sender {
    /// Makes one attempt. Any status of 200 to 299 is a yes.
    pub(super) async fn post(&self, contact: &Contact, notice: &Notice, secrets: &Secrets) -> Attempt {
        let client =
            self.client.get_or_init(client).as_ref().map_err(|error| Failed::never(error.clone()))?;
        let unknown = |key: &str, error: &SecretError| {
            // It may be on its way, as a secret that is being changed.
            Failed::later(format!("its `{key}` is not known: {}", error_chain(error)))
        };
        let Some(url) = &contact.url else { return Err(Failed::never("it has no address")) };
        let url = secrets.text(url).await.map_err(|error| unknown("url", &error))?;
        let mut request = client
            .post(url.reveal())
            .timeout(contact.timeout.get())
            .header("Idempotency-Key", &notice.key)
            .json(notice);
        if let Some(secret) = &contact.authorization {
            let revealed = secrets.read(secret).await.map_err(|error| unknown("authorization", &error))?;
            let value = revealed.header();
            let value = value.ok_or_else(|| Failed::never(format!("{secret} holds no value of a header")))?;
            request = request.header(AUTHORIZATION, value);
        }
        match request.send().await {
            Ok(response) if response.status().is_success() => Ok(()),
            Ok(response) => Err(refused(response).await),
            // The address may hold a secret: it is the reason that counts.
            Err(error) if error.is_builder() => Err(Failed::never(error_chain(&error.without_url()))),
            Err(error) => Err(Failed::later(error_chain(&error.without_url()))),
        }
    }
}

fn client() -> Result<reqwest::Client, String> {
    probe::install_crypto();
    // Whom a contact's address hands on to is nobody's contact.
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    builder.build().map_err(|error| format!("the HTTP client cannot be made: {}", error_chain(&error)))
}

/// What an answer means that is no yes: what may pass by itself is tried again.
async fn refused(response: Response) -> Failed {
    let status = response.status();
    let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let passes = status.is_server_error()
        || status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::REQUEST_TIMEOUT;
    let again = match (passes, after) {
        (false, _) => Again::Never,
        (true, Some(seconds)) => Again::After(Duration::from_secs(seconds)),
        (true, None) => Again::Later,
    };
    Failed { problem: format!("it answered {status}{}", said(response).await), again }
}

/// The beginning of what it said, for people.
async fn said(mut response: Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < ANSWER_BYTES_MAX {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    bytes.truncate(ANSWER_BYTES_MAX);
    let text: String =
        String::from_utf8_lossy(&bytes).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.trim().is_empty() { String::new() } else { format!(": {}", text.trim()) }
}
