//! Owns the report: one typed document, made of the records of an incident, its runbook, and of nothing else.

mod calls;
mod document;
mod duties;
mod errors;
mod gaps;
mod html;
mod line;
mod markdown;
mod model;
mod people;
mod phases;
mod recovery;
mod shadow;
mod steps;
mod text;
mod trouble;

use runbook::Procedure;

use crate::clocks::Clocks;
use crate::fold::Incident;
use crate::record::Record;
use crate::state::State;

pub use line::describe;
pub(crate) use line::outcome;
pub use model::{
    Alert, Answer, Cause, Change, Clock, Command, DataRecovery, DutyReport, ErrorSeen, FollowUpReport,
    Moment, NotRun, Note, PhaseTime, Question, Report, StepReport, TroubleReport, Values,
};
pub use shadow::{Shadow, Withholding};
pub(crate) use text::time;
pub use text::{clean as plain, duration};

// === impl Report ===

impl Report {
    /// Makes the report of an incident.
    ///
    /// `procedure` is the one that it follows, where it could be read back: it has the windows and the duties. `lost`
    /// says, for people, what the journal itself has lost. `now_ms` (milliseconds since the Unix epoch) appears only
    /// where the incident is still open.
    pub fn of(incident: &Incident, procedure: Option<&Procedure>, lost: &[String], now_ms: i64) -> Self {
        let clocks = Clocks::of(incident);
        let alert = incident.alarm.alert.as_ref();
        let mut report = Self {
            version: model::VERSION,
            id: incident.id.clone(),
            title: incident.title.clone(),
            procedure: incident.procedure.clone(),
            state: incident.state,
            server: incident.server.clone(),
            alert: alert.map(|alert| Alert { name: alert.name.clone(), severity: alert.severity.clone() }),
            runbook: incident.runbook.clone(),
            opened_ms: incident.opened_ms,
            resolved_ms: incident.resolved_ms,
            as_of_ms: incident.state.is_open().then_some(now_ms),
            data: recovery::of(incident, &clocks),
            summary: summary(incident),
            began_ms: clocks.began_ms,
            clocks: self::clocks(incident, &clocks),
            response_time_ms: incident.response_time_ms,
            phases: phases::phases(incident, procedure, now_ms),
            cause: cause(incident),
            timeline: timeline(incident, &clocks),
            steps: steps::steps(incident),
            not_run: steps::not_run(incident),
            errors: errors::errors(incident),
            changes: errors::changes(incident),
            questions: people::questions(incident),
            notes: people::notes(incident),
            evidence: incident.evidence().cloned().collect(),
            gaps: gaps::gaps(incident),
            open_ends: gaps::open_ends(incident),
            follow_ups: people::follow_ups(incident),
            duties: None,
            dependency: incident.dependency.clone(),
            troubles: trouble::troubles(incident),
        };
        report.gaps.extend(lost.iter().cloned());
        match procedure {
            Some(procedure) => report.duties = Some(duties::duties(incident, &procedure.duties, &report)),
            None => report.gaps.push(
                "The runbook cannot be read back: windows and documentation duties are not known.".to_owned(),
            ),
        }
        report
    }

    /// Renders it as Markdown.
    pub fn markdown(&self) -> String {
        markdown::render(&document::document(self))
    }

    /// Renders it as one self-contained page.
    pub fn html(&self) -> String {
        html::render(self, &document::document(self))
    }
}

/// One paragraph: what happened, what was done, how it stands.
fn summary(incident: &Incident) -> String {
    let mut sentences = vec![text::sentence(&incident.alarm.summary)];
    sentences.push(match incident.restarts() {
        0 => "It was not restarted.".to_owned(),
        1 => "It was restarted once.".to_owned(),
        n => format!("It was restarted {n} times."),
    });
    let verified = incident.timeline.iter().rev().find_map(|(_, record)| match record {
        Record::Verified { probes, period_ms, .. } => Some(format!(
            "Recovery was verified: {probes} good answers in a row over {}, by one process.",
            duration(*period_ms)
        )),
        Record::NotVerified { reason } => {
            Some(format!("Recovery was not verified: {}.", reason.trim_end_matches('.')))
        }
        _ => None,
    });
    sentences.extend(verified);
    sentences.extend(trouble::kin(incident));
    if let Some(reason) = &incident.person_needed {
        sentences.push(format!("A person is needed: {}.", reason.trim_end_matches('.')));
    }
    if incident.state == State::Resolved {
        let took = incident.resolved_ms.unwrap_or(incident.opened_ms) - incident.opened_ms;
        sentences.push(format!("The incident was resolved {} after it was opened.", text::span(took)));
    }
    sentences.join(" ")
}

fn clocks(incident: &Incident, clocks: &Clocks) -> Vec<Clock> {
    let by = incident.acknowledged.as_ref().map(|(_, by)| by.clone());
    let clock = |name: &str, at_ms: Option<i64>, by: Option<String>| Clock {
        name: name.to_owned(),
        after_ms: at_ms.map(|at_ms| clocks.after_ms(at_ms)),
        by,
    };
    vec![
        clock("detected", Some(clocks.detected_ms), None),
        clock("acknowledged", clocks.acknowledged_ms, by),
        clock("diagnosed", clocks.diagnosed_ms, None),
        clock("mitigated", clocks.mitigated_ms, None),
        clock("resolved", clocks.resolved_ms, None),
    ]
}

/// What the findings point to; nothing where nothing was found.
fn cause(incident: &Incident) -> Option<Cause> {
    let findings: Vec<String> = incident.findings.values().map(ToString::to_string).collect();
    (!findings.is_empty()).then(|| Cause {
        name: incident.cause.clone(),
        why: incident.why.clone(),
        findings,
    })
}

fn timeline(incident: &Incident, clocks: &Clocks) -> Vec<Moment> {
    let moment = |at_ms: i64, what: String| Moment { at_ms, after_ms: clocks.after_ms(at_ms), what };
    let exit = incident.alarm.exit.as_ref().map(|exit| moment(exit.at_ms, exit.reason.clone()));
    let told = incident.timeline.iter().filter_map(|(at_ms, one)| Some(moment(*at_ms, describe(one)?)));
    exit.into_iter().chain(told).collect()
}

#[cfg(test)]
mod tests;
