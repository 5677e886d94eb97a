//! Owns `paramedic metrics`: how the servers do in numbers, or the page that Prometheus reads.

mod summary;

use std::path::PathBuf;

use anyhow::anyhow;
use metrics::{Labels, Limits, Store};
use probe::{Endpoint, Prober, Target};
use server::client::{Client, ClientError};
use server::config::Config;
use server::{client_target, now_ms, target};

use super::repeat::repeated;
use crate::arguments::{MetricsArguments, Output};
use crate::context;
use crate::fail::{Code, Failure};
use crate::show;
use summary::{Source, Summary};

/// The largest page that is read, in bytes.
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// One page of one guard.
const LIMITS: Limits = Limits { retention_ms: 3_600_000, series_max: 100_000, samples_per_series_max: 1 };

/// Without a way to print rows it prints the page.
pub(super) fn run(
    arguments: &MetricsArguments,
    config: Option<PathBuf>,
    output: Option<Output>,
) -> Result<Code, Failure> {
    let client = context::client(config.clone())?;
    let (config, path) = context::load_or_default(config)?;
    let wanted = match &arguments.server {
        None => None,
        Some(name) => Some(wanted(&config, name).ok_or_else(|| {
            Failure::usage(anyhow!(
                "there is no server `{name}` in {}, and no client has started one",
                path.display()
            ))
        })?),
    };
    let runtime = context::runtime()?;
    repeated(arguments.repeat, || {
        runtime.block_on(async {
            let Some(output) = output else {
                let page = match &wanted {
                    Some(target) => guard_page(&config, target).await?,
                    None => client.get_text("/metrics").await?,
                };
                show::line(page.trim_end());
                return Ok(Code::Done);
            };
            let summary = summarize(&client, &config, wanted.as_ref()).await?;
            summary.print(output);
            Ok(Code::Done)
        })
    })
}

fn wanted(config: &Config, name: &str) -> Option<Target> {
    let configured = config.server.iter().find(|server| server.name == name);
    configured.map(|server| target(config, server)).or_else(|| client_target(config, name))
}

/// Asks `serve` or, where none answers, the guard of the one server that is wanted.
async fn summarize(client: &Client, config: &Config, wanted: Option<&Target>) -> Result<Summary, Failure> {
    let only = wanted.map(|target| target.name.as_str());
    match Summary::ask(&Source::Serve(client), only, now_ms()).await {
        Err(ClientError::NotReachable { path, source }) => {
            let Some(target) = wanted else {
                return Err(ClientError::NotReachable { path, source }.into());
            };
            let page = guard_page(config, target).await?;
            let (mut store, now_ms) = (Store::new(LIMITS), now_ms());
            store.scrape(&Labels::from_iter([("server_name", target.name.as_str())]), &page, now_ms);
            Ok(Summary::ask(&Source::Page(&store), only, now_ms).await?)
        }
        answer => Ok(answer?),
    }
}

async fn guard_page(config: &Config, target: &Target) -> Result<String, Failure> {
    let prober = Prober::new().map_err(Failure::usage)?;
    let deadline = config.probe.timeout.get();
    let page = match &target.endpoint {
        Endpoint::Upstream { .. } => {
            return Err(Failure::no(anyhow!(
                "`{}` is an upstream without a guard, and has no metrics page; without -o prometheus, and with \
                 `serve`, there is what `serve` knows of it",
                target.name
            )));
        }
        Endpoint::Guard { base_url } => {
            prober.scrape(&format!("{base_url}/metrics"), deadline, PAGE_BYTES_MAX).await
        }
        Endpoint::Local { socket } => prober.scrape_local(socket, "/metrics", deadline, PAGE_BYTES_MAX).await,
    };
    page.map_err(|error| Failure::new(Code::Unreachable, error))
}
