//! Owns the handlers of evidence: which bundles there are, whether one is as it was sealed, and its files. Bundles and files
//! are found by their names among those that are there; no path is made of what somebody says.

use std::path::PathBuf;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures_util::stream;
use tokio::io::AsyncReadExt as _;

use super::handlers::Shared;
use super::listing::{Listed, Order};
use super::problem::{Failure, blocking};
use super::wire::{
    BundleQuestion, BundleSummary, BundleVerification, Collect, Collected, Depth, EvidenceKey, NoteCheck,
};
use crate::evidence::evidence_public_key;
use crate::evidence_view::{self, files, folder};
use crate::tokens::{Role, Token};

/// What is read at once of a file that is sent, in bytes.
const CHUNK: usize = 64 * 1024;

pub(super) async fn list(
    State(flow): Shared,
    Query(question): Query<BundleQuestion>,
) -> Result<Listed<BundleSummary>, Failure> {
    let all = evidence_view::list(&flow, question.clone()).await?;
    Listed::of(question, Order::Up, all.into_iter().map(|one| (one.bundle.clone(), one)))
}

/// Checks a bundle with the key of its host, and writes down what came of it.
pub(super) async fn verify(
    State(flow): Shared,
    token: Option<Extension<Token>>,
    Path(name): Path<String>,
) -> Result<Json<BundleVerification>, Failure> {
    Ok(Json(evidence_view::check(&flow, &name, name_of(token.as_ref())).await?))
}

/// Collects evidence; whoever asks may hang up, and it goes on to its end.
pub(super) async fn collect(
    State(flow): Shared,
    token: Option<Extension<Token>>,
    Json(wanted): Json<Collect>,
) -> Result<Json<Collected>, Failure> {
    if let Some(token) = token.filter(|token| wanted.depth == Depth::T2 && token.role < Role::Approver) {
        let words = format!("{} may not have memory and packets kept: this takes an approver", token.name);
        return Err(Failure::new(StatusCode::FORBIDDEN, words).needing(Role::Approver));
    }
    let collected = tokio::spawn(async move { evidence_view::collect(&flow, wanted).await }).await;
    collected.map_err(|error| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?.map(Json)
}

/// The public key of this machine.
pub(super) async fn key(State(flow): Shared) -> Result<Json<EvidenceKey>, Failure> {
    let config = Arc::clone(&flow.world.config);
    let key = blocking(move || evidence_public_key(&config)).await?;
    let key = key.map_err(|error| Failure::new(StatusCode::NOT_FOUND, incident::error_chain(&error)))?;
    Ok(Json(EvidenceKey { pem: key.to_pem() }))
}

fn name_of(token: Option<&Extension<Token>>) -> &str {
    token.map_or("the local socket", |token| token.name.as_str())
}

/// Writes down what a command on this machine has found.
pub(super) async fn note_check(
    State(flow): Shared,
    Path(name): Path<String>,
    Json(NoteCheck { by, sha256, problems }): Json<NoteCheck>,
) -> Result<Json<()>, Failure> {
    let config = Arc::clone(&flow.world.config);
    let noted = blocking(move || {
        folder(&config, &name)?;
        evidence_view::note(&config, &name, &by, sha256, &problems)
    });
    noted.await??;
    Ok(Json(()))
}

/// The names of the files of a bundle, which are had one by one.
pub(super) async fn contents(
    State(flow): Shared,
    Path(name): Path<String>,
) -> Result<Json<Vec<String>>, Failure> {
    let config = Arc::clone(&flow.world.config);
    let named = blocking(move || {
        let files = files(&folder(&config, &name)?);
        let name = |path: PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
        Ok::<_, Failure>(files.into_iter().filter_map(name).collect())
    });
    Ok(Json(named.await??))
}

/// A file of a bundle, as it is.
pub(super) async fn download(
    State(flow): Shared,
    token: Option<Extension<Token>>,
    Path((bundle, name)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let config = Arc::clone(&flow.world.config);
    let by = name_of(token.as_ref());
    tracing::info!(event = "audit", by, bundle, file = name, "evidence is downloaded");
    let path = blocking(move || {
        let all = files(&folder(&config, &bundle)?);
        let is_it = |path: &PathBuf| path.file_name().is_some_and(|known| known == name.as_str());
        let missing = || Failure::new(StatusCode::NOT_FOUND, format!("`{bundle}` has no file `{name}`"));
        all.into_iter().find(is_it).ok_or_else(missing)
    });
    let path = path.await??;
    let unreadable =
        |error: std::io::Error| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
    let file = tokio::fs::File::open(&path).await.map_err(unreadable)?;
    let bytes = file.metadata().await.map_err(unreadable)?.len();
    // It is as long as it was said to be, whatever is added meanwhile.
    let chunks = stream::unfold(file.take(bytes), async |mut file| {
        let mut chunk = Vec::with_capacity(CHUNK);
        match (&mut file).take(CHUNK as u64).read_to_end(&mut chunk).await {
            Ok(0) => None,
            Ok(_) => Some((Ok(Bytes::from(chunk)), file)),
            Err(error) => Some((Err(error), file)),
        }
    });
    let headers = [
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (CONTENT_LENGTH, bytes.to_string()),
        (CONTENT_DISPOSITION, "attachment".to_owned()),
    ];
    Ok((headers, Body::from_stream(chunks)).into_response())
}
