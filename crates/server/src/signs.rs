//! Owns what tells whether a server and its data are well while clients begin to write again.

use std::path::Path;
use std::time::Duration;

use diagnosis::{Finding, Scalar, kind};
use incident::error_chain;
use integrity::Keep;
use probe::{CheckType, Declared, Prober, ProberError, Target};

use crate::clock;
use crate::config::{Config, TestRead};
use crate::data::{DataError, Manner, PATIENCE, Subject};
use crate::fleet::target;

/// What is looked at of one server.
pub struct Signs {
    prober: Prober,
    target: Target,
    reads: Option<Declared>,
    deadline: Duration,
    data: Option<Subject>,
}

/// What came of a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// It was right, as these words say.
    Right(String),
    /// It was wrong, or there was none.
    Wrong(String),
    /// Nothing is known that could be read.
    Nothing(String),
}

/// What was seen.
#[derive(Debug, Clone)]
pub struct Look {
    /// The first sign that something is not well; nothing where all is.
    pub bad: Option<String>,
    /// What came of the read; none where it did not come to that.
    pub read: Option<Read>,
    /// What the read found, for a diagnosis.
    pub findings: Vec<Finding>,
}

/// Why nothing can be looked at.
#[derive(Debug, thiserror::Error)]
pub enum SignsError {
    /// The configuration does not have it.
    #[error("there is no server `{0}` in the configuration")]
    NoServer(String),
    /// Nobody can be asked.
    #[error("the prober cannot be made")]
    Prober(#[from] ProberError),
    /// Its data are not known.
    #[error("its data cannot be looked at")]
    Data(#[from] DataError),
}

// === impl Signs ===

impl Signs {
    /// What is looked at of a server of the configuration. `exe` is this program, for checks that it runs.
    ///
    /// # Errors
    /// If the configuration does not have the server, or nobody can be asked.
    pub fn of(config: &Config, name: &str, exe: &Path) -> Result<Self, SignsError> {
        let found = config.server.iter().find(|server| server.name == name);
        let server = found.ok_or_else(|| SignsError::NoServer(name.to_owned()))?;
        let data = server.has_data().then(|| Subject::of_server(config, name)).transpose()?;
        Ok(Self {
            prober: Prober::new()?.with_program(exe),
            target: target(config, server),
            reads: server.test_read.as_ref().and_then(TestRead::declared),
            deadline: config.probe.timeout.get(),
            data,
        })
    }

    /// Asks whether it is ready, reads something through it, and checks its data as far as they were written to.
    pub async fn look(&self) -> Look {
        let ready = self.prober.check(&self.target, CheckType::Readiness, self.deadline).await;
        if !ready.health.is_well() {
            let bad = Some(format!("it is {}: {}", ready.health, ready.reason));
            return Look { bad, read: None, findings: Vec::new() };
        }
        let (read, findings) = self.read().await;
        let bad = match &read {
            Read::Wrong(why) => Some(format!("its test read failed: {why}")),
            _ => self.damaged().await,
        };
        Look { bad, read: Some(read), findings }
    }

    /// One real read through the server, and what it found.
    pub async fn read(&self) -> (Read, Vec<Finding>) {
        let findings = self.prober.call_for_real(&self.target, self.reads.as_ref(), self.deadline).await;
        let Some(call) = findings.iter().find(|one| one.kind() == kind::TOOL_CALL.name) else {
            return (Read::Nothing("nothing is declared that could be read".to_owned()), findings);
        };
        let message = call.message().to_owned();
        let read = match call.value() {
            Some(Scalar::Text(word)) if word == "ok" => Read::Right(message),
            Some(Scalar::Text(word)) if word == "failed" || word == "timeout" => Read::Wrong(message),
            _ => Read::Nothing(message),
        };
        (read, findings)
    }

    /// What a check of the data says against them.
    async fn damaged(&self) -> Option<String> {
        let data = self.data.clone()?;
        let now_ms = clock::now_ms();
        let checked = tokio::task::spawn_blocking(move || damaged(&data, now_ms)).await;
        checked.unwrap_or_else(|error| Some(format!("its data cannot be checked: {error}")))
    }
}

/// What a check of what was written to says against the data.
fn damaged(data: &Subject, now_ms: i64) -> Option<String> {
    let manner =
        Manner { reads_all: false, keep: Keep::IfWhole, rate: None, threads: None, patience: PATIENCE };
    let answers = match data.check(manner, now_ms) {
        Ok(answers) => answers,
        Err(error) => return Some(format!("its data cannot be checked: {}", error_chain(&error))),
    };
    answers.into_iter().find_map(|(root, answer)| match answer {
        Ok(report) if report.is_whole => None,
        Ok(report) => {
            let first = report.differences.iter().find(|one| one.is_damage);
            let first = first
                .map(|one| format!(": {} {}", one.change.word(), one.path.as_path().display()))
                .unwrap_or_default();
            Some(format!("{} of {} are damaged{first}", report.damaged, root.display()))
        }
        Err(error) => Some(format!("{} cannot be checked: {}", root.display(), error_chain(&error))),
    })
}
