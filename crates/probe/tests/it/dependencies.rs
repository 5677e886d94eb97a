//! Owns the tests of dependencies and of readiness.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use probe::{Check, CheckType, Criticality, Dependency, Endpoint, Health, Report};
use tokio::net::TcpListener;
use tokio::sync::Barrier;

use crate::server::{Manner, Server, answer, refusing};
use crate::{PATIENT, SHORT, prober, with_dependencies};

fn dependency(name: &str, check: Check, critical: Criticality) -> Dependency {
    Dependency { name: name.to_owned(), check, critical }
}

async fn ask_within(check: Check, deadline: Duration) -> (Health, String) {
    let dependencies = vec![dependency("it", check, Criticality::Critical)];
    let target = with_dependencies(Endpoint::Guard { base_url: String::new() }, dependencies);
    let report = prober().check(&target, CheckType::Dependency, deadline).await;
    let found = &report.dependencies[0];
    (found.health, found.reason.clone())
}

async fn ask(check: Check) -> (Health, String) {
    ask_within(check, PATIENT).await
}

fn says(health: Health, reason: &str) -> (Health, String) {
    (health, reason.to_owned())
}

#[tokio::test]
async fn http_below_400_is_healthy() {
    for (status, health) in [
        ("200 OK", Health::Healthy),
        ("204 No Content", Health::Healthy),
        ("304 Not Modified", Health::Healthy),
        ("400 Bad Request", Health::Unhealthy),
        ("401 Unauthorized", Health::Unhealthy),
        ("403 Forbidden", Health::Unhealthy),
        ("500 Internal Server Error", Health::Unhealthy),
    ] {
        let server = Server::saying(status, "").await;
        let expect = says(health, &format!("HTTP {}", &status[..3]));
        assert_eq!(ask(Check::Http { url: server.url("/") }).await, expect);
    }
}

#[tokio::test]
async fn three_redirects_are_followed() {
    let server = Server::start(|request| {
        let left: u32 = request.path[1..].parse().unwrap();
        Manner::Says(match left {
            0 => answer("200 OK", "", ""),
            _ => answer("302 Found", &format!("location: /{}\r\n", left - 1), ""),
        })
    })
    .await;
    assert_eq!(ask(Check::Http { url: server.url("/3") }).await, says(Health::Healthy, "HTTP 200"));
    assert_eq!(
        ask(Check::Http { url: server.url("/4") }).await,
        says(Health::Unhealthy, "too many redirects")
    );
    assert_eq!(server.requests().len(), 8);
}

#[tokio::test]
async fn http_that_does_not_answer() {
    let silent = Server::start(|_| Manner::Silent).await;
    let late = says(Health::Unhealthy, "no answer within 200 ms");
    assert_eq!(ask_within(Check::Http { url: silent.url("/") }, SHORT).await, late);
    let url = format!("http://{}/", refusing().await);
    assert_eq!(ask(Check::Http { url }).await, says(Health::Unhealthy, "connection refused"));
    assert_eq!(ask(Check::Http { url: "x".to_owned() }).await.0, Health::Unknown);
}

#[tokio::test]
async fn tcp_accepts_or_not() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tcp = |address: String| ask(Check::Tcp { address });
    assert_eq!(
        tcp(address.to_string()).await,
        says(Health::Healthy, &format!("{address} accepts connections"))
    );
    // `localhost` may have an IPv6 address first, at which nobody listens.
    assert_eq!(tcp(format!("localhost:{}", address.port())).await.0, Health::Healthy);
    if let Ok(listener) = TcpListener::bind("[::1]:0").await {
        assert_eq!(tcp(listener.local_addr().unwrap().to_string()).await.0, Health::Healthy);
    }
    let nobody = refusing().await;
    assert_eq!(
        tcp(nobody.to_string()).await,
        says(Health::Unhealthy, &format!("{nobody}: connection refused"))
    );
    assert_eq!(tcp("localhost".to_owned()).await, says(Health::Unknown, "`localhost` is not HOST:PORT"));
}

