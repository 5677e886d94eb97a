//! Owns what only commands of this program do, done for somebody far away: the command is run as they would run it here, with
//! its JSON as the answer. It has a deadline and a bound, and is ended with all that it has started where `serve` ends.

use std::time::Duration;

use axum::http::StatusCode;
use incident::{World as _, error_chain};
use process::{Bounds, Ending, Launch, Lifeline, Pipes};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::Semaphore;

use crate::api::Failure;
use crate::api::wire::{Look, LookForm};
use crate::world::ServeWorld;

/// The longest answer, in bytes.
const PRINTED_BYTES_MAX: usize = 4 << 20;
/// How much of what it says on standard error is told on, in bytes.
const SAID_BYTES_MAX: usize = 4 << 10;
/// How long it may take until a command that was killed is gone.
const KILL_GRACE: Duration = Duration::from_secs(10);
/// The longest name of who acts, in characters.
const NAME_CHARS_MAX: usize = 200;

/// Commands at once: each is a process that reads the whole machine.
static AT_ONCE: Semaphore = Semaphore::const_new(2);

/// What a command has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    /// To standard output.
    pub(crate) printed: String,
    /// To standard error: remarks, on one line.
    pub(crate) remarks: String,
}

/// What a command has said whose answer may be no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Looked {
    said: Said,
    is_fine: bool,
}

// === impl Looked ===

impl Looked {
    pub(crate) fn into_look(self, form: LookForm) -> Result<Look, Failure> {
        let Self { said: Said { printed, remarks }, is_fine } = self;
        let (found, text) = match form {
            LookForm::Table => (None, Some(printed)),
            // A check of several folders is a document a line.
            LookForm::Json => match serde_json::from_str(&printed) {
                Ok(found) => (Some(found), None),
                Err(_) => {
                    let lines = printed.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>();
                    let strange = |error| {
                        let words = format!("what it says is not understood: {error}");
                        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, words)
                    };
                    (Some(Value::Array(lines.map_err(strange)?)), None)
                }
            },
        };
        Ok(Look { is_fine, found, text, remarks })
    }
}

/// Runs a command of this program to its end that answers a question: with 1 it says no, where it says anything.
///
/// # Errors
/// As [`run`].
pub(crate) async fn look(
    world: &ServeWorld,
    arguments: Vec<String>,
    by: &str,
    within: Duration,
) -> Result<Looked, Failure> {
    match to_its_end(world, arguments, by, within).await? {
        (said, Ending::Exited(0)) => Ok(Looked { said, is_fine: true }),
        (said, Ending::Exited(1)) if !said.printed.trim().is_empty() => Ok(Looked { said, is_fine: false }),
        (said, ending) => Err(Failure::new(status(&ending), or_ending(said.remarks, &ending))),
    }
}

/// Runs a command of this program to its end.
///
/// # Errors
/// Where it cannot be run, takes too long, says too much, or does not do what it was told; with its own words.
pub(crate) async fn run(
    world: &ServeWorld,
    arguments: Vec<String>,
    by: &str,
    within: Duration,
) -> Result<Said, Failure> {
    match to_its_end(world, arguments, by, within).await? {
        (said, Ending::Exited(0)) => Ok(said),
        (said, ending) => Err(Failure::new(status(&ending), or_ending(said.remarks, &ending))),
    }
}

