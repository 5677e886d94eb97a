//! Owns fetching a metrics page.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use reqwest::Client;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use tokio::time::timeout_at;

use crate::body::{self, BodyError};
use crate::clients::{self, LOCAL_URL};
use crate::prober::{Deadline, Prober};

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum ScrapeError {
    /// Nobody answered, or the answer broke off.
    #[error("no page from `{url}`")]
    Request {
        /// What was asked for.
        url: String,
        /// What happened.
        #[source]
        source: reqwest::Error,
    },
    /// The answer is none that has a page.
    #[error("`{url}` answered with HTTP {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// What came instead of 200.
        status: u16,
    },
    /// The page is longer than the caller takes.
    #[error("the page of `{url}` has more than {bytes_max} bytes")]
    TooLong {
        /// What was asked for.
        url: String,
        /// The limit.
        bytes_max: usize,
    },
    /// The page is no text.
    #[error("the page of `{url}` is not UTF-8")]
    NotText {
        /// What was asked for.
        url: String,
        /// Where it stops being text.
        #[source]
        source: std::string::FromUtf8Error,
    },
    /// The whole page was not there in time.
    #[error("no page from `{url}` within {deadline_ms} ms")]
    Deadline {
        /// What was asked for.
        url: String,
        /// How long it had.
        deadline_ms: u128,
    },
}

/// Whom an address over HTTPS has to be, and who we are to it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// The certificates that are trusted in place of those of this machine, in PEM.
    pub roots_pem: Option<Vec<u8>>,
    /// Our own certificate and its key, in PEM, one after the other.
    pub identity_pem: Option<Vec<u8>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

// === impl Prober ===

impl Prober {
    /// Fetches the page at `url`, as [`Prober::scrape`] does, as somebody: with a value of the header `Authorization`, and
    /// with `tls`. No redirect is followed.
    ///
    /// # Errors
    /// As [`Prober::scrape`], and where the certificates are none.
    pub async fn scrape_as(
        &self,
        url: &str,
        authorization: Option<HeaderValue>,
        tls: &Tls,
        deadline: Duration,
        bytes_max: usize,
    ) -> Result<String, ScrapeError> {
        let client = clients::client_with(tls)
            .map_err(|source| ScrapeError::Request { url: url.to_owned(), source: source.without_url() })?;
        page_within(deadline, &client, url, authorization, bytes_max).await
    }

    /// Fetches the page at `url`, whole, within `deadline`.
    ///
    /// # Errors
    /// When there is no such page, it is no text, or longer than `bytes_max`.
    pub async fn scrape(
        &self,
        url: &str,
        deadline: Duration,
        bytes_max: usize,
    ) -> Result<String, ScrapeError> {
        page_within(deadline, self.clients.at(url), url, None, bytes_max).await
    }

    /// Fetches the page at `path` of a local socket in the same way.
    ///
    /// # Errors
    /// As [`Prober::scrape`].
    pub async fn scrape_local(
        &self,
        socket: &Path,
        path: &str,
        deadline: Duration,
        bytes_max: usize,
    ) -> Result<String, ScrapeError> {
        let url = format!("{LOCAL_URL}{path}");
        let client =
            clients::local(socket).map_err(|source| ScrapeError::Request { url: url.clone(), source })?;
        page_within(deadline, &client, &url, None, bytes_max).await
    }
}

async fn page_within(
    deadline: Duration,
    client: &Client,
    url: &str,
    authorization: Option<HeaderValue>,
    bytes_max: usize,
) -> Result<String, ScrapeError> {
    let deadline = Deadline::after(deadline);
    let late = |_| ScrapeError::Deadline { url: url.to_owned(), deadline_ms: deadline.after.as_millis() };
    timeout_at(deadline.at, page(client, url, authorization, bytes_max)).await.map_err(late)?
}

async fn page(
    client: &Client,
    url: &str,
    authorization: Option<HeaderValue>,
    bytes_max: usize,
) -> Result<String, ScrapeError> {
    let url = || url.to_owned();
    let broken = |source: reqwest::Error| ScrapeError::Request { url: url(), source: source.without_url() };
    let mut request = client.get(url());
    if let Some(authorization) = authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    let response = request.send().await.map_err(broken)?;
    let status = response.status().as_u16();
    if status != 200 {
        return Err(ScrapeError::Status { url: url(), status });
    }
    let body = body::read(response, bytes_max).await.map_err(|error| match error {
        BodyError::TooLong(bytes_max) => ScrapeError::TooLong { url: url(), bytes_max },
        BodyError::Broken(source) => broken(source),
    })?;
    String::from_utf8(body).map_err(|source| ScrapeError::NotText { url: url(), source })
}