#[tokio::test]
async fn what_this_machine_has() {
    let file = |path: &str| ask(Check::File { path: PathBuf::from(path) });
    assert_eq!(file("/proc/self/stat").await, says(Health::Healthy, "it exists"));
    assert_eq!(file("/no/such/file").await, says(Health::Unhealthy, "no such file"));
    let env = |variable: &str| ask(Check::Env { variable: variable.to_owned(), value: None });
    assert_eq!(env("PATH").await, says(Health::Healthy, "it is set"));
    assert_eq!(env("NO_SUCH_VARIABLE_AT_ALL").await, says(Health::Unhealthy, "it is not set"));
    assert_eq!(ask(Check::Process { name: "no-such-process".to_owned() }).await.0, Health::Unhealthy);
}

/// A guard that answers, and dependencies of which the given ones are there.
async fn readiness(status: &str, critical: &str, optional: &str) -> Report {
    let server = Server::saying(status, "").await;
    let file = |path: &str| Check::File { path: PathBuf::from(path) };
    let dependencies = vec![
        dependency("disk", file(critical), Criticality::Critical),
        dependency("cache", file(optional), Criticality::Optional),
    ];
    let target = with_dependencies(Endpoint::Guard { base_url: server.url("") }, dependencies);
    prober().check(&target, CheckType::Readiness, PATIENT).await
}

#[tokio::test]
async fn readiness_is_liveness_and_dependencies() {
    let summary = |report: &Report| (report.health, report.reason.clone());
    let all = readiness("200 OK", "/", "/").await;
    assert_eq!(summary(&all), says(Health::Healthy, "all dependencies answer"));
    let names: Vec<_> = all.dependencies.iter().map(|report| report.name.as_str()).collect();
    assert_eq!((names, all.check), (vec!["disk", "cache"], CheckType::Readiness));

    let degraded = readiness("200 OK", "/", "/no").await;
    assert_eq!(summary(&degraded), says(Health::Degraded, "dependency `cache`: no such file"));
    let without = readiness("200 OK", "/no", "/no").await;
    assert_eq!(summary(&without), says(Health::Unhealthy, "dependency `disk`: no such file"));
    let dead = readiness("503 X", "/no", "/").await;
    assert_eq!(summary(&dead), says(Health::Unhealthy, "HTTP 503"));
    assert_eq!(dead.dependencies[1].health, Health::Healthy);
}

#[tokio::test]
async fn all_are_asked_at_once() {
    let together = Arc::new(Barrier::new(51));
    let server = Server::start(move |_| Manner::Meets(together.clone())).await;
    let one = |_| dependency("slow", Check::Http { url: server.url("/") }, Criticality::Optional);
    let dependencies: Vec<_> = (0..50).map(one).collect();
    let target = with_dependencies(Endpoint::Guard { base_url: server.url("") }, dependencies);
    let report = prober().readiness(&target, PATIENT).await;
    assert_eq!((report.health, report.dependencies.len()), (Health::Healthy, 50), "{}", report.reason);
}

#[tokio::test]
async fn one_deadline_holds_for_all() {
    let silent = Server::start(|_| Manner::Silent).await;
    // More than are asked at once: what had no turn is late as well.
    let one = |_| dependency("slow", Check::Http { url: silent.url("/") }, Criticality::Optional);
    let dependencies: Vec<_> = (0..200).map(one).collect();
    let target = with_dependencies(Endpoint::Upstream { url: silent.url("/mcp") }, dependencies);
    let report = prober().readiness(&target, SHORT).await;
    assert!(report.duration_ms < 10_000.0, "{} ms", report.duration_ms);
    assert!(report.dependencies.iter().all(|report| report.reason == "no answer within 200 ms"));
}

#[test]
fn the_written_form() {
    let written =
        serde_json::to_string(&(Criticality::Optional, CheckType::Readiness, Health::Degraded)).unwrap();
    assert_eq!(written, r#"["optional","readiness","degraded"]"#);
    let scores = [Health::Healthy, Health::Degraded, Health::Unhealthy, Health::Unknown].map(Health::score);
    assert_eq!(scores, [2, 1, 0, -1]);
}
