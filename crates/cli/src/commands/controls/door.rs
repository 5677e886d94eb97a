//! Owns the way to the guard of a server, where one runs: its control socket, or the local socket of a client's guard.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ::server::client::{Client, ClientError};
use ::server::config::Config;
use guard::Exchange;
use incident::change::{Change, Place};
use process::control::{self, Message, Request, clients_folder};
use serde_json::Value;

use crate::arguments::millis;
use crate::commands::tune::failure;
use crate::context::actor;
use crate::fail::{Code, Failure};

/// How long an answer may take beside what is waited for.
const ANSWER_MAX: Duration = Duration::from_secs(15);

/// The way to one guard.
pub(in crate::commands) struct Door {
    name: String,
    way: Way,
    /// How long is waited for writes that run.
    wait: Duration,
    /// What the guard said last.
    told: Mutex<Option<Value>>,
}

enum Way {
    /// The control socket of a configured server's guard.
    Control(PathBuf),
    /// HTTP on the socket of a client's guard.
    Client(PathBuf),
}

// === impl Door ===

impl Door {
    /// The guard of a server of the configuration, or of a client.
    pub(super) fn find(config: &Config, name: &str, wait: Duration) -> Result<Self, Failure> {
        let server = config.server.iter().find(|server| server.name == name);
        let client = clients_folder(&config.run_dir).join(format!("{name}.sock"));
        let way = match server {
            Some(server) if server.upstream.is_some() && !::server::control_socket(config, name).exists() => {
                let message = format!(
                    "`{name}` is an upstream without a guard: nobody stands between it and its clients"
                );
                return Err(Failure::new(Code::Refused, anyhow::anyhow!(message)));
            }
            Some(_) => Way::Control(::server::control_socket(config, name)),
            None if client.exists() => Way::Client(client),
            None => {
                let control = ::server::control_socket(config, name);
                if !control.exists() {
                    let known: Vec<_> = config.server.iter().map(|server| server.name.as_str()).collect();
                    let known = known.join(", ");
                    let message = format!(
                        "`{name}` is no server of the configuration or of a client; there are: {known}"
                    );
                    return Err(Failure::usage(anyhow::anyhow!(message)));
                }
                Way::Control(control)
            }
        };
        Ok(Self { name: name.to_owned(), way, wait, told: Mutex::default() })
    }

    /// What the guard said to the last change; none where none runs.
    pub(super) fn told(&self) -> Option<Value> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Has the guard make a change; where none runs, makes it in the file, for the next one.
    pub(in crate::commands) async fn make(&self, change: &Change) -> Result<(), Failure> {
        let [Place { old, new, .. }] = change.places.as_slice() else {
            return Err(Failure::no(anyhow::anyhow!("controls are one file")));
        };
        let wait_ms = u64::try_from(millis(self.wait)).unwrap_or(0);
        let exchange = Exchange { old: old.clone(), new: new.clone(), wait_ms };
        let body = serde_json::to_string(&exchange).map_err(Failure::no)?;
        match self.ask("controls", &actor(), body).await? {
            None => change.make().map_err(failure),
            Some((200..=299, document)) => {
                *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(document);
                Ok(())
            }
            Some((code, document)) => {
                let reason = document["error"].as_str().unwrap_or("it does not say why");
                let message = anyhow::anyhow!("the guard of `{}` does not do it: {reason}", self.name);
                Err(Failure::new(if code == 409 { Code::Refused } else { Code::No }, message))
            }
        }
    }

    /// Asks for something below `/admin`. None where no guard runs.
    pub(super) async fn ask(
        &self,
        verb: &str,
        by: &str,
        body: String,
    ) -> Result<Option<(u16, Value)>, Failure> {
        let within = self.wait + ANSWER_MAX;
        let asked = async {
            match &self.way {
                Way::Control(path) => control(path, verb, by, body).await,
                Way::Client(path) => client(path, verb, &body, within).await,
            }
        };
        let late = || {
            let message = format!("the guard of `{}` did not answer within {within:?}", self.name);
            Failure::new(Code::Unreachable, anyhow::anyhow!(message))
        };
        tokio::time::timeout(within, asked).await.map_err(|_| late())?
    }
}

async fn control(path: &Path, verb: &str, by: &str, body: String) -> Result<Option<(u16, Value)>, Failure> {
    let unreachable = |error: io::Error| {
        let error =
            anyhow::Error::new(error).context(format!("the guard at `{}` does not answer", path.display()));
        Failure::new(Code::Unreachable, error)
    };
    let (client, mut messages) = match control::Client::connect(path).await {
        Ok(connected) => connected,
        // Nobody has it, or nobody has it any more.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(unreachable(error)),
    };
    let request =
        Request::Admin { id: 1, by: by.to_owned(), verb: verb.to_owned(), query: String::new(), body };
    client.send(&request).await.map_err(unreachable)?;
    while let Some(message) = messages.recv().await {
        if let Message::Answered { id: 1, code, document } = message {
            return Ok(Some((code, serde_json::from_str(&document).map_err(Failure::no)?)));
        }
    }
    Err(unreachable(io::ErrorKind::UnexpectedEof.into()))
}

async fn client(
    path: &Path,
    verb: &str,
    body: &str,
    within: Duration,
) -> Result<Option<(u16, Value)>, Failure> {
    let client = Client::new(path)?;
    let body: Value = serde_json::from_str(body).unwrap_or_else(|_| serde_json::json!({}));
    let path = format!("/admin/{verb}");
    // What only asks is a question of HTTP too.
    let answer = match verb {
        "tools" => client.get_within::<Value>(&path, within).await,
        _ => client.post::<Value>(&path, &body, within).await,
    };
    match answer {
        Ok(document) => Ok(Some((200, document))),
        Err(ClientError::NotReachable { .. }) => Ok(None),
        Err(ClientError::Refused { status, message }) => {
            Ok(Some((status, serde_json::json!({ "error": message }))))
        }
        Err(error) => Err(error.into()),
    }
}
