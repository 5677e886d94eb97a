//! Owns what is kept of an MCP server beside what the machine says: how it was started, its configuration, its tools, who talks to
//! it, what was asked last.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use ::evidence::{Gathered, Step, Tier, hide_text};
use process::control::{Client, Message, Request};
use rustix::fs::OFlags;
use serde_json::{Value, json};

use super::Collection;
use super::lists::LISTS;
use crate::config::{Config, Server};
use crate::tuning::control_socket;

/// How long a guard may take to say who it is, and to say everything. What it says of tools it may have to ask for.
const HELLO_MAX: Duration = Duration::from_millis(500);
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// The end of the log that has the last requests: about 1,000 of them.
const REQUESTS_BYTES: u64 = 256 << 10;

/// What a guard is asked for, in this order.
const VERBS: [&str; 5] = ["status", "tools", "resources", "templates", "prompts"];

/// What a guard has said to each.
type Said = [Result<Value, String>; VERBS.len()];
type Answers = [Option<Result<Value, String>>; VERBS.len()];

/// The step that takes it in, and the process of the server. The guard is asked at once, and heard when its turn comes.
pub(super) async fn step(
    config: &Config,
    name: &str,
    server: Option<&Server>,
    wanted: &Collection,
) -> (Option<Step>, Option<i32>) {
    let socket = control_socket(config, name);
    let (sender, said) = mpsc::channel();
    let connected = tokio::time::timeout(HELLO_MAX, hello(&socket)).await;
    let problem = match connected {
        Ok(Ok((child, client, messages))) => {
            tokio::spawn(async move {
                let mut answers = Answers::default();
                let asked = tokio::time::timeout(ANSWER_MAX, ask(client, messages, &mut answers)).await;
                let problem = match asked {
                    Ok(Ok(())) => "its guard went away".to_owned(),
                    Ok(Err(problem)) => problem,
                    Err(_) => "its guard did not answer in time".to_owned(),
                };
                // What it has said until then is kept. Where nobody listens any more the collection has ended.
                let _ = sender.send(answers.map(|answer| answer.unwrap_or_else(|| Err(problem.clone()))));
            });
            Ok(child)
        }
        Ok(Err(problem)) => Err((problem, sender)),
        Err(_) => Err(("its guard says nothing".to_owned(), sender)),
    };
    let pid = problem.unwrap_or_else(|(problem, sender)| {
        let _ = sender.send(nothing(&problem));
        None
    });
    let log = config.log_dir.join(format!("{name}.log"));
    let configured = server.map(configuration);
    let records =
        LISTS.map(|list| config.evidence.dir.join(format!(".{}", list.name)).join(format!("{name}.json")));
    let now_ms = wanted.now_ms;
    let step = Step::new("server", Tier::T0, ANSWER_MAX + Duration::from_secs(1), move |_, out| {
        out.give(match configured {
            Some(configured) => item("configuration.json", &configured),
            None => Gathered::missing("t0/server/configuration.json", "it is not in the configuration"),
        });
        out.give(requests(&log));
        out.doing("what its guard says");
        let said = said.recv().unwrap_or_else(|_| nothing("nobody asked its guard"));
        let [status, lists @ ..] = said;
        out.give(match status {
            Ok(status) => item("guard-status.json", &hide(status)),
            Err(problem) => Gathered::missing("t0/server/guard-status.json", problem),
        });
        for ((list, said), record) in LISTS.iter().zip(lists).zip(&records) {
            match said {
                Ok(document) => {
                    let pages = document["pages"].as_array().map(Vec::as_slice).unwrap_or_default();
                    list.keep(pages, record, now_ms).into_iter().for_each(|gathered| out.give(gathered));
                }
                Err(problem) => {
                    out.give(Gathered::missing(format!("t0/server/{}.jsonl", list.name), problem));
                }
            }
        }
    });
    (Some(step), wanted.pid.or(pid))
}

type Messages = tokio::sync::mpsc::Receiver<Message>;

