//! Owns `paramedic trace`: the traces that are kept, one of them as a waterfall, and one that is made to see it all work.

mod demo;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use server::api::wire::{LIMIT_MAX, TraceQuestion, TraceSummary};
use server::client::ClientError;
use server::config::Config;
use traces::{Encoding, Filter, Span, TraceId};

use crate::arguments::{Output, TraceCommand, TraceListArguments, millis};
use crate::context;
use crate::fail::{Code, Failure};
use crate::show;

/// Columns of a waterfall where there is no terminal, and `$COLUMNS` does not say how many it shall have.
const WIDTH: usize = 100;

pub(super) fn run(command: TraceCommand, config: Option<PathBuf>, output: Output) -> Result<Code, Failure> {
    match command {
        TraceCommand::List(arguments) => list(arguments, config, output),
        TraceCommand::Show { trace } => show_one(&trace, config, output),
        TraceCommand::Demo => demo::run(config, output),
    }
}

fn list(arguments: TraceListArguments, config: Option<PathBuf>, output: Output) -> Result<Code, Failure> {
    let TraceListArguments { server, tool, slow, errors, since, limit } = arguments;
    let question = TraceQuestion {
        server,
        tool,
        slow_ms: slow.map(|slow| u64::try_from(millis(slow)).unwrap_or(0)),
        errors,
        since_ms: since.map(|since| since.at_ms(server::now_ms())),
        limit: Some(limit.min(LIMIT_MAX)),
        cursor: None,
    };
    let found = find(question, limit as usize, config)?;
    let header = ["trace", "began", "server", "span", "took", "trace took", "spans", "errors", "error"];
    show::rows(output, &found, &header, |one| {
        vec![
            one.trace_id.clone(),
            show::time(one.start_ms),
            show::harmless(&one.server),
            show::harmless(&one.name),
            told(one.span_ms),
            told(one.duration_ms),
            one.spans.to_string(),
            one.errors.to_string(),
            show::harmless(&one.error),
        ]
    });
    // That there is none is an answer, and with `--slow` or `--errors` the one that is hoped for.
    Ok(Code::Done)
}

fn find(question: TraceQuestion, most: usize, config: Option<PathBuf>) -> Result<Vec<TraceSummary>, Failure> {
    let client = context::client(config.clone())?;
    match context::runtime()?.block_on(client.find("/api/v1/traces", &question, most)) {
        Ok(found) => Ok(found),
        Err(ClientError::NotReachable { .. }) => {
            let filter = Filter { limit: most, ..Filter::from(question) };
            Ok(kept(config)?.find(&filter).into_iter().map(TraceSummary::from).collect())
        }
        Err(error) => Err(error.into()),
    }
}

/// What is written down, where no `serve` answers.
fn kept(config: Option<PathBuf>) -> Result<traces::Store, Failure> {
    let (config, _): (Config, _) = context::load_or_default(config)?;
    let store = server::kept_traces(&config);
    let store = store.with_context(|| format!("cannot read the traces in `{}`", config.data_dir.display()));
    anstream::eprintln!("paramedic: no `serve` answers; these are the traces that were written down");
    store.map_err(Failure::no)
}

fn show_one(typed: &str, config: Option<PathBuf>, output: Output) -> Result<Code, Failure> {
    let spans = spans(typed, config)?;
    print(&spans, output);
    Ok(Code::Done)
}

fn spans(typed: &str, config: Option<PathBuf>) -> Result<Vec<Arc<Span>>, Failure> {
    if typed.is_empty() || typed.len() > 32 || !typed.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Failure::usage(anyhow!("`{typed}` is no id of a trace: it has 32 hexadecimal digits")));
    }
    let client = context::client(config.clone())?;
    match context::runtime()?.block_on(client.get_text(&format!("/api/v1/traces/{typed}"))) {
        Ok(text) => {
            let decoded = traces::decode(Encoding::Json, text.as_bytes());
            let decoded =
                decoded.context("the answer of `paramedic serve` is not understood").map_err(Failure::no)?;
            Ok(decoded.spans.into_iter().map(Arc::new).collect())
        }
        Err(ClientError::NotReachable { .. }) => {
            let store = kept(config)?;
            let ids: Vec<TraceId> = store.beginning_with(typed, 2);
            match ids[..] {
                [id] => Ok(store.trace(id).unwrap_or_default().to_vec()),
                [] => Err(Failure::no(anyhow!("no trace `{typed}` is kept"))),
                _ => Err(Failure::usage(anyhow!("several traces begin with `{typed}`: give more of it"))),
            }
        }
        Err(error) => Err(error.into()),
    }
}

fn print(spans: &[Arc<Span>], output: Output) {
    let plain = || spans.iter().map(|span| &**span);
    match output {
        Output::Json => show::json(&traces::to_json(plain())),
        Output::Jsonl => plain().for_each(|span| show::json_line(&traces::to_json([span]))),
        Output::Table => {
            let trace = spans.first().map(|span| span.trace.to_string()).unwrap_or_default();
            let start_ns = spans.iter().map(|span| span.start_ns).min().unwrap_or(0);
            let start_ms = i64::try_from(start_ns / 1_000_000).unwrap_or(0);
            let errors = spans.iter().filter(|span| span.is_error()).count();
            let count = spans.len();
            show::line(&format!(
                "trace {trace} of {} UTC: {count} spans, {errors} errors",
                show::time(start_ms)
            ));
            show::line("");
            show::line(traces::waterfall(spans, width()).trim_end_matches('\n'));
            let about = spans.iter().filter(|span| span.is_error());
            for span in about.filter(|span| !span.attributes.is_empty()).take(ERRORS_SHOWN) {
                show::line("");
                show::line(&show::harmless(&format!("{} {}:", span.service(), span.name)));
                for (name, value) in &span.attributes {
                    show::line(&show::harmless(&format!("  {name} = {value}")));
                }
            }
        }
    }
}

/// So many spans that went wrong are told of in full.
const ERRORS_SHOWN: usize = 3;

fn width() -> usize {
    let told = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    let terminal =
        || rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| usize::from(size.ws_col));
    told.or_else(terminal).filter(|columns| *columns > 0).unwrap_or(WIDTH).clamp(40, 300)
}

/// A duration for people.
fn told(ms: f64) -> String {
    if ms >= 1000.0 { format!("{:.2} s", ms / 1000.0) } else { format!("{ms:.1} ms") }
}
