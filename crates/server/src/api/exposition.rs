//! Owns the `/metrics` of `serve`: the responder's own word on each server, and the incident clocks.

use std::fmt;
use std::sync::atomic::AtomicU64;

use incident::{EngineError, State};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::containment;
use crate::flow::Flow;
use crate::watch::Looked;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfServer {
    server_name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfMemory {
    server_name: String,
    memory_type: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfCheck {
    server_name: String,
    check_type: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfDependency {
    server_name: String,
    dependency_name: String,
    critical: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfState {
    state: String,
    severity: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfNotice {
    contact: String,
    news: String,
    outcome: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfTold {
    from: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfSent {
    outcome: &'static str,
}

/// What stands for the severity of an incident without an alert, or with another one.
const NO_SEVERITY: &str = "none";

/// The severities that incidents are counted by.
const SEVERITIES: [&str; 4] = ["critical", "warning", "info", NO_SEVERITY];

/// Renders the page from what is known now.
pub(crate) async fn page(flow: &Flow) -> Result<String, EngineError> {
    let mut registry = Registry::default();
    servers(flow, &mut registry);
    vitals(flow, &mut registry);
    let mut page = String::new();
    // Writing to a string cannot fail.
    let _: fmt::Result = encode_registry(&mut page, &registry);
    page.push_str(&own_page(flow).await?);
    Ok(page)
}

/// The part of the page that is not among our series by itself.
pub(crate) async fn own_page(flow: &Flow) -> Result<String, EngineError> {
    let mut registry = Registry::default();
    flow.watch.answers().register(&mut registry);
    incidents(flow, &mut registry).await?;
    contained(flow, &mut registry);
    notices(flow, &mut registry);
    told(flow, &mut registry);
    sent(flow, &mut registry);
    traces(flow, &mut registry);
    samples(flow, &mut registry);
    let mut page = String::new();
    let _: fmt::Result = encode_registry(&mut page, &registry).and_then(|()| encode_eof(&mut page));
    Ok(page)
}

/// The incidents by state and severity, and their clocks.
async fn incidents(flow: &Flow, registry: &mut Registry) -> Result<(), EngineError> {
    const STATES: [State; 5] =
        [State::Triggered, State::Acknowledged, State::Mitigated, State::Resolved, State::Closed];
    let count = Family::<OfState, Gauge>::default();
    let of = |state: State, severity: &str| {
        let labels = OfState { state: state.to_string(), severity: severity.to_owned() };
        count.get_or_create(&labels).clone()
    };
    // Every series is there from the start.
    for severity in SEVERITIES {
        STATES.iter().for_each(|state| drop(of(*state, severity)));
    }
    flow.engine
        .look(|all| {
            let all: Vec<_> = all.collect();
            for incident in &all {
                let alert = incident.alarm.alert.as_ref();
                let severity = alert.map_or(NO_SEVERITY, |alert| alert.severity.as_str());
                let known = SEVERITIES.iter().find(|known| **known == severity);
                of(incident.state, known.unwrap_or(&NO_SEVERITY)).inc();
            }
            flow.clocks.take(all.into_iter());
        })
        .await?;
    registry.register("paramedic_incidents", "Incidents by state and severity of the alert", count);
    flow.clocks.register(registry);
    Ok(())
}

/// Which servers are contained.
fn contained(flow: &Flow, registry: &mut Registry) {
    let is = Family::<OfServer, Gauge>::default();
    let members: Vec<_> = flow.fleet.members().filter(|member| !member.is_absent()).collect();
    let names = members.iter().map(|member| member.config.name.as_str());
    for (server, contained) in containment::all(&flow.world.config, names) {
        is.get_or_create(&OfServer { server_name: server.to_owned() }).set(contained.into());
    }
    registry.register("paramedic_server_contained", "Whether a server is cut off by `security contain`", is);
}

/// How often anybody was told since the start of this `serve`.
fn notices(flow: &Flow, registry: &mut Registry) {
    let count = Family::<OfNotice, Counter>::default();
    for ((contact, news, outcome), times) in flow.told.counts() {
        let labels = OfNotice { contact, news: news.to_owned(), outcome: outcome.to_owned() };
        count.get_or_create(&labels).inc_by(times);
    }
    registry.register("paramedic_notifications", "Notices to contacts by what became of them", count);
}

/// Who tells of alerts, and what is made of them.
const TELLERS: [&str; 2] = ["alertmanager", "webhook"];
const OUTCOMES: [&str; 5] = ["news", "known", "old", "refused", "full"];

/// How many alerts other systems told of since the start of this `serve`.
fn told(flow: &Flow, registry: &mut Registry) {
    let count = Family::<OfTold, Counter>::default();
    // Every series is there from the start.
    for from in TELLERS {
        OUTCOMES.iter().for_each(|outcome| drop(count.get_or_create(&OfTold { from, outcome }).clone()));
    }
    for ((from, outcome), times) in flow.inbound.counts() {
        count.get_or_create(&OfTold { from, outcome }).inc_by(times);
    }
    registry.register("paramedic_inbound_alerts", "Alerts of other systems by what was made of them", count);
}

/// What was sent to another engine since the start of this `serve`.
fn sent(flow: &Flow, registry: &mut Registry) {
    let Some(write) = &flow.remote_write else { return };
    let count = Family::<OfSent, Counter>::default();
    for (outcome, times) in write.counts() {
        count.get_or_create(&OfSent { outcome }).inc_by(times);
    }
    registry.register(
        "paramedic_remote_write_samples",
        "Samples for another engine by what became of them",
        count,
    );
    let behind = Gauge::<f64, AtomicU64>::default();
    behind.set(write.behind_ms() as f64 / 1e3);
    registry.register("paramedic_remote_write_behind_seconds", "How far behind samples are sent", behind);
}

/// What is held of traces, and what became of spans since the start of this `serve`.
fn traces(flow: &Flow, registry: &mut Registry) {
    let (held, taken) = flow.traces.counts();
    let of = |counts: [(&'static str, u64); 2]| {
        let count = Family::<OfSent, Counter>::default();
        counts.into_iter().for_each(|(outcome, times)| {
            count.get_or_create(&OfSent { outcome }).inc_by(times);
        });
        count
    };
    registry.register(
        "paramedic_traces_received_spans",
        "Spans that came, by what became of them",
        of(taken),
    );
    let gone = of([("displaced", held.displaced), ("expired", held.expired)]);
    registry.register("paramedic_traces_forgotten_spans", "Spans that are not kept any more", gone);
    if let Some(exported) = flow.traces.exported() {
        let help = "Spans for another receiver by what became of them";
        registry.register("paramedic_traces_exported", help, of(exported));
    }
    for (name, help, value) in [
        ("paramedic_traces_spans", "Spans that are kept", held.spans),
        ("paramedic_traces_bytes", "What they take in memory, about", held.bytes),
    ] {
        let gauge = Gauge::<i64>::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    }
}

/// What the store of samples holds, and what it did not take or keep since the start of this `serve`.
fn samples(flow: &Flow, registry: &mut Registry) {
    let (size, counters) = {
        let store = flow.watch.store();
        (store.size(), store.counters())
    };
    let gauges = [
        ("paramedic_series", "Series that are kept", size.series),
        ("paramedic_samples", "Samples that are kept", size.samples),
    ];
    for (name, help, value) in gauges {
        let gauge = Gauge::<i64>::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    }
    let counts = [
        ("paramedic_samples_refused", "Samples that were not taken", counters.samples_refused),
        ("paramedic_series_refused", "New series that found no room", counters.series_refused),
        (
            "paramedic_samples_evicted",
            "Samples that went before their time for want of room",
            counters.samples_evicted,
        ),
    ];
    for (name, help, value) in counts {
        let counter = Counter::<u64>::default();
        counter.inc_by(value);
        registry.register(name, help, counter);
    }
}

fn servers(flow: &Flow, registry: &mut Registry) {
    let up = Family::<OfServer, Gauge>::default();
    let health = Family::<OfCheck, Gauge>::default();
    let dependencies = Family::<OfDependency, Gauge>::default();
    for member in flow.fleet.members().filter(|member| !member.is_absent()) {
        let server_name = member.config.name.clone();
        let Some(Looked { liveness, readiness, .. }) = flow.watch.looked(&server_name) else { continue };
        let answers = i64::from(liveness.health == probe::Health::Healthy);
        up.get_or_create(&OfServer { server_name: server_name.clone() }).set(answers);
        for report in [&liveness, &readiness] {
            let (server_name, check_type) = (server_name.clone(), report.check.label().to_owned());
            health.get_or_create(&OfCheck { server_name, check_type }).set(report.health.score());
        }
        for one in &readiness.dependencies {
            let labels = OfDependency {
                server_name: server_name.clone(),
                dependency_name: one.name.clone(),
                critical: (one.critical == probe::Criticality::Critical).to_string(),
            };
            dependencies.get_or_create(&labels).set(i64::from(one.health.is_well()));
        }
    }
    registry.register("mcp_server_up", "Whether the MCP server answers", up);
    registry.register("mcp_server_health_status", "2 healthy, 1 degraded, 0 unhealthy, -1 unknown", health);
    registry.register("mcp_server_dependency_status", "Whether a dependency answers", dependencies);
}

/// What the process trees of the servers use.
fn vitals(flow: &Flow, registry: &mut Registry) {
    let memory = Family::<OfMemory, Gauge>::default();
    let cpu = Family::<OfServer, Gauge<f64, AtomicU64>>::default();
    let descriptors = Family::<OfServer, Gauge>::default();
    let integer = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    for member in flow.fleet.members().filter(|member| !member.is_absent()) {
        let server_name = member.config.name.clone();
        let Some(vitals) = flow.watch.vitals(&server_name) else { continue };
        let of_memory = OfMemory { server_name: server_name.clone(), memory_type: "rss" };
        memory.get_or_create(&of_memory).set(integer(vitals.rss_bytes));
        let server = OfServer { server_name };
        if let Some(percent) = vitals.cpu_percent {
            cpu.get_or_create(&server).set(percent);
        }
        if let Some(count) = vitals.descriptors {
            descriptors.get_or_create(&server).set(integer(count));
        }
    }
    registry.register("mcp_server_memory_usage_bytes", "Memory of the server's whole process tree", memory);
    registry.register(
        "mcp_server_cpu_usage_percent",
        "Processor time of the server's whole process tree; 100 is one processor",
        cpu,
    );
    registry.register(
        "mcp_server_file_descriptors",
        "Open descriptors of the server's whole process tree",
        descriptors,
    );
}
