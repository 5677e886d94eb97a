//! Tests `init` with real servers, and with listeners that are none: what is found, what is written, and that watching
//! by it starts and changes nothing.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};
use server::config;

use crate::client::ask;
use crate::foreign::Foreign;
use crate::machine::{Machine, within};
use crate::poll::{DEADLINE, eventually};
use crate::site::{Ran, Site, free_port, run};
use crate::two_units::{install_servers, plain_unit};

/// The first line of what came in, and all of it.
fn request(stream: &mut TcpStream) -> (String, String) {
    let mut text = String::new();
    let mut bytes = [0; 4096];
    while !text.ends_with('}') {
        let read = stream.read(&mut bytes).unwrap();
        assert_ne!(read, 0, "{text}");
        text.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
    }
    (text.lines().next().unwrap_or_default().to_owned(), text)
}

/// Answers as many requests as there are answers, and gives their first lines.
fn answering(listener: TcpListener, answers: Vec<String>) -> JoinHandle<Vec<String>> {
    thread::spawn(move || {
        let answer = |answer: String| {
            let mut stream = listener.accept().unwrap().0;
            let line = request(&mut stream).0;
            stream.write_all(answer.as_bytes()).unwrap();
            line
        };
        answers.into_iter().map(answer).collect()
    })
}

fn init(site: &Site, ports: &[u16], more: &[&str]) -> Ran {
    let mut command = site.command(&["init"]);
    command.args(more);
    for port in ports {
        command.args(["--port", &port.to_string()]);
    }
    for proxy in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        command.env(proxy, "http://127.0.0.1:1");
    }
    run(command)
}

#[track_caller]
fn row<'a>(found: &'a Value, key: &str, value: &str) -> &'a Value {
    let rows = found["found"].as_array().unwrap();
    let row = rows.iter().find(|row| row[key].as_str() == Some(value));
    row.unwrap_or_else(|| panic!("no row has {key} {value}: {found:#}"))
}

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A site without a configuration.
fn bare() -> Site {
    let site = Site::new(&[]);
    fs::remove_file(site.config()).unwrap();
    site
}

fn clients(site: &Site, notes: u16) {
    let cursor = json!({"mcpServers": {
        "my notes": {"url": format!("http://localhost:{notes}/mcp")},
        "far": {"url": "https://example.org/mcp?key=s3cret"},
        "secret": {"url": format!("http://localhost:{}/mcp?key=s3cret", free_port())},
        "files": {"command": "npx", "args": ["-y", "server-files", "/data"]},
    }});
    let claude = json!({"mcpServers": {
        "watched": {"command": "paramedic", "args": ["guard", "--stdio", "--", "uvx", "mcp-server-time"]},
    }});
    fs::create_dir_all(site.path(".cursor")).unwrap();
    fs::write(site.path(".cursor/mcp.json"), cursor.to_string()).unwrap();
    fs::write(site.path(".claude.json"), claude.to_string()).unwrap();
}

#[test]
fn servers_are_found_written_down_and_only_watched() {
    let mut site = bare();
    let [notes, sums] = [free_port(), free_port()];
    let addresses = [format!("127.0.0.1:{notes}"), format!("[::1]:{sums}")];
    let _guards = [
        Foreign::start(&site, "notes", "notes", &addresses[0]),
        Foreign::start(&site, "sums", "sums", &addresses[1]),
    ];
    for (address, tool, arguments) in
        [(&addresses[0], "add_note", json!({"text": "x"})), (&addresses[1], "add", json!({"terms": [1, 2]}))]
    {
        eventually(address, || ask(&format!("http://{address}/mcp"), tool, &arguments).ok());
    }
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let [silent_at, other_at] = [&silent, &other].map(|listener| listener.local_addr().unwrap());
    let elsewhere = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{silent_at}/mcp\r\nContent-Length: 0\r\n\r\n"
    );
    let nothing = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned();
    let web = answering(other, vec![nothing, elsewhere]);
    clients(&site, notes);

    let before = ids(&site);
    let ports = [notes, sums, silent_at.port(), other_at.port()];
    let found: Value =
        serde_json::from_str(&init(&site, &ports, &["--verbose", "-o", "json"]).done()).unwrap();
    assert_eq!(web.join().unwrap(), ["POST /mcp HTTP/1.1", "POST / HTTP/1.1"]);
    // Whoever says nothing was asked the same twice, and the redirect was not followed.
    for path in ["/mcp", "/"] {
        let (line, text) = request(&mut silent.accept().unwrap().0);
        assert_eq!(line, format!("POST {path} HTTP/1.1"));
        assert!(text.contains("\"method\":\"initialize\""), "{text}");
    }
    silent.set_nonblocking(true).unwrap();
    assert_eq!(silent.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);

    for (name, address) in [("my-notes", &addresses[0]), ("sums", &addresses[1])] {
        let row = row(&found, "name", name);
        assert_eq!(row["address"].as_str(), Some(format!("http://{address}/mcp").as_str()));
        assert_eq!((&row["written"], &row["restarts"]), (&json!(true), &json!("whoever started it")));
    }
    for address in [silent_at, other_at] {
        let row = row(&found, "address", &address.to_string());
        assert_eq!((&row["written"], &row["note"]), (&json!(false), &json!("does not speak MCP")));
    }
    let note = |name| row(&found, "name", name)["note"].as_str().unwrap();
    assert_eq!(note("my notes"), "the same as `my-notes`");
    assert_eq!(note("far"), "not on this machine");
    assert_eq!(note("watched"), "watched already");
    assert!(note("secret").contains("write it yourself"), "{found:#}");
    assert_eq!(
        row(&found, "name", "files")["change"],
        json!(
            r#""command": "paramedic", "args": ["guard", "--stdio", "--", "npx", "-y", "server-files", "/data"]"#
        )
    );
    assert!(!found.to_string().contains("s3cret"), "{found:#}");

    let text = fs::read_to_string(site.config()).unwrap();
    let written = config::parse(&text).unwrap();
    let names: Vec<&str> = written.server.iter().map(|server| server.name.as_str()).collect();
    assert_eq!(names.iter().copied().collect::<BTreeSet<_>>(), BTreeSet::from(["my-notes", "sums"]));
    assert!(written.server.iter().all(|server| server.mode == Some(incident::Mode::Observe)), "{text}");
    assert!(!text.contains("s3cret") && mode_of(&site.config()) & 0o137 == 0, "{text}");
    site.run(&["config", "check"]).done();

    // In folders of its own, and otherwise as it was written.
    site.write_config(&format!("data_dir = \"data\"\nlisten = \"127.0.0.1:{}\"\n{text}", free_port()));
    site.serve();
    for name in ["my-notes", "sums"] {
        let status = site.until(name, "healthy", |status| status.health == "healthy");
        assert_eq!(status.starts, None, "{status:?}");
    }
    let serve = site.processes().into_iter().filter(|one| one.command.contains(" serve ")).count();
    assert_eq!((serve, ids(&site)), (1, before), "{:?}", site.processes());
    assert_eq!(site.incidents().len(), 0);
}

