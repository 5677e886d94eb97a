//! Owns the probe loop of one server: asked at its interval, the answers kept as samples.

use std::sync::Arc;
use std::time::Duration;

use metrics::Labels;
use probe::{CheckType, Health, Report};
use process::control::{Criticality, DependencyHealth, DependencyStatus, Phase};

use super::scraping::share;
use super::{Looked, Watch, prober};
use crate::clock;
use crate::fleet::Member;
use crate::flow::Flow;
use crate::traces::Probed;
use crate::watched::{Watched, pace};

/// How often a server that is gone with its client is forgotten: a page that was being read needs its deadline.
const FORGET_TIMES: u32 = 3;

/// The least time between the first probe and the second: a server whose moment is now is not asked twice in a row.
const LEAST_WAIT: Duration = Duration::from_millis(10);

/// Probes one server until the task is dropped.
pub(crate) async fn probe_server(flow: Arc<Flow>, member: Arc<Member>) {
    let (world, watch) = (&flow.world, &flow.watch);
    let mut ticks = tokio::time::interval(world.config.probe.interval.get());
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // All begin at once, and go on at moments of their own.
    let own = Labels::from_iter([("server_name", member.config.name.as_str())]);
    let mut first = Some(world.config.probe.interval.get().mul_f64(share(&own)));
    let mut absent = 0;
    loop {
        ticks.tick().await;
        absent = if member.is_absent() { absent + 1 } else { 0 };
        if absent > 0 {
            // It is neither up nor down. What was under way when its client went may still be written down.
            if absent <= FORGET_TIMES {
                watch.store().forget("server_name", &member.config.name);
                watch.answers.forget(&member.config.name);
            }
            watch.saw(&prober(&member.config.name), watch.gaps());
            continue;
        }
        loop {
            let gaps = watch.gaps();
            let turn = world.probes.acquire().await;
            probe_once(&flow, &member, gaps).await;
            drop(turn);
            // An answer that took a gap is none: whoever was stopped cannot tell who was late.
            if watch.gaps() == gaps {
                watch.saw(&prober(&member.config.name), gaps);
                break;
            }
        }
        let usual = world.config.probe.interval.get();
        let watched = Watched::of(&world.config, &member.config.name, clock::now_ms());
        match (first.take(), &watched) {
            (Some(later), _) => ticks.reset_after(later.max(LEAST_WAIT)),
            (None, Some(_)) => ticks.reset_after(pace(usual, watched.as_ref()).max(LEAST_WAIT)),
            (None, None) => {}
        }
    }
}

async fn probe_once(flow: &Flow, member: &Member, gaps: u64) {
    let (world, watch) = (&*flow.world, &*flow.watch);
    let deadline = world.config.probe.timeout.get();
    let (context, began_ms) = (flow.traces.probe(), clock::now_ms());
    let asked = member.life();
    let (liveness, dependencies) = tokio::join!(
        world.prober.liveness_in(&member.target, deadline, Some(context)),
        world.prober.dependency(&member.target, deadline),
    );
    if watch.gaps() != gaps {
        return;
    }
    if member.life() != asked {
        // The answer is about a process that has ended meanwhile: kept now, it would deny the end. One that began
        // and ended during the question left no other trace than its end.
        return;
    }
    flow.traces.probed(Probed { context, began_ms, liveness: &liveness, dependencies: &dependencies }).await;
    // A server that is being started or was stopped by a person is neither up nor down: it says so itself.
    let settled = member.is_settled();
    if settled && member.phase() != Some(Phase::Stopped) {
        keep_up(watch, &liveness);
    }
    keep_dependencies(watch, &member.config.name, &dependencies);
    watch.answers.take(&liveness);
    if !member.config.dependency.is_empty() {
        watch.answers.take(&dependencies);
    }
    let readiness = probe::readiness_of(&liveness, &dependencies);
    watch.answers.count(&readiness);
    for (check, report) in [
        (CheckType::Liveness, &liveness),
        (CheckType::Dependency, &dependencies),
        (CheckType::Readiness, &readiness),
    ] {
        let labels = [("check_type", check.label()), ("server_name", &member.config.name)];
        watch.sample("mcp_server_health_status", &labels, report.health.score() as f64);
    }
    if !member.config.dependency.is_empty() {
        member.tell_dependencies(statuses(&dependencies));
    }
    // After a start of ours the first look that says something is the first look: until then an alert from before is
    // not over because there is no sample.
    if settled || watch.looked(&member.config.name).is_some() {
        watch.keep(Looked { liveness, readiness, settled });
    }
}

/// The responder's own word on whether a server is up.
fn keep_up(watch: &Watch, liveness: &Report) {
    let up = if liveness.health == Health::Healthy { 1.0 } else { 0.0 };
    watch.sample("mcp_server_up", &[("server_name", &liveness.target)], up);
}

fn keep_dependencies(watch: &Watch, server: &str, report: &Report) {
    for one in &report.dependencies {
        let critical = if one.critical == probe::Criticality::Critical { "true" } else { "false" };
        let up = if one.health.is_well() { 1.0 } else { 0.0 };
        let labels = [("critical", critical), ("dependency_name", &one.name), ("server_name", server)];
        watch.sample("mcp_server_dependency_status", &labels, up);
        for number in &one.perfdata {
            let labels = [
                ("dependency_name", one.name.as_str()),
                ("label", &number.label),
                ("server_name", server),
                ("unit", &number.unit),
            ];
            watch.sample("paramedic_check_value", &labels, number.value);
        }
    }
}

fn statuses(report: &Report) -> Vec<DependencyStatus> {
    let status = |one: &probe::DependencyReport| DependencyStatus {
        name: one.name.clone(),
        health: match one.health {
            Health::Healthy | Health::Degraded => DependencyHealth::Healthy,
            Health::Unhealthy => DependencyHealth::Unhealthy,
            Health::Unknown => DependencyHealth::Unknown,
        },
        critical: match one.critical {
            probe::Criticality::Critical => Criticality::Critical,
            probe::Criticality::Optional => Criticality::Optional,
        },
        reason: one.reason.clone(),
    };
    report.dependencies.iter().map(status).collect()
}
