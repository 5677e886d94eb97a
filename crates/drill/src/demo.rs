//! Owns the demonstration: one server is killed, one is frozen, and Paramedic brings both back while you look.

mod client;
mod scene;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use incident::{Engine, Happening, IncidentId, Record, State};
use process::signal::{Delivery, Signal};
use process::{ProcessId, tree};
use server::{Serve, ServeError, ServeWorld, Start, Surroundings};
use tokio::runtime::Runtime;
use tokio::sync::broadcast;

use crate::place::{self, PlaceError};
use scene::Scene;

/// How long the servers may take until both answer.
const START_MAX: Duration = Duration::from_secs(10);

/// How long it may take until both incidents are resolved.
const RECOVERY_MAX: Duration = Duration::from_secs(30);

/// How long files may still be written after the end: a write that is going on takes some milliseconds.
const SHUTDOWN_MAX: Duration = Duration::from_secs(2);

/// How often to look whether something is ready.
const LOOK: Duration = Duration::from_millis(20);

/// How a demonstration is wanted.
#[derive(Debug, Clone)]
pub struct Demo {
    /// The `paramedic` program.
    pub exe: PathBuf,
    /// What becomes of it afterwards.
    pub afterwards: Afterwards,
}

/// What becomes of a demonstration afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    /// No process and no file is left.
    Clean,
    /// It goes on serving until it is interrupted, and the files stay.
    Keep,
}

