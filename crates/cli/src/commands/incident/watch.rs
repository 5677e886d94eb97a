//! Owns `paramedic incident watch`: what happens in an incident, as it happens, until it ends.

mod screen;
mod source;

use std::path::PathBuf;
use std::time::Duration;

use incident::{Incident, IncidentId};
use server::api::wire::{Detail, Happened};

use crate::arguments::Output;
use crate::fail::{Code, Failure};
use crate::show;
use screen::Screen;
use source::Source;

/// How often the line at the bottom of a terminal is drawn anew: it tells seconds.
const TICK: Duration = Duration::from_secs(1);

pub(super) async fn run(
    config: Option<PathBuf>,
    typed: Option<String>,
    output: Output,
) -> Result<Code, Failure> {
    let mut source = Source::new(config)?;
    let id = match typed {
        Some(typed) => source.find(&typed).await?,
        None => source.newest_or_next().await?,
    };
    let mut screen = Screen::new(output);
    let incident = follow(&mut source, &id, &mut screen).await?;
    screen.end(&incident);
    if output == Output::Json {
        show::json(&Detail::from(incident.clone()));
    }
    Ok(if incident.resolved_ms.is_some() { Code::Done } else { Code::No })
}

/// Shows what happens until the incident has ended.
async fn follow(source: &mut Source, id: &IncidentId, screen: &mut Screen) -> Result<Incident, Failure> {
    let mut seen: Vec<Happened> = Vec::new();
    let mut incident: Option<Incident> = None;
    let mut ticks = tokio::time::interval(TICK);
    loop {
        let news = {
            let news = source.news(id, seen.len());
            tokio::pin!(news);
            loop {
                tokio::select! {
                    news = &mut news => break news?,
                    _ = ticks.tick() => screen.tick(incident.as_ref()),
                }
            }
        };
        for happened in news {
            match &mut incident {
                Some(incident) => incident.apply(happened.at_ms, &happened.record),
                None => incident = Incident::fold(id, [(happened.at_ms, &happened.record)]),
            }
            if let Some(incident) = &incident {
                screen.show(incident, &happened);
            }
            seen.push(happened);
        }
        if let Some(incident) = incident.take_if(|incident| !incident.state.is_open()) {
            return Ok(incident);
        }
    }
}
