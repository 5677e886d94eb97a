//! Owns the handlers of looks at the data, the backups and the machine of a server, as commands on this machine take them.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use tokio::task::JoinError;

use super::commands::{known, name_of};
use super::handlers::Shared;
use super::problem::Failure;
use super::wire::{CheckData, Look, LookForm, LookQuestion, MakeBackup};
use crate::flow::Flow;
use crate::own_command::look;
use crate::tokens::Token;

/// How long a look may take that reads little.
const SHORT_MAX: Duration = Duration::from_secs(120);
/// How long all data of a server may take to be read, or copied and proven.
const LONG_MAX: Duration = Duration::from_secs(2 * 60 * 60);

/// What is asked of one server.
type Asked = (Shared, Option<Extension<Token>>, Path<String>, Query<LookQuestion>);

/// What the checks of its data found.
pub(super) async fn data(
    shared: Shared,
    token: Option<Extension<Token>>,
    name: Path<String>,
    asked: Query<LookQuestion>,
) -> Result<Json<Look>, Failure> {
    ask((shared, token, name, asked), &["integrity", "history"], |_| Vec::new(), SHORT_MAX).await
}

/// Which of its data are damaged, and what a restore would lose.
pub(super) async fn scope(
    shared: Shared,
    token: Option<Extension<Token>>,
    name: Path<String>,
    asked: Query<LookQuestion>,
) -> Result<Json<Look>, Failure> {
    ask((shared, token, name, asked), &["integrity", "scope"], |_| Vec::new(), LONG_MAX).await
}

/// Its backups.
pub(super) async fn backups(
    shared: Shared,
    token: Option<Extension<Token>>,
    name: Path<String>,
    asked: Query<LookQuestion>,
) -> Result<Json<Look>, Failure> {
    let only = |asked: &LookQuestion| asked.verified.then(|| "--verified".to_owned()).into_iter().collect();
    ask((shared, token, name, asked), &["backup", "list"], only, SHORT_MAX).await
}

/// Whether it and its machine are as its baseline has them.
pub(super) async fn intruders(
    shared: Shared,
    token: Option<Extension<Token>>,
    name: Path<String>,
    asked: Query<LookQuestion>,
) -> Result<Json<Look>, Failure> {
    ask((shared, token, name, asked), &["security", "check"], |_| Vec::new(), SHORT_MAX).await
}

/// What all sources tell of an intrusion.
pub(super) async fn timeline(
    shared: Shared,
    token: Option<Extension<Token>>,
    name: Path<String>,
    asked: Query<LookQuestion>,
) -> Result<Json<Look>, Failure> {
    let more = |asked: &LookQuestion| {
        let since = asked.since.as_ref().map(|since| format!("--since={since}"));
        let incident = asked.incident.as_ref().map(|incident| format!("--incident={incident}"));
        since.into_iter().chain(incident).collect()
    };
    ask((shared, token, name, asked), &["security", "timeline"], more, SHORT_MAX).await
}

/// Checks its data.
pub(super) async fn check_data(
    State(flow): Shared,
    Path(name): Path<String>,
    Json(wanted): Json<CheckData>,
) -> Result<Json<Look>, Failure> {
    let mut words = words(&["integrity", "check"], known(&flow, name)?, wanted.form);
    words.extend(wanted.deep.then(|| "--deep".to_owned()));
    order(flow, words, wanted.by, wanted.form).await
}

/// Backs its data up.
pub(super) async fn make_backup(
    State(flow): Shared,
    Path(name): Path<String>,
    Json(wanted): Json<MakeBackup>,
) -> Result<Json<Look>, Failure> {
    let mut words = words(&["backup", "create"], known(&flow, name)?, wanted.form);
    words.extend(wanted.read_only.then(|| "--read-only".to_owned()));
    order(flow, words, wanted.by, wanted.form).await
}

async fn ask(
    (State(flow), token, Path(name), Query(asked)): Asked,
    verb: &[&str],
    more: impl Fn(&LookQuestion) -> Vec<String>,
    within: Duration,
) -> Result<Json<Look>, Failure> {
    let mut words = words(verb, known(&flow, name)?, asked.form);
    words.extend(more(&asked));
    if words.iter().any(|word| word.contains('\0')) {
        return Err(Failure::new(StatusCode::BAD_REQUEST, "no value has a byte of zero"));
    }
    Ok(Json(look(&flow.world, words, name_of(token.as_ref()), within).await?.into_look(asked.form)?))
}

fn words(verb: &[&str], name: String, form: LookForm) -> Vec<String> {
    let form = match form {
        LookForm::Json => "--output=json",
        LookForm::Table => "--output=table",
    };
    verb.iter().map(|&word| word.to_owned()).chain([name, form.to_owned()]).collect()
}

/// Whoever asks may hang up; what is begun goes on to its end.
async fn order(
    flow: Arc<Flow>,
    words: Vec<String>,
    by: String,
    form: LookForm,
) -> Result<Json<Look>, Failure> {
    let looked = tokio::spawn(async move { look(&flow.world, words, &by, LONG_MAX).await }).await;
    let failed = |error: JoinError| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
    Ok(Json(looked.map_err(failed)??.into_look(form)?))
}
