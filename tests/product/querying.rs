//! Tests of asking `serve` for numbers: PromQL on the command line, the API that Grafana speaks, the summary.

use serde_json::{Value, json};

use crate::client::ask;
use crate::foreign::Foreign;
use crate::poll::eventually;
use crate::site::{Server, Setup, Site, block_on, free_port};

/// One server behind a guard of ours, and one that is somebody else's.
fn watched() -> (Site, Foreign) {
    let port = free_port();
    let foreign =
        format!("[[server]]\nname = \"foreign\"\nport = {port}\nupstream = \"http://127.0.0.1:{port}/mcp\"");
    let mut site = Site::new(&[Server::notes("notes").with(&foreign)]);
    let started = Foreign::start(&site, "foreign", "notes", &format!("127.0.0.1:{port}"));
    site.serve_until_ready(&["notes"]);
    (site, started)
}

/// What a query finds: labels and values.
#[track_caller]
fn found(site: &Site, query: &str) -> Vec<(Value, f64)> {
    let ran = site.run(&["query", query, "-o", "json"]);
    assert!(matches!(ran.code, Some(0 | 1)), "{query}: {ran:?}");
    let rows: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(ran.code, Some(i32::from(rows.is_empty())), "{ran:?}");
    let number = |row: &Value| row["value"][1].as_str().unwrap().parse().unwrap();
    rows.iter().map(|row| (row["metric"].clone(), number(row))).collect()
}

/// Waits until a query finds as many series, and gives their values.
#[track_caller]
fn until_found(site: &Site, count: usize, query: &str) -> Vec<f64> {
    let values = || found(site, query).into_iter().map(|(_, value)| value).collect::<Vec<_>>();
    eventually(query, || Some(values()).filter(|values| values.len() == count))
}

