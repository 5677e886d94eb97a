//! Owns `paramedic diagnose` of a server of another machine, by the API of its `serve`: the look is taken there, the causes are
//! ranked here as there.

use std::time::Duration;

use anyhow::anyhow;
use diagnosis::{named, rank};
use server::api::wire::{Diagnosis as Looked, ServerStatus};
use server::client::Client;

use super::{Diagnosis, show};
use crate::arguments::{DiagnoseArguments, Output};
use crate::context;
use crate::fail::{Code, Failure};

/// How long a look may take.
const LOOK_MAX: Duration = Duration::from_secs(150);

pub(super) fn run(client: &Client, arguments: &DiagnoseArguments, output: Output) -> Result<Code, Failure> {
    if arguments.watch || arguments.pid.is_some() || arguments.unit.is_some() {
        let words = "over the network servers are diagnosed: `paramedic diagnose [SERVER]`, without `--watch`, `--pid` and `--unit`";
        return Err(Failure::usage(anyhow!(words)));
    }
    let found = context::runtime()?.block_on(async {
        let names = match &arguments.server {
            Some(name) => vec![name.clone()],
            None => {
                let all: Vec<ServerStatus> = client.list("/api/v1/servers", usize::MAX).await?;
                all.into_iter().map(|one| one.name).collect()
            }
        };
        let mut found = Vec::new();
        for name in names {
            let path = format!("/api/v1/servers/{name}/diagnosis");
            found.push(of(client.get_within::<Looked>(&path, LOOK_MAX).await?));
        }
        Ok::<_, Failure>(found)
    })?;
    show::print(&found, arguments.all, output);
    Ok(Code::Done)
}

fn of(looked: Looked) -> Diagnosis {
    let Looked { server, pid, findings, took_ms, .. } = looked;
    let causes = rank(&findings);
    let cause = named(&causes).map(|best| best.cause);
    Diagnosis {
        server,
        pid,
        cause: cause.map(diagnosis::Cause::name),
        means: cause.map(diagnosis::Cause::means),
        helps: cause.map(diagnosis::Cause::helps),
        findings,
        causes,
        took_ms,
    }
}
