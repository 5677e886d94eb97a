//! Tests of other engines: rules that Debian's Prometheus and VictoriaMetrics answer, samples that are sent to them, and
//! backends that are slow, wrong, endless or away.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex};

use incident::State;
use server::api::wire::{Health, Summary};

use crate::alertmanager::{SLOW, secret};
use crate::monitoring::{Neighbour, Page, get, programs};
use crate::poll::{eventually, pause};
use crate::site::{Server, Setup, Site};

/// What the original runbook asks, in the form in which other engines miss it.
const ORIGINAL: &str = r#"## Security

### Alert: Intruder

**Severity**: Critical\
**Alert Query**: `increase(app_intrusions_total[1m]) > 0`

### Response (0-5 minutes)

1. **Look**

   ```bash {id=look}
   true
   ```
"#;

fn site(tables: &str) -> Site {
    let servers = [Server::notes("notes")];
    let setup = Setup { keys: "runbooks = [\"troubles.md\"]", tables, servers: &servers, verify_seconds: 0 };
    let site = Site::of(&setup);
    fs::write(site.path("troubles.md"), format!("{SLOW}\n{ORIGINAL}")).unwrap();
    site
}

fn incident(site: &Site, title: &str) -> Option<Summary> {
    let all: Vec<Summary> = site.get("/api/v1/incidents")?;
    all.into_iter().find(|one| one.title == title)
}

