//! Owns asking a Prometheus, or whoever speaks as it does, for samples of the past: raw ones, piece by piece.
//!
//! A selector with a range yields the samples as they were taken. What it does not yield is where series ended: such a
//! series counts for five minutes more.

use std::time::Duration;

use incident::error_chain;
use metrics::{History, HistoryFull, Labels};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, StatusCode};
use serde::Deserialize;

use crate::remote::{REFUSAL_BYTES_MAX, TENANT, plain};

/// The stretch of time of the first question, in milliseconds.
const PIECE_MS: i64 = 60 * 60_000;
/// It is not made shorter than this.
const PIECE_MIN_MS: i64 = 60_000;
/// The longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// How long one answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// Who is asked, and who asks.
#[derive(Debug, Clone)]
pub struct PastSource {
    /// The address, before `/api/v1`.
    pub url: String,
    /// The value of the header `Authorization`.
    pub authorization: Option<String>,
    /// The tenant, where there are some.
    pub tenant: Option<String>,
    /// How long all questions together may take.
    pub timeout: Duration,
}

/// Why there are no samples.
#[derive(Debug, thiserror::Error)]
pub enum PastError {
    /// The address, or a header, cannot be used.
    #[error("`{0}` cannot be used: {1}")]
    Usage(String, String),
    /// There is no answer.
    #[error("`{url}` does not answer")]
    Ask {
        /// The address.
        url: String,
        /// Why.
        source: reqwest::Error,
    },
    /// The answer is no.
    #[error("`{url}` answers {status}: {said}")]
    Refused {
        /// The address.
        url: String,
        /// The status.
        status: u16,
        /// What it says.
        said: String,
    },
    /// The answer is not understood.
    #[error("`{url}` does not answer as Prometheus does: {reason}")]
    Form {
        /// The address.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A minute of one selector is more than is read.
    #[error(
        "a minute of `{selector}` has more than {ANSWER_BYTES_MAX} bytes: choose rules with narrower selectors"
    )]
    Long {
        /// The selector.
        selector: String,
    },
    /// All together took too long.
    #[error("the samples were not there within {} s: choose a shorter stretch of time, or a longer `--timeout`", .0.as_secs())]
    Late(Duration),
    /// There are too many.
    #[error(transparent)]
    Full(#[from] HistoryFull),
}

/// An answer of `/api/v1/query`.
#[derive(Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    error: String,
    data: Option<Data>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    metric: Labels,
    #[serde(default)]
    values: Vec<(f64, String)>,
}

/// What one question brought.
enum Piece {
    Rows(Vec<Row>),
    /// More than is read at once, or than the other side evaluates.
    TooMuch(PastError),
}

/// Asks for the samples of these selectors, from a moment to another, in milliseconds since the Unix epoch.
///
/// # Errors
///
/// Fails if there is no answer, it is no or not understood, there are too many samples, or it all takes too long.
pub async fn fetch_past(
    source: &PastSource,
    selectors: &[String],
    (from_ms, until_ms): (i64, i64),
) -> Result<History, PastError> {
    let asker = Asker::new(source)?;
    let all = async {
        let mut history = History::default();
        for selector in selectors {
            asker.fetch(selector, from_ms, until_ms, &mut history).await?;
        }
        Ok(history)
    };
    tokio::time::timeout(source.timeout, all).await.map_err(|_| PastError::Late(source.timeout))?
}

struct Asker {
    client: Client,
    url: String,
    headers: HeaderMap,
}

// === impl Asker ===

