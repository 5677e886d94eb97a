//! Owns the prober: the HTTP clients, and the questions that combine others.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use traces::Context;

use crate::clients::Clients;
use crate::host_checks::Looks;
use crate::nagios::Plugins;
use crate::report::{CheckType, Report, Request, Verdict, readiness_of};
use crate::target::{Endpoint, Target};

/// Asks servers and their dependencies. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Prober {
    pub(crate) clients: Clients,
    pub(crate) looks: Looks,
    pub(crate) plugins: Plugins,
    /// The program that has the role `lifeline`.
    pub(crate) program: Option<PathBuf>,
}

/// Why no prober could be made.
#[derive(Debug, thiserror::Error)]
pub enum ProberError {
    /// The client refused its settings.
    #[error("no HTTP client could be made")]
    Client(#[source] reqwest::Error),
}

/// When a question has to end, and how long it had, for the reason.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    pub(crate) at: Instant,
    pub(crate) after: Duration,
}

// === impl Prober ===

impl Prober {
    /// Makes the clients: no proxy, no pool of connections, few redirects.
    ///
    /// # Errors
    /// When the client refuses its settings, which none of these is known to do.
    pub fn new() -> Result<Self, ProberError> {
        let clients = Clients::new().map_err(ProberError::Client)?;
        Ok(Self { clients, looks: Looks::default(), plugins: Plugins::default(), program: None })
    }

    /// The same for [`Prober::introduce`]: it follows no redirect, so that nothing leaves for another address.
    ///
    /// # Errors
    /// When the client refuses its settings, which none of these is known to do.
    pub fn for_strangers() -> Result<Self, ProberError> {
        let clients = Clients::strict().map_err(ProberError::Client)?;
        Ok(Self { clients, looks: Looks::default(), plugins: Plugins::default(), program: None })
    }

    /// Names the `paramedic` program, without which no plugin is run: it ends them with all that they have started.
    #[must_use]
    pub fn with_program(mut self, program: &Path) -> Self {
        self.program = Some(program.to_owned());
        self
    }

    /// Asks what `check` says. Takes no longer than `deadline`.
    pub async fn check(&self, target: &Target, check: CheckType, deadline: Duration) -> Report {
        match check {
            CheckType::Liveness => self.liveness(target, deadline).await,
            CheckType::Readiness => self.readiness(target, deadline).await,
            CheckType::Dependency => self.dependency(target, deadline).await,
        }
    }

    /// Asks whether the server itself answers. A JSON-RPC error is an answer.
    pub async fn liveness(&self, target: &Target, deadline: Duration) -> Report {
        self.liveness_in(target, deadline, None).await
    }

    /// The same as a part of a trace, of which an upstream is told.
    pub async fn liveness_in(&self, target: &Target, deadline: Duration, trace: Option<Context>) -> Report {
        let started = Instant::now();
        let mut requests = Vec::new();
        let verdict = self.live(target, Deadline::after(deadline), trace, &mut requests).await;
        let report = Report::new(target, CheckType::Liveness, verdict, milliseconds_since(started));
        Report { requests, ..report }
    }

    /// Asks everything that the server depends on, all at once.
    pub async fn dependency(&self, target: &Target, deadline: Duration) -> Report {
        let started = Instant::now();
        let dependencies = self.ask_dependencies(&target.dependencies, Deadline::after(deadline)).await;
        let verdict = Verdict::of_dependencies(&dependencies);
        let report = Report::new(target, CheckType::Dependency, verdict, milliseconds_since(started));
        Report { dependencies, ..report }
    }

    /// Asks the server and its dependencies at once. Without a critical dependency it is unhealthy, without
    /// another one degraded.
    pub async fn readiness(&self, target: &Target, deadline: Duration) -> Report {
        let (liveness, dependency) =
            tokio::join!(self.liveness(target, deadline), self.dependency(target, deadline));
        readiness_of(&liveness, &dependency)
    }

    async fn live(
        &self,
        target: &Target,
        deadline: Deadline,
        trace: Option<Context>,
        requests: &mut Vec<Request>,
    ) -> Verdict {
        match &target.endpoint {
            Endpoint::Guard { base_url } => deadline.bound(self.guard_health(base_url)).await,
            Endpoint::Local { socket } => deadline.bound(self.local_health(socket)).await,
            Endpoint::Upstream { url } => self.upstream_ping(url, deadline, trace, requests).await,
        }
    }
}

// === impl Deadline ===

impl Deadline {
    pub(crate) fn after(after: Duration) -> Self {
        Self { at: Instant::now() + after, after }
    }

    /// The verdict of `question`, or that there was none in time.
    pub(crate) async fn bound(self, question: impl Future<Output = Verdict>) -> Verdict {
        timeout_at(self.at, question).await.unwrap_or_else(|_| Verdict::unhealthy(self.to_string()))
    }
}

impl std::fmt::Display for Deadline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no answer within {} ms", self.after.as_millis())
    }
}

pub(crate) fn milliseconds_since(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1000.0
}
