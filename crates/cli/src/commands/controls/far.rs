//! Owns what the guard of a server of another machine is had do, by the API of its `serve`.

use std::time::Duration;

use ::server::Control;
use ::server::api::wire::OrderControl;
use ::server::client::Client;
use anyhow::anyhow;
use serde_json::Value;

use crate::arguments::Output;
use crate::context::{self, actor};
use crate::fail::{Code, Failure};
use crate::show;

/// How long it may take: a guard waits for writes that run.
const ANSWER_MAX: Duration = Duration::from_secs(30);

pub(super) fn order(
    client: &Client,
    name: &str,
    reason: Option<&str>,
    order: Control,
    output: Output,
) -> Result<Code, Failure> {
    let path = format!("/api/v1/servers/{name}/controls");
    let wanted = OrderControl { by: actor(), reason: reason.map(str::to_owned), order };
    let told = context::runtime()?.block_on(client.post::<Value>(&path, &wanted, ANSWER_MAX))?;
    if output != Output::Table {
        show::json(&told);
    } else if told["changed"] == false {
        show::line(&format!("{name}: nothing to do, it is so already"));
    } else {
        show::line(&format!("{name}: done"));
    }
    // It holds, but somebody may still be writing.
    let is_writing = told["mode"] == "read_only" && told["writes_left"].as_u64().unwrap_or(0) > 0;
    Ok(if is_writing { Code::No } else { Code::Done })
}

/// What is done on the machine of the server alone.
pub(super) fn only_there(what: &str) -> Failure {
    Failure::usage(anyhow!("`{what}` is for the machine of the server: leave `--server-url` out there"))
}
