//! Owns the engine that answers rules in the place of ours: Prometheus, Thanos, Mimir or VictoriaMetrics.
//!
//! Each rule is asked for as a query of that engine, written so that it does not miss what it is for. What only the
//! responder makes stays with it: whether a server is up is known at once, and with the network gone. Where there is no
//! answer nothing is concluded: alerts neither fire nor are resolved by it.

mod reading;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::{AlertingRule, Element, Elsewhere, Engine, Query, RecordingRule, Rule, RuleGroup};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::clock;
use crate::config;
use crate::flow::Flow;
use crate::remote::{AskError, Asker, Question};
use crate::secrets::Secrets;

/// How many queries are under way at a time.
const AT_ONCE: usize = 8;

/// How long an answer is good for, at least.
const GOOD_FOR_MS: i64 = 60_000;

/// Of what the responder makes itself, and nobody else as soon or as surely.
const OWN: [&str; 4] = [
    "mcp_server_up",
    "mcp_server_health_status",
    "mcp_server_dependency_status",
    "mcp_data_integrity_status",
];

/// What our own metrics begin with.
const OWN_PREFIX: &str = "paramedic_";

/// The longest refusal that is read whole: it says why in JSON.
const ERROR_BYTES_MAX: usize = 4_096;

/// The engine of the configuration, and what it is asked.
pub(crate) struct Backend {
    config: config::Backend,
    asker: Asker,
    secrets: Secrets,
    asked: Vec<Asked>,
    problem: Mutex<Option<Problem>>,
}

/// A rule that it answers.
struct Asked {
    rule: String,
    query: String,
    elsewhere: Arc<Elsewhere>,
}

/// Why it has no answers, and since when.
#[derive(Debug, Clone)]
struct Problem {
    since_ms: i64,
    reason: String,
    rules: BTreeSet<String>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackendError {
    /// It does not answer, or says no.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// It says what is wrong.
    #[error("it says: {0}")]
    Says(String),
    /// The answer is none that is understood.
    #[error("its answer is not understood: {0}")]
    Form(String),
    /// The answer has more series than anybody wants.
    #[error("{found} series were found, and {max} are the most (`series_max`)")]
    TooMany { found: usize, max: usize },
}

// === impl Backend ===

impl Backend {
    /// Takes over the rules that are not about what only the responder knows; says how they were written anew.
    pub(crate) fn take_over(
        config: &config::Backend,
        secrets: Secrets,
        interval: Duration,
        groups: &mut [RuleGroup],
    ) -> Self {
        let good_for_ms = i64::try_from(interval.as_millis() * 3).unwrap_or(i64::MAX).max(GOOD_FOR_MS);
        // What is recorded here is only known here.
        let all = groups.iter().flat_map(|group| &group.rules);
        let recorded = all.filter(|rule| matches!(rule, Rule::Recording(_)));
        let recorded: BTreeSet<String> = recorded.map(|rule| rule.name().to_owned()).collect();
        let mut asked = Vec::new();
        for rule in groups.iter_mut().flat_map(|group| &mut group.rules) {
            let (Rule::Alerting(AlertingRule { name, query, .. })
            | Rule::Recording(RecordingRule { name, query, .. })) = rule;
            if is_own(query, &recorded) {
                continue;
            }
            if let Some(metric) = query.metric_names().iter().find(|metric| recorded.contains(*metric)) {
                tracing::warn!(
                    rule = name,
                    "`{metric}` is recorded here, and the metrics backend that answers the rule does not have it"
                );
            }
            let elsewhere = Arc::new(Elsewhere::new(good_for_ms));
            let portable = query.for_engine(config.engine);
            for remark in &portable.remarks {
                tracing::info!(rule = name, engine = config.engine.name(), "{remark}");
            }
            *query = query.answered_by(&elsewhere);
            asked.push(Asked { rule: name.clone(), query: portable.text, elsewhere });
        }
        let (asker, problem) = (Asker::default(), Mutex::default());
        Self { config: config.clone(), asker, secrets, asked, problem }
    }

    /// Why rules are not evaluated at this time, where some are not.
    pub(crate) fn problem(&self) -> Option<String> {
        let problem = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        problem.as_ref().map(|problem| {
            let rules: Vec<&str> = problem.rules.iter().map(String::as_str).collect();
            format!(
                "the metrics backend at {} has no answer for {}, whose alerts stay as they are: {}",
                self.config.url,
                rules.join(", "),
                problem.reason
            )
        })
    }

    /// Asks for all rules until the task is dropped.
    pub(crate) async fn keep_asking(flow: Arc<Flow>) {
        let Some(backend) = &flow.backend else { return };
        let mut ticks = tokio::time::interval(flow.world.config.metrics.evaluation_interval.get());
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            backend.ask_all(&flow).await;
        }
    }