fn health(site: &Site) -> Health {
    let (_, text) = get(&format!("http://{}/health", site.listen())).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The value that a Prometheus-like engine has for a query that finds one series.
fn one(engine: &Neighbour, query: &str) -> Option<f64> {
    let query: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let (status, text) = get(&engine.url(&format!("/api/v1/query?query={query}")))?;
    assert_eq!(status, 200, "{text}");
    let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
    let [row] = &answer["data"]["result"].as_array()?[..] else { return None };
    row["value"][1].as_str()?.parse().ok()
}

/// The rules of a site over an engine that scrapes a page, and samples that are sent to it.
fn answers_rules_and_takes_samples(site: &mut Site, engine: &Neighbour, page: &Page) {
    site.serve_until_ready(&["notes"]);
    eventually("it is scraped", || one(engine, "app_slow"));
    eventually("nothing lacks", || (health(site).status == "healthy").then_some(()));
    assert!(incident(site, "Server Slow").is_none() && incident(site, "Security").is_none());
    // The first event of a series that was not there before.
    page.set("app_intrusions_total{server_name=\"notes\"}", 1.0);
    page.set("app_slow{server_name=\"notes\"}", 9.0);
    eventually("both rules fire", || incident(site, "Server Slow").zip(incident(site, "Security")));
    assert_eq!(site.run(&["query", "app_slow", "--backend"]).done().split_whitespace().last(), Some("9"));
    let range = site.run(&["query", "app_slow", "--backend", "--since", "1m", "-o", "json"]).done();
    assert!(range.contains("values"), "{range}");
    site.run(&["query", "app_slow"]).failed(1, &["nothing found"]);
    site.run(&["query", "app_slow +", "--backend"])
        .failed(1, &["the metrics backend has no answer: it says:"]);
    page.set("app_slow{server_name=\"notes\"}", 1.0);
    let is_over = |one: &Summary| matches!(one.state, State::Resolved | State::Closed);
    eventually("it is over", || incident(site, "Server Slow").filter(is_over));
    // What the responder makes is there as well.
    let sent = "mcp_server_up{server_name=\"notes\",zone=\"z\"}";
    eventually("our samples are there", || one(engine, sent).filter(|value| *value == 1.0));
    eventually("and all others", || one(engine, "count({zone=\"z\"})").filter(|count| *count > 30.0));
    let metrics = site.metrics();
    assert!(metrics.contains("paramedic_remote_write_samples_total{outcome=\"dropped\"} 0"), "{metrics}");
}

fn tables(engine: &str, url: &str, write: &str) -> String {
    format!(
        "[metrics.backend]\nengine = \"{engine}\"\nurl = \"{url}\"\n\
         [metrics.remote_write]\nurl = \"{write}\"\ninterval = \"250ms\"\nlabels = {{ zone = \"z\" }}\n"
    )
}

#[test]
fn prometheus_answers_the_rules_and_takes_samples() {
    if programs().is_none() {
        return;
    }
    let page = Page::new();
    page.set("app_slow{server_name=\"notes\"}", 1.0);
    // Its address is known when it runs, and the folder of a site before.
    let mut site = site("");
    let scrape = format!(
        "global: {{scrape_interval: 100ms, scrape_timeout: 100ms}}\n\
         scrape_configs: [{{job_name: app, static_configs: [{{targets: ['127.0.0.1:{}']}}]}}]\n",
        page.port()
    );
    let engine = Neighbour::prometheus(&site, &scrape, "", &["--web.enable-remote-write-receiver"]).unwrap();
    let config = fs::read_to_string(site.config()).unwrap();
    site.write_config(&(config + &tables("prometheus", &engine.url(""), &engine.url("/api/v1/write"))));
    site.run(&["config", "check"]).done();
    let doctor = site.run(&["doctor"]).stdout;
    assert!(
        doctor.contains("metrics backend") && doctor.contains(&format!("{} answers", engine.url(""))),
        "{doctor}"
    );
    answers_rules_and_takes_samples(&mut site, &engine, &page);
    away(&mut site, engine, &page);
}

/// While it is away alerts stay as they are, and what is to be sent waits.
fn away(site: &mut Site, mut engine: Neighbour, page: &Page) {
    page.set("app_slow{server_name=\"notes\"}", 9.0);
    let triggered = |site: &Site| {
        let all: Vec<Summary> = site.get("/api/v1/incidents").unwrap_or_default();
        all.into_iter().filter(|one| one.title == "Server Slow" && one.state == State::Mitigated).count()
    };
    eventually("it fires again", || (triggered(site) == 1).then_some(()));
    engine.kill();
    let both =
        |said: &str| said.contains("the metrics backend at") && said.contains("samples can not be sent to");
    let said = eventually("both are said", || Some(health(site).reason).filter(|said| both(said)));
    assert_eq!(health(site).status, "degraded");
    assert!(said.contains("Slow") && said.contains("stay as they are"), "{said}");
    let behind = |site: &Site| {
        let metrics = site.metrics();
        let line =
            metrics.lines().find_map(|line| line.strip_prefix("paramedic_remote_write_behind_seconds "));
        line.unwrap().parse::<f64>().unwrap()
    };
    eventually("it falls behind", || (behind(site) > 4.0).then_some(()));
    assert_eq!(triggered(site), 1, "nothing is concluded from no answer");
    page.set("app_slow{server_name=\"notes\"}", 1.0);
    engine.kill_and_start();
    eventually("nothing lacks", || (health(site).status == "healthy").then_some(()));
    eventually("it has caught up", || (behind(site) < 3.0).then_some(()));
    eventually("it is over", || (triggered(site) == 0).then_some(()));
    // No sample of the time between is missing: the probe makes one every 250 ms.
    eventually("what was missed is there", || {
        one(&engine, "count_over_time(mcp_server_up{zone=\"z\"}[15s])").filter(|count| *count > 40.0)
    });
    assert!(site.metrics().contains("paramedic_remote_write_samples_total{outcome=\"dropped\"} 0"));
    assert_eq!(
        site.serve_log().matches("the metrics backend has no answer").count(),
        1,
        "{}",
        site.serve_log()
    );
}

#[test]
fn victoriametrics_answers_the_rules_and_takes_samples() {
    let Some(folder) = programs().filter(|folder| folder.join("victoria-metrics").is_file()) else {
        println!("SKIPPED: there is no victoria-metrics in PARAMEDIC_TEST_DEBIAN");
        return;
    };
    let page = Page::new();
    page.set("app_slow{server_name=\"notes\"}", 1.0);
    let mut site = site("");
    let engine = Neighbour::victoriametrics(&site, &folder, page.port());
    let config = fs::read_to_string(site.config()).unwrap();
    site.write_config(&(config + &tables("victoriametrics", &engine.url(""), &engine.url("/api/v1/write"))));
    answers_rules_and_takes_samples(&mut site, &engine, &page);
}

/// What a bad backend does with each request.
#[derive(Debug, Clone)]
enum Bad {
    /// Answers so.
    Says(u16, &'static str, String),
    /// Begins an answer that never ends.
    Endless,
    /// Begins an answer and goes on a byte at a time.
    Drips,
    /// Never answers.
    Silent,
}

/// A backend that lives as long as the test process; the last request to it is kept.
fn bad(first: Bad) -> (u16, Arc<Mutex<Bad>>, Arc<Mutex<String>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (how, last) = (Arc::new(Mutex::new(first)), Arc::new(Mutex::new(String::new())));
    let (own, seen) = (Arc::clone(&how), Arc::clone(&last));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (how, seen) = (own.lock().unwrap().clone(), Arc::clone(&seen));
            std::thread::spawn(move || {
                let mut request = vec![0; 8_192];
                let length = stream.read(&mut request).unwrap_or_default();
                *seen.lock().unwrap() = String::from_utf8_lossy(&request[..length]).into_owned();
                match how {
                    Bad::Says(status, more, body) => {
                        let head = format!("HTTP/1.1 {status} X\r\n{more}Connection: close\r\n");
                        let _ = write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len());
                    }
                    Bad::Endless => {
                        let _ = write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
                        while stream.write_all(&[b' '; 65_536]).is_ok() {}
                    }
                    Bad::Drips => {
                        let _ = write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
                        while stream.write_all(b" ").is_ok() {
                            pause();
                        }
                    }
                    // Until whoever asks goes away.
                    Bad::Silent => drop(stream.read(&mut request)),
                }
            });
        }
    });
    (port, how, last)
}

