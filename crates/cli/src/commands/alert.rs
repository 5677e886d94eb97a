//! Owns `paramedic alert`: alerts are in the memory of `serve`; silences are a file, with and without it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use incident::Shelf;
use metrics::{Silence, SilenceState};
use server::api::wire::{AddSilence, AlertStatus, By, SilenceStatus};
use server::client::{Client, ClientError};
use server::{DocumentError, SilenceFileError, add_silence, expire_silence, now_ms, read_silences};

use crate::arguments::{AddArguments, AlertCommand, Output, SilenceCommand, millis};
use crate::context::{self, actor};
use crate::fail::{Code, Failure};
use crate::{hand, show};

/// How long `serve` may take to write a silence down.
const WRITE_MAX: Duration = Duration::from_secs(10);

pub(super) fn run(command: AlertCommand, config: Option<PathBuf>, output: Output) -> Result<Code, Failure> {
    context::runtime()?.block_on(answer(command, config, output))?;
    Ok(Code::Done)
}

async fn answer(command: AlertCommand, config: Option<PathBuf>, output: Output) -> Result<(), Failure> {
    let client = context::client(config.clone())?;
    match command {
        AlertCommand::List => list(&client.list::<AlertStatus>("/api/v1/alerts", usize::MAX).await?, output),
        AlertCommand::Silence(SilenceCommand::Add(arguments)) => add(&client, config, arguments).await?,
        AlertCommand::Silence(SilenceCommand::List { all }) => {
            list_silences(silences(&client, config).await?, all, output);
        }
        AlertCommand::Silence(SilenceCommand::Expire { number }) => {
            let ended = expire(&client, config, number).await?;
            anstream::eprintln!("ended: {}", matchers(&ended));
        }
    }
    Ok(())
}

fn list(alerts: &[AlertStatus], output: Output) {
    if alerts.is_empty() && output == Output::Table {
        anstream::eprintln!("no alerts");
        return;
    }
    let header = [
        "alert",
        "state",
        "server",
        "since (UTC)",
        "value",
        "from",
        "silenced by",
        "inhibited by",
        "opens nothing",
    ];
    show::rows(output, alerts, &header, |one| {
        let silences: Vec<String> = one.silenced_by.iter().map(ToString::to_string).collect();
        vec![
            one.name.clone(),
            format!("{:?}", one.state).to_lowercase(),
            one.server.clone(),
            show::time(one.since_ms),
            one.value.map(|value| value.to_string()).unwrap_or_default(),
            one.from.clone(),
            silences.join(", "),
            one.inhibited_by.clone().unwrap_or_default(),
            one.opens_nothing.clone().unwrap_or_default(),
        ]
    });
}

async fn add(client: &Client, config: Option<PathBuf>, arguments: AddArguments) -> Result<(), Failure> {
    let now_ms = now_ms();
    let AddArguments { matchers, length, until, from, by, comment, force } = arguments;
    let starts_ms = from.unwrap_or(now_ms);
    let length_ms = length.map_or(0, millis);
    let ends_ms = until.unwrap_or(starts_ms.saturating_add(length_ms));
    let by = by.unwrap_or_else(actor);
    let add = AddSilence { matchers, starts_ms, ends_ms, by, comment, force };
    let number = match client.post::<SilenceStatus>("/api/v1/silences", &add, WRITE_MAX).await {
        Err(ClientError::NotReachable { .. }) => {
            let (config, path) = context::load_or_default(config)?;
            let engine = hand::open(config.clone(), path, BTreeMap::new(), Shelf::default()).await?;
            let (silence, breadth) = add.into_parts();
            add_silence(&config, &engine, silence, breadth, now_ms).await.map_err(failure)?
        }
        answer => answer?.silence.number,
    };
    show::line(&number.to_string());
    anstream::eprintln!(
        "silent from {} until {} (UTC); `paramedic alert silence expire {number}` ends it early",
        show::time(starts_ms),
        show::time(ends_ms)
    );
    Ok(())
}

async fn silences(client: &Client, config: Option<PathBuf>) -> Result<Vec<SilenceStatus>, Failure> {
    match client.list("/api/v1/silences", usize::MAX).await {
        Err(ClientError::NotReachable { .. }) => {
            let now_ms = now_ms();
            let silences = read_silences(&context::load_or_default(config)?.0).map_err(failure)?;
            let status = |one: &Silence| SilenceStatus { state: one.state(now_ms), silence: one.clone() };
            Ok(silences.all(now_ms).map(status).collect())
        }
        answer => Ok(answer?),
    }
}

fn list_silences(mut silences: Vec<SilenceStatus>, all: bool, output: Output) {
    silences.retain(|one| all || one.state != SilenceState::Expired);
    if silences.is_empty() && output == Output::Table {
        anstream::eprintln!("no silences");
        return;
    }
    let header = ["number", "state", "matchers", "from (UTC)", "until (UTC)", "by", "comment"];
    show::rows(output, &silences, &header, |SilenceStatus { state, silence }| {
        vec![
            silence.number.to_string(),
            format!("{state:?}").to_lowercase(),
            matchers(silence),
            show::time(silence.starts_ms),
            show::time(silence.ends_ms),
            silence.created_by.clone(),
            silence.comment.clone(),
        ]
    });
}

async fn expire(client: &Client, config: Option<PathBuf>, number: u32) -> Result<Silence, Failure> {
    let by = By { by: actor() };
    let path = format!("/api/v1/silences/{number}/expire");
    match client.post::<SilenceStatus>(&path, &by, WRITE_MAX).await {
        Err(ClientError::NotReachable { .. }) => {
            let (config, path) = context::load_or_default(config)?;
            let engine = hand::open(config.clone(), path, BTreeMap::new(), Shelf::default()).await?;
            expire_silence(&config, &engine, number, &by.by, now_ms()).await.map_err(failure)
        }
        answer => Ok(answer?.silence),
    }
}

fn matchers(silence: &Silence) -> String {
    let all: Vec<String> = silence.matchers.iter().map(ToString::to_string).collect();
    all.join(", ")
}

/// A change that is refused is an answer; a file that cannot be used silences nothing until somebody mends it.
fn failure(error: SilenceFileError) -> Failure {
    match error {
        SilenceFileError::File(DocumentError::Content { .. } | DocumentError::Io { .. }) => {
            Failure::usage(error)
        }
        SilenceFileError::File(_) | SilenceFileError::Journal(_) => Failure::no(error),
    }
}
