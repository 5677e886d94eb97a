//! Owns the spans of probes: of those whose answer was not good, or took a second. One every few seconds and server that
//! says that all is well would be nearly all there is.

use std::sync::Arc;

use probe::Report;
use traces::{Attributes, Context, Ids, Kind, Resource, Span, SpanId, Status, attribute};

/// A probe that takes longer is of interest, whatever it found.
const SLOW_MS: f64 = 1_000.0;

const MILLISECOND_NS: f64 = 1e6;

/// What a probe has found.
#[derive(Clone, Copy)]
pub(crate) struct Probed<'a> {
    /// What the server was told that the probe is part of.
    pub(crate) context: Context,
    /// When it began, in milliseconds since the Unix epoch.
    pub(crate) began_ms: i64,
    /// Whether the server itself answers.
    pub(crate) liveness: &'a Report,
    /// How what it needs answers, asked at the same time.
    pub(crate) dependencies: &'a Report,
}

// === impl Probed ===

impl Probed<'_> {
    /// What whoever is asked is told: that it need not keep the trace, since nearly none is kept here.
    pub(crate) fn context(ids: &Ids) -> Context {
        Context { trace: ids.trace(), span: ids.span(), sampled: false }
    }

    /// Its spans; none where nobody would look for them.
    pub(super) fn spans(&self, ids: &Ids) -> Vec<Span> {
        let reports = [self.liveness, self.dependencies];
        let is_good = |report: &&Report| report.health.is_well() && report.duration_ms < SLOW_MS;
        if reports.iter().all(is_good) {
            return Vec::new();
        }
        let server = &self.liveness.target;
        let resource = Arc::new(Resource { attributes: vec![attribute("service.name", "paramedic")] });
        let bad = reports.iter().find(|report| !report.health.is_well());
        let took_ms = reports.iter().map(|report| report.duration_ms).fold(0.0, f64::max);
        let root = Made { name: format!("probe {server}"), kind: Kind::Internal, from_ms: 0.0, took_ms };
        let bad = bad.map(|report| (report.health.to_string(), report.reason.clone()));
        let mut spans = vec![self.span(root, (self.context.span, None), bad, Vec::new(), &resource)];
        let parent = Some(self.context.span);
        // One after another, as they were asked.
        let mut from_ms = 0.0;
        for request in &self.liveness.requests {
            let took_ms = request.duration_ms;
            let made = Made { name: request.method.to_owned(), kind: Kind::Client, from_ms, took_ms };
            let bad = (!request.succeeded).then(|| ("error".to_owned(), self.liveness.reason.clone()));
            let more = vec![attribute("mcp.method.name", request.method)];
            spans.push(self.span(made, (ids.span(), parent), bad, more, &resource));
            from_ms += took_ms;
        }
        for one in &self.dependencies.dependencies {
            let name = format!("dependency {}", one.name);
            let made = Made { name, kind: Kind::Client, from_ms: 0.0, took_ms: one.duration_ms };
            let bad = (!one.health.is_well()).then(|| (one.health.to_string(), one.reason.clone()));
            let more = vec![attribute("mcp.dependency.name", &*one.name)];
            spans.push(self.span(made, (ids.span(), parent), bad, more, &resource));
        }
        spans
    }

    fn span(
        &self,
        made: Made,
        (id, parent): (SpanId, Option<SpanId>),
        bad: Option<(String, String)>,
        more: Attributes,
        resource: &Arc<Resource>,
    ) -> Span {
        let began_ns = self.began_ms.max(1).unsigned_abs() * 1_000_000;
        let start_ns = began_ns + (made.from_ms * MILLISECOND_NS) as u64;
        let mut attributes = vec![attribute("mcp.server.name", &*self.liveness.target)];
        attributes.extend(more);
        attributes.extend(bad.as_ref().map(|(kind, _)| attribute("error.type", &**kind)));
        Span {
            trace: self.context.trace,
            id,
            parent,
            state: String::new(),
            name: made.name,
            kind: made.kind,
            start_ns,
            end_ns: start_ns + (made.took_ms * MILLISECOND_NS) as u64,
            status: bad.map_or(Status::Unset, |(_, reason)| Status::Error(reason)),
            attributes,
            events: Vec::new(),
            links: Vec::new(),
            scope: "paramedic.probe".into(),
            resource: resource.clone(),
        }
    }
}

/// What a span is, apart from its place.
struct Made {
    name: String,
    kind: Kind,
    /// After the beginning of the probe.
    from_ms: f64,
    took_ms: f64,
}
