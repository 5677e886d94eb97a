//! Owns trying the other systems of the configuration: whether each can be asked, for whoever wants to know beforehand.

use std::path::Path;

use incident::error_chain;

use crate::alertmanager::Alertmanager;
use crate::backend::Backend;
use crate::clock;
use crate::config::Config;
use crate::secrets::Secrets;

/// A system that is asked, and whether it answers.
#[derive(Debug, Clone)]
pub struct Neighbour {
    /// What it is.
    pub what: &'static str,
    /// Where it is.
    pub url: String,
    /// Why it can not be asked, where that is so.
    pub problem: Option<String>,
}

/// Asks each once. `exe` is the `paramedic` program, which holds commands that print secrets to their deadline.
pub async fn neighbours(config: &Config, exe: &Path) -> Vec<Neighbour> {
    let secrets = Secrets::of_process(exe);
    let mut found = Vec::new();
    if let Some(one) = &config.alertmanager {
        let asked = Alertmanager::new(one, secrets.clone()).look().await;
        let problem = asked.err().map(|error| error_chain(&error));
        found.push(Neighbour { what: "alertmanager", url: one.url.clone(), problem });
    }
    if let Some(one) = &config.metrics.backend {
        let backend = Backend::take_over(one, secrets, config.metrics.evaluation_interval.get(), &mut []);
        let asked = backend.vector("vector(1)", clock::now_ms()).await;
        let problem = asked.err().map(|error| error_chain(&error));
        found.push(Neighbour { what: "metrics backend", url: one.url.clone(), problem });
    }
    found
}