#[test]
fn servers_with_and_without_a_guard_have_the_same_series_each_once() {
    let (site, _foreign) = watched();
    assert_eq!(until_found(&site, 2, "mcp_server_up == 1"), [1.0, 1.0]);
    // The first look may find a process that has only just begun.
    until_found(&site, 2, r#"mcp_server_memory_usage_bytes{memory_type="rss"} > 1e6"#);
    let cpu = until_found(&site, 2, "mcp_server_cpu_usage_percent");
    assert!(cpu.iter().all(|percent| (0.0..10_000.0).contains(percent)), "{cpu:?}");
    until_found(&site, 2, "mcp_server_file_descriptors > 3");
    until_found(&site, 2, r#"mcp_server_health_status{check_type="readiness"} == 2"#);
    let mine = r#"{server_name="foreign"}"#;
    let p95 = format!("histogram_quantile(0.95, rate(mcp_request_duration_seconds_bucket{mine}[5m]))");
    // `initialize` and `ping`, each with success.
    until_found(&site, 2, &format!("{p95} < 5"));
    until_found(&site, 2, r#"mcp_server_response_time_seconds_count{check_type="liveness"} > 1"#);
    assert_eq!(until_found(&site, 1, r#"up{job="guard",server_name="notes"}"#), [1.0]);
    until_found(&site, 1, r#"scrape_samples_scraped{job="guard"} > 10"#);
    until_found(&site, 1, r#"scrape_duration_seconds{job="guard"} > 0"#);
    // The clocks of `serve` itself are there too.
    until_found(&site, 1, "paramedic_incident_time_to_detect_seconds_count == 0");
    assert!(found(&site, r#"mcp_server_up{job!=""}"#).is_empty(), "the responder's word holds alone");
    // A foreign Prometheus reads the same.
    let page = site.metrics();
    for series in [
        r#"mcp_server_memory_usage_bytes{server_name="foreign",memory_type="rss"}"#,
        r#"mcp_server_cpu_usage_percent{server_name="foreign"}"#,
        r#"mcp_request_duration_seconds_count{server_name="foreign",method="ping",status="success"}"#,
    ] {
        assert!(page.contains(series), "`{series}` is missing in\n{page}");
    }
    assert_eq!(page.matches("# EOF").count(), 1);
}

#[test]
fn queries_are_answered_drawn_and_refused() {
    let (site, _foreign) = watched();
    until_found(&site, 1, r#"mcp_server_up{server_name="notes"}"#);
    assert_eq!(site.run(&["query", "1 + 1"]).done(), "2\n");
    let table = site.run(&["query", r#"mcp_server_up{server_name="notes"}"#]).done();
    assert!(table.contains(r#"mcp_server_up{server_name="notes"}"#), "{table}");
    let drawn = site.run(&["query", r#"mcp_server_up{server_name="notes"}"#, "--since", "1m"]).done();
    assert!(drawn.contains("last 1\n") && drawn.contains('└'), "{drawn}");
    let lines = site.run(&["query", "mcp_server_up", "--since", "1m", "--step", "1s", "-o", "jsonl"]).done();
    let series: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(series.iter().any(|one| one["metric"]["server_name"] == "notes"), "{lines}");
    site.run(&["query", "no_such_metric"]).failed(1, &["nothing found"]);
    site.run(&["query", "rate(mcp_server_up)"]).failed(2, &["invalid parameter `query`"]);
    site.run(&["query", "mcp_server_up +"]).failed(2, &["1:"]);
    site.run(&["query", "up", "-o", "prometheus"]).failed(2, &["is for `paramedic metrics`"]);
}

#[test]
fn the_summary_says_what_is_known_and_nothing_else() {
    let (mut site, _foreign) = watched();
    until_found(&site, 2, "mcp_server_cpu_usage_percent");
    until_found(&site, 2, "mcp_server_up == 1");
    let summary: Value = serde_json::from_str(&site.run(&["metrics", "-o", "json"]).done()).unwrap();
    assert_eq!(summary["aggregated"]["total_servers"], 2, "{summary}");
    assert_eq!(summary["aggregated"]["servers_up"], 2, "{summary}");
    assert!(summary["servers"]["foreign"]["memory_mb"].as_f64().unwrap() > 1.0, "{summary}");
    assert!(summary["servers"]["foreign"]["connections"].is_null(), "nobody knows: {summary}");
    let table = site.run(&["metrics"]).done();
    assert!(table.contains("2 of 2 up") && table.contains("foreign"), "{table}");
    let one = site.run(&["metrics", "notes", "-o", "summary"]).done();
    assert!(one.contains("1 of 1 up") && !one.contains("foreign"), "{one}");
    let page = site.run(&["metrics", "notes", "-o", "prometheus"]).done();
    assert!(page.contains("# TYPE mcp_server_up gauge") && !page.contains("# EOF"), "{page}");
    assert!(site.run(&["metrics", "-o", "prometheus"]).done().contains("paramedic_incidents"));
    site.run(&["metrics", "nobody"]).failed(2, &["there is no server `nobody`"]);
    site.run(&["metrics", "foreign", "-o", "prometheus"]).failed(1, &["is an upstream without a guard"]);
    // The guard outlives `serve`, and is asked itself.
    site.end_serve(process::Signal::KILL);
    let alone = site.run(&["metrics", "notes"]).done();
    assert!(alone.contains("1 of 1 up") && alone.contains("MiB"), "{alone}");
    site.run(&["metrics"]).failed(3, &["no `paramedic serve` answers"]);
}

#[test]
fn grafana_gets_what_it_asks_for() {
    let (site, _foreign) = watched();
    until_found(&site, 2, "mcp_server_up");
    let get = |path: &str| -> (u16, Value) {
        let url = format!("http://{}/prometheus/api/v1/{path}", site.listen());
        block_on(async {
            let answer = crate::client::http().get(url).send().await.unwrap();
            (answer.status().as_u16(), answer.json().await.unwrap())
        })
    };
    let (code, answer) = get("query?query=sum(mcp_server_up)&time=2999-01-01T00:00:00Z");
    assert_eq!((code, &answer["data"]["result"]), (200, &json!([])), "{answer}");
    let (_, answer) = get("query?query=vector(1.5)&time=1700000000.25");
    assert_eq!(answer["status"], "success");
    assert_eq!(answer["data"]["resultType"], "vector");
    assert_eq!(answer["data"]["result"][0]["value"], json!([1_700_000_000.25, "1.5"]));
    let (_, answer) = get("query_range?query=1&start=100&end=130&step=15s");
    assert_eq!(answer["data"]["result"][0]["values"], json!([[100.0, "1"], [115.0, "1"], [130.0, "1"]]));
    let (_, answer) = get("label/server_name/values?match[]=mcp_server_up");
    assert_eq!(answer["data"], json!(["foreign", "notes"]));
    let (_, answer) = get("labels?match[]=mcp_server_up");
    assert_eq!(answer["data"], json!(["__name__", "server_name"]));
    let (_, answer) = get("series?match[]=mcp_server_up{server_name=%22notes%22}");
    assert_eq!(answer["data"], json!([{"__name__": "mcp_server_up", "server_name": "notes"}]));
    let (_, answer) = get("label/__name__/values");
    assert!(answer["data"].as_array().unwrap().iter().any(|name| name == "mcp_server_up"), "{answer}");
    let family = eventually("the metadata", || {
        let (_, answer) = get("metadata?metric=mcp_server_errors_total");
        Some(answer["data"]["mcp_server_errors_total"][0].clone()).filter(Value::is_object)
    });
    assert_eq!((&family["type"], &family["help"]), (&json!("counter"), &json!("What went wrong.")));
    let (_, answer) = get("metadata");
    assert_eq!(answer["data"]["mcp_server_up"][0]["type"], "gauge", "{answer}");
    assert_eq!(get("status/buildinfo").1["status"], "success");
    for (path, code, error_type) in [
        ("query", 400, "bad_data"),
        ("query?query=up(", 400, "bad_data"),
        ("query_range?query=up&start=0&end=1e9&step=1", 422, "execution"),
        ("series", 400, "bad_data"),
        ("query?query=up&time=soon", 400, "bad_data"),
    ] {
        let (status, answer) = get(path);
        assert_eq!((status, answer["errorType"].as_str()), (code, Some(error_type)), "{path}: {answer}");
        assert_eq!(answer["status"], "error");
    }
    let post = block_on(async {
        let url = format!("http://{}/prometheus/api/v1/query", site.listen());
        let client = crate::client::http();
        let form = client.post(url).header("content-type", "application/x-www-form-urlencoded");
        form.body("query=1%2B1").send().await.unwrap().json::<Value>().await.unwrap()
    });
    assert_eq!(post["data"]["result"][1], "2", "{post}");
}

/// The names in the first column of the tables of a document, from one heading on to another.
fn names_of_tables(document: &str, from: &str, to: &str) -> Vec<String> {
    let part = document.split(from).nth(1).unwrap().split(to).next().unwrap();
    let cells = part.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    // Names stand between backticks, one or several in a cell.
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

#[test]
fn every_metric_of_the_documentation_is_there() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
    let names = names_of_tables(&std::fs::read_to_string(path).unwrap(), "## Of every server", "## What");
    assert!(names.len() > 15, "{names:?}");
    let dependency = "[[server.dependency]]\nname = \"folder\"\nfile = \"/\"\n";
    let plugin = "[[server.dependency]]\nname = \"plugin\"\nnagios = [\"sh\", \"-c\", \"echo 'OK|a=1'\"]\n";
    let servers = [Server::notes("notes").with(dependency).with(plugin)];
    // Nobody is there to take samples, and that is counted too.
    let tables = "[metrics.remote_write]\nurl = \"http://127.0.0.1:1/write\"\n";
    let mut site = Site::of(&Setup { tables, servers: &servers, ..Setup::default() });
    site.serve_until_ready(&["notes"]);
    ask(&site.endpoint("notes"), "add_note", &json!({"text": "x"})).unwrap();
    for name in names {
        eventually(&name, || {
            let query = format!("count({{__name__=~\"{name}|{name}_bucket\"}})");
            (!found(&site, &query).is_empty()).then_some(())
        });
    }
}
