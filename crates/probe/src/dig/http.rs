//! Owns one HTTP request by hand, phase by phase: name, connection, TLS, first byte, the rest.

use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use reqwest::Url;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::ConfigVerifierExt as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::headers::Headers;
use super::names::Names;
use super::{CertificateFault, Dug, families};
use crate::network_checks::host_and_port;
use crate::prober::Deadline;
use crate::reason;
use crate::report::Verdict;

/// A name with more addresses than this is asked at the first ones.
const ADDRESSES_MAX: usize = 16;
/// The time of the rest of an answer is that of its first part.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Asks for `url` with GET. Healthy below 400; no redirect is followed, because whoever redirects has answered.
pub(super) async fn dig(url: &str, names: &Names, deadline: Deadline) -> (Verdict, Dug) {
    let mut dug = Dug::default();
    let verdict = deadline.bound(get(url, names, deadline, &mut dug)).await;
    (verdict, dug)
}

/// Connects to `HOST:PORT`.
pub(super) async fn dig_tcp(address: &str, names: &Names, deadline: Deadline) -> (Verdict, Dug) {
    let mut dug = Dug::default();
    let Some((host, port)) = host_and_port(address) else {
        return (Verdict::unknown(format!("`{address}` is not HOST:PORT")), dug);
    };
    let connect = async {
        match connect(host, port, names, deadline, &mut dug).await {
            Ok(stream) => match stream.peer_addr() {
                Ok(peer) => Verdict::healthy(format!("{peer} accepts connections")),
                Err(_) => Verdict::healthy("it accepts connections"),
            },
            Err(verdict) => verdict,
        }
    };
    let verdict = deadline.bound(connect).await;
    (verdict, dug)
}

async fn get(url: &str, names: &Names, deadline: Deadline, dug: &mut Dug) -> Verdict {
    let Ok(url) = Url::parse(url) else { return Verdict::unknown("the address is none") };
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Verdict::unknown("the address is none");
    };
    let host = host.trim_matches(['[', ']']);
    let stream = match connect(host, port, names, deadline, dug).await {
        Ok(stream) => stream,
        Err(verdict) => return verdict,
    };
    if url.scheme() != "https" {
        return exchange(stream, &url, dug).await;
    }
    let started = Instant::now();
    let connector = match tls() {
        Ok(connector) => connector,
        Err(error) => return Verdict::unknown(format!("no certificates are there to trust: {error}")),
    };
    let Ok(name) = ServerName::try_from(host.to_owned()) else {
        return Verdict::unknown(format!("`{host}` is no name for a certificate"));
    };
    match connector.connect(name, stream).await {
        Ok(stream) => {
            dug.phases.tls = Some(started.elapsed());
            dug.certificate = Some(Ok(()));
            exchange(stream, &url, dug).await
        }
        Err(error) => {
            dug.certificate = CertificateFault::of(&error).map(Err);
            Verdict::unhealthy(reason::of_error(&error))
        }
    }
}

fn tls() -> Result<TlsConnector, rustls::Error> {
    crate::install_crypto();
    Ok(TlsConnector::from(Arc::new(ClientConfig::with_platform_verifier()?)))
}

/// Finds the addresses, asks the name service on the way, and connects to all of them.
async fn connect(
    host: &str,
    port: u16,
    names: &Names,
    deadline: Deadline,
    dug: &mut Dug,
) -> Result<TcpStream, Verdict> {
    let started = Instant::now();
    let look = async {
        let found = timeout_at(deadline.at, lookup_host((host, port))).await;
        (found, started.elapsed())
    };
    let ((found, took), said) = tokio::join!(look, names.ask(host, deadline.at));
    dug.said = said;
    dug.is_unknown = !matches!(found, Ok(Ok(_)));
    let addresses: Vec<SocketAddr> = match found {
        Ok(Ok(addresses)) => addresses.take(ADDRESSES_MAX).collect(),
        Ok(Err(error)) => {
            let why = reason::of_error(&error);
            return Err(Verdict::unhealthy(format!("the name `{host}` has no address: {why}")));
        }
        Err(_) => return Err(Verdict::unhealthy(format!("the name `{host}` was not resolved: {deadline}"))),
    };
    if host.parse::<std::net::IpAddr>().is_err() {
        dug.phases.name = Some(took);
    }
    let (families, first, refused) = families::connect(&addresses, deadline.at).await;
    dug.families = families;
    match (first, refused) {
        (Some((stream, took)), _) => {
            dug.phases.connect = Some(took);
            Ok(stream)
        }
        (None, Some(error)) => Err(Verdict::unhealthy(reason::of_error(&error))),
        (None, None) => Err(Verdict::unhealthy(deadline.to_string())),
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    url: &Url,
    dug: &mut Dug,
) -> Verdict {
    let started = Instant::now();
    let (mut sender, connection) = match http1::handshake(TokioIo::new(stream)).await {
        Ok(pair) => pair,
        Err(error) => return Verdict::unhealthy(reason::of_error(&error)),
    };
    let path = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let host = match url.port() {
        Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
        None => url.host_str().unwrap_or_default().to_owned(),
    };
    let request = hyper::Request::get(path)
        .header(hyper::header::HOST, host)
        .header(hyper::header::USER_AGENT, concat!("paramedic/", env!("CARGO_PKG_VERSION")))
        .body(Empty::<Bytes>::new());
    let Ok(request) = request else { return Verdict::unknown("the address is none") };
    let asking = async {
        let response = sender.send_request(request).await;
        dug.phases.wait = Some(started.elapsed());
        let response = match response {
            Ok(response) => response,
            Err(error) => return Verdict::unhealthy(reason::of_error(&error)),
        };
        let status = response.status().as_u16();
        dug.headers = Headers::of(response.headers(), status);
        let began = Instant::now();
        // A body that is long or broken changes nothing: the status is the answer.
        if let Ok(body) = Limited::new(response.into_body(), BODY_BYTES_MAX).collect().await {
            dug.phases.rest = Some(began.elapsed());
            dug.body = body.to_bytes();
        }
        let reason = format!("HTTP {status}");
        if status < 400 { Verdict::healthy(reason) } else { Verdict::unhealthy(reason) }
    };
    let mut asking = std::pin::pin!(asking);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        verdict = &mut asking => verdict,
        _ = &mut connection => asking.await,
    }
}