    async fn ask_all(&self, flow: &Arc<Flow>) {
        let (room, mut asking) = (Arc::new(Semaphore::new(AT_ONCE)), tokio::task::JoinSet::new());
        for idx in 0..self.asked.len() {
            let (flow, room) = (Arc::clone(flow), Arc::clone(&room));
            asking.spawn(async move {
                let _turn = room.acquire().await;
                let backend = flow.backend.as_ref()?;
                let at_ms = clock::now_ms();
                let found = backend.vector(&backend.asked[idx].query, at_ms).await;
                Some((idx, at_ms, found))
            });
        }
        let mut problem = None::<Problem>;
        while let Some(found) = asking.join_next().await {
            let Ok(Some((idx, at_ms, found))) = found else { continue };
            let asked = &self.asked[idx];
            let found = found.map_err(|error| incident::error_chain(&error));
            if let Err(reason) = &found {
                let problem = problem.get_or_insert_with(|| Problem {
                    since_ms: at_ms,
                    reason: reason.clone(),
                    rules: BTreeSet::new(),
                });
                problem.rules.insert(asked.rule.clone());
            }
            asked.elsewhere.set(at_ms, found);
        }
        self.note(problem);
    }

    /// Says once that there is no answer, and once that there is one again.
    fn note(&self, problem: Option<Problem>) {
        let mut known = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        match (&mut *known, problem) {
            (None, Some(new)) => {
                let rules = new.rules.iter().cloned().collect::<Vec<_>>().join(", ");
                tracing::error!(
                    url = self.config.url,
                    rules,
                    reason = new.reason,
                    "the metrics backend has no answer; alerts of these rules stay as they are"
                );
                *known = Some(new);
            }
            (Some(old), Some(new)) => *known = Some(Problem { since_ms: old.since_ms, ..new }),
            (Some(old), None) => {
                let seconds = clock::now_ms().saturating_sub(old.since_ms) / 1_000;
                tracing::info!(url = self.config.url, seconds, "the metrics backend answers again");
                *known = None;
            }
            (None, None) => {}
        }
    }

    /// What a query finds at one moment.
    ///
    /// # Errors
    /// Where there is no answer, or one that can not be used.
    pub(crate) async fn vector(&self, query: &str, at_ms: i64) -> Result<Vec<Element>, BackendError> {
        let time = (at_ms as f64 / 1e3).to_string();
        let body = self.ask("query", &[("query", query), ("time", &time)]).await?;
        reading::elements(&body, self.config.series_max)
    }

    /// Asks one of the questions of the API, as it stands there; returns the answer as it came, no larger than is allowed.
    ///
    /// # Errors
    /// Where there is no answer.
    pub(crate) async fn ask(&self, what: &str, asked: &[(&str, &str)]) -> Result<Vec<u8>, BackendError> {
        let path = format!("/api/v1/{what}");
        let timeout = format!("{}ms", self.config.timeout.ms());
        let mut query: Vec<(&str, &str)> = asked.to_vec();
        if asked.iter().all(|(name, _)| *name != "timeout") {
            query.push(("timeout", &timeout));
        }
        query.extend(self.config.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        // Half of the stores must not pass for all of them.
        let is_thanos = self.config.engine == Engine::Thanos;
        if is_thanos && !self.config.parameters.contains_key("partial_response") {
            query.push(("partial_response", "false"));
        }
        let bytes_max = usize::try_from(self.config.bytes_max.0).unwrap_or(usize::MAX);
        let question =
            Question { error_bytes_max: ERROR_BYTES_MAX, ..Question::get(&path, &query, bytes_max) };
        match self.asker.ask(&self.config.remote(), &self.secrets, question).await {
            // Why it says no is JSON as well.
            Err(AskError::Status { status, said, after }) => {
                let words = said.find('{').and_then(|at| serde_json::from_str::<Value>(&said[at..]).ok());
                let words = words.and_then(|words| words["error"].as_str().map(str::to_owned));
                Err(words.map_or_else(|| AskError::Status { status, said, after }.into(), BackendError::Says))
            }
            answered => Ok(answered?),
        }
    }
}

/// Whether a query is only about what the responder makes, or records by its rules.
fn is_own(query: &Query, recorded: &BTreeSet<String>) -> bool {
    let is_ours = |name: &String| {
        OWN.contains(&name.as_str()) || name.starts_with(OWN_PREFIX) || recorded.contains(name)
    };
    let names = query.metric_names();
    !names.is_empty() && names.iter().all(is_ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_the_responder_knows_stays_with_it() {
        let recorded = BTreeSet::from(["job:errors:rate".to_owned()]);
        let is = |text: &str| is_own(&Query::parse(text).unwrap(), &recorded);
        assert!(is("job:errors:rate > 1"));
        assert!(!is("job:errors:rate > job:other:rate"));
        assert!(is("mcp_server_up == 0 or (present_over_time(mcp_server_up[1h]) unless mcp_server_up)"));
        assert!(is("paramedic_incidents > 3"));
        assert!(!is("mcp_server_up == 0 and app_slow > 1"));
        assert!(!is("{__name__=~\"mcp_server_up\"} == 0"));
        assert!(!is("vector(1)"));
    }
}
