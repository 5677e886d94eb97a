//! Owns sending bundles off the machine while they are collected: part by part, behind the collection, which never waits for it.
//! Whether all of it arrived, or why not, becomes a line of the bundle's custody log.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ::evidence::custody::{self, Act};
use ::evidence::stream::{END, Part, Parts, entry};
use ::evidence::{Digest, Extent, SigningKey};
use incident::error_chain;
use process::{Bounds, Ending, Launch, Lifeline, Pipes};
use reqwest::Method;
use reqwest::header::HeaderMap;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStderr, ChildStdin};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::Stream;
use crate::remote::{Asker, Question, plain};
use crate::secrets::Secrets;

/// The time before a part, or a command, is tried again: it doubles each time.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(30);
/// Together, whatever is tried: then it is said that it was not sent.
const ALL_MAX: Duration = Duration::from_secs(15 * 60);
/// What a command that has ended may still have to say.
const SAID_WITHIN: Duration = Duration::from_secs(1);
/// An answer to a part says yes, and nothing else.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// How far the collection is.
#[derive(Clone, Debug, Default)]
struct Progress {
    extent: Extent,
    /// The bundle is whole, with its custody log.
    is_over: bool,
}

/// A bundle that is on its way.
#[derive(Debug)]
pub(super) struct Sending {
    progress: Arc<watch::Sender<Progress>>,
    task: JoinHandle<Result<usize, String>>,
    target: String,
}

/// What it takes to send a bundle.
struct Sender {
    stream: Stream,
    folder: PathBuf,
    /// The name of the bundle elsewhere.
    name: String,
    exe: PathBuf,
    secrets: Secrets,
}

/// Where parts go.
enum Way {
    Put(Asker),
    Command { lifeline: Lifeline, stdin: ChildStdin, said: JoinHandle<Vec<u8>> },
}

/// Bundles that are on their way.
static ON_THEIR_WAY: AtomicUsize = AtomicUsize::new(0);
/// Each has a part in memory; where nobody takes them they wait for minutes.
const ON_THEIR_WAY_MAX: usize = 16;

/// Why a part did not arrive.
struct Failed {
    problem: String,
    may_pass: bool,
}

// === impl Sending ===

impl Sending {
    /// Begins to send what will be collected in this folder. `exe` is the `paramedic` program, which ends commands with all that
    /// they have started. Has to be called where tasks can be started.
    pub(super) fn begin(stream: &Stream, folder: &Path, exe: &Path) -> Self {
        let (progress, seen) = watch::channel(Progress::default());
        let sender = Sender {
            stream: stream.clone(),
            folder: folder.to_owned(),
            name: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            exe: exe.to_owned(),
            secrets: Secrets::of_process(exe),
        };
        let task = tokio::spawn(async move {
            let late = |_| Err(format!("it was not there within {ALL_MAX:?}"));
            let sent = if ON_THEIR_WAY.fetch_add(1, Ordering::Relaxed) < ON_THEIR_WAY_MAX {
                tokio::time::timeout(ALL_MAX, sender.all(seen)).await.unwrap_or_else(late)
            } else {
                Err(format!("{ON_THEIR_WAY_MAX} others were on their way"))
            };
            ON_THEIR_WAY.fetch_sub(1, Ordering::Relaxed);
            sent
        });
        Self { progress: Arc::new(progress), task, target: stream.target() }
    }

