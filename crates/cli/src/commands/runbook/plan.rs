//! Owns `paramedic runbook plan`: what would be done for a server, statement by statement, without doing any of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use incident::{Approve, Decision, Kill, Policy, Request};
use runbook::lint::{Config as Rules, Finding, Objections, lint_parsed};
use runbook::{Fence, Phase, Procedure, Unit};
use serde::Serialize;

use crate::arguments::Output;
use crate::commands::text;
use crate::context::load_or_default;
use crate::fail::{Code, Failure};
use crate::show;

/// What would be done in a phase.
#[derive(Debug, Serialize)]
struct PlannedPhase {
    procedure: String,
    title: String,
    /// Its length; none where it is open.
    window_s: Option<u64>,
    /// What its statements take at least.
    least_s: u64,
    /// What they may take by their time limits; none where one has no limit.
    most_s: Option<u64>,
    steps: Vec<PlannedStep>,
}

#[derive(Debug, Serialize)]
struct PlannedStep {
    number: u32,
    title: String,
    /// Whether a person does it.
    manual: bool,
    units: Vec<PlannedUnit>,
}

#[derive(Debug, Serialize)]
struct PlannedUnit {
    id: String,
    line: usize,
    statement: String,
    effect: runbook::Effect,
    reason: String,
    /// The host that it runs on.
    target: String,
    /// Values of the parameters that it reads; none where one is missing.
    parameters: BTreeMap<String, Option<String>>,
    condition: Option<String>,
    /// How it is repeated, where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    watch: Option<String>,
    /// What happens before it runs: nothing, a question, or a refusal.
    decision: String,
    timeout_s: Option<u64>,
    /// What the lint would have a person look at first.
    refusals: Vec<Refusal>,
}

#[derive(Debug, Serialize)]
struct Refusal {
    code: &'static str,
    message: String,
    fix: String,
}

struct Planner<'a> {
    policy: Policy,
    kill: Kill,
    values: BTreeMap<String, String>,
    findings: &'a [Finding],
    objections: Objections,
}

pub(super) fn run(
    file: &Path,
    procedure: Option<&str>,
    server: Option<&str>,
    given: BTreeMap<String, String>,
    config: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    let bytes = text::read(file, "the runbook")?;
    let name = file.display().to_string();
    let (runbook, diagnostics) = runbook::parse(&name, &bytes);
    let (config, _) = load_or_default(config)?;
    let member = match server {
        Some(name) => Some(config.server.iter().find(|server| server.name == name).ok_or_else(|| {
            let known: Vec<_> = config.server.iter().map(|server| server.name.as_str()).collect();
            Failure::usage(anyhow::anyhow!(
                "`{name}` is no server of the configuration; there are: {}",
                known.join(", ")
            ))
        })?),
        None => None,
    };
    let mut values = member.map_or_else(BTreeMap::new, |server| server::server_parameters(&config, server));
    values.insert("INCIDENT_ID".to_owned(), "(given by the incident)".to_owned());
    values.extend(given);
    let procedures: Vec<&Procedure> = match procedure {
        Some(name) => vec![runbook.procedure(name).ok_or_else(|| {
            let known: Vec<_> = runbook.procedures.iter().map(|procedure| procedure.id.as_str()).collect();
            Failure::usage(anyhow::anyhow!(
                "`{}` has no procedure `{name}`; there are: {}",
                runbook.name,
                known.join(", ")
            ))
        })?],
        None => runbook.procedures.iter().collect(),
    };
    let findings = lint_parsed(&bytes, &runbook, &diagnostics, &Rules::default(), None);
    let planner = Planner {
        policy: server::policy(&config, member),
        kill: server::kill_switch(&config),
        values,
        findings: &findings,
        objections: Objections::new(&findings),
    };
    let phases: Vec<PlannedPhase> = procedures
        .iter()
        .flat_map(|procedure| procedure.phases.iter().map(|phase| planner.phase(procedure, phase)))
        .collect();
    if output == Output::Table {
        phases.iter().for_each(print);
    } else {
        show::rows(output, &phases, &[], |_| Vec::new());
    }
    Ok(Code::Done)
}

