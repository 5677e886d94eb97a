//! Owns asking a dependency in depth: names, addresses by family, TLS, the first byte, and what an answer says of itself.
//!
//! An ordinary probe says whether a dependency answers; this says where on the way it fails, and is for a diagnosis, not
//! for every few seconds. Each is asked once: who limits how often it is asked must not be asked twice.

mod certificate;
mod families;
mod headers;
mod http;
mod names;
mod phases;
mod token;

use std::time::{Duration, SystemTime};

use diagnosis::{Finding, Severity, kind};
use hyper::body::Bytes;
use tokio::time::Instant;

use crate::findings::findings;
use crate::postgres::{self, Seen};
use crate::prober::{Deadline, Prober, milliseconds_since};
use crate::report::{CheckType, DependencyReport, Report, Verdict};
use crate::target::{Check, Dependency, Endpoint, Target};

pub use certificate::CertificateFault;
pub use families::{Families, Reached};
pub use names::{Names, Said};
pub use phases::Phases;
pub use token::token;

/// The subject of what is true of the whole machine.
const MACHINE: &str = "machine";

/// What was found on the way to a dependency.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dug {
    pub(crate) phases: Phases,
    /// What was answered; empty where that is long or broken off.
    pub(crate) body: Bytes,
    said: Option<(Said, Said)>,
    /// Whether the name has no address.
    is_unknown: bool,
    families: Families,
    certificate: Option<Result<(), CertificateFault>>,
    headers: headers::Headers,
    database: Seen,
}

// === impl Prober ===

impl Prober {
    /// Asks everything that a server depends on, in depth and all at once; `names` is who knows names, and `now` the time
    /// of this machine's clock.
    pub async fn dig(
        &self,
        target: &Target,
        names: &Names,
        now: SystemTime,
        deadline: Duration,
    ) -> Vec<Finding> {
        let started = Instant::now();
        let mut questions = Vec::with_capacity(target.dependencies.len());
        for dependency in &target.dependencies {
            questions.push(self.dig_one(dependency, names, now, Deadline::after(deadline)));
        }
        let answers = futures_util::future::join_all(questions).await;
        let (reports, more): (Vec<DependencyReport>, Vec<Vec<Finding>>) = answers.into_iter().unzip();
        let verdict = Verdict::of_dependencies(&reports);
        let report = Report::new(target, CheckType::Dependency, verdict, milliseconds_since(started));
        let mut found = findings(target, &Report { dependencies: reports, ..report });
        found.extend(more.into_iter().flatten());
        found
    }

    /// Asks the guard of a server how it is, phase by phase; nothing of a server that has no guard with an address.
    pub async fn dig_guard(&self, target: &Target, deadline: Duration) -> Option<Finding> {
        let Endpoint::Guard { base_url } = &target.endpoint else { return None };
        let url = format!("{}/health", base_url.trim_end_matches('/'));
        let (_, dug) = page(&url, Deadline::after(deadline)).await;
        dug.first_byte(&target.name)
    }

    async fn dig_one(
        &self,
        dependency: &Dependency,
        names: &Names,
        now: SystemTime,
        deadline: Deadline,
    ) -> (DependencyReport, Vec<Finding>) {
        let started = Instant::now();
        let (verdict, dug) = match &dependency.check {
            Check::Http { url } => http::dig(url, names, deadline).await,
            Check::Tcp { address } => http::dig_tcp(address, names, deadline).await,
            Check::Postgres { address, password } => {
                let mut dug = Dug::default();
                let verdict =
                    deadline.bound(postgres::dig(address, password.as_ref(), &mut dug.database)).await;
                dug.certificate = dug.database.certificate;
                (verdict, dug)
            }
            _ => (self.ask_dependency(dependency, deadline).await.into_verdict(), Dug::default()),
        };
        let found = dug.findings(dependency, now);
        (DependencyReport::new(dependency, verdict, milliseconds_since(started)), found)
    }
}

/// Asks a page of this machine, without asking who knows names.
pub(crate) async fn page(url: &str, deadline: Deadline) -> (Verdict, Dug) {
    http::dig(url, &Names::default(), deadline).await
}

// === impl Dug ===

impl Dug {
    fn findings(&self, dependency: &Dependency, now: SystemTime) -> Vec<Finding> {
        let about = |kind| Finding::new(kind, &dependency.name);
        let mut found = Vec::new();
        if let Some((ipv4, ipv6)) = self.said {
            let family = names::missing_family(ipv4, ipv6);
            let message = format!("addresses of IPv4: {ipv4}; of IPv6: {ipv6}");
            found.push(half(about(kind::NAME_FAMILY), family, &message));
            if self.is_unknown && !ipv4.is_answer() && !ipv6.is_answer() {
                let finding = Finding::new(kind::RESOLVER, MACHINE).with_value("failing");
                found.push(finding.with_severity(Severity::Warning).with_message(&message));
            }
        }
        if !self.families.is_empty() {
            found.push(half(
                about(kind::ADDRESS_FAMILY),
                self.families.missing(),
                &self.families.to_string(),
            ));
        }
        match self.certificate {
            Some(Ok(())) => found.push(about(kind::CERTIFICATE).with_value("ok")),
            Some(Err(fault)) => {
                let finding = about(kind::CERTIFICATE).with_value(fault.name());
                found.push(finding.with_severity(Severity::Critical).with_message(fault.means()));
            }
            None => {}
        }
        if let Some(after) = self.headers.retry_after(now) {
            let message = "it says so itself, in a header of its answer";
            let finding = about(kind::RETRY_AFTER_SECONDS).with_value(after.as_secs());
            found.push(finding.with_severity(Severity::Warning).with_message(message));
        }
        if let Some(seconds) = self.headers.clock_offset_seconds(now) {
            let message = format!("its clock against that of this machine: {seconds} s");
            let severity = if seconds.abs() >= 60.0 { Severity::Warning } else { Severity::Info };
            let finding = about(kind::CLOCK_OFFSET_SECONDS).with_value(seconds);
            found.push(finding.with_severity(severity).with_message(&message));
        }
        found.extend(self.database.activity.findings(&dependency.name));
        found.extend(self.first_byte(&dependency.name));
        found
    }

    fn first_byte(&self, subject: &str) -> Option<Finding> {
        let seconds = (self.phases.first_byte()?.as_secs_f64() * 1e4).round() / 1e4;
        let finding = Finding::new(kind::FIRST_BYTE_SECONDS, subject).with_value(seconds);
        Some(finding.with_message(&self.phases.to_string()))
    }
}

/// What works for one family of addresses only.
fn half(finding: Finding, family: Option<&str>, message: &str) -> Finding {
    match family {
        Some(family) => finding.with_value(family).with_severity(Severity::Warning).with_message(message),
        None => finding.with_value(false).with_message(message),
    }
}
