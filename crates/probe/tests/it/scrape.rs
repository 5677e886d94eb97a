//! Owns the tests of fetching metrics pages.

use std::time::Duration;

use probe::ScrapeError;

use crate::server::{Manner, Server, answer, refusing};
use crate::{PATIENT, SHORT, prober};

const PAGE: &str = "mcp_server_up 1\n";

async fn scrape(url: &str, deadline: Duration) -> Result<String, ScrapeError> {
    prober().scrape(url, deadline, 1000).await
}

#[tokio::test]
async fn a_page_is_fetched_whole() {
    let server = Server::start(|_| Manner::Says(answer("200 OK", "", PAGE))).await;
    assert_eq!(scrape(&server.url("/metrics"), PATIENT).await.unwrap(), PAGE);
    assert_eq!(server.requests()[0].path, "/metrics");
}

#[tokio::test]
async fn what_is_no_page() {
    let url = format!("http://{}/", refusing().await);
    let error = scrape(&url, PATIENT).await.unwrap_err();
    assert!(matches!(error, ScrapeError::Request { .. }), "{error:?}");
    assert_eq!(error.to_string(), format!("no page from `{url}`"));

    let missing = Server::saying("404 Not Found", "").await;
    assert!(matches!(scrape(&missing.url("/"), PATIENT).await, Err(ScrapeError::Status { status: 404, .. })));

    let long = Server::saying("200 OK", &"x".repeat(1001)).await;
    let error = scrape(&long.url("/"), PATIENT).await.unwrap_err();
    assert!(matches!(error, ScrapeError::TooLong { bytes_max: 1000, .. }), "{error:?}");

    let binary =
        Server::start(|_| Manner::Says(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n\xff".to_vec())).await;
    assert!(matches!(scrape(&binary.url("/"), PATIENT).await, Err(ScrapeError::NotText { .. })));

    let cut =
        Server::start(|_| Manner::Says(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx".to_vec())).await;
    assert!(matches!(scrape(&cut.url("/"), PATIENT).await, Err(ScrapeError::Request { .. })));
}

#[tokio::test]
async fn a_page_that_drips_ends_at_the_deadline() {
    let head = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    let server = Server::start(move |_| Manner::Drips(head.clone())).await;
    let error = prober().scrape(&server.url("/"), SHORT, usize::MAX).await.unwrap_err();
    assert!(matches!(error, ScrapeError::Deadline { deadline_ms: 200, .. }), "{error:?}");
}
