//! Owns `[[scrape]]`: pages of metrics that are read beside those of the guards.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use metrics::is_label_name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Config, Secret, Span, secret};

/// How long a reading may take where nobody says so.
const TIMEOUT: Span = Span::seconds(5);

/// How many pages there may be.
const TARGETS_MAX: usize = 1_000;

/// Labels that the table makes itself, or that are no labels of a target.
const OWN_LABELS: [&str; 4] = ["__name__", "instance", "job", "server_name"];

/// `[[scrape]]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScrapeTarget {
    /// The label `job` of its series.
    pub job: String,
    /// The page, over HTTP or HTTPS. Its host and port are the label `instance`.
    pub url: String,
    /// The configured server that it tells of: the label `server_name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// More labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The time between two readings; without it `scrape_interval` of `[metrics]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Span>,
    /// How long one may take; without it 5 s, or the whole interval where that is shorter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// Where the value of the header `Authorization` is, read anew each time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Secret>,
    /// For HTTPS: the certificates that are trusted in place of those of this machine, a PEM file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// For HTTPS: our own certificate, a PEM file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// Where the key of our own certificate is, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Secret>,
}

// === impl ScrapeTarget ===

impl ScrapeTarget {
    /// The host and the port of its page; none where its address is none.
    pub fn instance(&self) -> Option<String> {
        let url =
            reqwest::Url::parse(&self.url).ok().filter(|url| ["http", "https"].contains(&url.scheme()))?;
        Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
    }

    /// The time between two readings.
    pub fn interval(&self, config: &Config) -> Span {
        self.interval.unwrap_or(config.metrics.scrape_interval)
    }

    /// How long one may take.
    pub fn timeout(&self, config: &Config) -> Span {
        self.timeout.unwrap_or_else(|| TIMEOUT.min(self.interval(config)))
    }

    /// What is wrong with it: the key, and why.
    fn problem(&self, config: &Config) -> Option<(&'static str, String)> {
        let is_bad = |name: &&String| !is_label_name(name) || OWN_LABELS.contains(&name.as_str());
        let bad_label = self.labels.keys().find(is_bad);
        let interval = self.interval(config);
        let unknown = |server: &&String| config.server.iter().all(|known| known.name != **server);
        let is_https = self.url.starts_with("https:");
        let by_tls = self.ca.is_some() || self.certificate.is_some() || self.key.is_some();
        if self.job.is_empty() {
            return Some(("job", "a job has a name".to_owned()));
        }
        if self.instance().is_none() {
            return Some(("url", "this is no address of HTTP or HTTPS".to_owned()));
        }
        if secret::has_password(&self.url) {
            return Some((
                "url",
                "no password is written here; name where it is, as `authorization`".to_owned(),
            ));
        }
        if let Some(server) = self.server.as_ref().filter(unknown) {
            return Some(("server", format!("there is no server `{server}`")));
        }
        if let Some(name) = bad_label {
            return Some(("labels", format!("`{name}` is no label that can be given here")));
        }
        if self.timeout.is_some_and(|timeout| timeout.ms() < 10 || timeout > interval) {
            return Some((
                "timeout",
                "a reading takes 10 ms at least, and no longer than its interval".to_owned(),
            ));
        }
        if by_tls && !is_https {
            return Some(("url", "certificates are for HTTPS".to_owned()));
        }
        (self.certificate.is_some() != self.key.is_some())
            .then(|| ("certificate", "a certificate of our own and its key go together".to_owned()))
    }
}

/// What is wrong with the pages, each with its key.
pub(super) fn problems(config: &Config) -> Vec<(&'static str, String)> {
    let mut seen = BTreeSet::new();
    let mut found: Vec<(&'static str, String)> = config
        .scrape
        .iter()
        .filter_map(|target| {
            let again = !seen.insert((&target.job, &target.url, &target.server, &target.labels));
            let twice = again.then(|| ("url", format!("`{}` is read twice for the same series", target.url)));
            target.problem(config).or(twice)
        })
        .collect();
    if config.scrape.len() > TARGETS_MAX {
        found.push(("scrape", format!("there are more than {TARGETS_MAX}")));
    }
    found
}
