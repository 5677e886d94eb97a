//! Owns `paramedic evidence collect|list|verify|export|key` of another machine, by the API of its `serve`.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use server::api::wire::{
    BundleQuestion, BundleSummary, BundleVerification, Collect, Collected, Depth, EvidenceKey,
};
use server::client::Client;

use crate::arguments::{self, EvidenceCommand, Output};
use crate::context::{self, actor};
use crate::fail::{Code, Failure};
use crate::show;

/// How long a collection may take: files up to a minute, memory and packets on top.
const COLLECT_MAX: Duration = Duration::from_secs(900);

pub(super) fn run(client: &Client, command: EvidenceCommand, output: Output) -> Result<Code, Failure> {
    let runtime = context::runtime()?;
    match command {
        EvidenceCommand::List { incident, server, since } => {
            let since_ms = since.map(|since| since.at_ms(server::now_ms()));
            let wanted = BundleQuestion { incident, server, since_ms, ..BundleQuestion::default() };
            let all = runtime.block_on(client.find("/api/v1/evidence", &wanted, usize::MAX))?;
            list(&all, output);
            Ok(Code::Done)
        }
        EvidenceCommand::Collect { server, incident, depth, since, deep } => {
            let wanted = Collect {
                by: actor(),
                server,
                incident,
                depth: match depth {
                    arguments::Depth::T0 => Depth::T0,
                    arguments::Depth::T1 => Depth::T1,
                    arguments::Depth::T2 => Depth::T2,
                },
                since_ms: since.map(|since| since.at_ms(server::now_ms())),
                memory_bytes_max: Some(deep.memory_max.0),
                packets_s: Some(u32::try_from(deep.packets.as_secs()).unwrap_or(u32::MAX)),
                peer: deep.peer,
                port: deep.port,
            };
            collect(&runtime.block_on(client.post("/api/v1/evidence", &wanted, COLLECT_MAX))?, output)
        }
        EvidenceCommand::Key => {
            let key: EvidenceKey = runtime.block_on(client.get("/api/v1/evidence-key"))?;
            show::line(key.pem.trim_end());
            Ok(Code::Done)
        }
        EvidenceCommand::Verify { bundle, key: None } => runtime.block_on(verify(client, bundle, output)),
        EvidenceCommand::Export { bundle, to: Some(to) } => {
            runtime.block_on(export(client, &bundle, &to))?;
            show::line(&to.join(&bundle).display().to_string());
            Ok(Code::Done)
        }
        _ => {
            let words = "over the network there are `evidence collect`, `list`, `verify [BUNDLE|INCIDENT]`, `export BUNDLE --to FOLDER` and `key`";
            Err(Failure::usage(anyhow!(words)))
        }
    }
}

fn collect(found: &Collected, output: Output) -> Result<Code, Failure> {
    show::rows(
        output,
        std::slice::from_ref(found),
        &["bundle", "sha256", "bytes", "items", "missing"],
        |one| {
            let numbers = [one.bytes.to_string(), one.items.to_string(), one.missing.to_string()];
            [vec![show::harmless(&one.bundle), one.sha256.clone()], numbers.to_vec()].concat()
        },
    );
    let problems = [
        found
            .interrupted
            .as_ref()
            .map(|why| format!("cut short: {why}; what was collected before is sealed")),
        found.not_copied.as_ref().map(|why| format!("no copy was made: {why}")),
    ];
    let problems: Vec<String> = problems.into_iter().flatten().collect();
    problems.iter().for_each(|problem| anstream::eprintln!("paramedic: {}", show::harmless(problem)));
    Ok(if problems.is_empty() { Code::Done } else { Code::No })
}

fn list(all: &[BundleSummary], output: Output) {
    show::rows(output, all, &["bundle", "server", "incident", "bytes", "last check (UTC)"], |one| {
        let text = |value: &Option<String>| show::harmless(value.as_deref().unwrap_or("-"));
        let checked = one.checked.as_ref().map_or_else(
            || "never".to_owned(),
            |check| {
                let sound = if check.sound { "as it was sealed" } else { "NOT as it was sealed" };
                format!("{} {sound}, by {}", show::time(check.at_ms), show::harmless(&check.by))
            },
        );
        let bundle = show::harmless(&one.bundle);
        vec![bundle, text(&one.server), text(&one.incident), one.bytes.to_string(), checked]
    });
}

/// Has one bundle checked, those of an incident, or all.
async fn verify(client: &Client, named: Option<String>, output: Output) -> Result<Code, Failure> {
    let of_incident = match &named {
        Some(name) => {
            let wanted = BundleQuestion { incident: Some(name.clone()), ..BundleQuestion::default() };
            client.find::<BundleSummary>("/api/v1/evidence", &wanted, usize::MAX).await?
        }
        None => client.list::<BundleSummary>("/api/v1/evidence", usize::MAX).await?,
    };
    let mut names: Vec<String> = of_incident.into_iter().map(|one| one.bundle).collect();
    match named {
        Some(name) if names.is_empty() => names.push(name),
        None if names.is_empty() => return Err(Failure::no(anyhow!("there is no evidence to check"))),
        _ => {}
    }
    let mut all = Vec::new();
    for name in names {
        let found: BundleVerification = client.get_patiently(&format!("/api/v1/evidence/{name}")).await?;
        if output == Output::Table {
            tell(&found);
        }
        all.push(found);
    }
    match output {
        Output::Table => {}
        Output::Json => show::json(&all),
        Output::Jsonl => all.iter().for_each(show::json_line),
    }
    Ok(if all.iter().all(|found| found.problems.is_empty()) { Code::Done } else { Code::No })
}

fn tell(found: &BundleVerification) {
    let sealed = if found.problems.is_empty() { "as it was sealed" } else { "NOT as it was sealed" };
    show::line(&format!("{}: {} items, {sealed}", show::harmless(&found.bundle), found.items));
    for said in found.problems.iter().chain(&found.remarks) {
        anstream::eprintln!("paramedic: {}", show::harmless(said));
    }
}

/// Fetches the files of a bundle into a folder of its name, which must not be there.
async fn export(client: &Client, bundle: &str, to: &Path) -> Result<(), Failure> {
    let names: Vec<String> = client.get(&format!("/api/v1/evidence/{bundle}/files")).await?;
    let is_plain = |name: &str| !name.is_empty() && !name.contains('/') && name != "." && name != "..";
    if !is_plain(bundle) || !names.iter().all(|name| is_plain(name)) {
        return Err(Failure::no(anyhow!("`{}` is no name of a bundle", show::harmless(bundle))));
    }
    let folder = to.join(bundle);
    let made = fs::create_dir(&folder).with_context(|| format!("cannot make `{}`", folder.display()));
    made.map_err(Failure::no)?;
    for name in names {
        let path = folder.join(&name);
        let failed = || format!("cannot write `{}`", path.display());
        let mut file = File::create_new(&path).with_context(failed).map_err(Failure::no)?;
        let mut download = client.download(&format!("/api/v1/evidence/{bundle}/files/{name}")).await?;
        while let Some(chunk) = download.next().await? {
            file.write_all(&chunk).with_context(failed).map_err(Failure::no)?;
        }
        file.sync_all().with_context(failed).map_err(Failure::no)?;
    }
    Ok(())
}
