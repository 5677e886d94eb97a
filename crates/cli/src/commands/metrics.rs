//! Owns `paramedic metrics`: the page of a server's guard, as Prometheus reads it.

use std::path::PathBuf;

use probe::Prober;

use crate::context;
use crate::fail::{Code, Failure};
use crate::show;

/// The largest page that is read, in bytes.
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

pub(super) fn run(name: &str, config: Option<PathBuf>) -> Result<Code, Failure> {
    let (config, path) = context::load(config)?;
    let server = config.server.iter().find(|server| server.name == name).ok_or_else(|| {
        Failure::usage(anyhow::anyhow!("there is no server `{name}` in {}", path.display()))
    })?;
    if server.upstream.is_some() {
        return Err(Failure::no(anyhow::anyhow!(
            "`{name}` is an upstream without a guard, and has no metrics page"
        )));
    }
    let url = format!("{}/metrics", server.base_url(config.guard_address));
    let prober = Prober::new().map_err(Failure::usage)?;
    let scrape = prober.scrape(&url, config.probe.timeout.get(), PAGE_BYTES_MAX);
    let page =
        context::runtime()?.block_on(scrape).map_err(|error| Failure::new(Code::Unreachable, error))?;
    show::line(page.trim_end());
    Ok(Code::Done)
}
