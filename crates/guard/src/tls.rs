//! Owns TLS towards clients: the certificate, and telling it from plain HTTP.
//!
//! ```toml
//! [tls]
//! certificate_file = "guard.crt"    # PEM: the certificate, then those that vouch for it
//! key_file = "guard.key"            # PEM; root's or the guard's user's, closed to others
//! ```
//!
//! With it, whoever comes from elsewhere speaks TLS. From this machine plain HTTP is taken as well, at the same port:
//! the runbook's `curl`, `serve`, and whoever looks at `/health`. What is said first tells which it is.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::admin::access::Ends;
use crate::own::OwnError;
use crate::secret::read_private;

/// Whoever takes longer to say hello does not mean it.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// The first byte of TLS: a record of its handshake.
const HANDSHAKE: u8 = 0x16;
/// The answer to plain HTTP from elsewhere.
const PLAIN: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 27\r\nconnection: close\r\n\r\nthis port speaks https only";

/// What the guard shows to be itself.
#[derive(Clone)]
pub(crate) struct Tls {
    table: Table,
    acceptor: TlsAcceptor,
}

/// The table `[tls]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    certificate_file: PathBuf,
    key_file: PathBuf,
}

/// How the files look from outside, the certificate's first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look([Option<Seen>; 2]);

/// What one file is, and when it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    file: (u64, u64),
    written: (i64, i64),
    bytes: u64,
}

/// A connection, as it is spoken.
pub(crate) enum Spoken {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

// === impl Table, Tls ===

impl Table {
    /// Reads the files. `base` is where the settings are.
    pub(crate) fn read(self, base: &Path) -> Result<Tls, OwnError> {
        let (certificate, key) = (base.join(&self.certificate_file), base.join(&self.key_file));
        let wrong = |path: &Path, reason: String| OwnError::Wrong { path: path.to_owned(), reason };
        let fail = |source| OwnError::Read { path: certificate.clone(), source };
        let text = fs::read(&certificate).map_err(fail)?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        let chain = chain.map_err(|error| wrong(&certificate, format!("it is no PEM: {error}")))?;
        if chain.is_empty() {
            return Err(wrong(&certificate, "there is no certificate in it".to_owned()));
        }
        let refuse = |reason: &str| OwnError::Token { path: key.clone(), reason: reason.to_owned() };
        let text = read_private(&key, refuse)?;
        let private = PrivateKeyDer::from_pem_slice(text.as_bytes())
            .map_err(|error| wrong(&key, format!("there is no key in it: {error}")))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private));
        let mut config =
            config.map_err(|error| wrong(&certificate, format!("it cannot be used: {error}")))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Tls { table: self, acceptor: TlsAcceptor::from(Arc::new(config)) })
    }
}

impl Tls {
    /// Reads the files again. `base` is where the settings are.
    pub(crate) fn again(&self, base: &Path) -> Result<Self, OwnError> {
        self.table.clone().read(base)
    }

    /// What the files look like from outside: another look is another certificate. A file that is not there looks like
    /// nothing.
    pub(crate) fn look(&self, base: &Path) -> Look {
        let look = |path: &Path| {
            let of = fs::metadata(base.join(path)).ok()?;
            Some(Seen { file: (of.dev(), of.ino()), written: (of.mtime(), of.mtime_nsec()), bytes: of.len() })
        };
        Look([look(&self.table.certificate_file), look(&self.table.key_file)])
    }

    /// Finds out how a client speaks, and answers in the same way.
    ///
    /// # Errors
    /// When it does neither, or not in time.
    pub(crate) async fn accept(&self, mut stream: TcpStream, ends: Ends) -> io::Result<Spoken> {
        let accept = async {
            let mut first = [0];
            if stream.peek(&mut first).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if first == [HANDSHAKE] {
                return self.acceptor.accept(stream).await.map(|stream| Spoken::Tls(Box::new(stream)));
            }
            if ends.are_local() {
                return Ok(Spoken::Plain(stream));
            }
            stream.write_all(PLAIN).await?;
            stream.shutdown().await?;
            Err(io::Error::other("plain HTTP from elsewhere, where only TLS is taken"))
        };
        tokio::time::timeout(HANDSHAKE_MAX, accept)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        self.table == other.table
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.table.fmt(f)
    }
}
