//! Owns who is looked at: servers of the configuration or of a client, a process, a unit, or the machine alone.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use host::Subject;
use probe::Target;
use server::config::Config;
use server::{client_target, subject, target};

use crate::arguments::DiagnoseArguments;
use crate::fail::Failure;

/// Somebody to be looked at.
#[derive(Debug)]
pub(super) struct Patient {
    /// What the host is looked at for.
    pub(super) subject: Subject,
    /// How it is asked; none for what is no server.
    pub(super) target: Option<Target>,
    /// What is read of it, to see whether it does its work.
    pub(super) reads: Option<probe::Declared>,
    /// Where its log is.
    pub(super) log: Option<PathBuf>,
}

pub(super) fn wanted(
    arguments: &DiagnoseArguments,
    config: &Config,
    path: &Path,
) -> Result<Vec<Patient>, Failure> {
    let mut patients = match (&arguments.server, &arguments.unit, arguments.pid) {
        (Some(name), ..) => vec![one(name, config, path)?],
        (None, Some(unit), _) => {
            let subject = Subject { unit: Some(unit.clone()), ..Subject::named(unit) };
            vec![Patient::without_server(subject)]
        }
        (None, None, Some(pid)) => vec![Patient::without_server(Subject::process(pid))],
        (None, None, None) if config.server.is_empty() => {
            vec![Patient::without_server(Subject::named("machine"))]
        }
        (None, None, None) => config.server.iter().map(|server| Patient::of(config, server)).collect(),
    };
    if let Some(pid) = arguments.pid {
        if !Path::new("/proc").join(pid.to_string()).exists() {
            return Err(Failure::usage(anyhow!("there is no process {pid}")));
        }
        patients.iter_mut().for_each(|patient| patient.subject.pid = Some(pid));
    }
    Ok(patients)
}

pub(super) fn one(name: &str, config: &Config, path: &Path) -> Result<Patient, Failure> {
    if let Some(server) = config.server.iter().find(|server| server.name == name) {
        return Ok(Patient::of(config, server));
    }
    let target = client_target(config, name).ok_or_else(|| {
        Failure::usage(anyhow!(
            "there is no server `{name}` in {}, and no client has started one; for any other process there are --pid \
             and --unit",
            path.display()
        ))
    })?;
    let subject = Subject { is_guarded: true, ..Subject::named(name) };
    let log = Some(config.log_dir.join(format!("{name}.log")));
    Ok(Patient { target: Some(target), log, ..Patient::without_server(subject) })
}

// === impl Patient ===

impl Patient {
    fn without_server(subject: Subject) -> Self {
        Self { subject, target: None, reads: None, log: None }
    }

    fn of(config: &Config, server: &server::config::Server) -> Self {
        Self {
            subject: subject(config, server),
            target: Some(target(config, server)),
            reads: server.test_read.as_ref().and_then(server::config::TestRead::declared),
            log: Some(config.log_dir.join(format!("{}.log", server.name))),
        }
    }
}
