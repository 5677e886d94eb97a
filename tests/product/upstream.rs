//! Tests a guard in front of a real server that speaks HTTP: what the official SDK sees, and what operators can do with it.

use std::process::{Child, Stdio};

use rmcp::ServiceExt;
use serde_json::{Value, json};

use crate::client::ask;
use crate::poll::eventually;
use crate::real::installed;
use crate::site::{Site, block_on, free_port};

/// Processes that end with their test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn get(url: &str) -> Option<(u16, String)> {
    block_on(async {
        let response = reqwest::get(url).await.ok()?;
        Some((response.status().as_u16(), response.text().await.ok()?))
    })
}

#[test]
fn a_real_server_over_http_gets_the_whole_surface() {
    let script = "node_modules/@modelcontextprotocol/server-everything/dist/index.js";
    let Some(script) = installed("PARAMEDIC_TEST_NPM", script) else { return };
    probe::install_crypto();
    let site = Site::new(&[]);
    let (port, listen) = (free_port(), format!("127.0.0.1:{}", free_port()));
    let start = || {
        let mut server = std::process::Command::new("node");
        server.arg(&script).arg("streamableHttp").env("PORT", port.to_string());
        Ends(server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    };
    let server = start();
    let url = format!("http://127.0.0.1:{port}/mcp");
    let mut guard = site.command(&["guard", "--name", "everything", "--listen", &listen, "--upstream", &url]);
    let _guard = Ends(guard.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let base = format!("http://{listen}");
    eventually("health", || get(&format!("{base}/health")).filter(|(code, _)| *code == 200));
    let endpoint = format!("{base}/mcp");
    let echoed = ask(&endpoint, "echo", &json!({"message": "hello"})).unwrap();
    assert!(echoed.contains("hello"), "{echoed}");
    // A sum that is long, and comes with progress.
    let long = ask(&endpoint, "trigger-long-running-operation", &json!({"duration": 1, "steps": 2})).unwrap();
    assert!(long.contains("completed"), "{long}");
    let (code, read) = get(&format!("{base}/api/test-read")).unwrap();
    assert_eq!(code, 200, "{read}");

    // By the command of the product, though the guard was started by hand.
    let said = site.run(&["server", "readonly", "everything"]).done();
    assert!(said.contains("everything: read-only"), "{said}");
    let names = block_on(async {
        let client = ().serve(crate::client::transport(&endpoint)).await.unwrap();
        let tools = client.list_all_tools().await.unwrap();
        let _ = client.cancel().await;
        tools
    });
    assert!(!names.is_empty());
    for tool in &names {
        let hint = tool.annotations.as_ref().and_then(|annotations| annotations.read_only_hint);
        assert_eq!(hint, Some(true), "{tool:?}");
    }
    let page = get(&format!("{base}/metrics")).unwrap().1;
    for line in [
        "mcp_server_up{server_name=\"everything\"} 1",
        "mcp_server_writes_percent{server_name=\"everything\"} 0",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
    }
    // It goes, and comes back, and forgets everybody.
    drop(server);
    eventually("down", || get(&format!("{base}/health")).filter(|(code, _)| *code == 503));
    let _server = start();
    eventually("up again", || get(&format!("{base}/health")).filter(|(code, _)| *code == 200));
    assert!(ask(&endpoint, "echo", &json!({"message": "again"})).unwrap().contains("again"));
    let status: Value = serde_json::from_str(&get(&format!("{base}/admin/status")).unwrap().1).unwrap();
    assert_eq!((&status["phase"], &status["writes"]["percent"]), (&json!("ready"), &json!(0)));
}
