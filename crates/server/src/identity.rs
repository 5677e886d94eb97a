//! Owns who we are to a system that is asked over HTTP, and whom it has to be: read anew where the configuration says.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use probe::Tls;
use reqwest::header::HeaderValue;

use crate::config::Secret;
use crate::secrets::{SecretError, Secrets};

/// The largest file of certificates, in bytes.
const PEM_BYTES_MAX: u64 = 1024 * 1024;

/// Why that is not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentityError {
    /// A secret cannot be had.
    #[error("who we are to it is not known")]
    Secret(#[from] SecretError),
    /// A secret is no value of a header.
    #[error("{0} holds no value of a header")]
    Header(Secret),
    /// A file of certificates cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// The value of the header `Authorization`.
///
/// # Errors
/// Where the secret cannot be had, or is no value of a header.
pub(crate) async fn authorization(
    secrets: &Secrets,
    secret: Option<&Secret>,
) -> Result<Option<HeaderValue>, IdentityError> {
    let Some(secret) = secret else { return Ok(None) };
    let value = secrets.read(secret).await?.header();
    value.map(Some).ok_or_else(|| IdentityError::Header(secret.clone()))
}

/// The certificates that are trusted, and our own with its key.
///
/// # Errors
/// Where a file or the key cannot be had.
pub(crate) async fn tls(
    secrets: &Secrets,
    ca: Option<&Path>,
    own: Option<(&Path, &Secret)>,
) -> Result<Tls, IdentityError> {
    let mut tls = Tls { roots_pem: ca.map(pem).transpose()?, identity_pem: None };
    if let Some((certificate, key)) = own {
        let mut identity = pem(certificate)?;
        identity.push(b'\n');
        identity.extend_from_slice(secrets.read(key).await?.reveal().as_bytes());
        tls.identity_pem = Some(identity);
    }
    Ok(tls)
}

fn pem(path: &Path) -> Result<Vec<u8>, IdentityError> {
    let read = || {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(PEM_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|source| IdentityError::Certificates { path: path.to_owned(), source })
}