    /// Whoever writes the bundle tells this of every seal.
    pub(super) fn teller(&self) -> impl FnMut(Extent) + Send + 'static {
        let progress = Arc::clone(&self.progress);
        move |extent| progress.send_modify(|progress| progress.extent = extent)
    }

    /// Where it goes, for people.
    pub(super) fn target(&self) -> &str {
        &self.target
    }

    /// The bundle is whole: waits until it has arrived, or `stop` says why nobody waits any longer, and writes into its custody
    /// log what came of it.
    ///
    /// # Errors
    /// Why it has not.
    pub(super) async fn end(
        mut self,
        folder: &Path,
        sha256: Digest,
        key: &SigningKey,
        by: &str,
        now_ms: i64,
        stop: impl Future<Output = String> + Send,
    ) -> Result<String, String> {
        self.progress.send_modify(|progress| progress.is_over = true);
        let sent = tokio::select! {
            sent = &mut self.task => sent.unwrap_or_else(|error| Err(error.to_string())),
            why = stop => {
                self.task.abort();
                Err(why)
            }
        };
        let action = match &sent {
            Ok(parts) => format!("sent to {} in {parts} parts", self.target),
            Err(problem) => format!("not sent to {}: {problem}", self.target),
        };
        let act = Act {
            at_ms: now_ms,
            by: by.to_owned(),
            action: action.clone(),
            before: Some(sha256),
            after: sha256,
        };
        let noted = custody::append(folder, key, act);
        if let Err(error) = noted {
            tracing::warn!(
                error = error_chain(&error),
                action,
                "this could not be written into a custody log"
            );
        }
        sent.map(|_| action.clone()).map_err(|_| action)
    }
}

// === impl Sender ===

impl Sender {
    /// Sends all parts as they come. Returns how many there were.
    async fn all(&self, seen: watch::Receiver<Progress>) -> Result<usize, String> {
        let mut tries = 0;
        loop {
            let failed = match self.attempt(seen.clone()).await {
                Ok(parts) => return Ok(parts),
                Err(failed) => failed,
            };
            tries += 1;
            // Parts that are put are tried one by one; a command begins anew.
            if self.stream.url.is_some() || !failed.may_pass || tries >= self.stream.tries {
                return Err(failed.problem);
            }
            tracing::warn!(problem = failed.problem, tries, "evidence could not be sent, and is tried again");
            tokio::time::sleep(pause(tries)).await;
        }
    }

    async fn attempt(&self, mut seen: watch::Receiver<Progress>) -> Result<usize, Failed> {
        let mut way = self.way().await?;
        let (mut parts, mut n) = (Parts::of(&self.folder), 0);
        loop {
            let progress = seen.borrow_and_update().clone();
            let mut new = parts.up_to(&progress.extent);
            if progress.is_over {
                new.extend(parts.custody());
            }
            for part in new {
                let bytes = read(&part).await?;
                let sent = match &mut way {
                    Way::Put(asker) => self.put(asker, &part.name, bytes).await,
                    Way::Command { stdin, .. } => self.write(stdin, &part.name, &bytes).await,
                };
                if let Err(failed) = sent {
                    return Err(self.why(way, failed).await);
                }
                n += 1;
            }
            if progress.is_over {
                break;
            }
            if seen.changed().await.is_err() {
                return Err(Failed::never("the collection failed"));
            }
        }
        match way {
            Way::Put(_) => Ok(n),
            Way::Command { lifeline, stdin, said } => self.close(lifeline, stdin, said).await.map(|()| n),
        }
    }

    async fn way(&self) -> Result<Way, Failed> {
        if self.stream.url.is_some() {
            return Ok(Way::Put(Asker::default()));
        }
        let mut words = self.stream.command.iter().cloned();
        let launch = Launch {
            paramedic_exe: self.exe.clone(),
            program: words.next().unwrap_or_default(),
            args: words.collect(),
            env: Vec::new(),
            cwd: None,
            bounds: Bounds::default(),
        };
        let (lifeline, pipes) = Lifeline::spawn(launch)
            .await
            .map_err(|error| Failed::later(format!("it cannot be run: {}", error_chain(&error))))?;
        let Pipes { stdin, mut stdout, stderr } = pipes;
        // Who is not listened to stops at a full pipe.
        tokio::spawn(async move { tokio::io::copy(&mut stdout, &mut tokio::io::sink()).await });
        Ok(Way::Command { lifeline, stdin, said: tokio::spawn(complaint(stderr)) })
    }

