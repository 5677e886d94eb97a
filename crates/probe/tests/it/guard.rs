//! Owns the tests of liveness behind a guard.

use probe::{CheckType, Endpoint, Health, Report};

use crate::server::{Manner, Server, answer, refusing};
use crate::{PATIENT, SHORT, prober, target};

async fn ask(base_url: &str) -> Report {
    prober().liveness(&target(Endpoint::Guard { base_url: base_url.to_owned() }), PATIENT).await
}

#[tokio::test]
async fn status_200_is_healthy() {
    let server = Server::saying("200 OK", r#"{"status":"healthy"}"#).await;
    let report = ask(&server.url("/")).await;
    assert_eq!((report.target.as_str(), report.check), ("alpha", CheckType::Liveness));
    assert_eq!((report.health, report.reason.as_str()), (Health::Healthy, "healthy"));
    assert!(report.duration_ms > 0.0 && report.dependencies.is_empty());
    assert_eq!(server.requests()[0].path, "/health");

    let bare = Server::saying("200 OK", "").await;
    assert_eq!(ask(&bare.url("")).await.reason, "the server answers");
}

#[tokio::test]
async fn another_status_says_why() {
    let body = r#"{"status":"unhealthy","reason":"the server has\nexited with code 1"}"#;
    let server = Server::saying("503 Service Unavailable", body).await;
    let report = ask(&server.url("")).await;
    assert_eq!(report.health, Health::Unhealthy);
    assert_eq!(report.reason, "the server has exited with code 1 (HTTP 503)");

    for body in ["", "garbage", "[1]", r#"{"reason":7}"#, r#"{"reason":"   "}"#] {
        let server = Server::saying("503 Service Unavailable", body).await;
        assert_eq!(ask(&server.url("")).await.reason, "HTTP 503", "{body}");
    }
    let server = Server::saying("204 No Content", "").await;
    assert_eq!(ask(&server.url("")).await.health, Health::Unhealthy);
}

#[tokio::test]
async fn nobody_listens() {
    let report = ask(&format!("http://{}", refusing().await)).await;
    assert_eq!((report.health, report.reason.as_str()), (Health::Unhealthy, "connection refused"));
}

#[tokio::test]
async fn the_deadline_ends_it() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n".to_vec();
    let silent = Server::start(|_| Manner::Silent).await;
    let drips = Server::start(move |_| Manner::Drips(head.clone())).await;
    let drips_head = Server::start(|_| Manner::Drips(b"HTTP/1.1 200 ".to_vec())).await;
    for server in [silent, drips, drips_head] {
        let endpoint = Endpoint::Guard { base_url: server.url("") };
        let report = prober().liveness(&target(endpoint), SHORT).await;
        assert_eq!((report.health, report.reason.as_str()), (Health::Unhealthy, "no answer within 200 ms"));
        assert!(report.duration_ms < 10_000.0, "{report:?}");
    }
}

#[tokio::test]
async fn what_is_not_http_is_no_answer() {
    let garbage = Server::start(|_| Manner::Says(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec())).await;
    assert_eq!(ask(&garbage.url("")).await.health, Health::Unhealthy);
    let closes = Server::start(|_| Manner::Says(Vec::new())).await;
    assert_eq!(ask(&closes.url("")).await.health, Health::Unhealthy);
    // The status is the answer, whatever is wrong with the explanation.
    let long = Server::start(|_| Manner::Says(answer("503 X", "", &"x".repeat(2 << 20)))).await;
    assert_eq!(ask(&long.url("")).await.reason, "HTTP 503");
}

#[tokio::test]
async fn an_address_that_is_none_is_unknown() {
    for url in ["", "localhost", "ftp://localhost", "http://["] {
        let report = ask(url).await;
        assert_eq!(report.health, Health::Unknown, "{url}: {}", report.reason);
        assert!(report.reason.starts_with("the address is none"), "{}", report.reason);
    }
}
