//! Owns how a process ended, and the words for it.

use std::borrow::Cow;
use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use serde::{Deserialize, Serialize};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It returned this code, 0 to 255.
    Exited(i32),
    /// This signal ended it.
    Signaled(i32),
}

impl From<ExitStatus> for Ending {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exited(code),
            (None, Some(signal)) => Self::Signaled(signal),
            // Only a stopped or continued process has neither, and nobody asks the kernel for those.
            (None, None) => Self::Exited(-1),
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exited with code {code}"),
            Self::Signaled(signal) => write!(f, "killed by {}", signal_name(*signal)),
        }
    }
}

/// The name of a signal, such as `SIGKILL`; `signal 64` for one that has none.
pub fn signal_name(signal: i32) -> Cow<'static, str> {
    // The numbers of x86 and ARM, which are those of every Linux this product is built for.
    const NAMES: [&str; 31] = [
        "SIGHUP",
        "SIGINT",
        "SIGQUIT",
        "SIGILL",
        "SIGTRAP",
        "SIGABRT",
        "SIGBUS",
        "SIGFPE",
        "SIGKILL",
        "SIGUSR1",
        "SIGSEGV",
        "SIGUSR2",
        "SIGPIPE",
        "SIGALRM",
        "SIGTERM",
        "SIGSTKFLT",
        "SIGCHLD",
        "SIGCONT",
        "SIGSTOP",
        "SIGTSTP",
        "SIGTTIN",
        "SIGTTOU",
        "SIGURG",
        "SIGXCPU",
        "SIGXFSZ",
        "SIGVTALRM",
        "SIGPROF",
        "SIGWINCH",
        "SIGIO",
        "SIGPWR",
        "SIGSYS",
    ];
    let name = usize::try_from(signal).ok().and_then(|n| NAMES.get(n.checked_sub(1)?).copied());
    name.map_or_else(|| Cow::Owned(format!("signal {signal}")), Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::Ending;

    #[track_caller]
    fn check(script: &str, ending: Ending, words: &str, json: &str) {
        let got = Ending::from(Command::new("sh").args(["-c", script]).status().unwrap());
        assert_eq!(got, ending);
        assert_eq!(got.to_string(), words);
        assert_eq!(serde_json::to_string(&got).unwrap(), json);
        assert_eq!(serde_json::from_str::<Ending>(json).unwrap(), got);
    }

    #[test]
    fn endings_are_named() {
        check("exit 0", Ending::Exited(0), "exited with code 0", r#"{"exited":0}"#);
        check("exit 41", Ending::Exited(41), "exited with code 41", r#"{"exited":41}"#);
        check("kill -KILL $$", Ending::Signaled(9), "killed by SIGKILL", r#"{"signaled":9}"#);
        check("kill -SEGV $$", Ending::Signaled(11), "killed by SIGSEGV", r#"{"signaled":11}"#);
        check("kill -50 $$", Ending::Signaled(50), "killed by signal 50", r#"{"signaled":50}"#);
    }
}