impl Planner<'_> {
    fn phase(&self, procedure: &Procedure, phase: &Phase) -> PlannedPhase {
        let fences =
            || phase.steps.iter().flat_map(|step| &step.fences).filter(|fence| !fence.units.is_empty());
        let window = phase.window.as_ref();
        PlannedPhase {
            procedure: procedure.id.clone(),
            title: phase.title.clone(),
            window_s: window.and_then(|window| Some(window.end_s?.saturating_sub(window.start_s))),
            least_s: fences().map(|fence| fence.least_duration().as_secs()).sum(),
            most_s: fences().map(|fence| most(fence, phase).map(|most| most.as_secs())).sum(),
            steps: phase
                .steps
                .iter()
                .map(|step| PlannedStep {
                    number: step.number,
                    title: step.title.clone(),
                    manual: step.is_manual(),
                    units: step
                        .fences
                        .iter()
                        .flat_map(|fence| {
                            fence.units.iter().map(|unit| self.unit(procedure, phase, fence, unit))
                        })
                        .collect(),
                })
                .collect(),
        }
    }

    fn unit(&self, procedure: &Procedure, phase: &Phase, fence: &Fence, unit: &Unit) -> PlannedUnit {
        let declared = procedure.parameters();
        let needed = declared.iter().filter(|parameter| unit.reads.contains(&parameter.name));
        let parameters: BTreeMap<String, Option<String>> = needed
            .map(|parameter| (parameter.name.clone(), self.values.get(&parameter.name).cloned()))
            .collect();
        let last = unit.line + unit.source.matches('\n').count();
        let refusals = self.findings.iter().filter(|finding| {
            finding.blocks_auto_run && finding.line <= last && finding.end_line >= unit.line
        });
        PlannedUnit {
            id: unit.id.clone(),
            line: unit.line,
            statement: unit.source.clone(),
            effect: unit.effect,
            reason: unit.reason.clone(),
            target: "this host".to_owned(),
            decision: self.decision(procedure, fence, unit, &parameters),
            parameters,
            condition: fence.attributes.when.clone(),
            watch: fence.watch(phase.window).map(|watch| watch.to_string()),
            timeout_s: fence.attributes.timeout.map(|timeout| timeout.as_secs()),
            refusals: refusals
                .map(|finding| Refusal {
                    code: finding.code,
                    message: finding.message.clone(),
                    fix: finding.hint.to_string(),
                })
                .collect(),
        }
    }

    fn decision(
        &self,
        procedure: &Procedure,
        fence: &Fence,
        unit: &Unit,
        parameters: &BTreeMap<String, Option<String>>,
    ) -> String {
        let objection = self.objections.of(&procedure.id, &unit.id);
        if let Some(lethal) = objection.filter(|objection| objection.lethal) {
            return format!("is not run: {}", lethal.reason);
        }
        if fence.attributes.on.is_some() {
            return "asks: `on` is not carried out by this version".to_owned();
        }
        let is_watch = fence.watch(None).is_some();
        if is_watch && fence.units.iter().any(|unit| unit.effect != runbook::Effect::Observe) {
            return "asks: a watch only looks, and something in this fence may do more".to_owned();
        }
        let missing: Vec<&str> =
            parameters.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| name.as_str()).collect();
        if !missing.is_empty() {
            return format!("asks: it needs {}", missing.join(", "));
        }
        let doubtful = unit.trusts.iter().find(|(name, trust)| {
            parameters.get(*name).and_then(Option::as_ref).is_some_and(|value| !trust.accepts(value))
        });
        if let Some((name, _)) = doubtful {
            return format!("asks: the value of ${name} may not be harmless in it");
        }
        let alert = procedure.alert.as_ref();
        let request = Request {
            approve: match fence.attributes.approve {
                runbook::Approve::Always => Approve::Always,
                runbook::Approve::Policy => Approve::Policy,
            },
            alert: alert.map_or("", |alert| alert.name.as_str()),
            severity: alert.map(|alert| alert.severity),
            kill: self.kill,
            ..Request::quiet(unit.effect, &unit.reason)
        };
        match self.policy.decide(&request) {
            Decision::Run => match objection.filter(|_| unit.effect != runbook::Effect::Observe) {
                Some(objection) => format!("asks: {}", objection.reason),
                None => "runs by itself".to_owned(),
            },
            Decision::Ask(reason) => format!("asks: {reason}"),
            Decision::Skip(reason) => format!("is not run: {reason}"),
        }
    }
}

/// How long a fence may take: a watch has its own limit.
fn most(fence: &Fence, phase: &Phase) -> Option<std::time::Duration> {
    fence.watch(phase.window).map(|watch| watch.limit).or_else(|| fence.most_duration())
}

fn print(phase: &PlannedPhase) {
    let window = phase.window_s.map_or("no window".to_owned(), |window| format!("window {window} s"));
    let most = phase.most_s.map_or("without limit".to_owned(), |most| format!("at most {most} s"));
    show::line(&format!(
        "\n{} / {} ({window}; takes {} s or more, {most})",
        phase.procedure, phase.title, phase.least_s
    ));
    for step in &phase.steps {
        show::line(&format!(
            "  {}. {}{}",
            step.number,
            step.title,
            if step.manual { " (a person does it)" } else { "" }
        ));
        for unit in &step.units {
            show::line(&format!(
                "    {} [{}] {}",
                unit.id,
                unit.effect,
                unit.statement.replace('\n', "\n        ")
            ));
            show::line(&format!("        line {}, on {}: {}", unit.line, unit.target, unit.decision));
            if let Some(condition) = &unit.condition {
                show::line(&format!("        only when {condition}"));
            }
            if let Some(watch) = &unit.watch {
                show::line(&format!("        repeated {watch}"));
            }
            let values = unit.parameters.iter().map(|(name, value)| match value {
                Some(value) => format!("{name}={value}"),
                None => format!("{name} is missing"),
            });
            let values = values.collect::<Vec<_>>().join(", ");
            if !values.is_empty() {
                show::line(&format!("        {values}"));
            }
            for refusal in &unit.refusals {
                show::line(&format!("        {} {}: {}", refusal.code, refusal.message, refusal.fix));
            }
        }
    }
}