impl Asker {
    fn new(source: &PastSource) -> Result<Self, PastError> {
        let base = source.url.trim_end_matches('/').trim_end_matches("/api/v1");
        let url = format!("{base}/api/v1/query");
        let parsed = reqwest::Url::parse(&url);
        let is_http = parsed.is_ok_and(|url| ["http", "https"].contains(&url.scheme()));
        if !is_http {
            return Err(PastError::Usage(source.url.clone(), "it is no address of HTTP".to_owned()));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in [(AUTHORIZATION, &source.authorization), (TENANT, &source.tenant)] {
            let Some(value) = value else { continue };
            let mut header = HeaderValue::from_str(value)
                .map_err(|error| PastError::Usage(format!("the header {name}"), error.to_string()))?;
            header.set_sensitive(true);
            headers.insert(name, header);
        }
        probe::install_crypto();
        // It is a person's command, so it goes through the person's proxy, as nothing that `serve` asks does. Whoever is
        // asked must not hand us, and who we are, on to others.
        let builder = Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(ANSWER_MAX);
        let client = builder.build().map_err(|source| PastError::Ask { url: url.clone(), source })?;
        Ok(Self { client, url, headers })
    }

    /// Takes the samples of one selector, in pieces that become shorter where they are too large.
    async fn fetch(
        &self,
        selector: &str,
        from_ms: i64,
        until_ms: i64,
        history: &mut History,
    ) -> Result<(), PastError> {
        let (mut begin_ms, mut length_ms) = (from_ms, PIECE_MS);
        while begin_ms < until_ms {
            let end_ms = begin_ms.saturating_add(length_ms).min(until_ms);
            match self.ask(selector, begin_ms, end_ms).await? {
                Piece::Rows(rows) => {
                    for Row { metric, values } in rows {
                        let samples = values.iter().filter_map(|(seconds, value)| {
                            Some(((seconds * 1e3).round() as i64, value.parse().ok()?))
                        });
                        history.add(metric, samples.collect::<Vec<_>>())?;
                    }
                    begin_ms = end_ms;
                }
                Piece::TooMuch(error) if length_ms <= PIECE_MIN_MS => return Err(error),
                Piece::TooMuch(_) => length_ms = (length_ms / 4).max(PIECE_MIN_MS),
            }
        }
        Ok(())
    }

    async fn ask(&self, selector: &str, begin_ms: i64, end_ms: i64) -> Result<Piece, PastError> {
        // Versions before 3 count a sample at the very beginning, later ones do not: one twice is one.
        let query = format!("{selector}[{}ms]", end_ms - begin_ms);
        let time = format!("{}.{:03}", end_ms.div_euclid(1_000), end_ms.rem_euclid(1_000));
        let failed =
            |source: reqwest::Error| PastError::Ask { url: self.url.clone(), source: source.without_url() };
        let form = [("query", query.as_str()), ("time", time.as_str())];
        let body = serde_urlencoded::to_string(form)
            .map_err(|error| PastError::Usage(selector.to_owned(), error.to_string()))?;
        let request = self.client.post(&self.url).headers(self.headers.clone());
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > ANSWER_BYTES_MAX {
                return Ok(Piece::TooMuch(PastError::Long { selector: selector.to_owned() }));
            }
        }
        self.read(status, &bytes)
    }

    fn read(&self, status: StatusCode, bytes: &[u8]) -> Result<Piece, PastError> {
        let form = |reason: String| PastError::Form { url: self.url.clone(), reason };
        let answer: Result<Answer, _> = serde_json::from_slice(bytes);
        if !status.is_success() {
            let said = match answer {
                Ok(answer) if !answer.error.is_empty() => answer.error,
                _ => plain(&bytes[..bytes.len().min(REFUSAL_BYTES_MAX)]),
            };
            let refused = PastError::Refused { url: self.url.clone(), status: status.as_u16(), said };
            // The query is a good one: it is the samples that are too many.
            let is_too_much = status == StatusCode::UNPROCESSABLE_ENTITY;
            return if is_too_much { Ok(Piece::TooMuch(refused)) } else { Err(refused) };
        }
        let answer = answer.map_err(|error| form(error_chain(&error)))?;
        let data = answer.data.filter(|_| answer.status == "success");
        let data = data.ok_or_else(|| form(format!("status `{}` {}", answer.status, answer.error)))?;
        if data.result_type != "matrix" {
            return Err(form(format!("a matrix was asked for, and a {} came", data.result_type)));
        }
        Ok(Piece::Rows(data.result))
    }
}
