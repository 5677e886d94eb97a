//! Owns contacts of kind `command`: a program gets the notice as JSON on standard input and the gist in variables.

use std::time::Duration;

use incident::{Notice, World as _, error_chain};
use process::{Ending, Launch, Lifeline, Pipes};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

use super::attempt::{Attempt, Failed};
use crate::config::Contact;
use crate::world::ServeWorld;

/// How much of what it prints is kept for people, in bytes; the rest is read and thrown away.
const OUTPUT_BYTES_MAX: usize = 300;

/// The exit code that asks for another attempt (`EX_TEMPFAIL` of sysexits.h).
const TRY_AGAIN: i32 = 75;

/// How long it may take until a program that was killed is gone.
const KILL_GRACE: Duration = Duration::from_secs(10);

/// Makes one attempt. Exit code 0 is a yes, 75 asks for another attempt; a program that takes too long is ended with
/// all that it has started, and tried again.
pub(super) async fn run(contact: &Contact, notice: &Notice, world: &ServeWorld) -> Attempt {
    let Some((program, args)) = contact.command.split_first() else {
        return Err(Failed::never("it has no command"));
    };
    let json = serde_json::to_vec(notice).map_err(|error| Failed::never(error.to_string()))?;
    let launch = Launch {
        paramedic_exe: world.exe.clone(),
        program: program.clone(),
        args: args.to_vec(),
        env: environment(notice, world),
        cwd: None,
        bounds: process::Bounds::default(),
    };
    let (lifeline, pipes) =
        Lifeline::spawn(launch).await.map_err(|error| Failed::later(error_chain(&error)))?;
    let work = async { tokio::join!(converse(pipes, &json), lifeline.ended()) };
    match tokio::time::timeout(contact.timeout.get(), work).await {
        Ok((_, Ending::Exited(0))) => Ok(()),
        Ok((said, Ending::Exited(TRY_AGAIN))) => Err(Failed::later(failed("exited with code 75", &said))),
        Ok((said, Ending::Exited(code))) => {
            Err(Failed::never(failed(&format!("exited with code {code}"), &said)))
        }
        Ok((said, ending)) => Err(Failed::never(failed(&format!("was ended ({ending})"), &said))),
        Err(_) => {
            lifeline.kill();
            // Dropped before it is gone, it would be killed all the same.
            let _ = tokio::time::timeout(KILL_GRACE, lifeline.ended()).await;
            Err(Failed::later(format!("the command took longer than {}, and was ended", contact.timeout)))
        }
    }
}

/// Variables for scripts that read no JSON.
fn environment(notice: &Notice, world: &ServeWorld) -> Vec<(String, String)> {
    let mut environment = world.environment();
    let own = [
        ("PARAMEDIC_NEWS", notice.news.name()),
        ("PARAMEDIC_IDEMPOTENCY_KEY", &notice.key),
        ("PARAMEDIC_INCIDENT", notice.incident.as_str()),
        ("PARAMEDIC_SERVER", &notice.server),
        ("PARAMEDIC_CONTACT", &notice.contact),
        ("PARAMEDIC_SEVERITY", notice.severity.as_deref().unwrap_or_default()),
        ("PARAMEDIC_TEXT", &notice.text),
        ("PARAMEDIC_NOTE", notice.note.as_deref().unwrap_or_default()),
    ];
    environment.extend(own.map(|(name, value)| (name.to_owned(), value.replace('\0', " "))));
    environment.into_iter().collect()
}

/// Gives it the notice, and takes in the beginning of what it says.
async fn converse(pipes: Pipes, json: &[u8]) -> String {
    let Pipes { mut stdin, stdout, stderr } = pipes;
    let give = async {
        // Whoever does not want to read it need not.
        let _ = stdin.write_all(json).await;
        drop(stdin);
    };
    let ((), mut said, errors) = tokio::join!(give, beginning(stdout), beginning(stderr));
    if !errors.is_empty() {
        said = errors;
    }
    String::from_utf8_lossy(&said).trim().to_owned()
}

async fn beginning(mut from: impl AsyncRead + Unpin) -> Vec<u8> {
    let (mut kept, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let room = OUTPUT_BYTES_MAX.saturating_sub(kept.len());
        kept.extend_from_slice(&buffer[..read.min(room)]);
    }
    kept
}

fn failed(how: &str, said: &str) -> String {
    let text: String = said.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.is_empty() { format!("the command {how}") } else { format!("the command {how}: {text}") }
}