#[test]
fn a_backend_that_is_slow_wrong_or_endless_is_named_and_harms_nobody() {
    let element = |number: usize| format!(r#"{{"metric":{{"server_name":"s{number}"}},"value":[1,"9"]}}"#);
    let vector = |elements: &[String]| {
        format!(
            r#"{{"status":"success","data":{{"resultType":"vector","result":[{}]}}}}"#,
            elements.join(",")
        )
    };
    let (port, how, last) = bad(Bad::Silent);
    let tables = format!(
        "[metrics.backend]\nengine = \"thanos\"\nurl = \"http://127.0.0.1:{port}/base/\"\ntenant = \"team-a\"\n\
         authorization = {{ file = \"word\" }}\ntimeout = \"1s\"\nseries_max = 2\nbytes_max = \"1MiB\"\n\
         parameters = {{ dedup = \"true\" }}\n\
         [metrics.remote_write]\nurl = \"http://127.0.0.1:{port}/write\"\ninterval = \"100ms\"\ntimeout = \"1s\"\n"
    );
    let mut site = site(&tables);
    secret(&site, "word", "Basic czNjcmV0\n");
    site.serve_until_ready(&["notes"]);
    let says = |reason: &str| {
        eventually(reason, || Some(health(&site)).filter(|health| health.reason.contains(reason)));
        assert_eq!(health(&site).status, "degraded");
    };
    says("no answer within 1s");
    let seen = eventually("it is asked", || {
        Some(last.lock().unwrap().clone()).filter(|seen| seen.starts_with("GET /base/api/v1/query?"))
    });
    let lower = seen.to_lowercase();
    for part in [
        "x-scope-orgid: team-a",
        "authorization: basic cznjcmv0",
        "dedup=true",
        "partial_response=false",
        "timeout=1000ms",
    ] {
        assert!(lower.contains(part), "`{part}`: {seen}");
    }
    let set = |answer: Bad| *how.lock().unwrap() = answer;
    set(Bad::Endless);
    says("the answer has more than 1048576 bytes");
    set(Bad::Drips);
    says("no answer within 1s");
    set(Bad::Says(200, "", vector(&(0..3).map(element).collect::<Vec<_>>())));
    says("3 series were found, and 2 are the most (`series_max`)");
    set(Bad::Says(200, "", "<html>sign in</html>".to_owned()));
    says("its answer is not understood");
    set(Bad::Says(
        422,
        "",
        r#"{"status":"error","errorType":"execution","error":"too many samples"}"#.to_owned(),
    ));
    says("it says: too many samples");
    set(Bad::Says(302, "Location: http://127.0.0.1:1/\r\n", String::new()));
    says("HTTP 302");
    set(Bad::Says(503, "Retry-After: 1\r\n", "busy".to_owned()));
    says("HTTP 503 Service Unavailable: busy");
    // Two elements that would be one alert fire nothing either.
    set(Bad::Says(200, "", vector(&[element(1), element(1)])));
    eventually("they are named", || site.serve_log().contains("two elements with the labels").then_some(()));
    // What was refused for good was given up, and what only the responder knows was never in question.
    let dropped = "paramedic_remote_write_samples_total{outcome=\"dropped\"} 0";
    eventually("samples were given up", || (!site.metrics().contains(dropped)).then_some(()));
    let all: Vec<Summary> = site.get("/api/v1/incidents").unwrap();
    assert!(all.is_empty(), "{all:?}");
    assert!(!site.serve_log().contains("czNjcmV0"));
    site.kill("notes");
}

#[test]
fn what_is_wrong_with_an_engine_is_named() {
    let check = |tables: &str, words: &[&str]| site(tables).run(&["config", "check"]).failed(2, words);
    check(
        "[metrics.backend]\nengine = \"influx\"\nurl = \"http://x\"\n",
        &["`influx` is no engine", "victoriametrics"],
    );
    check("[metrics.backend]\nengine = \"mimir\"\nurl = \"ftp://x\"\n", &["url", "no address of HTTP"]);
    check(
        "[metrics.backend]\nengine = \"mimir\"\nurl = \"http://u:p@x\"\n",
        &["no password is written here"],
    );
    check(
        "[metrics.backend]\nengine = \"mimir\"\nurl = \"http://x\"\nca = \"ca.pem\"\n",
        &["certificates are for HTTPS"],
    );
    check("[metrics.backend]\nengine = \"mimir\"\nurl = \"http://x\"\ntenant = \"a\\nb\"\n", &["tenant"]);
    check(
        "[metrics.backend]\nengine = \"mimir\"\nurl = \"http://x\"\nparameters = { query = \"1\" }\n",
        &["`query` is what is asked"],
    );
    check("[metrics.remote_write]\nurl = \"http://x\"\nsamples_max = 0\n", &["samples_max"]);
    check("[alertmanager]\nurl = \"http://x?a=b\"\n", &["has no `?`"]);
    check(
        "[inbound]\nbody_max = \"1B\"\n[inbound.fields]\nname = \"title\"\n",
        &["body_max", "`title` is no JSON pointer"],
    );
}

#[test]
fn exported_rules_say_how_they_were_written_otherwise() {
    let mut text = ORIGINAL.to_owned();
    for (title, alert, query) in [
        ("Down", "Gone", "app_up == 0"),
        ("Slow", "Slow", "histogram_quantile(0.95, sum by (le) (rate(app_seconds_bucket[5m]))) > 5.0"),
    ] {
        text.push_str(&format!("\n## {title}\n\n### Alert: {alert}\n\n**Severity**: Warning\\\n**Alert Query**: `{query}`\n\n### Response (0-5 minutes)\n\n1. **Look**\n\n   ```bash\n   true\n   ```\n"));
    }
    let site = Site::new(&[]);
    fs::write(site.path("original.md"), text).unwrap();
    let file = site.path("original.md");
    let export =
        |engine: &str| site.run(&["rule", "export", "--engine", engine, file.to_str().unwrap()]).done();
    let rules = export("prometheus");
    for part in [
        "# For the engine prometheus:",
        "# Intruder: `increase` of a series",
        "# Gone: `app_up` is gone",
        "# Slow: a quantile is at most",
    ] {
        assert!(rules.contains(part), "{rules}");
    }
    let victoria = export("victoriametrics");
    assert!(
        victoria.contains("# Intruder: `increase` stays")
            && victoria.contains("expr: \"increase(app_intrusions_total[1m]) > 0\""),
        "{victoria}"
    );
    site.run(&["rule", "export", "--engine", "influx", file.to_str().unwrap()])
        .failed(2, &["known are prometheus"]);
    let Some(folder) = programs() else { return };
    // Each fires in the very situation in which the original does not.
    let tests = "rule_files: [rules.yml]\nevaluation_interval: 30s\ntests:\n- interval: 30s\n  input_series:\n\
        \x20 - {series: 'app_intrusions_total{server_name=\"a\"}', values: '_x10 1x100'}\n\
        \x20 - {series: 'app_up{server_name=\"a\"}', values: '1x10 stale'}\n\
        \x20 - {series: 'app_seconds_bucket{le=\"5\"}', values: '0x40'}\n\
        \x20 - {series: 'app_seconds_bucket{le=\"+Inf\"}', values: '0+9x40'}\n\
        \x20 promql_expr_test:\n\
        \x20 - {expr: 'count(ALERTS{alertstate=\"firing\"} == 1)', eval_time: 330s, exp_samples: [{value: 3}]}\n\
        \x20 - {expr: 'count(ALERTS{alertstate=\"firing\"} == 1)', eval_time: 4m, exp_samples: [{value: 1}]}\n";
    fs::write(site.path("rules.yml"), rules).unwrap();
    fs::write(site.path("original.test.yml"), tests).unwrap();
    let mut promtool = std::process::Command::new(folder.join("promtool"));
    promtool.args(["test", "rules", "original.test.yml"]).current_dir(site.path("."));
    crate::site::run(promtool).done();
}
