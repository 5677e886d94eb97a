//! Owns `paramedic evidence list|verify|export` of another machine, by the API of its `serve`.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use server::api::wire::{BundleSummary, BundleVerification};
use server::client::Client;

use crate::arguments::{EvidenceCommand, Output};
use crate::context;
use crate::fail::{Code, Failure};
use crate::show;

pub(super) fn run(client: &Client, command: EvidenceCommand, output: Output) -> Result<Code, Failure> {
    let runtime = context::runtime()?;
    match command {
        EvidenceCommand::List { incident: None, server: None } => {
            let all = client.list::<BundleSummary>("/api/v1/evidence", usize::MAX);
            let all = runtime.block_on(all)?;
            show::rows(output, &all, &["bundle", "bytes"], |one| {
                vec![show::harmless(&one.bundle), one.bytes.to_string()]
            });
            Ok(Code::Done)
        }
        EvidenceCommand::Verify { bundle: Some(bundle), key: None } => {
            let path = format!("/api/v1/evidence/{bundle}");
            let found: BundleVerification = runtime.block_on(client.get_patiently(&path))?;
            tell(&found, output);
            Ok(if found.problems.is_empty() { Code::Done } else { Code::No })
        }
        EvidenceCommand::Export { bundle, to: Some(to) } => {
            runtime.block_on(export(client, &bundle, &to))?;
            show::line(&to.join(&bundle).display().to_string());
            Ok(Code::Done)
        }
        _ => {
            let words =
                "over the network there are `evidence list`, `verify BUNDLE` and `export BUNDLE --to FOLDER`";
            Err(Failure::usage(anyhow!(words)))
        }
    }
}

fn tell(found: &BundleVerification, output: Output) {
    if output != Output::Table {
        return show::json(found);
    }
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
