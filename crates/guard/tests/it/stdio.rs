//! Owns the tests of the guard between a client and its server: every byte, every end, and nothing left behind.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use process::control::Phase;
use process::{ProcessId, Signal, descendants, send};
use serde_json::{Value, json};

use super::cold::{cold_npx, work};
use super::poll::eventually;
use super::stdio_client::StdioClient;
use super::tests_main::Test;

pub(crate) const TESTS: &[Test] = &[
    ("stdio_every_byte_goes_through", every_byte_goes_through),
    ("stdio_garbage_and_questions_go_through", garbage_and_questions_go_through),
    ("stdio_whoever_waits_is_told_and_the_client_goes_on", whoever_waits_is_told_and_the_client_goes_on),
    ("stdio_every_request_has_one_answer_whoever_is_killed", every_request_has_one_answer_whoever_is_killed),
    ("stdio_half_a_line_is_no_message", half_a_line_is_no_message),
    ("stdio_a_late_answer_is_for_nobody", a_late_answer_is_for_nobody),
    ("stdio_another_server_is_told_of", another_server_is_told_of),
    (
        "stdio_a_request_waits_for_a_while_and_is_refused_then",
        a_request_waits_for_a_while_and_is_refused_then,
    ),
    ("stdio_a_crash_loop_says_so", a_crash_loop_says_so),
    ("stdio_restarts_are_counted_over_the_lives_of_guards", restarts_are_counted),
    ("stdio_a_command_that_cannot_be_run_says_so", a_command_that_cannot_be_run_says_so),
    ("stdio_a_server_that_never_reads_holds_up_nobody_else", a_server_that_never_reads_holds_up_nobody_else),
    ("stdio_a_frozen_server_is_unhealthy", a_frozen_server_is_unhealthy),
    ("stdio_installing_is_not_hanging", installing_is_not_hanging),
    ("stdio_an_installation_that_hangs_is_ended", an_installation_that_hangs_is_ended),
    ("stdio_grandchildren_end_too", grandchildren_end_too),
    ("stdio_last_answers_are_given_to_who_reads_on", last_answers_are_given_to_who_reads_on),
    ("stdio_a_stubborn_server_ends_with_its_client", a_stubborn_server_ends_with_its_client),
];

const MEBIBYTE: usize = 1 << 20;

/// `cat` says what it hears.
fn every_byte_goes_through() {
    let mut client = StdioClient::start(20_000, &["cat"]);
    let big =
        |bytes: usize| format!("{{\"jsonrpc\":\"2.0\",\"x\":\"{}\"}}\n", "y".repeat(bytes)).into_bytes();
    let frames: Vec<Vec<u8>> = [
        " {\"jsonrpc\" : \"2.0\",\t\"id\":1, \"method\":\"no/such\" }\n",
        "{\"id\":1,\"jsonrpc\":\"2.0\",\"result\":{\"\\u0061\":1e400}}\r\n",
        "[{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"ping\"},{\"jsonrpc\":\"2.0\",\"method\":\"x\"}]\n",
        "not JSON at all\n",
        "\n",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .chain([b"\xff\xfe\n".to_vec(), big(10 * MEBIBYTE), big(70 * MEBIBYTE), b"the end\n".to_vec()])
    .collect();
    for frame in &frames {
        let mut stdin = client.stdin.take().unwrap();
        let sent = frame.clone();
        // More than the pipes hold: somebody has to write while we read.
        let writing = std::thread::spawn(move || {
            use std::io::Write;
            stdin.write_all(&sent).unwrap();
            stdin
        });
        let got = client.line();
        client.stdin = Some(writing.join().unwrap());
        assert!(got == *frame, "{:?} became {:?}", &frame[..frame.len().min(90)], &got[..got.len().min(90)]);
    }
    client.logged("longer than 64 MiB");
    client.logged("not JSON at all");
    let (_, metrics) = client.get("/metrics");
    let count = metrics
        .lines()
        .find(|line| line.contains("mcp_stdio_bytes_total{server_name=\"fake\",direction=\"to_client\"}"));
    let all: usize = frames.iter().map(Vec::len).sum();
    assert_eq!(count.unwrap().rsplit(' ').next(), Some(all.to_string().as_str()));
    assert_eq!(client.leave(), Some(0));
}

fn garbage_and_questions_go_through() {
    let mut client = StdioClient::met("");
    let id = client.call("garbage", &json!({}));
    for expect in ["Server started!\n", "{\"level\":\"info\"}\n", "{\"jsonrpc\":\"2.0\",\"id\":\n", "\n"] {
        assert_eq!(String::from_utf8(client.line()).unwrap(), expect);
    }
    assert_eq!(client.answer(id)["result"]["content"][0]["text"], "after garbage");
    // The server asks; the client answers.
    let id = client.call("ask-roots", &json!({}));
    let asked = client.until(|message| message["method"] == "roots/list");
    assert_eq!(asked["id"], "r");
    client.say(&json!({"jsonrpc": "2.0", "id": "r", "result": {"roots": []}}));
    let text = client.answer(id)["result"]["content"][0]["text"].as_str().unwrap().to_owned();
    assert_eq!(text, json!({"jsonrpc": "2.0", "id": "r", "result": {"roots": []}}).to_string());
    let (code, health) = client.health();
    assert_eq!((code, &health["status"], &health["source"]), (200, &json!("healthy"), &json!("client")));
    // What the guard has asked is seen by nobody.
    assert_eq!(client.text("echo", &json!({"x": 1})), "{\"x\":1}");
    assert!(client.others.is_empty(), "{:?}", client.others);
    assert_eq!(client.leave(), Some(0));
}

fn whoever_waits_is_told_and_the_client_goes_on() {
    let mut client = StdioClient::met("");
    let first = client.text("pid", &json!({}));
    let hanging =
        [client.call("hang", &json!({})), client.call("hang", &json!({})), client.call("exit", &json!({}))];
    for id in hanging {
        let answer = client.answer(id);
        assert_eq!(answer["error"]["code"], -32000, "{answer}");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains("server `fake` has ended (exited with code 7)"), "{message}");
    }
    let second = client.text("pid", &json!({}));
    assert_ne!(first, second, "it is another server, which was met without the client");
    client.until_health("healthy again", |code, _| code == 200);
    let status = client.status();
    assert_eq!((status.phase, status.starts), (Phase::Ready, 2));
    let exit = status.last_exit.unwrap();
    assert_eq!(exit.stderr, ["Traceback: the end"]);
    assert_eq!(exit.pid.unwrap().to_string(), first);
    // The server says that it announces changes of its list, and its list may be another.
    // That comes before or after the answers.
    if client.others.is_empty() {
        let announced = client.until(|_| true);
        client.others.push(announced);
    }
    let announced: Vec<_> = client.others.iter().map(|one| &one["method"]).collect();
    assert_eq!(announced, ["notifications/tools/list_changed"]);
    assert_eq!(client.leave(), Some(0));
}

