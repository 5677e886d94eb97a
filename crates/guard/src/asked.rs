//! Owns asking the server something on the guard's own behalf, whichever way it is reached.

use std::sync::Arc;
use std::time::Duration;

use crate::health::PING_DEADLINE;
use crate::inflight::Answer;
use crate::pipe::{Link, Unanswered};
use crate::upstream::Upstream;

/// A server that can be asked.
#[derive(Clone)]
pub(crate) enum Asked {
    /// A child, by its pipe.
    Child(Arc<Link>),
    /// Somebody else's server, over HTTP.
    Upstream(Arc<Upstream>),
}

// === impl Asked ===

impl Asked {
    /// Which process this is, as far as can be seen.
    pub(crate) fn generation(&self) -> u64 {
        match self {
            Self::Child(link) => link.generation,
            Self::Upstream(upstream) => upstream.own.generation(),
        }
    }

    /// What it has answered to `initialize`, as JSON.
    ///
    /// # Errors
    /// When it has not, in words.
    pub(crate) async fn initialized(&self) -> Result<String, String> {
        let never = || "it has not answered `initialize`".to_owned();
        match self {
            Self::Child(link) => link.initialized().map(str::to_owned).ok_or_else(never),
            Self::Upstream(upstream) => {
                if let Some(result) = upstream.own.initialized() {
                    return Ok(result);
                }
                match self.ask("ping", None, PING_DEADLINE).await {
                    Ok(_) => upstream.own.initialized().ok_or_else(never),
                    Err(Unanswered::Ended(reason)) => Err(reason),
                    Err(Unanswered::TimedOut) => Err(never()),
                }
            }
        }
    }

    /// Asks something that changes nothing.
    pub(crate) async fn ask(
        &self,
        method: &str,
        params: Option<&str>,
        within: Duration,
    ) -> Result<Answer, Unanswered> {
        match self {
            Self::Child(link) => link.ask(method, params, within).await,
            Self::Upstream(upstream) => upstream.own.ask(upstream, method, params, within).await,
        }
    }
}
