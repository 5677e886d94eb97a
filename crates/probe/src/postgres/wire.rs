//! Owns the connection to a database, in the open or private: whether TLS is spoken, and who is believed.
//!
//! Before the first message of a session eight bytes ask for TLS; the answer is one letter, `S` or `N`. No more than that letter
//! is read before the keys are agreed on, so that nobody in between can put words before them.

use std::io;
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::place::{Place, SslMode, Way};
use crate::dig::CertificateFault;
use crate::reason;

/// `SSLRequest`: its length, and the number that no version of the protocol has.
const WANTS_TLS: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// More is no list of certificates.
const ROOTS_BYTES_MAX: u64 = 4 << 20;

/// Both directions of a session.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Why there is no session.
#[derive(Debug)]
pub(super) enum Missing {
    /// It is not reached, or breaks off.
    Broken(io::Error),
    /// It has no TLS, which is wanted.
    NoTls,
    /// No keys were agreed on.
    Refused { why: String, fault: Option<CertificateFault> },
    /// Whom to trust is not known here, which says nothing about the database.
    NoRoots(String),
}

/// Connects. Whether the other side has shown who it is stands beside the connection.
pub(super) async fn open(place: &Place<'_>, way: Way) -> Result<(Box<dyn Wire>, bool), Missing> {
    let stream = TcpStream::connect((place.host, place.port)).await.map_err(Missing::Broken)?;
    if way == Way::Open {
        return Ok((Box::new(stream), false));
    }
    let (config, is_checked) = trust(place).await?;
    let mut stream = stream;
    let offered = async {
        stream.write_all(&WANTS_TLS).await?;
        stream.read_u8().await
    };
    match (offered.await.map_err(Missing::Broken)?, way) {
        (b'S', _) => {}
        (b'N', Way::PrivateIfOffered) => return Ok((Box::new(stream), false)),
        (b'N', _) => return Err(Missing::NoTls),
        _ => return Err(Missing::Broken(io::Error::other("it speaks no PostgreSQL"))),
    }
    let name = match (ServerName::try_from(place.host.to_owned()), stream.peer_addr()) {
        (Ok(name), _) => name,
        (Err(_), Ok(peer)) if place.mode != SslMode::VerifyFull => ServerName::from(peer.ip()),
        _ => return Err(Missing::NoRoots(format!("`{}` is no name for a certificate", place.host))),
    };
    match TlsConnector::from(config).connect(name, stream).await {
        Ok(stream) => Ok((Box::new(stream), is_checked)),
        Err(error) => Err(Missing::Refused {
            why: reason::of_error(&error),
            fault: CertificateFault::of(&error).filter(|_| is_checked),
        }),
    }
}

/// Who is believed, and whether that is less than everybody.
async fn trust(place: &Place<'_>) -> Result<(Arc<ClientConfig>, bool), Missing> {
    let provider = Arc::new(ring::default_provider());
    let unreadable = |error: &dyn std::fmt::Display| Missing::NoRoots(error.to_string());
    // As libpq has it: with a file of whom to trust, `require` looks at who signed.
    let is_checked = match place.mode {
        SslMode::VerifyCa | SslMode::VerifyFull => true,
        SslMode::Require => place.roots.is_some(),
        SslMode::Disable | SslMode::Allow | SslMode::Prefer => false,
    };
    let inner: Option<Arc<dyn ServerCertVerifier>> = match place.roots {
        _ if !is_checked => None,
        Some(file) => {
            let roots = roots(file).await.map_err(|why| Missing::NoRoots(format!("`{file}`: {why}")))?;
            let built = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
            Some(built.build().map_err(|error| unreadable(&error))?)
        }
        None => Some(platform(&provider).map_err(|error| unreadable(&error))?),
    };
    let verifier =
        Believed { inner, names_count: place.mode == SslMode::VerifyFull, provider: Arc::clone(&provider) };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unreadable(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok((Arc::new(config), is_checked))
}

/// Those whom this machine trusts: a hundred certificates, read once.
fn platform(provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, rustls::Error> {
    static PLATFORM: OnceLock<Arc<rustls_platform_verifier::Verifier>> = OnceLock::new();
    if let Some(known) = PLATFORM.get() {
        return Ok(known.clone());
    }
    let read = rustls_platform_verifier::Verifier::new(Arc::clone(provider))?;
    Ok(PLATFORM.get_or_init(|| Arc::new(read)).clone())
}

async fn roots(file: &str) -> Result<RootCertStore, String> {
    // A FIFO in the place of a file would keep us waiting.
    if !tokio::fs::metadata(file).await.map_err(|error| reason::of_error(&error))?.is_file() {
        return Err("it is no file".to_owned());
    }
    let file = tokio::fs::File::open(file).await.map_err(|error| reason::of_error(&error))?;
    let mut text = Vec::new();
    file.take(ROOTS_BYTES_MAX).read_to_end(&mut text).await.map_err(|error| reason::of_error(&error))?;
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&text).flatten());
    if added == 0 { Err("no certificate is in it".to_owned()) } else { Ok(roots) }
}

/// Whoever signed, with the name or without it, or anybody: what `sslmode` means.
#[derive(Debug)]
struct Believed {
    inner: Option<Arc<dyn ServerCertVerifier>>,
    names_count: bool,
    provider: Arc<CryptoProvider>,
}

// === impl Believed ===

impl ServerCertVerifier for Believed {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(inner) = &self.inner else { return Ok(ServerCertVerified::assertion()) };
        match inner.verify_server_cert(certificate, between, name, ocsp, now) {
            // The name is looked at last, when all else is well.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.names_count => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
