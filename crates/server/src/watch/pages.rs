//! Owns the scrape loop of one page of `[[scrape]]`.

use std::path::Path;
use std::sync::Arc;

use metrics::Labels;
use probe::{ScrapeError, Tls};
use tokio::time::Instant;

use super::Watch;
use super::scraping::{LEARN_EVERY, keep, share};
use crate::config::{ScrapeTarget, Secret};
use crate::secrets::{SecretError, Secrets};
use crate::world::ServeWorld;

/// The largest page that is read, in bytes, after it is unpacked.
const PAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The largest file of certificates, in bytes.
const PEM_BYTES_MAX: u64 = 1024 * 1024;

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub(super) enum PageError {
    /// It could not be fetched.
    #[error(transparent)]
    Scrape(#[from] ScrapeError),
    /// Who we are to it is not known.
    #[error("the secret is not known")]
    Secret(#[from] SecretError),
    /// The secret is no value of a header.
    #[error("{0} holds no value of a header")]
    Header(Secret),
    /// The certificates cannot be read.
    #[error("`{path}` cannot be read")]
    Certificates {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
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
    let mut authorization = None;
    if let Some(secret) = &target.authorization {
        let value = secrets.read(secret).await?.header();
        authorization = Some(value.ok_or_else(|| PageError::Header(secret.clone()))?);
    }
    if authorization.is_none() && target.ca.is_none() && target.certificate.is_none() {
        return Ok(world.prober.scrape(&target.url, timeout, PAGE_BYTES_MAX).await?);
    }
    let mut tls = Tls { roots_pem: target.ca.as_deref().map(pem).transpose()?, identity_pem: None };
    if let (Some(certificate), Some(key)) = (&target.certificate, &target.key) {
        let mut identity = pem(certificate)?;
        identity.push(b'\n');
        identity.extend_from_slice(secrets.read(key).await?.reveal().as_bytes());
        tls.identity_pem = Some(identity);
    }
    Ok(world.prober.scrape_as(&target.url, authorization, &tls, timeout, PAGE_BYTES_MAX).await?)
}

fn pem(path: &Path) -> Result<Vec<u8>, PageError> {
    use std::io::Read as _;
    let read = || {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(PEM_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|source| PageError::Certificates { path: path.display().to_string(), source })
}
