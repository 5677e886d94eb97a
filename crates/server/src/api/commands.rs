//! Owns the handlers of what commands on this machine do for somebody far away: a diagnosis, and the tuning of a server.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde_json::Value;

use super::handlers::{Shared, carry_out};
use super::problem::Failure;
use super::wire::{Diagnosis, Order, Tune, Tuned};
use crate::fleet::{OrderError, Verb};
use crate::flow::Flow;
use crate::own_command::run;
use crate::tokens::{Role, Token};

/// How long a diagnosis may take: each of what is asked has a deadline of its own.
const DIAGNOSIS_MAX: Duration = Duration::from_secs(120);
/// How long a change of the tuning may take, its restart aside.
const TUNE_MAX: Duration = Duration::from_secs(60);

/// The name of a server that is known: what follows is made of it.
pub(super) fn known(flow: &Flow, name: String) -> Result<String, Failure> {
    match flow.fleet.get(&name) {
        Some(member) => Ok(member.config.name.clone()),
        None => Err(OrderError::NoServer(name).into()),
    }
}

pub(super) fn name_of(token: Option<&Extension<Token>>) -> &str {
    token.map_or("the local socket", |token| token.name.as_str())
}

fn strange(error: &serde_json::Error) -> Failure {
    Failure::new(StatusCode::INTERNAL_SERVER_ERROR, format!("what it says is not understood: {error}"))
}

/// Looks at a server and its machine from all sides.
pub(super) async fn diagnosis(
    State(flow): Shared,
    token: Option<Extension<Token>>,
    Path(name): Path<String>,
) -> Result<Json<Diagnosis>, Failure> {
    let name = known(&flow, name)?;
    let words = ["diagnose", &name, "--all", "--output", "json"].map(str::to_owned).to_vec();
    let said = run(&flow.world, words, name_of(token.as_ref()), DIAGNOSIS_MAX).await?;
    let all: Vec<Diagnosis> = serde_json::from_str(&said.printed).map_err(|error| strange(&error))?;
    let none = || Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "nothing was looked at");
    all.into_iter().next().map(Json).ok_or_else(none)
}

/// What is tuned at a server.
pub(super) async fn tuning(
    State(flow): Shared,
    token: Option<Extension<Token>>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Failure> {
    let name = known(&flow, name)?;
    let words = ["server", "tune", &name, "--output", "json"].map(str::to_owned).to_vec();
    let said = run(&flow.world, words, name_of(token.as_ref()), TUNE_MAX).await?;
    Ok(Json(serde_json::from_str(&said.printed).map_err(|error| strange(&error))?))
}

/// Tunes a server, or takes its last tuning back; restarts it where that is wanted and something was changed.
pub(super) async fn tune(
    State(flow): Shared,
    token: Option<Extension<Token>>,
    Path(name): Path<String>,
    Json(wanted): Json<Tune>,
) -> Result<Json<Tuned>, Failure> {
    let name = known(&flow, name)?;
    // What a server is started with decides what it runs.
    let is_deep = !wanted.environment.is_empty() || !wanted.arguments.is_empty();
    if let Some(token) = token.as_ref().filter(|token| is_deep && token.role < Role::Admin) {
        let words = format!("{} may not set variables and arguments: this takes an admin", token.name);
        return Err(Failure::new(StatusCode::FORBIDDEN, words).needing(Role::Admin));
    }
    let words = arguments(&name, &wanted)?;
    let (by, is_restarted) = (wanted.by, wanted.restart);
    // Whoever asks may hang up; what is begun goes on to its end.
    let tuned = tokio::spawn(async move { tuned(&flow, &name, words, &by, is_restarted).await }).await;
    tuned.map_err(|error| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?.map(Json)
}

async fn tuned(
    flow: &Arc<Flow>,
    name: &str,
    words: Vec<String>,
    by: &str,
    restart: bool,
) -> Result<Tuned, Failure> {
    let said = run(&flow.world, words, by, TUNE_MAX).await?;
    // A line that is no JSON says that there was nothing to do.
    let change = serde_json::from_str::<Value>(&said.printed).ok();
    let restarted = match change.is_some() && restart {
        true => {
            let order = Order { key: format!("tune/{}", uuid::Uuid::now_v7()), by: by.to_owned() };
            Some(carry_out(flow, name, Verb::Restart, order).await?.0)
        }
        false => None,
    };
    let remarks = if change.is_some() { said.remarks } else { said.printed.trim().to_owned() };
    Ok(Tuned { change, remarks, restarted })
}

/// The command line for it. Every value is bound to its option, so that none is taken for another one.
fn arguments(name: &str, wanted: &Tune) -> Result<Vec<String>, Failure> {
    let mut words = ["server", "tune", name, "--output=json"].map(str::to_owned).to_vec();
    let before = words.len();
    let mut add = |option: &str, value: Option<String>| {
        words.extend(value.map(|value| format!("--{option}={value}")));
    };
    let number = |value: Option<u64>| value.map(|value| value.to_string());
    add("heap", number(wanted.heap_bytes));
    add("memory-limit", number(wanted.memory_limit_bytes));
    add("memory-high", number(wanted.memory_high_bytes));
    add("cpu-quota", number(wanted.cpu_quota_percent.map(u64::from)));
    add("tasks", number(wanted.tasks.map(u64::from)));
    add("open-files", number(wanted.open_files));
    wanted.environment.iter().for_each(|(name, value)| add("env", Some(format!("{name}={value}"))));
    wanted.arguments.iter().for_each(|one| add("argument", Some(one.clone())));
    wanted.unset.iter().for_each(|one| add("unset", Some(one.clone())));
    if wanted.undo {
        words.push("--undo".to_owned());
    }
    let bad = |words: &str| Failure::new(StatusCode::BAD_REQUEST, words);
    if words.len() == before {
        return Err(bad("nothing is said that is to be tuned"));
    }
    if words.iter().any(|word| word.contains('\0')) {
        return Err(bad("no value has a byte of zero"));
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_value_is_bound_to_its_option() {
        let check = |wanted: Value, expect: &[&str]| {
            let mut wanted = wanted;
            wanted["by"] = "ada".into();
            let wanted: Tune = serde_json::from_value(wanted).unwrap();
            let words = arguments("notes", &wanted).unwrap();
            assert_eq!(words[..4], ["server", "tune", "notes", "--output=json"]);
            assert_eq!(words[4..], *expect, "{wanted:?}");
        };
        check(json!({ "heap_bytes": 402_653_184 }), &["--heap=402653184"]);
        check(json!({ "undo": true }), &["--undo"]);
        check(
            json!({ "arguments": ["--config", "x --undo"], "unset": ["--undo"], "environment": {"A": "--b=c"} }),
            &["--env=A=--b=c", "--argument=--config", "--argument=x --undo", "--unset=--undo"],
        );
        for wanted in [json!({ "by": "x" }), json!({ "by": "x", "arguments": ["a\u{0}b"] })] {
            let wanted: Tune = serde_json::from_value(wanted).unwrap();
            assert_eq!(arguments("notes", &wanted).unwrap_err().status, StatusCode::BAD_REQUEST);
        }
    }
}
