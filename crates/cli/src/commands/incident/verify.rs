//! Owns `paramedic incident verify`: whether the journal and its blobs are as they were written.

use std::path::PathBuf;

use incident::{Verified, verify_stores};

use crate::arguments::Output;
use crate::context;
use crate::fail::{Code, Failure};
use crate::show;

pub(super) async fn run(config: Option<PathBuf>, output: Output) -> Result<Code, Failure> {
    let (config, _) = context::load_or_default(config)?;
    let (journal, blobs) = (config.data_dir.join("journal.db"), config.data_dir.join("blobs"));
    if !journal.is_file() {
        return Err(Failure::usage(anyhow::anyhow!("there is no journal `{}`", journal.display())));
    }
    let found = verify_stores(&journal, &blobs).await.map_err(Failure::no)?;
    match output {
        Output::Table => tell(&found),
        Output::Json => show::json(&found),
        Output::Jsonl => show::json_line(&found),
    }
    Ok(if found.is_whole() { Code::Done } else { Code::No })
}

fn tell(found: &Verified) {
    let removed = match found.chain.pruned {
        0 => String::new(),
        removed => format!(", and {removed} were removed, as it states itself"),
    };
    match found.chain.broken {
        None => show::line(&format!("journal: {} entries, all whole{removed}", found.chain.entries)),
        Some(broken) => show::line(&format!(
            "journal: BROKEN: {broken}; the {} before it are whole{removed}, and of those behind it nothing is known",
            found.chain.entries
        )),
    }
    show::line(&match found.bad_blobs.len() {
        0 => format!("blobs: {}, all whole", found.blobs),
        bad => format!("blobs: {}, of which {bad} are BROKEN:", found.blobs),
    });
    for bad in &found.bad_blobs {
        let named = match (bad.seq, &bad.incident) {
            (Some(seq), Some(incident)) => format!(", entry {seq}, incident {incident}"),
            (Some(seq), None) => format!(", entry {seq}"),
            _ => String::new(),
        };
        show::line(&format!("  {} ({}{named}): {}", bad.sha256, bad.what, bad.problem));
    }
}
