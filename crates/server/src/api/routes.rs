//! Owns the table of routes: both what is answered and what the description says are made of it.

use super::route::{Route, Who, get, of, post};
use super::{
    alerts, backend, commands, controls, evidence, handlers, inbound, journal, logs, looks, openapi, reading,
    runbooks, settings, switches, tokens, traces, undo,
};
use crate::tokens::Role;

const JSON: &[&str] = &["application/json"];
const REPORT: &[&str] = &["text/markdown; charset=utf-8", "text/html; charset=utf-8", "application/json"];
const METRICS: &[&str] = &["application/openmetrics-text; version=1.0.0; charset=utf-8"];
const FILE: &[&str] = &["application/octet-stream"];
const SPANS: &[&str] = &["application/json", "application/x-protobuf"];

/// All routes. What Grafana asks, below `/prometheus`, is described by Prometheus.
pub(super) fn table() -> impl Iterator<Item = Route> {
    let told = [
        post("/api/v1/alerts/alertmanager", inbound::alertmanager)
            .says("Takes what an Alertmanager sends.")
            .kinds(JSON),
        post("/api/v1/alerts/webhook", inbound::webhook).says("Takes alerts of anybody else.").kinds(JSON),
    ];
    let local = [
        post("/api/v1/changes", undo::note_change)
            .says("Writes down what a command has changed on this machine."),
        post("/api/v1/evidence/{bundle}/checks", evidence::note_check)
            .says("Writes down what a command has found when it checked a bundle on this machine."),
    ];
    of(Who::Everybody, everybody())
        .chain(of(Who::Role(Role::Viewer), viewer()))
        .chain(of(Who::Role(Role::Responder), responder()))
        .chain(of(Who::Role(Role::Approver), approver()))
        .chain(of(Who::Role(Role::Admin), admin()))
        .chain(of(Who::Teller, told))
        .chain(of(Who::Local, local))
}

fn everybody() -> impl IntoIterator<Item = Route> {
    [
        get("/health", handlers::health).says("Whether `serve` is well; 503 where it is not.").kinds(JSON),
        get("/metrics", handlers::metrics).says("What `serve` counts of itself.").kinds(METRICS),
        get("/api/v1/openapi.json", openapi::show).says("This description.").kinds(JSON),
        post("/v1/traces", traces::receive).says("Takes spans, by OTLP.").kinds(SPANS),
    ]
}

fn viewer() -> impl IntoIterator<Item = Route> {
    [
        get("/api/v1/incidents", handlers::incidents).says("Incidents, the oldest first."),
        get("/api/v1/incidents/{incident}", handlers::incident)
            .says("An incident: its records, from which everything else follows."),
        get("/api/v1/incidents/{incident}/report", reading::report)
            .says("The report of an incident.")
            .kinds(REPORT),
        get("/api/v1/incidents/{incident}/watch", reading::watch)
            .says("What has happened after so many records; waits for it up to 20 seconds."),
        get("/api/v1/would", reading::would).says("What would have been done, while the machine only looked on."),
        get("/api/v1/backend/{what}", backend::ask)
            .says("Asks the metrics backend: `query`, `query_range`, `rules` or `alerts`, with its own parameters.")
            .kinds(JSON),
        get("/api/v1/alerts", alerts::alerts).says("Alerts that are pending, fire, or were resolved a short time ago."),
        get("/api/v1/traces", traces::list).says("Traces, the last first."),
        get("/api/v1/traces/{trace}", traces::show)
            .says("A trace, by its id or the digits with which it begins, in OTLP's JSON.")
            .kinds(JSON),
        get("/api/v1/silences", alerts::silences).says("Silences, by their numbers."),
        get("/api/v1/servers", handlers::servers).says("Servers, and how they are."),
        get("/api/v1/servers/{server}", handlers::server).says("How a server is."),
        get("/api/v1/servers/{server}/controls", controls::show)
            .says("How the guard of a server is, with what operators have laid down."),
        get("/api/v1/servers/{server}/logs", logs::search).says("The last lines of its log that are wanted."),
        get("/api/v1/runbooks", runbooks::list).says("The runbooks that are used, and what the linter finds in them."),
        get("/api/v1/runbooks/{runbook}", runbooks::show).says("A runbook whole, with what the linter has to say."),
        get("/api/v1/evidence-key", evidence::key)
            .says("The public key with which bundles of this machine are checked."),
        get("/api/v1/journal", journal::list).says("Entries of the journal, the newest first."),
        get("/api/v1/kill-switch", switches::kill_switch_status).says("How the kill switch stands."),
        get("/api/v1/maintenance", switches::windows).says("The windows of maintenance that are not over."),
        get("/api/v1/journal/verification", journal::verification).says("Checks the whole chain of the journal."),
    ]
}

