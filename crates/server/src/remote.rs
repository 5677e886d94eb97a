//! Owns asking other systems over HTTP, as the configuration says where they are and who we are to them: within a
//! deadline, up to a length, without following anybody elsewhere.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Client, Identity, Method, StatusCode};

use crate::config::{Remote, Secret};
use crate::secrets::{SecretError, Secrets};

/// The largest file of certificates, in bytes.
const PEM_BYTES_MAX: u64 = 1024 * 1024;

/// How much of a refusal is shown, in bytes.
const REFUSAL_BYTES_MAX: usize = 300;

/// The longest that `Retry-After` is believed: whoever says more is asked again all the same.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(5 * 60);

/// The header that names a tenant, of Mimir, Cortex, Loki and others.
const TENANT: HeaderName = HeaderName::from_static("x-scope-orgid");

/// One system that is asked. Its client is made anew only where its certificates or keys have changed.
#[derive(Debug, Default)]
pub(crate) struct Asker {
    client: Mutex<Option<(Pem, Client)>>,
}

/// The certificates and keys of a client.
#[derive(Default, PartialEq, Eq, Clone)]
struct Pem {
    roots: Option<Vec<u8>>,
    identity: Option<Vec<u8>>,
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
    /// Who we are to it is not known.
    #[error("who we are to it is not known")]
    Secret(#[from] SecretError),
    /// A secret can not be a header.
    #[error("{0} holds no value of a header")]
    Header(Secret),
    /// A file of certificates cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Certificates { path: PathBuf, source: std::io::Error },
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
            Self::TooLong(_) | Self::Header(_) => false,
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
        if let Some(secret) = remote.authorization {
            let value = secrets.read(secret).await?.header();
            request = request.header(AUTHORIZATION, value.ok_or_else(|| AskError::Header(secret.clone()))?);
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
        let mut wanted = Pem { roots: remote.ca.map(pem).transpose()?, identity: None };
        if let (Some(certificate), Some(key)) = (remote.certificate, remote.key) {
            let mut identity = pem(certificate)?;
            identity.push(b'\n');
            identity.extend_from_slice(secrets.read(key).await?.reveal().as_bytes());
            wanted.identity = Some(identity);
        }
        let mut held = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = held.as_ref().filter(|(pem, _)| *pem == wanted) {
            return Ok(client.clone());
        }
        let client = build(&wanted).map_err(|error| AskError::Request(error.without_url()))?;
        *held = Some((wanted, client.clone()));
        Ok(client)
    }
}

impl std::fmt::Debug for Pem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[REDACTED]")
    }
}

fn build(pem: &Pem) -> reqwest::Result<Client> {
    probe::install_crypto();
    let mut settings = Client::builder()
        .user_agent(concat!("paramedic/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        // A connection that was kept may be one to a process that is gone.
        .pool_max_idle_per_host(0)
        .redirect(reqwest::redirect::Policy::none());
    if let Some(roots) = &pem.roots {
        settings = settings.tls_certs_only(Certificate::from_pem_bundle(roots)?);
    }
    if let Some(identity) = &pem.identity {
        settings = settings.identity(Identity::from_pem(identity)?);
    }
    settings.build()
}

fn pem(path: &Path) -> Result<Vec<u8>, AskError> {
    let read = || {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(PEM_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|source| AskError::Certificates { path: path.to_owned(), source })
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

/// The beginning of a refusal, for people.
fn said(status: StatusCode, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let reason = status.canonical_reason().map(|reason| format!(" {reason}")).unwrap_or_default();
    if text.trim().is_empty() { reason } else { format!("{reason}: {}", text.trim()) }
}
