//! Owns the handlers of evidence: which bundles there are, whether one is as it was sealed, and its files. Bundles and files
//! are found by their names among those that are there; no path is made of what somebody says.

use std::fs;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use evidence::State as Sealed;
use futures_util::stream;
use incident::error_chain;
use tokio::io::AsyncReadExt as _;
use tokio::sync::Semaphore;

use super::handlers::Shared;
use super::listing::{Listed, Order};
use super::problem::Failure;
use super::wire::{BundleSummary, BundleVerification, ListQuestion};
use crate::config::Config;
use crate::evidence::{bundles, evidence_public_key};
use crate::tokens::Token;

/// What is read at once of a file that is sent, in bytes.
const CHUNK: usize = 64 * 1024;

/// A check reads the whole bundle: one at a time.
static CHECKS: Semaphore = Semaphore::const_new(1);

pub(super) async fn list(
    State(flow): Shared,
    Query(question): Query<ListQuestion>,
) -> Result<Listed<BundleSummary>, Failure> {
    let config = Arc::clone(&flow.world.config);
    let all =
        blocking(move || bundles(&config).into_iter().map(|folder| summary(&folder)).collect::<Vec<_>>());
    Listed::of(question, Order::Up, all.await?.into_iter().map(|one| (one.bundle.clone(), one)))
}

fn summary(folder: &FilePath) -> BundleSummary {
    let bundle = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let sizes = files(folder).into_iter().filter_map(|path| Some(path.symlink_metadata().ok()?.len()));
    BundleSummary { bundle, bytes: sizes.sum() }
}

/// Checks a bundle with the key of its host.
pub(super) async fn verify(
    State(flow): Shared,
    Path(name): Path<String>,
) -> Result<Json<BundleVerification>, Failure> {
    let config = Arc::clone(&flow.world.config);
    // It is never closed.
    let _turn = CHECKS.acquire().await.ok();
    let checked = blocking(move || {
        let folder = folder(&config, &name)?;
        let key = evidence_public_key(&config);
        let key = key.map_err(|error| Failure::new(StatusCode::CONFLICT, error_chain(&error)))?;
        Ok::<_, Failure>(of_verdict(name, evidence::verify(&folder, key)))
    });
    Ok(Json(checked.await??))
}

fn of_verdict(bundle: String, verdict: evidence::Verdict) -> BundleVerification {
    let state = verdict.state.map(|state| match state {
        Sealed::Complete => "complete",
        Sealed::Interrupted => "interrupted",
        Sealed::Collecting => "collecting",
    });
    let (server, incident) = verdict.head.map_or((None, None), |head| (head.server, head.incident));
    BundleVerification {
        bundle,
        server,
        incident,
        state: state.map(str::to_owned),
        items: verdict.items.len(),
        missing: verdict.missing.len(),
        sha256: verdict.sha256.map(|sha256| sha256.to_string()),
        problems: verdict.problems.iter().map(ToString::to_string).collect(),
        remarks: verdict.reason.into_iter().chain(verdict.remarks).collect(),
    }
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
    let by = token.as_ref().map_or("the local socket", |token| token.name.as_str());
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

/// The folder of a bundle, by its name.
fn folder(config: &Config, name: &str) -> Result<PathBuf, Failure> {
    let is_it = |folder: &PathBuf| folder.file_name().is_some_and(|known| known == name);
    let missing = || Failure::new(StatusCode::NOT_FOUND, format!("there is no bundle `{name}`"));
    bundles(config).into_iter().find(is_it).ok_or_else(missing)
}

/// The files of a bundle: no links, and nothing in folders below.
fn files(folder: &FilePath) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .map(|entry| entry.path())
        .collect();
    files.sort();
    files
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.map_err(|error| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}
