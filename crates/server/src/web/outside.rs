//! Owns what stands before every page: under which names this is reached, from which pages forms come, and what a browser
//! is told to hold of the answer.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::Web;

/// What a page may load: its own style sheet and its own script, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; \
     form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Lets a request pass that comes by a name of ours and, where it changes something, from a page of ours.
pub(super) async fn check(State(web): State<Arc<Web>>, request: Request, next: Next) -> Response {
    // Programs ask there, and what the API does not have is no page either.
    let path = request.uri().path();
    if ["/api/", "/prometheus/", "/v1/"].iter().any(|begin| path.starts_with(begin)) {
        return (StatusCode::NOT_FOUND, "there is nothing here\n").into_response();
    }
    let names = &web.flow.world.config.api.names;
    let mut response = match refused(names, request.method(), request.headers()) {
        Some((status, words)) => (status, words).into_response(),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    // A page that has said something of its own keeps it.
    let all = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, "no-store"),
        // With `no-referrer` a browser would not say from which page a form of ours comes.
        (REFERRER_POLICY, "same-origin"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
    ];
    for (name, value) in all {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

fn refused(names: &[String], method: &Method, headers: &HeaderMap) -> Option<(StatusCode, String)> {
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    let host = headers.get(HOST).and_then(text).unwrap_or_default();
    if !is_ours(names, &host) {
        let words = format!("nobody is known here as `{}` (`names` of [api])\n", incident::plain(&host));
        return Some((StatusCode::MISDIRECTED_REQUEST, words));
    }
    let looks = *method == Method::GET || *method == Method::HEAD;
    if looks || is_from_us(names, &host, headers) {
        return None;
    }
    Some((StatusCode::FORBIDDEN, "this comes from a page of somebody else\n".to_owned()))
}

/// Whether a browser that comes by this name means us. A name of somebody else may have been led to our address; an
/// address itself cannot.
pub(crate) fn is_ours(names: &[String], host: &str) -> bool {
    let name = host_name(host);
    let is_address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
    is_address || name == "localhost" || names.iter().any(|one| one.to_ascii_lowercase() == name)
}

/// Whether what changes something comes from a page of ours: by what the browser itself says of it.
fn is_from_us(names: &[String], host: &str, headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if site.is_some_and(|site| site != b"same-origin") {
        return false;
    }
    let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok()).unwrap_or_default();
    let Some((_, from)) = origin.split_once("://") else { return false };
    // A proxy in front may say our own address as the host: its name is one of those that are known.
    from.eq_ignore_ascii_case(host) || names.iter().any(|one| one.to_ascii_lowercase() == host_name(from))
}

/// Whether a form came by TLS, which something in front of us speaks.
pub(super) fn is_by_tls(headers: &HeaderMap) -> bool {
    headers.get(ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"))
}

/// The name of a host without its port, in small letters.
fn host_name(host: &str) -> String {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (axum::http::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        all.iter().map(pair).collect()
    }

    #[test]
    fn a_name_of_somebody_else_is_not_answered() {
        let names = ["ops.example.org".to_owned()];
        let good = [
            "localhost:7477",
            "127.0.0.1:7477",
            "[::1]:7477",
            "[::1]",
            "10.0.0.7",
            "LocalHost.",
            "OPS.example.org",
        ];
        for host in good {
            assert_eq!(refused(&names, &Method::GET, &headers(&[("host", host)])), None, "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example:7477",
            "127.0.0.1.evil.example",
            "",
            "ops.example.org.evil",
        ] {
            let refused = refused(&names, &Method::GET, &headers(&[("host", host)]));
            assert_eq!(refused.map(|one| one.0), Some(StatusCode::MISDIRECTED_REQUEST), "{host}");
        }
        assert!(refused(&names, &Method::GET, &HeaderMap::new()).is_some(), "no host at all");
    }

    #[test]
    fn a_form_comes_from_our_own_page() {
        let check = |all: &[(&'static str, &str)], expect: bool| {
            let mut all = all.to_vec();
            if !all.iter().any(|one| one.0 == "host") {
                all.push(("host", "127.0.0.1:7477"));
            }
            let names = ["ops.example.org".to_owned()];
            assert_eq!(refused(&names, &Method::POST, &headers(&all)).is_none(), expect, "{all:?}");
        };
        let ours = ("origin", "http://127.0.0.1:7477");
        check(&[ours], true);
        check(&[ours, ("sec-fetch-site", "same-origin")], true);
        check(&[("origin", "https://ops.example.org"), ("host", "ops.example.org")], true);
        check(&[("origin", "https://ops.example.org")], true);
        check(&[], false);
        check(&[("sec-fetch-site", "same-origin")], false);
        check(&[("origin", "null")], false);
        check(&[("origin", "http://127.0.0.1:8080")], false);
        check(&[("origin", "https://evil.example")], false);
        check(&[ours, ("sec-fetch-site", "cross-site")], false);
        check(&[ours, ("sec-fetch-site", "same-site")], false);
    }
}