async fn to_its_end(
    world: &ServeWorld,
    arguments: Vec<String>,
    by: &str,
    within: Duration,
) -> Result<(Said, Ending), Failure> {
    // It is never closed.
    let _turn = AT_ONCE.acquire().await.ok();
    let launch = Launch {
        paramedic_exe: world.exe.clone(),
        program: world.exe.to_string_lossy().into_owned(),
        args: arguments,
        env: environment(world, by),
        cwd: Some("/".into()),
        bounds: Bounds::default(),
    };
    let failed = |status, words: String| Failure::new(status, words);
    let spawned = Lifeline::spawn(launch).await;
    let (lifeline, Pipes { stdin, stdout, stderr }) = spawned.map_err(|error| {
        failed(StatusCode::INTERNAL_SERVER_ERROR, format!("it cannot be run: {}", error_chain(&error)))
    })?;
    drop(stdin);
    let work = async {
        let printed = beginning(stdout, PRINTED_BYTES_MAX + 1);
        tokio::join!(printed, beginning(stderr, SAID_BYTES_MAX), lifeline.ended())
    };
    let Ok((printed, said, ending)) = tokio::time::timeout(within, work).await else {
        lifeline.kill();
        // Dropped before it is gone, it would be killed all the same.
        let _ = tokio::time::timeout(KILL_GRACE, lifeline.ended()).await;
        let words = format!("it took longer than {} s, and was ended", within.as_secs());
        return Err(failed(StatusCode::SERVICE_UNAVAILABLE, words));
    };
    if printed.len() > PRINTED_BYTES_MAX {
        let words = format!("it said more than {PRINTED_BYTES_MAX} bytes");
        return Err(failed(StatusCode::INTERNAL_SERVER_ERROR, words));
    }
    Ok((Said { printed: String::from_utf8_lossy(&printed).into_owned(), remarks: line(&said) }, ending))
}

/// What a command of ours finds in its environment: this `serve`, and who acts. Nothing of a step of a runbook.
fn environment(world: &ServeWorld, by: &str) -> Vec<(String, String)> {
    let by: String = by.chars().filter(|letter| !letter.is_control()).take(NAME_CHARS_MAX).collect();
    let mut all: Vec<(String, String)> = world.environment().into_iter().collect();
    let none = ["SUDO_USER", "PARAMEDIC_STEP", "PARAMEDIC_CHANGES", "PARAMEDIC_CHANGE", "PARAMEDIC_FINDINGS"];
    all.extend(none.map(|name| (name.to_owned(), String::new())));
    all.push(("USER".to_owned(), by));
    all
}

/// What the exit codes of our commands mean to whoever asks over HTTP.
fn status(ending: &Ending) -> StatusCode {
    match ending {
        Ending::Exited(1 | 4) => StatusCode::CONFLICT,
        Ending::Exited(2) => StatusCode::BAD_REQUEST,
        Ending::Exited(3) => StatusCode::SERVICE_UNAVAILABLE,
        Ending::Exited(_) | Ending::Signaled(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn or_ending(remarks: String, ending: &Ending) -> String {
    if remarks.is_empty() { format!("it {ending}, and does not say why") } else { remarks }
}

/// What was said, on one line and without the name of the program before each.
fn line(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let plain = |line: &str| {
        let line: String = line.chars().map(|one| if one.is_control() { ' ' } else { one }).collect();
        let line = line.trim();
        let line = ["paramedic: ", "error: "]
            .iter()
            .fold(line, |line, name| line.strip_prefix(name).unwrap_or(line));
        line.to_owned()
    };
    text.lines().map(plain).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

async fn beginning(mut from: impl AsyncRead + Unpin, bytes_max: usize) -> Vec<u8> {
    let (mut kept, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let room = bytes_max.saturating_sub(kept.len());
        kept.extend_from_slice(&buffer[..read.min(room)]);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_says_is_told_on_with_the_status_that_it_means() {
        let check = |code: i32, said: &str, expect: (u16, &str)| {
            let ending = Ending::Exited(code);
            let words = or_ending(line(said.as_bytes()), &ending);
            assert_eq!((status(&ending).as_u16(), words.as_str()), expect, "{said}");
        };
        check(4, "paramedic: the kill switch is on\n", (409, "the kill switch is on"));
        check(2, "error: bad\u{1b}[2J\n\nparamedic: more", (400, "bad [2J; more"));
        check(3, "x", (503, "x"));
        check(101, "", (500, "it exited with code 101, and does not say why"));
        assert_eq!(status(&Ending::Signaled(9)).as_u16(), 500);
    }
}