/// Why a demonstration failed.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// There is no place for it.
    #[error("the demonstration has no place")]
    Place(#[from] PlaceError),
    /// `serve` did not start.
    #[error("`serve` did not start")]
    Serve(#[from] ServeError),
    /// The engine failed.
    #[error("the engine failed")]
    Engine(#[from] incident::EngineError),
    /// Something did not happen in time.
    #[error("{0} within {1:?}")]
    Late(String, Duration),
    /// A server gave a wrong answer.
    #[error("`{server}` gave a wrong answer: {answer}")]
    Wrong {
        /// The server.
        server: String,
        /// Its answer.
        answer: String,
    },
    /// Something else on the way failed.
    #[error("{what} failed")]
    Io {
        /// What was done.
        what: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl Demo {
    /// Runs the demonstration on `runtime`, and ends both; `say` gets each line for the terminal as it happens.
    ///
    /// # Errors
    /// Where something did not go as it must. Processes and files are cleaned up all the same.
    pub fn run(&self, runtime: Runtime, mut say: impl FnMut(String)) -> Result<(), DemoError> {
        tree::become_subreaper().map_err(|source| DemoError::Io { what: "becoming a subreaper", source })?;
        let folder = tempfile::Builder::new()
            .prefix("paramedic-demo-")
            .tempdir()
            .map_err(|source| DemoError::Io { what: "making a temporary folder", source })?;
        let result = runtime.block_on(async {
            tokio::select! {
                result = self.play(folder.path(), &mut say) => result,
                () = interrupted() => Ok(()),
            }
        });
        // Whatever happened above, nothing of ours runs on: first nobody who starts processes and writes files.
        runtime.shutdown_timeout(SHUTDOWN_MAX);
        tree::kill_descendants(ProcessId::current().pid);
        tree::reap_children();
        match self.afterwards {
            Afterwards::Clean => drop(folder),
            Afterwards::Keep => say(format!("\nThe files stay in {}", folder.keep().display())),
        }
        result
    }

    async fn play(&self, folder: &Path, say: &mut impl FnMut(String)) -> Result<(), DemoError> {
        let began = Instant::now();
        let (config, config_path) = place::prepare(folder, &self.exe)?;
        say(format!("Everything happens in {} and on 127.0.0.1.\n", folder.display()));
        let surroundings = Surroundings { exe: self.exe.clone(), tie: Some(ProcessId::current()) };
        let endpoints: Vec<(String, String)> = config
            .server
            .iter()
            .map(|server| (server.name.clone(), server.endpoint(config.guard_address)))
            .collect();
        let address = config.listen;
        let serve = Serve::start(Start { config, config_path: config_path.clone(), surroundings }).await?;
        let mut scene = Scene::new();
        for (name, endpoint) in &endpoints {
            let answer = client::answer_within(name, endpoint, START_MAX).await?;
            say(format!("{name:<6} answers at {endpoint}: {answer}"));
        }
        say(String::new());
        let mut feed = serve.engine().feed();
        let hurt = hurt(&serve)?;
        scene.begin();
        hurt.iter().for_each(|line| say(scene.line("", line)));
        let ids = watch(serve.engine(), &mut feed, endpoints.len(), &mut scene, say).await?;
        say(String::new());
        for (name, endpoint) in &endpoints {
            let answer = client::answer_within(name, endpoint, START_MAX).await?;
            say(format!("{name:<6} answers again, to a new session: {answer}"));
        }
        for id in &ids {
            let report = serve.engine().report(id).await?.markdown();
            // The steps with their outputs are long; they are in the file.
            let short = report.split("\n## Steps").next().unwrap_or(&report);
            say(format!("\n{}\n{short}", "─".repeat(72)));
        }
        say(format!(
            "{}\nTwo servers down, two servers back, in {:.1} s.",
            "─".repeat(72),
            began.elapsed().as_secs_f64()
        ));
        if self.afterwards == Afterwards::Keep {
            say(format!("\nServing on http://{address}/health until you press Ctrl-C. In another terminal:"));
            let config = config_path.display();
            for command in ["incident list", "server list", "check"] {
                say(format!("  {} {command} --config {config}", self.exe.display()));
            }
            interrupted().await;
        }
        serve.stop_with_servers().await;
        Ok(())
    }
}

/// Kills the first server and freezes the second.
fn hurt(serve: &Serve) -> Result<Vec<String>, DemoError> {
    let mut lines = Vec::new();
    for ((name, _), (signal, what)) in place::SERVERS.iter().zip([
        (Signal::KILL, "killed with SIGKILL"),
        (Signal::STOP, "frozen with SIGSTOP: alive, and answering nothing"),
    ]) {
        let child = serve.fleet().get(name).and_then(|member| member.child());
        let Some(child) = child else {
            return Err(DemoError::Late(format!("`{name}` had no process"), START_MAX));
        };
        match process::signal::send(child, signal) {
            Ok(Delivery::Delivered) => lines.push(format!("{name} (process {}) is {what}", child.pid)),
            Ok(Delivery::Gone) => {
                return Err(DemoError::Late(format!("`{name}` did not stay up"), START_MAX));
            }
            Err(source) => return Err(DemoError::Io { what: "sending a signal", source }),
        }
    }
    Ok(lines)
}

/// Shows what happens until `n` incidents are resolved, and returns them.
async fn watch(
    engine: &Engine<ServeWorld>,
    feed: &mut broadcast::Receiver<Happening>,
    n: usize,
    scene: &mut Scene,
    say: &mut impl FnMut(String),
) -> Result<Vec<IncidentId>, DemoError> {
    let mut done = BTreeSet::new();
    let all = async {
        while done.len() < n {
            let happening = match feed.recv().await {
                Ok(happening) => happening,
                Err(broadcast::error::RecvError::Lagged(_)) => continue,
                Err(broadcast::error::RecvError::Closed) => break,
            };
            let incident = engine.incident(&happening.incident).await?;
            if let Some(line) = scene.record(&incident, &happening) {
                say(line);
            }
            if matches!(happening.record, Record::Reported { .. }) && incident.state == State::Resolved {
                done.insert(happening.incident);
            }
        }
        Ok::<_, DemoError>(())
    };
    match tokio::time::timeout(RECOVERY_MAX, all).await {
        Ok(result) => result?,
        Err(_) => return Err(DemoError::Late("not every server was brought back".to_owned(), RECOVERY_MAX)),
    }
    Ok(done.into_iter().collect())
}

/// Waits for Ctrl-C or SIGTERM.
async fn interrupted() {
    tokio::select! { _ = tokio::signal::ctrl_c() => {}, () = terminated() => {} }
}

/// Waits for SIGTERM; where it cannot be waited for, never returns.
async fn terminated() {
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut signals) => drop(signals.recv().await),
        Err(_) => std::future::pending().await,
    }
}
