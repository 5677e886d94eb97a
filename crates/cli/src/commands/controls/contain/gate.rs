//! Owns that nothing is contained before its evidence is sealed: containing changes what there is to see.

use ::server::config::Config;
use ::server::{bundles, evidence_public_key, now_ms};
use evidence::{State, Verdict, verify};

use crate::arguments::ContainArguments;
use crate::fail::{Code, Failure};

/// Without an incident, evidence of the server is young enough for so long, in milliseconds.
const YOUNG_MS: i64 = 60 * 60 * 1000;
/// So many of the newest bundles are checked at most.
const BUNDLES_MAX: usize = 50;

/// What was sealed before, in words, and for which incident.
pub(super) struct Sealed {
    pub(super) words: String,
    pub(super) incident: Option<String>,
}

/// Finds the evidence of the incident, or of the server, whole as it was sealed.
///
/// # Errors
/// Where there is none, and nobody says that it is to go on without.
pub(super) fn pass(config: &Config, arguments: &ContainArguments) -> Result<Sealed, Failure> {
    let of_step = std::env::var("PARAMEDIC_INCIDENT").ok().filter(|id| !id.is_empty());
    let incident = arguments.incident.clone().or(of_step);
    if arguments.without_evidence {
        let words = "none: the operator did not wait for it (--without-evidence)".to_owned();
        return Ok(Sealed { words, incident });
    }
    let key = evidence_public_key(config)
        .map_err(|error| nothing(arguments, incident.as_deref(), &error.to_string()))?;
    let mut problems = Vec::new();
    for folder in bundles(config).into_iter().rev().take(BUNDLES_MAX) {
        let verdict = verify(&folder, key);
        if !is_of(&verdict, &arguments.name, incident.as_deref()) {
            continue;
        }
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match verdict.problems.first() {
            None if !verdict.items.is_empty() && verdict.state != Some(State::Collecting) => {
                let incident = incident.or(verdict.head.and_then(|head| head.incident));
                return Ok(Sealed { words: format!("sealed: {name}"), incident });
            }
            None => problems.push(format!("`{name}` is not finished")),
            Some(problem) => problems.push(format!("`{name}`: {problem}")),
        }
    }
    Err(nothing(arguments, incident.as_deref(), &problems.join("; ")))
}

fn is_of(verdict: &Verdict, server: &str, incident: Option<&str>) -> bool {
    let Some(head) = &verdict.head else { return false };
    let is_of_server = head.server.as_deref() == Some(server);
    match incident {
        Some(incident) => head.incident.as_deref() == Some(incident) && is_of_server,
        None => is_of_server && head.at_ms >= now_ms().saturating_sub(YOUNG_MS),
    }
}

fn nothing(arguments: &ContainArguments, incident: Option<&str>, why: &str) -> Failure {
    let (name, of) = match incident {
        Some(id) => (&arguments.name, format!(" of incident {id}")),
        None => (&arguments.name, " of the last hour".to_owned()),
    };
    let option = incident.map(|id| format!(" --incident {id}")).unwrap_or_default();
    let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
    let words = format!(
        "no evidence of `{name}`{of} is sealed{why}, and containing it changes what there is to see: \
         `paramedic evidence collect {name}{option} --depth t0` first, or --without-evidence"
    );
    Failure::new(Code::Refused, anyhow::anyhow!(words))
}
