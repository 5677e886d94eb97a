//! Owns the client of the API, for the command line: over the local socket, or over the network by a token.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, LINK};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::api::wire::{Detail, Problem};

/// How long an answer may take that waits for nothing.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// How long an answer may take for which much is read.
const PATIENCE_MAX: Duration = Duration::from_secs(600);

/// Parts of a list that are asked for, one after another: whoever has more has no end.
const PARTS_MAX: usize = 1_000;

/// A client of one `serve`.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    at: At,
}

/// A file on its way.
#[derive(Debug)]
pub struct Download(reqwest::Response);

/// Where it is.
#[derive(Debug, Clone)]
enum At {
    Socket(PathBuf),
    /// Without a slash at its end.
    Url(String),
}

/// What a refusal says.
#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    Problem(Problem),
    /// As Prometheus says it.
    Error {
        error: String,
    },
}

/// Why there is no answer, or a bad one.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens at the socket.
    #[error("no `paramedic serve` answers at `{}`; start one, or name its configuration with --config", path.display())]
    NotReachable {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: reqwest::Error,
    },
    /// Nobody answers over the network.
    #[error("no `paramedic serve` answers at `{url}`")]
    Away {
        /// The address.
        url: String,
        /// Why.
        source: reqwest::Error,
    },
    /// It is no address of a `serve`, or no token.
    #[error("{0}")]
    Unusable(String),
    /// It refused.
    #[error("{message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Its words.
        message: String,
    },
    /// Its answer is not understood.
    #[error("the answer of `paramedic serve` is not understood; are both of one version?")]
    Answer(#[source] reqwest::Error),
}

// === impl Client ===

impl Client {
    /// A client of the socket `path`. Nothing is connected yet.
    ///
    /// # Errors
    /// Where the HTTP client cannot be made.
    pub fn new(path: &Path) -> Result<Self, ClientError> {
        probe::install_crypto();
        // Nothing is encrypted on a local socket: the certificates of the host need not be read.
        let http = reqwest::Client::builder()
            .unix_socket(path)
            .no_proxy()
            .tls_certs_only([])
            .build()
            .map_err(ClientError::Answer)?;
        Ok(Self { http, at: At::Socket(path.to_owned()) })
    }

    /// A client of the `serve` at `url`, for whoever has the word of a token. Nothing is connected yet.
    ///
    /// # Errors
    /// Where the address is none of HTTP, the word cannot be a token's, or the HTTP client cannot be made.
    pub fn over_network(url: &str, word: &str) -> Result<Self, ClientError> {
        let address = reqwest::Url::parse(url).ok().filter(|address| {
            matches!(address.scheme(), "http" | "https")
                && address.username().is_empty()
                && address.query().is_none()
        });
        let unusable = || ClientError::Unusable(format!("`{url}` is no address like http://127.0.0.1:7477"));
        let address = address.ok_or_else(unusable)?;
        let mut word = HeaderValue::try_from(format!("Bearer {}", word.trim()))
            .map_err(|_| ClientError::Unusable("this is no word of a token".to_owned()))?;
        word.set_sensitive(true);
        probe::install_crypto();
        let http = reqwest::Client::builder()
            .default_headers(HeaderMap::from_iter([(AUTHORIZATION, word)]))
            // The word goes to this address, and nowhere else.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(ClientError::Answer)?;
        Ok(Self { http, at: At::Url(address.as_str().trim_end_matches('/').to_owned()) })
    }