fn every_request_has_one_answer_whoever_is_killed() {
    const REQUESTS: u64 = 3_000;
    let mut client = StdioClient::met("");
    let mut stdin = client.stdin.take().unwrap();
    // It asks without waiting, so that something is in flight at every moment.
    let asking = std::thread::spawn(move || {
        use std::io::Write;
        for id in 0..REQUESTS {
            let params = json!({"name": "echo", "arguments": {}});
            let call =
                json!({"jsonrpc": "2.0", "id": format!("q{id}"), "method": "tools/call", "params": params});
            writeln!(stdin, "{call}").unwrap();
        }
        stdin
    });
    let (mut answers, mut errors) = (BTreeMap::<String, u32>::new(), 0);
    // When as many answers are there as these.
    let mut kills = vec![1_400, 400];
    while (answers.len() as u64) < REQUESTS {
        if kills.last().is_some_and(|n| answers.len() >= *n) {
            kills.pop();
            client.status().child.map(|child| send(child, Signal::KILL));
        }
        let message: Value = serde_json::from_slice(&client.line()).unwrap();
        if let Some(id) = message["id"].as_str() {
            *answers.entry(id.to_owned()).or_default() += 1;
            errors += u32::from(message["error"].is_object());
        }
    }
    client.stdin = Some(asking.join().unwrap());
    assert!(answers.values().all(|n| *n == 1), "{answers:?}");
    // How many were in flight when it was killed is up to the machine.
    assert!(u64::from(errors) < REQUESTS, "{errors} errors");
    let status = client.status();
    assert!((2..=3).contains(&status.starts), "{status:?}");
    assert_eq!(client.leave(), Some(0));
}

fn half_a_line_is_no_message() {
    let mut client = StdioClient::met("");
    let id = client.call("half-a-line", &json!({}));
    assert_eq!(client.answer(id)["error"]["code"], -32000);
    client.logged("its last line broke off");
    assert_eq!(client.text("echo", &json!({})), "{}");
}

fn a_late_answer_is_for_nobody() {
    let mut client = StdioClient::met("");
    let id = client.call("ask-and-exit", &json!({}));
    client.until(|message| message["method"] == "roots/list");
    assert_eq!(client.answer(id)["error"]["code"], -32000);
    let taken_back = client.until(|message| message["method"] == "notifications/cancelled");
    assert_eq!(taken_back["params"]["requestId"], "r");
    // The next server asks under the same id; the client answers the old question first.
    let id = client.call("ask-roots", &json!({}));
    let asked = client.until(|message| message["method"] == "roots/list");
    assert_ne!(asked["id"], "r");
    client.say(&json!({"jsonrpc": "2.0", "id": "r", "result": {"roots": ["old"]}}));
    client.say(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"roots": ["new"]}}));
    let answer = client.answer(id);
    let text = answer["result"]["content"][0]["text"].as_str().unwrap();
    let heard: Value = serde_json::from_str(text).unwrap();
    assert_eq!((&heard["id"], &heard["result"]["roots"][0]), (&json!("r"), &json!("new")));
}

