//! Owns starting a guard, and finding one that runs already.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::time::Duration;

use process::ProcessId;
use process::control::{self, Client, Message};
use process::detach::Detached;
use tokio::sync::mpsc;

use super::Surroundings;
use crate::config::{Config, Server, Text};
use crate::secrets::{SecretError, Secrets};

/// How long a guard may take from its start until its control socket answers.
const GUARD_START_MAX: Duration = Duration::from_secs(10);

/// How long to wait between two looks for the control socket of a guard that has just been started.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Everything that is needed to start the guard of one server.
pub(super) struct Launch {
    pub(super) name: String,
    pub(super) control: PathBuf,
    /// Where the guard's own messages go.
    messages: PathBuf,
    exe: PathBuf,
    args: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    /// Variables that are read when the guard is started.
    own: Vec<(String, Text)>,
    secrets: Secrets,
    directory: PathBuf,
}

/// Why there is no guard.
#[derive(Debug, thiserror::Error)]
pub(super) enum LaunchError {
    /// Something on the way failed.
    #[error("cannot start the guard: {what} `{}`", path.display())]
    Io {
        /// What was done.
        what: &'static str,
        /// To what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A secret of the server cannot be read.
    #[error("cannot start the guard: the variable `{name}` is not known")]
    Secret {
        /// The variable.
        name: String,
        /// Why it failed.
        source: SecretError,
    },
    /// The guard ended at once.
    #[error("the guard ended at once: {0}")]
    Ended(String),
    /// The guard runs and its control socket does not answer.
    #[error("the guard's control socket `{}` did not answer within {GUARD_START_MAX:?}", .0.display())]
    Silent(PathBuf),
}

// === impl Launch ===

impl Launch {
    pub(super) fn new(config: &Config, server: &Server, surroundings: &Surroundings) -> Self {
        let control = crate::control_socket(config, &server.name);
        let log = config.log_dir.join(format!("{}.log", server.name));
        let messages = config.log_dir.join(format!("{}.guard.log", server.name));
        let listen = format!("{}", std::net::SocketAddr::new(config.guard_address, server.port));
        let mut args: Vec<OsString> =
            ["guard", "--name", &server.name, "--listen", &listen, "--control"].map(OsString::from).to_vec();
        args.extend([control.clone().into(), "--log".into(), log.into()]);
        args.extend(["--start-timeout".into(), server.start_timeout.to_string().into()]);
        args.extend(["--install-timeout".into(), server.install_timeout.to_string().into()]);
        args.extend(["--controls".into(), crate::controls_path(config, &server.name).into()]);
        args.extend([
            "--traces".into(),
            format!("unix:{}", crate::api::socket_path(config).display()).into(),
        ]);
        if let Some(settings) = &server.guard_settings {
            args.extend(["--settings".into(), settings.into()]);
        }
        if let Some(tie) = surroundings.tie {
            args.extend(["--tie".into(), tie.pid.to_string().into()]);
        }
        match &server.upstream {
            Some(url) => args.extend(["--upstream".into(), url.into()]),
            None => {
                args.extend([
                    "--tuning".into(),
                    crate::tuning_path(config, &server.name).into(),
                    "--".into(),
                ]);
                args.extend(server.stdio.iter().map(OsString::from));
            }
        }
        let mut environment: Vec<_> = std::env::vars_os().collect();
        environment.retain(|(name, _)| !server.environment.keys().any(|key| name == key.as_str()));
        let own = server.environment.iter().map(|(name, text)| (name.clone(), text.clone())).collect();
        Self {
            name: server.name.clone(),
            control,
            messages,
            exe: surroundings.exe.clone(),
            args,
            environment,
            own,
            secrets: Secrets::of_process(&surroundings.exe),
            directory: server.directory.clone().unwrap_or_else(|| PathBuf::from("/")),
        }
    }

    /// Connects to the guard that runs, if one does.
    pub(super) async fn find(&self) -> Option<(Client, mpsc::Receiver<Message>)> {
        Client::connect(&self.control).await.ok()
    }

    /// Whether the guard that runs was started with other arguments; one that cannot be read is not called so.
    pub(super) fn is_outdated(&self, guard: ProcessId) -> bool {
        let words = fs::read(format!("/proc/{}/cmdline", guard.pid)).unwrap_or_default();
        let words = words.strip_suffix(b"\0").unwrap_or(&words);
        if words.is_empty() {
            return false;
        }
        let runs = words.split(|byte| *byte == 0).map(OsStr::from_bytes);
        Arguments::of(runs) != Arguments::of(self.args.iter().map(OsString::as_os_str))
    }

