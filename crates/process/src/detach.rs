//! Owns starting a process that outlives its caller: own session, clean environment, no inherited descriptors.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::inherit::{self, Standing};

/// A process to be started apart from this one. Standard input is `/dev/null`.
#[derive(Debug)]
pub struct Detached {
    /// What to run; an absolute path, for `cwd` may be elsewhere.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its whole environment.
    pub env: Vec<(OsString, OsString)>,
    /// Its working directory.
    pub cwd: PathBuf,
    /// Where its standard output goes.
    pub stdout: File,
    /// Where its standard error goes.
    pub stderr: File,
}

impl Detached {
    /// Starts it. Whoever keeps running should `wait` for the child some time, or it stays a zombie.
    ///
    /// # Errors
    /// When the program cannot be executed, or the working directory not be entered.
    pub fn spawn(self) -> io::Result<Child> {
        let mut command = Command::new(self.program);
        command
            .args(self.args)
            .env_clear()
            .envs(self.env)
            .current_dir(self.cwd)
            .stdin(Stdio::null())
            .stdout(self.stdout)
            .stderr(self.stderr);
        inherit::limit(&mut command, Standing::Session, None);
        command.spawn()
    }
}