fn another_server_is_told_of() {
    let client = StdioClient::met("changing");
    send(client.status().child.unwrap(), Signal::KILL).unwrap();
    let health = client.until_health("another server", |code, health| code == 200 && health["starts"] == 2);
    let difference = health["difference"].as_str().unwrap();
    assert!(difference.starts_with("`serverInfo` was {"), "{difference}");
    client.logged("another one than the client has met");
}

fn a_request_waits_for_a_while_and_is_refused_then() {
    let folder = tempfile::tempdir().unwrap();
    let (exe, mark) = (std::env::current_exe().unwrap(), folder.path().join("mark"));
    let mut client =
        StdioClient::start(4_500, &[exe.to_str().unwrap(), "fake", "once", mark.to_str().unwrap()]);
    client.initialize();
    send(client.status().child.unwrap(), Signal::KILL).unwrap();
    // The next server never answers what the client had said to the first.
    client.until_health("the second start", |_, health| health["starts"] == 2);
    let asked = Instant::now();
    let answer = client.ask("tools/list", &json!({}));
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("is being started again"), "{message}");
    assert!(
        (Duration::from_millis(500)..Duration::from_secs(15)).contains(&asked.elapsed()),
        "{:?}",
        asked.elapsed()
    );
    let health = client.until_health("given up", |_, health| health["last_exit"]["sequence"] == 2);
    assert_eq!(health["last_exit"]["reason"], "did not answer `initialize` within 4.5 s");
    // Once one answers again, all is well.
    fs::remove_file(&mark).unwrap();
    client.until_health("healthy again", |code, _| code == 200);
    assert_eq!(client.text("echo", &json!({})), "{}");
}

fn a_crash_loop_says_so() {
    let mut client = StdioClient::fake("crash");
    let answer = client.initialize();
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("exited with code 3"), "{message}");
    let health =
        client.until_health("in a crash loop", |code, health| code == 503 && health["phase"] == "failed");
    let reason = health["reason"].as_str().unwrap();
    for words in ["again and again", "exited with code 3", "ModuleNotFoundError", "every 30 s"] {
        assert!(reason.contains(words), "{reason}");
    }
    // It stays, and says the same to whoever asks.
    let answer = client.ask("tools/list", &json!({}));
    assert!(answer["error"]["message"].as_str().unwrap().contains("again and again"), "{answer}");
    assert_eq!(client.status().starts, 5);
    assert_eq!(client.leave(), Some(0));
}

fn a_command_that_cannot_be_run_says_so() {
    let mut client = StdioClient::start(20_000, &["/no/such/server"]);
    let answer = client.initialize();
    assert!(answer["error"]["message"].as_str().unwrap().contains("No such file"), "{answer}");
    assert_eq!(client.leave(), Some(0));
}

fn a_server_that_never_reads_holds_up_nobody_else() {
    let mut client = StdioClient::met("deaf");
    let mut stdin = client.stdin.take().unwrap();
    let line = format!(
        "{}\n",
        json!({"jsonrpc": "2.0", "id": 7, "method": "x", "params": {"x": "y".repeat(MEBIBYTE)}})
    );
    // It never returns by itself: nobody reads.
    let writing = std::thread::spawn(move || {
        use std::io::Write;
        let mut written = 0;
        while written < 64 && stdin.write_all(line.as_bytes()).is_ok() {
            written += 1;
        }
        written
    });
    let (code, health) = client.health();
    assert_eq!((code, health["reason"].as_str()), (503, Some("the server does not answer within 2 s")));
    let memory = fs::read_to_string(format!("/proc/{}/status", client.id())).unwrap();
    let rss = memory
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<usize>().ok());
    assert!(rss.unwrap() < 40 << 10, "{rss:?} KiB");
    let (guard, below) = (client.id(), descendants(Path::new("/proc"), client.id().pid));
    assert_eq!(below.len(), 2, "its lifeline and its server");
    send(guard, Signal::TERM).unwrap();
    assert_eq!(eventually("the guard ends", || client.guard.try_wait().unwrap()).code(), Some(0));
    assert!(writing.join().unwrap() < 64, "it was held up, and not stored");
    assert!(below.iter().all(|process| !process.is_alive()));
}

