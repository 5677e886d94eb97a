//! Owns `paramedic trace demo`: a trace is made, goes to the receiver of `serve` as any sender's would, and is shown as it
//! comes back. The original script's demonstration, with the names of today.

use std::path::PathBuf;
use std::sync::Arc;

use traces::{Ids, Kind, Resource, Span, SpanId, Status, TraceId, attribute};

use super::{print, spans};
use crate::arguments::Output;
use crate::context;
use crate::fail::{Code, Failure};
use crate::show;

const MILLISECOND: u64 = 1_000_000;

pub(super) fn run(config: Option<PathBuf>, output: Output) -> Result<Code, Failure> {
    let now_ms = server::now_ms();
    let seed = uuid::Uuid::new_v4().as_u64_pair();
    let made = made(&Ids::new(seed.0 ^ seed.1), u64::try_from(now_ms).unwrap_or(0) * MILLISECOND);
    let message = traces::to_protobuf(&made);
    let client = context::client(config.clone())?;
    context::runtime()?.block_on(client.send_traces(message))?;
    let trace = made[0].trace.to_string();
    if output == Output::Table {
        show::line("sent 5 spans to the receiver of `serve` (POST /v1/traces), and asked it for them:");
        show::line("");
    }
    print(&spans(&trace, config)?, output);
    if output == Output::Table {
        show::line("");
        show::line(&format!("again: paramedic trace show {trace}"));
    }
    Ok(Code::Done)
}

/// A call of a tool that asks a database, and then a service that does not answer; it ends now.
fn made(ids: &Ids, now_ns: u64) -> Vec<Span> {
    let trace = ids.trace();
    let [root, call, tool, database, service] = std::array::from_fn(|_| ids.span());
    let start = now_ns - 160 * MILLISECOND;
    let span = |own, parent, who: &str, name: &str, kind, from: u64, to: u64| Span {
        start_ns: start + from * MILLISECOND,
        end_ns: start + to * MILLISECOND,
        kind,
        ..blank(trace, own, parent, who, name)
    };
    let mut of_tool = span(call, Some(root), "demo", "tools/call demo", Kind::Server, 4, 158);
    of_tool.attributes = vec![
        attribute("mcp.method.name", "tools/call"),
        attribute("gen_ai.tool.name", "demo"),
        attribute("gen_ai.operation.name", "execute_tool"),
    ];
    let mut failed = span(service, Some(tool), "demo-server", "GET", Kind::Client, 60, 110);
    failed.status = Status::Error("no answer within 50 ms".to_owned());
    failed.attributes =
        vec![attribute("server.address", "api.example.com"), attribute("error.type", "timeout")];
    vec![
        span(root, None, "demo-client", "tools/call demo", Kind::Client, 0, 160),
        of_tool,
        span(tool, Some(call), "demo-server", "tool_execution", Kind::Internal, 8, 150),
        span(database, Some(tool), "demo-server", "SELECT", Kind::Client, 10, 55),
        failed,
    ]
}

fn blank(trace: TraceId, id: SpanId, parent: Option<SpanId>, who: &str, name: &str) -> Span {
    Span {
        trace,
        id,
        parent,
        state: String::new(),
        name: name.to_owned(),
        kind: Kind::Internal,
        start_ns: 0,
        end_ns: 0,
        status: Status::Unset,
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        scope: "paramedic trace demo".into(),
        resource: Arc::new(Resource { attributes: vec![attribute("service.name", who)] }),
    }
}
