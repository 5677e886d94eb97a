//! Owns the frozen form of the control messages: guard and `serve` may be of different versions.

use std::io;

use expect_test::expect;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixListener;

use super::{
    Client, Criticality, DependencyHealth, DependencyStatus, Event, Exit, ExitCause, LINE_BYTES_MAX, Message,
    Outcome, Phase, Request, Status,
};
use crate::{Ending, ProcessId};

fn status() -> Status {
    Status {
        name: "mem".to_owned(),
        guard: ProcessId { pid: 10, start_ticks: 100 },
        listen: "127.0.0.1:8101".to_owned(),
        command: vec!["server".to_owned(), "--x".to_owned()],
        phase: Phase::Exited,
        child: None,
        starts: 2,
        last_exit: Some(Exit {
            sequence: 2,
            pid: Some(12),
            ending: Some(Ending::Signaled(9)),
            at_ms: 1_700_000_000_000,
            uptime_ms: 5,
            cause: ExitCause::Unexpected,
            reason: "killed by SIGKILL".to_owned(),
            stderr: vec!["bye".to_owned()],
            out_of_memory: None,
        }),
        last_key: Some("k".to_owned()),
        stopped_by: None,
        package: None,
        restriction: None,
    }
}

#[test]
fn messages_keep_their_form() {
    let child = ProcessId { pid: 12, start_ticks: 101 };
    let messages = [
        Message::Hello { status: status() },
        Message::Event { event: Event::Started { child, at_ms: 1, starts: 1 } },
        Message::Event { event: Event::Ready { child, at_ms: 2, start_ms: 1 } },
        Message::Reply { id: 3, outcome: Outcome::Error("no".to_owned()) },
    ];
    let lines = messages.each_ref().map(|message| serde_json::to_string(message).unwrap());
    expect![[r#"
        {"message":"hello","status":{"name":"mem","guard":{"pid":10,"start_ticks":100},"listen":"127.0.0.1:8101","command":["server","--x"],"phase":"exited","child":null,"starts":2,"last_exit":{"sequence":2,"pid":12,"ending":{"signaled":9},"at_ms":1700000000000,"uptime_ms":5,"cause":"unexpected","reason":"killed by SIGKILL","stderr":["bye"]},"last_key":"k","stopped_by":null}}
        {"message":"event","event":{"event":"started","child":{"pid":12,"start_ticks":101},"at_ms":1,"starts":1}}
        {"message":"event","event":{"event":"ready","child":{"pid":12,"start_ticks":101},"at_ms":2,"start_ms":1}}
        {"message":"reply","id":3,"outcome":{"error":"no"}}"#]]
    .assert_eq(&lines.join("\n"));
    for (message, line) in messages.iter().zip(&lines) {
        assert_eq!(serde_json::from_str::<Message>(line).unwrap(), *message);
    }
}

#[test]
fn requests_keep_their_form() {
    let (key, by) = ("k".to_owned(), "serve".to_owned());
    let dependency = DependencyStatus {
        name: "db".to_owned(),
        health: DependencyHealth::Unknown,
        critical: Criticality::Critical,
        reason: "not asked yet".to_owned(),
    };
    let requests = [
        Request::Restart { id: 1, key: key.clone(), by: by.clone() },
        Request::Start { id: 2, key, by: by.clone() },
        Request::Stop { id: 3, by },
        Request::Dependencies { dependencies: vec![dependency] },
        Request::Shutdown { id: 4 },
    ];
    let lines = requests.each_ref().map(|request| serde_json::to_string(request).unwrap());
    expect![[r#"
        {"request":"restart","id":1,"key":"k","by":"serve"}
        {"request":"start","id":2,"key":"k","by":"serve"}
        {"request":"stop","id":3,"by":"serve"}
        {"request":"dependencies","dependencies":[{"name":"db","health":"unknown","critical":"critical","reason":"not asked yet"}]}
        {"request":"shutdown","id":4}"#]]
    .assert_eq(&lines.join("\n"));
    for (request, line) in requests.iter().zip(&lines) {
        assert_eq!(serde_json::from_str::<Request>(line).unwrap(), *request);
    }
}

#[tokio::test]
async fn a_client_hears_speaks_and_notices_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let missing = Client::connect(&path).await.unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);

    let listener = UnixListener::bind(&path).unwrap();
    let (client, mut messages) = Client::connect(&path).await.unwrap();
    let (guard, _) = listener.accept().await.unwrap();
    let mut guard = BufReader::new(guard);
    let hello = Message::Hello { status: status() };
    guard.write_all(format!("{}\n", serde_json::to_string(&hello).unwrap()).as_bytes()).await.unwrap();
    assert_eq!(messages.recv().await, Some(hello));

    let request = Request::Stop { id: 9, by: "x".repeat(LINE_BYTES_MAX) };
    assert_eq!(client.send(&request).await.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    client.send(&Request::Shutdown { id: 9 }).await.unwrap();
    let mut line = String::new();
    guard.read_line(&mut line).await.unwrap();
    assert_eq!(serde_json::from_str::<Request>(&line).unwrap(), Request::Shutdown { id: 9 });

    guard.write_all(b"nonsense\n").await.unwrap();
    assert_eq!(messages.recv().await, None);
}

#[test]
fn the_lock_stands_beside_the_socket() {
    let lock = super::lock_path(std::path::Path::new("/run/paramedic/mem.sock"));
    assert_eq!(lock, std::path::Path::new("/run/paramedic/mem.sock.lock"));
}
