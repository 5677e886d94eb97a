//! Owns `paramedic metrics`: the page of a server's guard, as Prometheus reads it.

use std::path::PathBuf;

use probe::{Endpoint, Prober};
use server::{client_target, target};

use crate::context;
use crate::fail::{Code, Failure};
use crate::show;

/// The largest page that is read, in bytes.
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

pub(super) fn run(name: &str, config: Option<PathBuf>) -> Result<Code, Failure> {
    let (config, path) = context::load_or_default(config)?;
    let found = config.server.iter().find(|server| server.name == name).map(|server| target(&config, server));
    let target = found.or_else(|| client_target(&config, name)).ok_or_else(|| {
        Failure::usage(anyhow::anyhow!(
            "there is no server `{name}` in {}, and no client has started one",
            path.display()
        ))
    })?;
    let prober = Prober::new().map_err(Failure::usage)?;
    let deadline = config.probe.timeout.get();
    let runtime = context::runtime()?;
    let page = match target.endpoint {
        Endpoint::Upstream { .. } => {
            return Err(Failure::no(anyhow::anyhow!(
                "`{name}` is an upstream without a guard, and has no metrics page"
            )));
        }
        Endpoint::Guard { base_url } => {
            runtime.block_on(prober.scrape(&format!("{base_url}/metrics"), deadline, PAGE_BYTES_MAX))
        }
        Endpoint::Local { socket } => {
            runtime.block_on(prober.scrape_local(&socket, "/metrics", deadline, PAGE_BYTES_MAX))
        }
    };
    let page = page.map_err(|error| Failure::new(Code::Unreachable, error))?;
    show::line(page.trim_end());
    Ok(Code::Done)
}