fn responder() -> impl IntoIterator<Item = Route> {
    [
        get("/api/v1/evidence", evidence::list).says("Bundles of evidence, the oldest first."),
        get("/api/v1/evidence/{bundle}", evidence::verify).says("Checks whether a bundle is as it was sealed, and keeps what came of it."),
        post("/api/v1/incidents", handlers::open).says("Opens an incident."),
        post("/api/v1/incidents/{incident}/say", handlers::say)
            .says("Says something to an incident: takes notice, notes, holds, hands back, aborts, calls others, closes."),
        post("/api/v1/incidents/{incident}/resolve", handlers::resolve)
            .says("Says that it is over, which is checked."),
        post("/api/v1/evidence", evidence::collect)
            .says("Collects evidence and seals it, and answers when that has ended."),
        get("/api/v1/servers/{server}/diagnosis", commands::diagnosis)
            .says("Looks at a server and its machine from all sides, and says which cause that points to."),
        get("/api/v1/servers/{server}/tuning", commands::tuning)
            .says("What is tuned at a server: how it is started beside its configuration."),
        get("/api/v1/servers/{server}/data", looks::data).says("What the checks of its data found, and since when they are damaged."),
        get("/api/v1/servers/{server}/data/scope", looks::scope)
            .says("Reads all data of a server: what of them is damaged, and what a restore would lose."),
        post("/api/v1/servers/{server}/data/check", looks::check_data).says("Checks the data of a server."),
        get("/api/v1/servers/{server}/backups", looks::backups).says("The backups of a server, the newest first."),
        get("/api/v1/servers/{server}/intruders", looks::intruders)
            .says("Compares a server and its machine with its baseline."),
        get("/api/v1/servers/{server}/intruders/timeline", looks::timeline)
            .says("What all sources tell of an intrusion, in the order of time, and what it comes to."),
        get("/api/v1/servers/{server}/signs", controls::signs)
            .says("Looks whether a server and its data are well: it is asked, and something is read through it."),
        post("/api/v1/kill-switch/throw", switches::throw).says("Lets nothing be changed any more."),
        post("/api/v1/maintenance", switches::start).says("Begins a window of maintenance: changes wait."),
        post("/api/v1/silences", alerts::silence).says("Silences alerts."),
        post("/api/v1/silences/{silence}/expire", alerts::expire).says("Ends a silence."),
    ]
}

fn approver() -> impl IntoIterator<Item = Route> {
    [
        get("/api/v1/evidence/{bundle}/files", evidence::contents)
            .says("The names of the files of a bundle."),
        get("/api/v1/evidence/{bundle}/files/{file}", evidence::download)
            .says("A file of a bundle, as it is.")
            .kinds(FILE),
        post("/api/v1/incidents/{incident}/approve", handlers::approve).says("Says yes to a question."),
        post("/api/v1/incidents/{incident}/reject", handlers::reject).says("Says no to a question."),
        post("/api/v1/incidents/{incident}/undo", undo::undo)
            .says("Takes back what a unit has changed, and answers when that has ended."),
        post("/api/v1/kill-switch/release", switches::release).says("Lets changes happen again."),
        post("/api/v1/maintenance/{window}/end", switches::end).says("Ends a window of maintenance early."),
        post("/api/v1/servers/{server}/backups", looks::make_backup)
            .says("Backs the data of a server up, and proves the backup."),
        post("/api/v1/servers/{server}/controls", controls::order)
            .says("Has the guard of a server do something: read-only, writes by steps, blocks, caches."),
        post("/api/v1/servers/{server}/tuning", commands::tune)
            .says("Tunes a server, from its next start on, or takes its last tuning back."),
        post("/api/v1/servers/{server}/restart", handlers::restart).says("Restarts a server."),
        post("/api/v1/servers/{server}/start", handlers::start).says("Starts a server."),
        post("/api/v1/servers/{server}/stop", handlers::stop).says("Stops a server, which stays stopped."),
    ]
}

fn admin() -> impl IntoIterator<Item = Route> {
    [
        get("/api/v1/config", settings::show)
            .says("The configuration, with all defaults; where secrets are, and none of them.")
            .kinds(JSON),
        get("/api/v1/tokens", tokens::list).says("Tokens, without their words, the oldest first."),
        post("/api/v1/tokens", tokens::create).says("Makes a token: its word is told this once."),
        post("/api/v1/tokens/{token}/revoke", tokens::revoke)
            .says("Takes a token back, by its id or the name of its owner."),
    ]
}