async fn hello(socket: &Path) -> Result<(Option<i32>, Client, Messages), String> {
    let no_guard = |error: std::io::Error| format!("no guard of it runs: {error}");
    let (client, mut messages) = Client::connect(socket).await.map_err(no_guard)?;
    match messages.recv().await {
        Some(Message::Hello { status }) => Ok((status.child.map(|child| child.pid), client, messages)),
        _ => Err("its guard says something else than how it is".to_owned()),
    }
}

/// Asks for all of it, and takes the answers as they come.
async fn ask(client: Client, mut messages: Messages, answers: &mut Answers) -> Result<(), String> {
    for (id, verb) in (0..).zip(VERBS) {
        let request = Request::Admin {
            id,
            by: "evidence".to_owned(),
            verb: verb.to_owned(),
            query: String::new(),
            body: String::new(),
        };
        client.send(&request).await.map_err(|error| format!("its guard does not hear: {error}"))?;
    }
    while answers.iter().any(Option::is_none) {
        match messages.recv().await {
            Some(Message::Answered { id, code, document }) => {
                let read = serde_json::from_str::<Value>(&document).map_err(|error| error.to_string());
                let answer = match read {
                    Ok(document) if code < 300 => Ok(document),
                    Ok(document) => {
                        Err(document["error"].as_str().unwrap_or("it does not say why").to_owned())
                    }
                    Err(error) => Err(error),
                };
                if let Some(place) = usize::try_from(id).ok().and_then(|id| answers.get_mut(id)) {
                    *place = Some(answer);
                }
            }
            Some(_) => {}
            None => break,
        }
    }
    Ok(())
}

/// What a guard says of itself, without secrets in the command.
fn hide(mut status: Value) -> Value {
    if let Some(command) = status.get_mut("command") {
        *command = json!(hidden(command));
    }
    status
}

/// A command with its secrets hidden.
fn hidden(command: &Value) -> Vec<String> {
    let words = command.as_array().into_iter().flatten().filter_map(Value::as_str);
    let line = words.flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect::<Vec<u8>>();
    host::arguments_of(&line)
}

/// The server's part of the configuration, without any value of its environment.
fn configuration(server: &Server) -> Value {
    let mut configured = json!(server);
    for variable in configured.get_mut("environment").and_then(Value::as_object_mut).into_iter().flatten() {
        // Where a secret is kept is no secret.
        if variable.1.is_string() {
            *variable.1 = "[REDACTED]".into();
        }
    }
    if let Some(command) = configured.get_mut("stdio") {
        *command = json!(hidden(command));
    }
    configured
}

/// The last lines of the server's log, secrets hidden.
fn requests(log: &Path) -> Gathered {
    const ITEM: &str = "t0/server/requests.jsonl";
    let read = || -> std::io::Result<Vec<u8>> {
        // A pipe in its place is not waited for.
        let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOFOLLOW).bits()).unwrap_or_default();
        let mut file = File::options().read(true).custom_flags(flags).open(log)?;
        let of = file.metadata()?;
        if !of.is_file() {
            return Err(std::io::Error::other("it is no regular file"));
        }
        let length = of.len();
        file.seek(SeekFrom::Start(length.saturating_sub(REQUESTS_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(REQUESTS_BYTES).read_to_end(&mut bytes)?;
        // The first line may have lost its beginning.
        let from = if length > REQUESTS_BYTES {
            bytes.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1)
        } else {
            0
        };
        Ok(bytes.split_off(from))
    };
    match read() {
        Err(error) => Gathered::missing(ITEM, format!("`{}`: {error}", log.display())),
        Ok(bytes) => {
            let (bytes, original_sha256) = hide_text(bytes);
            Gathered { original_sha256, ..Gathered::whole(ITEM, bytes) }
        }
    }
}

fn item(name: &str, document: &Value) -> Gathered {
    let text = serde_json::to_string_pretty(document).unwrap_or_default();
    Gathered::whole(format!("t0/server/{name}"), hide_text(text.into_bytes()).0)
}

fn nothing(problem: &str) -> Said {
    VERBS.map(|_| Err(problem.to_owned()))
}