    /// Asks for JSON.
    ///
    /// # Errors
    /// Where nobody answers, or the answer is a refusal.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.get_within(path, ANSWER_MAX).await
    }

    /// Asks for JSON that may come as late as `timeout`.
    ///
    /// # Errors
    /// Where nobody answers, or the answer is a refusal.
    pub async fn get_within<T: DeserializeOwned>(
        &self,
        path: &str,
        timeout: Duration,
    ) -> Result<T, ClientError> {
        Ok(self.part(path, timeout).await?.0)
    }

    /// Asks for JSON for which much has to be read first.
    ///
    /// # Errors
    /// Where nobody answers, or the answer is a refusal.
    pub async fn get_patiently<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.get_within(path, PATIENCE_MAX).await
    }

    /// Asks for a file.
    ///
    /// # Errors
    /// Where nobody answers, or the answer is a refusal.
    pub async fn download(&self, path: &str) -> Result<Download, ClientError> {
        Ok(Download(self.send(self.http.get(self.url(path)).timeout(PATIENCE_MAX)).await?))
    }

    /// Asks for a list, until its end or until it has `most`.
    ///
    /// # Errors
    /// Where nobody answers, or the answer is a refusal.
    pub async fn list<T: DeserializeOwned>(&self, path: &str, most: usize) -> Result<Vec<T>, ClientError> {
        let (mut all, mut next) = (Vec::new(), Some(path.to_owned()));
        for _ in 0..PARTS_MAX {
            let Some(path) = next.filter(|_| all.len() < most) else { break };
            let (part, following): (Vec<T>, _) = self.part(&path, ANSWER_MAX).await?;
            all.extend(part);
            next = following;
        }
        all.truncate(most);
        Ok(all)
    }

    /// Asks a question for a list, until its end or until it has `most`.
    ///
    /// # Errors
    /// Where nobody answers, or the answer is a refusal.
    pub async fn find<T: DeserializeOwned>(
        &self,
        path: &str,
        question: &impl Serialize,
        most: usize,
    ) -> Result<Vec<T>, ClientError> {
        self.list(&with_query(path, question)?, most).await
    }

    /// Asks a question for JSON.
    ///
    /// # Errors
    /// Where nobody answers, or the answer is a refusal.
    pub async fn question<T: DeserializeOwned>(
        &self,
        path: &str,
        question: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.get(&with_query(path, question)?).await
    }

    /// Asks a question for JSON for which much has to be done first.
    ///
    /// # Errors
    /// Where nobody answers in that time, or the answer is a refusal.
    pub async fn question_within<T: DeserializeOwned>(
        &self,
        path: &str,
        question: &impl Serialize,
        timeout: Duration,
    ) -> Result<T, ClientError> {
        self.get_within(&with_query(path, question)?, timeout).await
    }

    /// Asks for an incident, whole.
    ///
    /// # Errors
    /// Where nobody answers, or the answer is a refusal.
    pub async fn incident(&self, typed: &str) -> Result<Detail, ClientError> {
        let first = format!("/api/v1/incidents/{typed}");
        let (mut whole, mut next): (Detail, _) = self.part(&first, ANSWER_MAX).await?;
        for _ in 0..PARTS_MAX {
            let Some(path) = next else { break };
            let (part, following): (Detail, _) = self.part(&path, ANSWER_MAX).await?;
            whole.timeline.extend(part.timeline);
            next = following;
        }
        Ok(whole)
    }

    /// Asks for JSON, and where it goes on.
    async fn part<T: DeserializeOwned>(
        &self,
        path: &str,
        timeout: Duration,
    ) -> Result<(T, Option<String>), ClientError> {
        let response = self.send(self.http.get(self.url(path)).timeout(timeout)).await?;
        let next = response.headers().get(LINK).and_then(|link| next_of(path, link.to_str().ok()?));
        Ok((response.json().await.map_err(ClientError::Answer)?, next))
    }

    /// Asks for JSON with parameters in the query string.
    ///
    /// # Errors
    /// Where nobody answers, or the answer is a refusal.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        parameters: &[(&str, String)],
    ) -> Result<T, ClientError> {
        let query = serde_urlencoded::to_string(parameters).unwrap_or_default();
        self.get(&format!("{path}?{query}")).await
    }

    /// Asks for text.
    ///
    /// # Errors
    /// Where nobody answers, or the answer is a refusal.
    pub async fn get_text(&self, path: &str) -> Result<String, ClientError> {
        let response = self.send(self.http.get(self.url(path)).timeout(ANSWER_MAX)).await?;
        response.text().await.map_err(ClientError::Answer)
    }

    /// Asks for something to be done, which may take as long as `timeout`.
    ///
    /// # Errors
    /// Where nobody answers, or the answer is a refusal.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        timeout: Duration,
    ) -> Result<T, ClientError> {
        let response = self.send(self.http.post(self.url(path)).json(body).timeout(timeout)).await?;
        response.json().await.map_err(ClientError::Answer)
    }

    /// Sends spans, in protobuf.
    ///
    /// # Errors
    /// Where nobody answers, or the answer is a refusal.
    pub async fn send_traces(&self, message: Vec<u8>) -> Result<(), ClientError> {
        let request = self.http.post(self.url("/v1/traces")).header("content-type", "application/x-protobuf");
        self.send(request.body(message).timeout(ANSWER_MAX)).await.map(drop)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, ClientError> {
        let response = request.send().await.map_err(|source| self.unreachable(source))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let said = response.json::<Said>().await.ok().map(|said| match said {
            Said::Problem(problem) => problem.detail,
            Said::Error { error } => error,
        });
        let message = said.unwrap_or_else(|| format!("paramedic serve answered {status}"));
        Err(ClientError::Refused { status: status.as_u16(), message })
    }

    fn unreachable(&self, source: reqwest::Error) -> ClientError {
        match &self.at {
            At::Socket(path) => ClientError::NotReachable { path: path.clone(), source },
            At::Url(url) => ClientError::Away { url: url.clone(), source: source.without_url() },
        }
    }

    fn url(&self, path: &str) -> String {
        match &self.at {
            // The host is of no meaning on a local socket.
            At::Socket(_) => format!("http://paramedic{path}"),
            At::Url(url) => format!("{url}{path}"),
        }
    }
}

// === impl Download ===

impl Download {
    /// What comes next of it; nothing at its end.
    ///
    /// # Errors
    /// Where it breaks off.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        let chunk = self.0.chunk().await.map_err(ClientError::Answer)?;
        Ok(chunk.map(Vec::from))
    }
}

fn with_query(path: &str, question: &impl Serialize) -> Result<String, ClientError> {
    let unclear = |error| ClientError::Unusable(format!("the question has no form: {error}"));
    let query = serde_urlencoded::to_string(question).map_err(unclear)?;
    Ok(format!("{path}?{query}"))
}

/// Where a list goes on, as its `Link` says: `<?cursor=…>; rel="next"`, beside the path of the part before.
fn next_of(path: &str, link: &str) -> Option<String> {
    let query = link.strip_prefix('<')?.strip_suffix(">; rel=\"next\"")?;
    let path = path.split('?').next()?;
    query.starts_with('?').then(|| format!("{path}{query}"))
}

#[cfg(test)]
mod tests {
    use super::next_of;

    #[test]
    fn a_list_goes_on_at_the_same_place() {
        let check = |link: &str, expect: Option<&str>| {
            assert_eq!(next_of("/api/v1/x?limit=1", link).as_deref(), expect, "{link}");
        };
        check("<?limit=1&cursor=ab>; rel=\"next\"", Some("/api/v1/x?limit=1&cursor=ab"));
        // It goes nowhere else with the word of a token.
        check("<http://evil.example/?cursor=ab>; rel=\"next\"", None);
        check("<//evil.example?cursor=ab>; rel=\"next\"", None);
        check("<?cursor=ab>; rel=\"last\"", None);
        check("", None);
    }
}