    /// Puts one part, as often as it is allowed.
    async fn put(&self, asker: &Asker, part: &str, bytes: Vec<u8>) -> Result<(), Failed> {
        let path = format!("/{}/{part}", self.name);
        let Some(remote) = self.stream.remote() else { return Err(Failed::never("there is no address")) };
        let mut tries = 0;
        loop {
            let question = Question {
                method: Method::PUT,
                path: &path,
                query: &[],
                headers: HeaderMap::new(),
                body: Some(bytes.clone()),
                bytes_max: ANSWER_BYTES_MAX,
                error_bytes_max: crate::remote::REFUSAL_BYTES_MAX,
            };
            let Err(error) = asker.ask(&remote, &self.secrets, question).await else { return Ok(()) };
            tries += 1;
            let problem = format!("`{part}`: {}", error_chain(&error));
            if !error.may_pass() || tries >= self.stream.tries {
                return Err(Failed::never(problem));
            }
            tracing::warn!(problem, tries, "a part of evidence could not be sent, and is tried again");
            tokio::time::sleep(error.after().unwrap_or_else(|| pause(tries))).await;
        }
    }

    async fn write(&self, stdin: &mut ChildStdin, part: &str, bytes: &[u8]) -> Result<(), Failed> {
        let entry = entry(&self.name, part, bytes).map_err(|error| Failed::never(error.to_string()))?;
        match tokio::time::timeout(self.stream.timeout.get(), stdin.write_all(&entry)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Failed::later(format!("it takes nothing any more: {error}"))),
            Err(_) => Err(Failed::later(format!("it took no part within {}", self.stream.timeout))),
        }
    }

    /// Why nothing is taken any more: of a command that has ended, how, and what it said.
    async fn why(&self, way: Way, failed: Failed) -> Failed {
        match way {
            Way::Put(_) => failed,
            Way::Command { lifeline, stdin, said } => {
                self.close(lifeline, stdin, said).await.err().unwrap_or(failed)
            }
        }
    }

    /// Ends the archive, and waits for the command to end well.
    async fn close(
        &self,
        lifeline: Lifeline,
        mut stdin: ChildStdin,
        said: JoinHandle<Vec<u8>>,
    ) -> Result<(), Failed> {
        let closing = async {
            // Who ends without having read the end says by its exit code whether that is well.
            let _ = stdin.write_all(&END).await;
            drop(stdin);
            lifeline.ended().await
        };
        match tokio::time::timeout(self.stream.timeout.get(), closing).await {
            Ok(Ending::Exited(0)) => Ok(()),
            Ok(ending) => {
                let said = tokio::time::timeout(SAID_WITHIN, said).await;
                let said = said.ok().and_then(Result::ok).unwrap_or_default();
                Err(Failed::later(format!("it ended with {ending}: {}", plain(&said))))
            }
            // Dropping the lifeline ends it, with all that it has started.
            Err(_) => Err(Failed::later(format!("it did not end within {}", self.stream.timeout))),
        }
    }
}

// === impl Failed ===

impl Failed {
    fn never(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), may_pass: false }
    }

    fn later(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), may_pass: true }
    }
}

fn pause(tries: u32) -> Duration {
    AGAIN_AFTER.saturating_mul(1 << (tries - 1).min(10)).min(AGAIN_AFTER_MAX)
}

async fn read(part: &Part) -> Result<Vec<u8>, Failed> {
    let part = part.clone();
    let read =
        tokio::task::spawn_blocking(move || part.read().map_err(|error| format!("`{}`: {error}", part.name)));
    read.await.map_err(|error| Failed::never(error.to_string()))?.map_err(Failed::never)
}

/// The beginning of what a command says on standard error; the rest is read and forgotten.
async fn complaint(mut stderr: ChildStderr) -> Vec<u8> {
    let mut beginning = Vec::new();
    let _ = (&mut stderr).take(crate::remote::REFUSAL_BYTES_MAX as u64).read_to_end(&mut beginning).await;
    let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
    beginning
}

#[cfg(test)]
mod tests;
