//! Owns what the guard of a server of another machine is had do, by the API of its `serve`.

use std::time::Duration;

use ::server::Control;
use ::server::api::wire::{OrderControl, Outcome, Signs};
use ::server::client::Client;
use ::server::signs::Read;
use anyhow::anyhow;
use guard::BlockKind;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::ramp::{self, Ramped};
use crate::arguments::{Output, WritesArguments};
use crate::context::{self, actor};
use crate::fail::{Code, Failure};
use crate::show;

/// How long it may take beside what the guard waits for.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// How long a look at a server may take: it is asked, read from, and its data are checked.
const LOOK_MAX: Duration = Duration::from_secs(120);

pub(super) fn order(
    client: &Client,
    name: &str,
    reason: Option<&str>,
    order: Control,
    output: Output,
) -> Result<Code, Failure> {
    let told = context::runtime()?.block_on(tell(client, name, reason, order))?;
    let left = |name: &str| told[name].as_u64().unwrap_or(0);
    if output != Output::Table {
        show::json(&told);
    } else if told["changed"] == false {
        show::line(&format!("{name}: nothing to do, it is so already"));
    } else if told["draining"] == true {
        show::line(&format!("{name}: takes no new requests; {} still run", left("requests_left")));
    } else {
        show::line(&format!("{name}: done"));
    }
    // It holds, but somebody may still be at it.
    let is_writing = told["mode"] == "read_only" && left("writes_left") > 0;
    let is_running = told["draining"] == true && left("requests_left") > 0;
    Ok(if is_writing || is_running { Code::No } else { Code::Done })
}

async fn tell(client: &Client, name: &str, reason: Option<&str>, order: Control) -> Result<Value, Failure> {
    let wait = match &order {
        Control::ReadOnly { wait_s } | Control::Drain { wait_s } => wait_s.unwrap_or_default(),
        _ => 0,
    };
    let path = format!("/api/v1/servers/{name}/controls");
    let wanted = OrderControl { by: actor(), reason: reason.map(str::to_owned), order };
    Ok(client.post(&path, &wanted, ANSWER_MAX + Duration::from_secs(wait.into())).await?)
}

async fn signs(client: &Client, name: &str) -> Result<Signs, Failure> {
    Ok(client.get_within(&format!("/api/v1/servers/{name}/signs"), LOOK_MAX).await?)
}

/// One real read through a server, by its `serve`.
pub(super) fn read(client: &Client, name: &str) -> Result<Read, Failure> {
    let seen = context::runtime()?.block_on(signs(client, name))?;
    Ok(match (seen.read, seen.bad) {
        (Some(read), _) => match read.outcome {
            Outcome::Right => Read::Right(read.words),
            Outcome::Wrong => Read::Wrong(read.words),
            Outcome::Nothing => Read::Nothing(read.words),
        },
        (None, bad) => Read::Nothing(bad.unwrap_or_else(|| "nothing was read".to_owned())),
    })
}

/// A server of another machine whose clients write again.
struct There<'a> {
    client: &'a Client,
    name: &'a str,
    runtime: Runtime,
}

impl Ramped for There<'_> {
    fn allow(&self, percent: u8, reason: Option<&str>) -> Result<(), Failure> {
        let order = Control::Writes { percent, client: None };
        self.runtime.block_on(tell(self.client, self.name, reason, order)).map(drop)
    }

    fn forbid(&self, reason: &str) -> Result<(), Failure> {
        let order = Control::ReadOnly { wait_s: None };
        self.runtime.block_on(tell(self.client, self.name, Some(reason), order)).map(drop)
    }

    fn bad(&self) -> Option<String> {
        // Whoever cannot be asked is not known to be well.
        match self.runtime.block_on(signs(self.client, self.name)) {
            Ok(seen) => seen.bad,
            Err(failure) => Some(format!("it could not be asked how it is: {failure}")),
        }
    }
}

/// Lets clients of a server of another machine write by steps.
pub(super) fn ramp(client: &Client, arguments: &WritesArguments, output: Output) -> Result<Code, Failure> {
    let there = There { client, name: &arguments.name, runtime: context::runtime()? };
    ramp::ramp(&there, arguments, output)
}

/// What is blocked, as the API has it.
pub(super) fn kind(kind: BlockKind) -> Result<::server::BlockKind, Failure> {
    match kind {
        BlockKind::Tool => Ok(::server::BlockKind::Tool),
        BlockKind::Client => Ok(::server::BlockKind::Client),
        BlockKind::Address => Ok(::server::BlockKind::Address),
        BlockKind::Token | BlockKind::Everybody => Err(only_there(kind.name())),
    }
}

/// What is done on the machine of the server alone.
pub(super) fn only_there(what: &str) -> Failure {
    Failure::usage(anyhow!("`{what}` is for the machine of the server: leave `--server-url` out there"))
}
