//! Owns the prober: the one HTTP client, and the questions that combine others.

use std::time::Duration;

use reqwest::redirect;
use tokio::time::{Instant, timeout_at};

use crate::host_checks::Looks;
use crate::report::{CheckType, Report, Verdict, readiness_of};
use crate::target::{Endpoint, Target};

/// More than this is a circle, or a sign-in page.
const REDIRECTS_MAX: usize = 3;

/// Asks servers and their dependencies. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Prober {
    pub(crate) client: reqwest::Client,
    pub(crate) looks: Looks,
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
    /// Makes the client: no proxy, no pool of connections, few redirects.
    ///
    /// # Errors
    /// When the client refuses its settings, which none of these is known to do.
    pub fn new() -> Result<Self, ProberError> {
        install_crypto();
        let settings = || {
            reqwest::Client::builder()
                .user_agent(concat!("paramedic/", env!("CARGO_PKG_VERSION")))
                .no_proxy()
                .pool_max_idle_per_host(0)
                .redirect(redirect::Policy::limited(REDIRECTS_MAX))
        };
        // A machine without certificates can ask over HTTP all the same, and then trusts nobody over HTTPS.
        let client = settings().build().or_else(|error| {
            tracing::warn!(%error, "no certificates were found, so every https address will fail");
            settings().tls_certs_only([]).build()
        });
        Ok(Self { client: client.map_err(ProberError::Client)?, looks: Looks::default() })
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
        let started = Instant::now();
        let verdict = self.live(target, Deadline::after(deadline)).await;
        Report::new(target, CheckType::Liveness, verdict, milliseconds_since(started))
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

    async fn live(&self, target: &Target, deadline: Deadline) -> Verdict {
        match &target.endpoint {
            Endpoint::Guard { base_url } => deadline.bound(self.guard_health(base_url)).await,
            Endpoint::Upstream { url } => self.upstream_ping(url, deadline).await,
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

/// Makes sure that HTTP clients of this process have their cryptography.
pub fn install_crypto() {
    // The first who installs it wins, and everybody installs the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

pub(crate) fn milliseconds_since(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1000.0
}
