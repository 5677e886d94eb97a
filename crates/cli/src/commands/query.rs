//! Owns `paramedic query`: PromQL asked of `serve`, as a table, as JSON, or drawn.

use std::path::PathBuf;

use server::api::prometheus::answer::{Answer, Data, Instant, Point, Range};
use server::client::Client;
use server::now_ms;

use super::repeat::repeated;
use crate::arguments::{Output, QueryArguments, millis};
use crate::context;
use crate::fail::{Code, Failure};
use crate::plot::{Size, Stretch, number, plot};
use crate::show;

/// How many moments a stretch has where nobody says more: one for each column of a plot.
const MOMENTS: i64 = 72;

/// A plot beside others, and a plot alone.
const SMALL: Size = Size { width: 72, height: 4 };
const LARGE: Size = Size { width: 72, height: 12 };

/// The most plots below each other; more belong into a narrower query.
const PLOTS_MAX: usize = 12;

pub(super) fn run(
    arguments: &QueryArguments,
    config: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    let client = context::client(config)?;
    let runtime = context::runtime()?;
    repeated(arguments.repeat, || runtime.block_on(once(&client, arguments, output)))
}

async fn once(client: &Client, arguments: &QueryArguments, output: Output) -> Result<Code, Failure> {
    let seconds = |at_ms: i64| (at_ms as f64 / 1e3).to_string();
    let mut parameters = vec![("query", arguments.query.clone())];
    let Some(since) = arguments.since else {
        parameters.push(("time", seconds(arguments.at.unwrap_or_else(now_ms))));
        return Ok(at_one_moment(ask(client, arguments.backend, "query", &parameters).await?, output));
    };
    let to_ms = arguments.until.unwrap_or_else(now_ms);
    let length_ms = millis(since);
    let stretch = Stretch { from_ms: to_ms.saturating_sub(length_ms), to_ms };
    let step_ms = match arguments.step {
        Some(step) => millis(step),
        None => (length_ms / MOMENTS).max(1),
    };
    parameters.push(("start", seconds(stretch.from_ms)));
    parameters.push(("end", seconds(stretch.to_ms)));
    parameters.push(("step", seconds(step_ms)));
    Ok(over_a_stretch(ask(client, arguments.backend, "query_range", &parameters).await?, stretch, output))
}

async fn ask(
    client: &Client,
    of_backend: bool,
    what: &str,
    parameters: &[(&str, String)],
) -> Result<Data, Failure> {
    let base = if of_backend { "/api/v1/backend" } else { "/prometheus/api/v1" };
    let path = format!("{base}/{what}");
    match client.ask::<Answer<Data>>(&path, parameters).await? {
        Answer::Success { data, warnings, infos } => {
            warnings.iter().chain(&infos).for_each(|text| anstream::eprintln!("{text}"));
            Ok(data)
        }
        Answer::Error { error, .. } => Err(Failure::usage(anyhow::anyhow!(error))),
    }
}

/// Exit code 1 when there is nothing.
fn at_one_moment(data: Data, output: Output) -> Code {
    match data {
        Data::Scalar(Point(_, value)) | Data::String(Point(_, value)) if output == Output::Table => {
            show::line(&value);
            Code::Done
        }
        Data::Scalar(point) | Data::String(point) => {
            show::json_line(&point);
            Code::Done
        }
        Data::Vector(found) => {
            if found.is_empty() && output == Output::Table {
                anstream::eprintln!("nothing found");
                return Code::No;
            }
            show::rows(output, &found, &["series", "value"], |Instant { metric, value }| {
                vec![metric.to_string(), value.1.clone()]
            });
            if found.is_empty() { Code::No } else { Code::Done }
        }
        Data::Matrix(found) => {
            show::rows(output, &found, &["series", "samples"], |Range { metric, values }| {
                let values: Vec<String> = values
                    .iter()
                    .map(|value| format!("{} @ {}", value.1, show::time(value.at_ms())))
                    .collect();
                vec![metric.to_string(), values.join("\n")]
            });
            if found.is_empty() { Code::No } else { Code::Done }
        }
    }
}

fn over_a_stretch(data: Data, stretch: Stretch, output: Output) -> Code {
    let Data::Matrix(found) = data else { return at_one_moment(data, output) };
    let code = if found.is_empty() { Code::No } else { Code::Done };
    if output != Output::Table {
        show::rows(output, &found, &[], |_| Vec::new());
        return code;
    }
    if found.is_empty() {
        anstream::eprintln!("nothing found");
    }
    let size = if found.len() == 1 { LARGE } else { SMALL };
    for Range { metric, values } in found.iter().take(PLOTS_MAX) {
        let numbered = values.iter().filter_map(|value| Some((value.at_ms(), value.number()?)));
        let samples: Vec<(i64, f64)> = numbered.collect();
        let last = samples.last().map_or_else(String::new, |(_, value)| number(*value));
        show::line(&format!("{metric}  last {last}"));
        show::line(plot(&samples, stretch, size).trim_end());
    }
    if found.len() > PLOTS_MAX {
        let rest = found.len() - PLOTS_MAX;
        anstream::eprintln!("{rest} more series are not drawn; ask for fewer, or for -o json");
    }
    code
}
