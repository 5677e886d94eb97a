//! Owns the scrape loop of one page of `[[scrape]]`.

use std::sync::Arc;

use metrics::Labels;
use probe::ScrapeError;
use tokio::time::Instant;

use super::Watch;
use super::scraping::{LEARN_EVERY, keep, share};
use crate::config::ScrapeTarget;
use crate::identity::{self, IdentityError};
use crate::secrets::Secrets;
use crate::world::ServeWorld;

/// The largest page that is read, in bytes, after it is unpacked.
const PAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub(super) enum PageError {
    /// It could not be fetched.
    #[error(transparent)]
    Scrape(#[from] ScrapeError),
    /// Who we are to it, or whom it has to be, is not known.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// Scrapes one page until the task is dropped.
pub(crate) async fn scrape_page(world: Arc<ServeWorld>, watch: Arc<Watch>, target: ScrapeTarget) {
    let labels = labels(&target);
    let secrets = Secrets::of_process(&world.exe);
    let interval = target.interval(&world.config).get();
    // Nobody waits for the first one, as the rules wait for the guards.
    let first = Instant::now() + interval.mul_f64(share(&labels));
    let mut ticks = tokio::time::interval_at(first, interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut n_pages, mut failed) = (0_u32, None::<String>);
    loop {
        ticks.tick().await;
        let started = Instant::now();
        let page = page(&world, &secrets, &target).await;
        match &page {
            Ok(page) => {
                if n_pages.is_multiple_of(LEARN_EVERY) {
                    watch.learn(page);
                }
                n_pages = n_pages.wrapping_add(1);
                if failed.take().is_some() {
                    tracing::info!(job = target.job, url = target.url, "a page of metrics is there again");
                }
            }
            // Once for each reason, not once an interval.
            Err(error) => {
                let error = incident::error_chain(error);
                if failed.as_ref() != Some(&error) {
                    tracing::warn!(
                        job = target.job,
                        url = target.url,
                        error,
                        "a page of metrics cannot be read"
                    );
                }
                failed = Some(error);
            }
        }
        keep(&watch, &labels, page.ok(), started.elapsed());
    }
}

/// The labels of the target, as Prometheus gives them.
fn labels(target: &ScrapeTarget) -> Labels {
    let instance = target.instance().unwrap_or_default();
    let own = [("job", target.job.as_str()), ("instance", &instance)];
    let server = target.server.as_deref().map(|server| ("server_name", server));
    let more = target.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    own.into_iter().chain(server).chain(more).collect()
}

async fn page(world: &ServeWorld, secrets: &Secrets, target: &ScrapeTarget) -> Result<String, PageError> {
    let timeout = target.timeout(&world.config).get();
    let authorization = identity::authorization(secrets, target.authorization.as_ref()).await?;
    if authorization.is_none() && target.ca.is_none() && target.certificate.is_none() {
        return Ok(world.prober.scrape(&target.url, timeout, PAGE_BYTES_MAX).await?);
    }
    let own = target.certificate.as_deref().zip(target.key.as_ref());
    let tls = identity::tls(secrets, target.ca.as_deref(), own).await?;
    Ok(world.prober.scrape_as(&target.url, authorization, &tls, timeout, PAGE_BYTES_MAX).await?)
}
