//! Owns asking a guard: its `/health` is true, so its status is the answer and its body the reason.

use std::path::Path;

use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;

use crate::body::{self, ANSWER_BYTES_MAX};
use crate::clients::{self, LOCAL_URL};
use crate::prober::Prober;
use crate::reason;
use crate::report::Verdict;

/// Where a body says why, the most telling first.
const REASON_KEYS: [&str; 5] = ["reason", "error", "message", "detail", "status"];

// === impl Prober ===

impl Prober {
    pub(crate) async fn guard_health(&self, base_url: &str) -> Verdict {
        let url = format!("{}/health", base_url.trim_end_matches('/'));
        health(self.clients.at(&url).get(&url)).await
    }

    pub(crate) async fn local_health(&self, socket: &Path) -> Verdict {
        match clients::local(socket) {
            Ok(client) => health(client.get(format!("{LOCAL_URL}/health"))).await,
            Err(error) => failed(error),
        }
    }
}

async fn health(request: RequestBuilder) -> Verdict {
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) => return failed(error),
    };
    let status = response.status();
    // The body only explains: one that is broken, or too long, changes nothing.
    let body = body::read(response, ANSWER_BYTES_MAX).await.unwrap_or_default();
    let said = serde_json::from_slice(&body).ok().and_then(|json| said(&json));
    match said {
        _ if status == StatusCode::OK => {
            Verdict::healthy(said.unwrap_or_else(|| "the server answers".to_owned()))
        }
        Some(said) => Verdict::unhealthy(format!("{said} (HTTP {})", status.as_u16())),
        None => Verdict::unhealthy(format!("HTTP {}", status.as_u16())),
    }
}

/// An address that is none is the operator's mistake and says nothing about the server.
pub(crate) fn failed(error: reqwest::Error) -> Verdict {
    if error.is_builder() {
        return Verdict::unknown(format!("the address is none: {}", reason::of_request(error)));
    }
    Verdict::unhealthy(reason::of_request(error))
}

fn said(body: &Value) -> Option<String> {
    let text = REASON_KEYS.iter().find_map(|key| body.get(key)?.as_str())?;
    Some(reason::tidy(text)).filter(|text| !text.is_empty())
}
