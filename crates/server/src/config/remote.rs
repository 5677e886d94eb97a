//! Owns what the configuration says of any system that is asked over HTTP: where it is, and who we are to it.

use std::path::Path;

use super::{Secret, Span, secret};

/// A system that is asked over HTTP.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Remote<'a> {
    /// Its address.
    pub(crate) url: &'a str,
    /// Where the value of the header `Authorization` is.
    pub(crate) authorization: Option<&'a Secret>,
    /// The value of the header `X-Scope-OrgID`.
    pub(crate) tenant: Option<&'a str>,
    /// The certificates that are trusted in place of those of this machine.
    pub(crate) ca: Option<&'a Path>,
    /// Our own certificate.
    pub(crate) certificate: Option<&'a Path>,
    /// Its key.
    pub(crate) key: Option<&'a Secret>,
    /// How long one question may take.
    pub(crate) timeout: Span,
}

/// What is wrong with it: the key, and why.
pub(super) fn problem(remote: &Remote<'_>) -> Option<(&'static str, String)> {
    let parsed = reqwest::Url::parse(remote.url).ok();
    let url = parsed.filter(|url| ["http", "https"].contains(&url.scheme()) && url.host_str().is_some());
    let Some(url) = url else { return Some(("url", "this is no address of HTTP or HTTPS".to_owned())) };
    if secret::has_password(remote.url) {
        return Some(("url", "no password is written here; name where it is, as `authorization`".to_owned()));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Some(("url", "an address to which paths are added has no `?` and no `#`".to_owned()));
    }
    let by_tls = remote.ca.is_some() || remote.certificate.is_some() || remote.key.is_some();
    if by_tls && url.scheme() != "https" {
        return Some(("url", "certificates are for HTTPS".to_owned()));
    }
    if remote.certificate.is_some() != remote.key.is_some() {
        return Some(("certificate", "a certificate of our own and its key go together".to_owned()));
    }
    if remote.tenant.is_some_and(|tenant| reqwest::header::HeaderValue::from_str(tenant).is_err()) {
        return Some(("tenant", "this can not be the value of a header".to_owned()));
    }
    (remote.timeout.ms() < 10)
        .then(|| ("timeout", format!("`{}` is too short; 10ms is the least", remote.timeout)))
}
