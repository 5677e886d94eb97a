//! Owns asking dependencies: all at once, each by its kind of check.

use futures_util::stream::{self, StreamExt};
use tokio::time::Instant;

use crate::host_checks;
use crate::network_checks;
use crate::postgres;
use crate::prober::{Deadline, Prober, milliseconds_since};
use crate::report::{DependencyReport, Verdict};
use crate::target::{Check, Dependency};

/// More than any server has; the rest would wait for a place, within the same deadline.
const AT_ONCE_MAX: usize = 64;

// === impl Prober ===

impl Prober {
    /// In the order in which they are given.
    pub(crate) async fn ask_dependencies(
        &self,
        dependencies: &[Dependency],
        deadline: Deadline,
    ) -> Vec<DependencyReport> {
        // A loop, not a closure: the compiler cannot see that the future of a closure may move between threads.
        let mut questions = Vec::with_capacity(dependencies.len());
        for dependency in dependencies {
            questions.push(self.ask_dependency(dependency, deadline));
        }
        stream::iter(questions).buffered(AT_ONCE_MAX).collect().await
    }

    pub(crate) async fn ask_dependency(
        &self,
        dependency: &Dependency,
        deadline: Deadline,
    ) -> DependencyReport {
        let started = Instant::now();
        let mut perfdata = Vec::new();
        let ask = async {
            match &dependency.check {
                Check::Nagios { command } => {
                    let (verdict, numbers) = self.plugins.run(self.program.as_deref(), command).await;
                    perfdata = numbers;
                    verdict
                }
                check => self.ask(check).await,
            }
        };
        let verdict = deadline.bound(ask).await;
        DependencyReport {
            perfdata,
            ..DependencyReport::new(dependency, verdict, milliseconds_since(started))
        }
    }

    async fn ask(&self, check: &Check) -> Verdict {
        match check {
            Check::Http { url } => network_checks::http(self.clients.at(url), url).await,
            Check::Tcp { address } => network_checks::tcp(address).await,
            Check::Postgres { address, password } => postgres::ask(address, password.as_ref()).await,
            Check::Process { name } => self.looks.process(name).await,
            Check::File { path } => self.looks.file(path).await,
            Check::Env { variable, value } => host_checks::env(variable, value.as_deref()),
            Check::Nagios { command } => self.plugins.run(self.program.as_deref(), command).await.0,
        }
    }
}