/// The processes of a site, without `serve`.
fn ids(site: &Site) -> BTreeSet<i32> {
    let all = site.processes().into_iter();
    all.filter(|one| !one.command.contains(" serve ")).map(|one| one.id.pid).collect()
}

#[test]
fn what_is_there_is_never_overwritten() {
    let site = bare();
    // A port at which nobody listens: nobody else's listeners are asked by this test.
    let nobody = [free_port()];
    let printed = init(&site, &nobody, &["--output-file", "-"]).done();
    assert!(config::parse(&printed).unwrap().server.is_empty() && !site.config().exists(), "{printed}");

    init(&site, &nobody, &[]).done();
    assert_eq!(fs::read_to_string(site.config()).unwrap().trim_end(), printed.trim_end());
    fs::write(site.config(), "# mine\n").unwrap();
    init(&site, &nobody, &[]).failed(2, &["is there already, so nothing was written", "--force"]);
    let beside = site.path("paramedic.toml.new");
    init(&site, &nobody, &["--force"]).done();
    assert_eq!(fs::read_to_string(&beside).unwrap().trim_end(), printed.trim_end());
    init(&site, &nobody, &["--force"]).failed(2, &["paramedic.toml.new` is there already"]);
    assert_eq!(fs::read_to_string(site.config()).unwrap(), "# mine\n");

    let other = site.path("new/folder/other.toml");
    init(&site, &nobody, &["--output-file", other.to_str().unwrap()]).done();
    assert!(config::parse(&fs::read_to_string(other).unwrap()).is_ok());
    let unwritable = site.path("paramedic.toml/x.toml");
    init(&site, &nobody, &["--output-file", unwritable.to_str().unwrap()]).failed(2, &["cannot write"]);
}

#[test]
fn units_are_found_with_their_listeners_and_left_as_they_are() {
    let Some(machine) = Machine::boot() else { return };
    install_servers(&machine);
    let idle = plain_unit("mem").replace("/servers/mem.env", "/servers/idle.env");
    machine.install(&[("mcp-server-idle.service", &idle)]);
    let states = || {
        let argv = [
            "systemctl",
            "show",
            "-P",
            "InvocationID",
            "mcp-server-mem",
            "mcp-server@mem-2",
            "mcp-server-idle",
        ];
        machine.run(&argv)
    };
    let before = states();
    let init = || {
        let argv = ["/usr/bin/paramedic", "init", "-o", "json", "--config", "/root/found.toml"];
        let _ = fs::remove_file(machine.path("/root/found.toml"));
        serde_json::from_slice::<Value>(&machine.command(&argv).output().unwrap().stdout).unwrap()
    };
    // They take a moment to answer.
    let found = within(DEADLINE, || {
        let found = init();
        let written = found["found"].as_array()?.iter().filter(|row| row["written"] == true).count();
        (written == 2).then_some(found)
    });
    let found = found.unwrap_or_else(|| panic!("{:#}", init()));
    assert_eq!(found["found"].as_array().unwrap().len(), 3, "no listener is a second server: {found:#}");
    for (name, unit) in [("mem", "mcp-server-mem.service"), ("mem-2", "mcp-server@mem-2.service")] {
        let row = row(&found, "name", name);
        assert_eq!((&row["source"], &row["restarts"]), (&json!(format!("unit {unit}")), &json!("systemd")));
    }
    assert_eq!(row(&found, "name", "idle")["written"], json!(false));
    let text = fs::read_to_string(machine.path("/root/found.toml")).unwrap();
    let written = config::parse(&text).unwrap();
    let servers: Vec<(&str, u16, &str)> = written
        .server
        .iter()
        .map(|server| (server.name.as_str(), server.port, server.unit.as_ref().unwrap().as_str()))
        .collect();
    let expect = [("mem", 7801, "mcp-server-mem.service"), ("mem-2", 7802, "mcp-server@mem-2.service")];
    assert_eq!(servers, expect, "{text}");
    // Their guards have health and metrics beside the endpoint.
    assert!(written.server.iter().all(|server| server.upstream.is_none()), "{text}");
    assert!(written.server.iter().all(|server| server.mode == Some(incident::Mode::Observe)), "{text}");
    assert!(text.contains("# unit = \"mcp-server-idle.service\""), "{text}");
    assert_eq!(states(), before);
}
