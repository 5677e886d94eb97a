//! Owns secrets that a program prints: it has a deadline and a bound, and is ended with all that it has started.

use std::path::Path;
use std::time::Duration;

use incident::error_chain;
use process::{Bounds, Ending, Launch, Lifeline, Pipes};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::{BYTES_MAX, SecretError};

/// How long it may take: somebody waits to be told, or a server to be started.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long it may take until a program that was killed is gone.
const KILL_GRACE: Duration = Duration::from_secs(10);

/// How much of what it says on standard error is shown, in bytes.
const SAID_BYTES_MAX: usize = 300;

/// What a program prints.
pub(super) async fn output(exe: &Path, command: &[String]) -> Result<String, SecretError> {
    let program = command.first().cloned().unwrap_or_default();
    let failed = |problem: String| SecretError::Command { program: program.clone(), problem };
    let launch = Launch {
        paramedic_exe: exe.to_owned(),
        program: program.clone(),
        args: command.iter().skip(1).cloned().collect(),
        env: Vec::new(),
        cwd: None,
        bounds: Bounds::default(),
    };
    let (lifeline, pipes) = Lifeline::spawn(launch)
        .await
        .map_err(|error| failed(format!("cannot be run: {}", error_chain(&error))))?;
    let Pipes { stdin, stdout, stderr } = pipes;
    drop(stdin);
    let work = async {
        tokio::join!(beginning(stdout, BYTES_MAX + 1), beginning(stderr, SAID_BYTES_MAX), lifeline.ended())
    };
    let Ok((printed, said, ending)) = tokio::time::timeout(TIMEOUT, work).await else {
        lifeline.kill();
        // Dropped before it is gone, it would be killed all the same.
        let _ = tokio::time::timeout(KILL_GRACE, lifeline.ended()).await;
        return Err(failed(format!("took longer than {TIMEOUT:?}, and was ended")));
    };
    // The error of the conversion would hold the bytes.
    let printed = String::from_utf8(printed).map_err(|_| failed("printed no text".to_owned()))?;
    match ending {
        Ending::Exited(0) if printed.len() > BYTES_MAX => Err(failed("printed too much".to_owned())),
        Ending::Exited(0) => Ok(printed),
        ending => Err(failed(format!("ended with {ending}{}", shown(&said, &printed)))),
    }
}

async fn beginning(mut from: impl AsyncRead + Unpin, bytes_max: usize) -> Vec<u8> {
    let (mut kept, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let room = bytes_max.saturating_sub(kept.len());
        kept.extend_from_slice(&buffer[..read.min(room)]);
    }
    kept
}

/// What it said about its trouble, without what it printed as the secret.
fn shown(said: &[u8], printed: &str) -> String {
    let text: String =
        String::from_utf8_lossy(said).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let lines = printed.lines().map(str::trim).filter(|line| !line.is_empty());
    let text = lines.fold(text.trim().to_owned(), |text, line| text.replace(line, "[REDACTED]"));
    if text.is_empty() { text } else { format!(": {text}") }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn what_is_said_hides_what_was_printed() {
        assert_eq!(shown(b"no\nentry for hunter2", "hunter2\n"), ": no entry for [REDACTED]");
        assert_eq!(shown(b"", "hunter2"), "");
    }
}
