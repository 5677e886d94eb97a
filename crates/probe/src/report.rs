//! Owns what a question found out.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::nagios::Perfdata;
use crate::target::{Criticality, Dependency, Target};

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckType {
    /// Whether the server itself answers.
    Liveness,
    /// That, and whether what it needs is there.
    Readiness,
    /// Only whether what it needs is there.
    Dependency,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It answers.
    Healthy,
    /// It works, with less to offer.
    Degraded,
    /// It does not work.
    Unhealthy,
    /// It could not be asked, for example because its address is none.
    Unknown,
}

/// The answer about one server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The name of the server.
    pub target: String,
    /// What was asked.
    pub check: CheckType,
    /// How it is.
    pub health: Health,
    /// Why, in a short sentence fragment.
    pub reason: String,
    /// How long it took, in milliseconds.
    pub duration_ms: f64,
    /// In the order of the configuration; empty for liveness.
    pub dependencies: Vec<DependencyReport>,
    /// The MCP requests that were made to find out, in their order; a guard is asked without any.
    #[serde(skip)]
    pub requests: Vec<Request>,
}

/// An MCP request of ours.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Its method.
    pub method: &'static str,
    /// Whether a result came; an error of the server, of the way to it, or of time is none.
    pub succeeded: bool,
    /// From the request to the answer, or to giving up, in milliseconds.
    pub duration_ms: f64,
}

/// The answer about one dependency.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DependencyReport {
    /// Its name.
    pub name: String,
    /// How it is.
    pub health: Health,
    /// Whether the server can do without.
    pub critical: Criticality,
    /// Why, in a short sentence fragment.
    pub reason: String,
    /// How long it took, in milliseconds.
    pub duration_ms: f64,
    /// What a plugin of Nagios measured.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub perfdata: Vec<Perfdata>,
}

/// What one question found, before it is known how long it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) health: Health,
    pub(crate) reason: String,
}

// === impl CheckType ===

impl CheckType {
    /// The value of the label `check_type`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Liveness => "liveness",
            Self::Readiness => "readiness",
            Self::Dependency => "dependency",
        }
    }
}

impl fmt::Display for CheckType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

// === impl Health ===

impl Health {
    /// The value of `mcp_server_health_status`.
    pub fn score(self) -> i64 {
        match self {
            Self::Healthy => 2,
            Self::Degraded => 1,
            Self::Unhealthy => 0,
            Self::Unknown => -1,
        }
    }
}

impl Health {
    /// Whether it works, be it with less to offer.
    pub fn is_well(self) -> bool {
        matches!(self, Self::Healthy | Self::Degraded)
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
            Self::Unknown => "unknown",
        })
    }
}

// === impl Report ===

impl Report {
    /// What is wrong; `None` where it works, be it with less to offer.
    pub fn problem(self) -> Option<String> {
        (!self.health.is_well()).then_some(self.reason)
    }

    pub(crate) fn new(target: &Target, check: CheckType, verdict: Verdict, duration_ms: f64) -> Self {
        let Verdict { health, reason } = verdict;
        Self {
            target: target.name.clone(),
            check,
            health,
            reason,
            duration_ms,
            dependencies: Vec::new(),
            requests: Vec::new(),
        }
    }
}

// === impl DependencyReport ===

impl DependencyReport {
    pub(crate) fn new(dependency: &Dependency, verdict: Verdict, duration_ms: f64) -> Self {
        let Verdict { health, reason } = verdict;
        let (name, critical) = (dependency.name.clone(), dependency.critical);
        Self { name, health, critical, reason, duration_ms, perfdata: Vec::new() }
    }

    pub(crate) fn into_verdict(self) -> Verdict {
        Verdict { health: self.health, reason: self.reason }
    }
}

// === impl Verdict ===

impl Verdict {
    pub(crate) fn healthy(reason: impl Into<String>) -> Self {
        Self { health: Health::Healthy, reason: reason.into() }
    }

    pub(crate) fn unhealthy(reason: impl Into<String>) -> Self {
        Self { health: Health::Unhealthy, reason: reason.into() }
    }

    pub(crate) fn unknown(reason: impl Into<String>) -> Self {
        Self { health: Health::Unknown, reason: reason.into() }
    }

    /// What the dependencies mean for their server.
    pub(crate) fn of_dependencies(reports: &[DependencyReport]) -> Self {
        let failed = |critical| {
            let mut found = reports.iter().filter(move |report| report.critical == critical);
            found.find(|report| !report.health.is_well())
        };
        let warns = || reports.iter().find(|report| report.health == Health::Degraded);
        let reason = |report: &DependencyReport| format!("dependency `{}`: {}", report.name, report.reason);
        match (failed(Criticality::Critical), failed(Criticality::Optional)) {
            (Some(report), _) => Self::unhealthy(reason(report)),
            (None, Some(report)) => Self { health: Health::Degraded, reason: reason(report) },
            (None, None) if warns().is_some() => {
                Self { health: Health::Degraded, reason: warns().map(reason).unwrap_or_default() }
            }
            (None, None) if reports.is_empty() => Self::healthy("no dependencies"),
            (None, None) => Self::healthy("all dependencies answer"),
        }
    }
}

/// Combines what was asked separately: a server that answers is as ready as its dependencies let it be.
pub fn readiness_of(liveness: &Report, dependency: &Report) -> Report {
    let ruling = if liveness.health == Health::Healthy { dependency } else { liveness };
    Report {
        target: liveness.target.clone(),
        check: CheckType::Readiness,
        health: ruling.health,
        reason: ruling.reason.clone(),
        duration_ms: liveness.duration_ms.max(dependency.duration_ms),
        dependencies: dependency.dependencies.clone(),
        requests: liveness.requests.clone(),
    }
}
