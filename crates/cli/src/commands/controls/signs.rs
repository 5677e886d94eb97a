//! Owns what tells whether a server and its data are well while clients begin to write again.

use std::time::Duration;

use ::server::config::{Config, TestRead};
use ::server::data::{Manner, PATIENCE, Subject};
use ::server::{now_ms, target};
use diagnosis::{Scalar, kind};
use incident::error_chain;
use integrity::Keep;
use probe::{CheckType, Declared, Prober, Target};
use tokio::runtime::Runtime;

use crate::context;
use crate::fail::Failure;

/// What is looked at of one server.
pub(in crate::commands) struct Signs {
    runtime: Runtime,
    prober: Prober,
    target: Target,
    reads: Option<Declared>,
    deadline: Duration,
    data: Option<Subject>,
}

/// What came of a read.
pub(in crate::commands) enum Read {
    /// It was right, as these words say.
    Right(String),
    /// It was wrong, or there was none.
    Wrong(String),
    /// Nothing is known that could be read.
    Nothing(String),
}

// === impl Signs ===

impl Signs {
    /// # Errors
    /// If the configuration does not have the server.
    pub(in crate::commands) fn of(config: &Config, name: &str) -> Result<Self, Failure> {
        let found = config.server.iter().find(|server| server.name == name);
        let server = found.ok_or_else(|| {
            Failure::usage(anyhow::anyhow!("there is no server `{name}` in the configuration"))
        })?;
        Ok(Self {
            runtime: context::runtime()?,
            prober: Prober::new().map_err(Failure::usage)?.with_program(&context::program()?),
            target: target(config, server),
            reads: server.test_read.as_ref().and_then(TestRead::declared),
            deadline: config.probe.timeout.get(),
            data: server
                .has_data()
                .then(|| Subject::of_server(config, name))
                .transpose()
                .map_err(Failure::usage)?,
        })
    }

    /// The first sign that something is not well; nothing where all is.
    pub(in crate::commands) fn bad(&self) -> Option<String> {
        let ready =
            self.runtime.block_on(self.prober.check(&self.target, CheckType::Readiness, self.deadline));
        if !ready.health.is_well() {
            return Some(format!("it is {}: {}", ready.health, ready.reason));
        }
        if let Read::Wrong(why) = self.read() {
            return Some(format!("its test read failed: {why}"));
        }
        self.data.as_ref().and_then(damaged)
    }

    /// One real read through the server.
    pub(in crate::commands) fn read(&self) -> Read {
        let called = self.prober.call_for_real(&self.target, self.reads.as_ref(), self.deadline);
        let findings = self.runtime.block_on(called);
        crate::findings::note(&findings);
        let Some(call) = findings.into_iter().find(|one| one.kind() == kind::TOOL_CALL.name) else {
            return Read::Nothing("nothing is declared that could be read".to_owned());
        };
        let message = call.message().to_owned();
        match call.value() {
            Some(Scalar::Text(word)) if word == "ok" => Read::Right(message),
            Some(Scalar::Text(word)) if word == "failed" || word == "timeout" => Read::Wrong(message),
            _ => Read::Nothing(message),
        }
    }
}

/// What a check of what was written to says against the data.
fn damaged(data: &Subject) -> Option<String> {
    let manner =
        Manner { reads_all: false, keep: Keep::IfWhole, rate: None, threads: None, patience: PATIENCE };
    let answers = match data.check(manner, now_ms()) {
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