fn a_frozen_server_is_unhealthy() {
    let mut client = StdioClient::met("");
    let child = client.status().child.unwrap();
    send(child, Signal::STOP).unwrap();
    let health = client.until_health("frozen", |code, _| code == 503);
    assert!(health["reason"].as_str().unwrap().contains("is stopped (SIGSTOP)"), "{health}");
    send(child, Signal::CONT).unwrap();
    client.until_health("thawed", |code, _| code == 200);
    assert_eq!(client.leave(), Some(0));
}

fn installing_is_not_hanging() {
    let folder = tempfile::tempdir().unwrap();
    // Four seconds of work, with a start time-out of one.
    let npx = cold_npx(folder.path(), &work(folder.path(), 4));
    let mut client = StdioClient::start(1_000, &[&npx, "-y", "fake"]);
    let info = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let id = client.send("initialize", &info);
    let health = client.until_health("installing", |_, health| health["status"] == "installing");
    assert!(health["reason"].as_str().unwrap().contains("`npm install` has worked for"), "{health}");
    assert_eq!(client.health().0, 503);
    let answer = client.answer(id);
    assert_eq!(answer["result"]["serverInfo"]["name"], "fake", "{answer}");
    assert_eq!(client.until_health("healthy", |code, _| code == 200)["starts"], 1);
    assert_eq!(client.leave(), Some(0));
}

fn an_installation_that_hangs_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let npx = cold_npx(folder.path(), "exec sleep 997");
    let mut client = StdioClient::start(1_000, &[&npx, "-y", "fake"]);
    let answer = client.initialize();
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("did not answer `initialize`"), "{message}");
    let left = client.until_health("ended", |_, health| !health["last_exit"].is_null());
    assert_eq!(left["last_exit"]["cause"], "start_timed_out");
    assert_eq!(client.leave(), Some(0));
}

fn grandchildren_end_too() {
    let exe = std::env::current_exe().unwrap();
    // One in the background, one that has left its session, and the server as the child of a wrapper.
    let script = format!("sleep 991 & setsid sleep 992 & {} fake; true", exe.display());
    let mut client = StdioClient::start(20_000, &["sh", "-c", &script]);
    client.initialize();
    let below = || descendants(Path::new("/proc"), client.id().pid);
    let all = eventually("all of them", || Some(below()).filter(|all| all.len() == 5));
    let server: i32 = {
        let is_server = |id: &&ProcessId| {
            fs::read(format!("/proc/{id}/cmdline")).is_ok_and(|line| line.ends_with(b"\0fake\0"))
        };
        all.iter().find(is_server).unwrap().pid
    };
    // The server alone: its wrapper ends, and the whole family with it; then there is a new one.
    send(ProcessId::of(server).unwrap(), Signal::KILL).unwrap();
    eventually("the old family is gone", || all.iter().all(|process| !process.is_alive()).then_some(()));
    let new = eventually("a new family", || Some(below()).filter(|all| all.len() == 5));
    assert_eq!(client.text("echo", &json!({})), "{}");
    assert_eq!(client.leave(), Some(0));
    assert!(new.iter().all(|process| !process.is_alive()), "{new:?}");
}

fn last_answers_are_given_to_who_reads_on() {
    let mut client = StdioClient::met("");
    let id = client.call("echo", &json!({"last": true}));
    client.stdin = None;
    assert_eq!(client.answer(id)["result"]["content"][0]["text"], "{\"last\":true}");
    assert_eq!(eventually("the guard ends", || client.guard.try_wait().unwrap()).code(), Some(0));
    assert!(client.is_quiet());
}

fn a_stubborn_server_ends_with_its_client() {
    let mut client = StdioClient::met("stubborn");
    let below = descendants(Path::new("/proc"), client.id().pid);
    assert_eq!(client.leave(), Some(0));
    assert!(below.iter().all(|process| !process.is_alive()));
}

fn restarts_are_counted() {
    let restarts = |client: &StdioClient| {
        let (_, health) = client.health();
        let status: Value = serde_json::from_str(&client.get("/admin/status").1).unwrap();
        assert_eq!(status["restarts"], health["restarts"]);
        let count = health["restarts"]["count"].as_u64().unwrap();
        let line = format!("mcp_server_restarts_total{{server_name=\"fake\"}} {count}");
        let metrics = client.metrics();
        assert!(metrics.lines().any(|found| found == line), "{line} is not in\n{metrics}");
        (count, health["restarts"]["since"].as_str().unwrap().to_owned())
    };
    let mut client = StdioClient::met("");
    let (count, since) = restarts(&client);
    assert_eq!(count, 0, "the first start is none");
    let id = client.call("exit", &json!({}));
    client.answer(id);
    client.until_health("healthy again", |code, _| code == 200);
    assert_eq!(restarts(&client), (1, since.clone()));
    let mut again = client.again();
    again.initialize();
    again.until_health("healthy", |code, _| code == 200);
    assert_eq!(restarts(&again), (1, since), "another guard goes on with the count");
    assert_eq!(again.leave(), Some(0));
}