    /// Starts a guard and connects to it.
    pub(super) async fn start(&self) -> Result<(Client, mpsc::Receiver<Message>), LaunchError> {
        let fail = |what, path: &PathBuf| {
            let path = path.clone();
            move |source| LaunchError::Io { what, path, source }
        };
        for folder in [self.control.parent(), self.messages.parent()].into_iter().flatten() {
            fs::create_dir_all(folder).map_err(fail("making the folder", &folder.to_owned()))?;
        }
        let mut environment = self.environment.clone();
        for (name, text) in &self.own {
            let fail = |source| LaunchError::Secret { name: name.clone(), source };
            environment.push((name.into(), self.secrets.text(text).await.map_err(fail)?.reveal().into()));
        }
        let messages = || File::options().create(true).append(true).open(&self.messages);
        let written = fs::metadata(&self.messages).map_or(0, |metadata| metadata.len());
        let mut child = Detached {
            program: self.exe.clone(),
            args: self.args.clone(),
            env: environment,
            cwd: self.directory.clone(),
            stdout: messages().map_err(fail("opening", &self.messages))?,
            stderr: messages().map_err(fail("opening", &self.messages))?,
        }
        .spawn()
        .map_err(fail("running", &self.exe))?;
        let deadline = tokio::time::Instant::now() + GUARD_START_MAX;
        let connected = loop {
            if let Some(found) = self.find().await {
                break Ok(found);
            }
            if matches!(child.try_wait(), Ok(Some(_)) | Err(_)) {
                return Err(LaunchError::Ended(self.last_words(written)));
            }
            if tokio::time::Instant::now() >= deadline {
                break Err(LaunchError::Silent(self.control.clone()));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        };
        // The guard outlives us; while we live its end must be waited for, or it stays a zombie.
        std::thread::Builder::new()
            .name(format!("wait-{}", self.name))
            .stack_size(64 * 1024)
            .spawn(move || child.wait())
            .map_err(fail("waiting for", &self.exe))?;
        connected
    }

    /// The last line that the guard wrote since it was started.
    fn last_words(&self, from: u64) -> String {
        let bytes = fs::read(&self.messages).unwrap_or_default();
        let since = bytes.get(usize::try_from(from).unwrap_or(0)..).unwrap_or_default();
        let text = String::from_utf8_lossy(since);
        let last = text.lines().rev().find(|line| !line.trim().is_empty());
        last.unwrap_or("it said nothing").trim().to_owned()
    }
}

/// What a guard's command line says of how it works: not in which order, with which process it ends, or how it got its
/// port.
#[derive(Debug, PartialEq, Eq)]
struct Arguments {
    /// Each option with its value.
    options: BTreeSet<OsString>,
    /// The server's own command.
    server: Vec<OsString>,
}

impl Arguments {
    fn of<'a>(words: impl Iterator<Item = &'a OsStr>) -> Self {
        let mut words = words.skip_while(|word| *word != "guard").skip(1);
        let (mut options, mut option) = (BTreeSet::new(), OsString::new());
        for word in words.by_ref().take_while(|word| *word != "--") {
            if word.as_bytes().starts_with(b"--") {
                options.insert(std::mem::take(&mut option));
            } else {
                option.push("=");
            }
            option.push(word);
        }
        options.insert(option);
        let passed_over = |option: &[u8]| {
            option.is_empty() || option.starts_with(b"--tie=") || option.starts_with(b"--take-over")
        };
        options.retain(|option| !passed_over(option.as_bytes()));
        Self { options, server: words.map(OsStr::to_owned).collect() }
    }
}

/// Whether the first message of a connection is the greeting that it must be.
pub(super) async fn greeting(messages: &mut mpsc::Receiver<Message>) -> Option<control::Status> {
    match tokio::time::timeout(GUARD_START_MAX, messages.recv()).await {
        Ok(Some(Message::Hello { status })) => Some(status),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::Arguments;

    #[test]
    fn what_says_how_a_guard_works() {
        let of = |line: &str| Arguments::of(line.split(' ').map(OsStr::new));
        let has = of("guard --name a --listen b -- cat --tie 7");
        let check = |line: &str, is_same: bool| assert_eq!(of(line) == has, is_same, "{line}");
        check("/usr/bin/paramedic guard --name a --listen b --tie 7 -- cat --tie 7", true);
        check("paramedic --config c guard --take-over --listen=b --name a -- cat --tie 7", true);
        check("paramedic guard --name a --listen b -- cat --tie 8", false);
        check("paramedic guard --name a --listen b -- cat", false);
        check("paramedic guard --name a --listen c -- cat --tie 7", false);
        check("paramedic guard --name a -- cat --tie 7", false);
        check("paramedic guard --name a --listen b --settings s -- cat --tie 7", false);
        check("", false);
    }
}
