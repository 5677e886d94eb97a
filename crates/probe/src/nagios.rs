//! Owns plugins of Nagios as checks: a program that says how something is by its exit code, in words, and in numbers.
//!
//! Exit code 0 is OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN. The words are the first line up to a `|`; the numbers come after it,
//! and after a second `|` in the lines below. Source: <https://nagios-plugins.org/doc/guidelines.html>.

mod perfdata;

use std::path::Path;
use std::sync::Arc;

use process::{Bounds, Ending, Launch, Lifeline, Pipes};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::Semaphore;

use crate::reason;
use crate::report::{Health, Verdict};
pub use perfdata::Perfdata;
use perfdata::perfdata;

/// How many plugins run at a time: each is two processes.
const AT_ONCE: usize = 32;

/// How much of its output is read, in bytes; the rest is thrown away.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;

/// How much of its words is kept, in bytes.
const WORDS_BYTES_MAX: usize = 300;

/// Where programs are looked for, plugins among them.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/nagios/plugins:/usr/lib/monitoring-plugins:/usr/lib64/nagios/plugins";

/// Runs plugins, some at a time.
#[derive(Clone, Debug)]
pub(crate) struct Plugins(Arc<Semaphore>);

// === impl Plugins ===

impl Default for Plugins {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Plugins {
    /// Runs one. Whoever drops the future ends it, with all that it has started. `paramedic` is the program that has the role
    /// `lifeline`.
    pub(crate) async fn run(&self, paramedic: Option<&Path>, command: &[String]) -> (Verdict, Vec<Perfdata>) {
        let unknown = |words: String| (Verdict::unknown(words), Vec::new());
        let (Some(paramedic), Some((program, args))) = (paramedic, command.split_first()) else {
            return unknown("nobody is there to run plugins".to_owned());
        };
        let Ok(_turn) = self.0.acquire().await else {
            return unknown("nobody runs plugins any more".to_owned());
        };
        let launch = Launch {
            paramedic_exe: paramedic.to_owned(),
            program: program.clone(),
            args: args.to_vec(),
            env: vec![("PATH".to_owned(), PATH.to_owned()), ("LC_ALL".to_owned(), "C.UTF-8".to_owned())],
            cwd: None,
            bounds: Bounds::default(),
        };
        let (lifeline, pipes) = match Lifeline::spawn(launch).await {
            Ok(started) => started,
            Err(error) => return unknown(format!("the plugin can not be run: {}", reason::of_error(&error))),
        };
        let Pipes { stdin, stdout, stderr } = pipes;
        drop(stdin);
        let (printed, said, ending) = tokio::join!(beginning(stdout), beginning(stderr), lifeline.ended());
        let printed = if printed.is_empty() { said } else { printed };
        outcome(&ending, &String::from_utf8_lossy(&printed))
    }
}

/// What it means that a plugin has ended so, and printed this.
fn outcome(ending: &Ending, printed: &str) -> (Verdict, Vec<Perfdata>) {
    let (words, numbers) = perfdata(printed);
    let words: String = words.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let words = reason::tidy(words.trim());
    let mut end = words.len().min(WORDS_BYTES_MAX);
    while !words.is_char_boundary(end) {
        end -= 1;
    }
    let words = if words.is_empty() { "the plugin says nothing".to_owned() } else { words[..end].to_owned() };
    let health = match ending {
        Ending::Exited(0) => Health::Healthy,
        Ending::Exited(1) => Health::Degraded,
        Ending::Exited(2) => Health::Unhealthy,
        Ending::Exited(3) => Health::Unknown,
        Ending::Exited(_) => return (Verdict::unknown(format!("the plugin {ending}: {words}")), numbers),
        other => return (Verdict::unknown(format!("the plugin was {other}: {words}")), numbers),
    };
    (Verdict { health, reason: words }, numbers)
}

async fn beginning(mut from: impl AsyncRead + Unpin) -> Vec<u8> {
    let (mut kept, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let room = OUTPUT_BYTES_MAX.saturating_sub(kept.len());
        kept.extend_from_slice(&buffer[..read.min(room)]);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_and_words() {
        let check = |ending: Ending, printed: &str, health: Health, words: &str| {
            let (verdict, _) = outcome(&ending, printed);
            assert_eq!((verdict.health, verdict.reason.as_str()), (health, words));
        };
        check(
            Ending::Exited(0),
            "DISK OK - free space | /=5MB;1;2\n",
            Health::Healthy,
            "DISK OK - free space",
        );
        check(Ending::Exited(1), "slow\nmore\n", Health::Degraded, "slow");
        check(Ending::Exited(2), "  CRITICAL\u{7}: gone ", Health::Unhealthy, "CRITICAL : gone");
        check(Ending::Exited(3), "", Health::Unknown, "the plugin says nothing");
        check(
            Ending::Exited(127),
            "",
            Health::Unknown,
            "the plugin exited with code 127: the plugin says nothing",
        );
        check(Ending::Signaled(9), "x", Health::Unknown, "the plugin was killed by SIGKILL: x");
    }
}
