//! Owns the object store where backups go as well: sent in parts, listed by their records, and fetched to be proven or put
//! back. A record is sent last and deleted first, so that half a backup is none there either.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use integrity::backup::{Backup, Catalogue, remove_tree};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{ClientOptions, HttpClient, HttpConnector};
use object_store::path::Path as Name;
use object_store::{BackoffConfig, ObjectStore as _, ObjectStoreExt as _, RetryConfig};
use process::lock::Lock;
use tokio::runtime::Runtime;

use super::alone::Folder;
use super::{BackupError, Backups};
use crate::config;
use crate::identity;
use crate::secrets::Secrets;

/// What is sent at once, and is in memory twice; S3 takes no part below 5 MiB but the last.
const PART_BYTES: u64 = 16 << 20;
/// S3 takes 10,000 parts of one object.
const PARTS_MAX: u64 = 9_000;
/// A record, a seal or a proof.
const DOCUMENT_BYTES_MAX: u64 = 1 << 20;
/// So many names are read of one server.
const NAMES_MAX: usize = 100_000;
/// What lies there without a record for longer is half a backup, and not one on its way.
const STALE_MS: i64 = 24 * 60 * 60 * 1000;
/// How often and for how long one request is tried again.
const TRIES: usize = 5;
const TRIED_FOR: Duration = Duration::from_secs(30);
/// One request: a part over a slow line.
const ANSWER_MAX: Duration = Duration::from_secs(300);

/// The place of one server's backups in an object store.
#[derive(Debug)]
pub(super) struct Target {
    store: AmazonS3,
    /// What stands before the names.
    prefix: String,
    shown: String,
    runtime: Runtime,
}

/// The backups that are there, as a catalogue of their records in a folder of its own.
#[derive(Debug)]
pub struct Elsewhere {
    /// All that can be done with them, once they are fetched.
    pub backups: Backups,
    target: Target,
    _folder: Folder,
    _lock: Lock,
}

/// Hands on the client that trusts whom the configuration says.
#[derive(Debug)]
struct Ours(reqwest::Client);

impl HttpConnector for Ours {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

// === impl Target ===

impl Target {
    /// The place of a server's backups.
    fn open(config: &config::Target, server: &str) -> Result<Self, BackupError> {
        let shown = config.url.clone();
        let failed = |problem: String| BackupError::Target { target: shown.clone(), problem };
        let (bucket, prefix) = config.place().ok_or_else(|| failed("this is no address".to_owned()))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| failed(error.to_string()))?;
        let exe = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
        let secrets = Secrets::of_process(&exe);
        let (access, secret, tls) = runtime.block_on(async {
            let said = |error: &dyn std::error::Error| failed(format!("its key or certificates: {error}"));
            let access = secrets.text(&config.access_key).await.map_err(|error| said(&error))?;
            let secret = secrets.read(&config.secret_key).await.map_err(|error| said(&error))?;
            let tls = identity::tls(&secrets, config.ca.as_deref(), None).await;
            Ok::<_, BackupError>((access, secret, tls.map_err(|error| said(&error))?))
        })?;
        let client = probe::client_with(&tls).map_err(|error| failed(error.to_string()))?;
        let retry =
            RetryConfig { backoff: BackoffConfig::default(), max_retries: TRIES, retry_timeout: TRIED_FOR };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(&config.region)
            .with_access_key_id(access.reveal())
            .with_secret_access_key(secret.reveal())
            .with_retry(retry)
            .with_http_connector(Ours(client));
        if let Some(endpoint) = &config.endpoint {
            builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
        }
        let store = builder.build().map_err(|error| failed(error.to_string()))?;
        let prefix =
            [prefix, server].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
        Ok(Self { store, prefix, shown, runtime })
    }

    fn name(&self, file: &Path) -> Name {
        let file = file.file_name().unwrap_or_default().to_string_lossy();
        Name::from(format!("{}/{file}", self.prefix))
    }

    fn run<T>(&self, what: impl Future<Output = object_store::Result<T>>) -> Result<T, BackupError> {
        let bounded = async { tokio::time::timeout(ANSWER_MAX, what).await };
        match self.runtime.block_on(bounded) {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(self.failed(&error)),
            Err(_) => Err(self.problem(format!("no answer within {ANSWER_MAX:?}"))),
        }
    }

    fn failed(&self, error: &object_store::Error) -> BackupError {
        let mut problem = error.to_string();
        let mut below = std::error::Error::source(error);
        while let Some(error) = below {
            below = error.source();
            let words = error.to_string();
            // Most of them repeat what is below.
            if !problem.contains(&words) {
                problem = format!("{problem}: {words}");
            }
        }
        self.problem(problem)
    }

    fn problem(&self, problem: String) -> BackupError {
        BackupError::Target { target: self.shown.clone(), problem }
    }

    /// The names that are there, each with its size and when it was written.
    fn names(&self) -> Result<Vec<(String, u64, i64)>, BackupError> {
        let prefix = Name::from(self.prefix.as_str());
        let found = self.run(async {
            let mut all = Vec::new();
            let mut names = self.store.list(Some(&prefix));
            while let Some(one) = names.try_next().await? {
                let name = one.location.filename().unwrap_or_default().to_owned();
                // Not what is in a folder below.
                if one.location.as_ref() == format!("{}/{name}", self.prefix) {
                    all.push((name, one.size, one.last_modified.timestamp_millis()));
                }
                if all.len() > NAMES_MAX {
                    break;
                }
            }
            Ok(all)
        })?;
        if found.len() > NAMES_MAX {
            return Err(self.problem(format!("there are more than {NAMES_MAX} names")));
        }
        Ok(found)
    }

    /// Sends a file; it has its name there when all of it is there.
    fn send(&self, file: &Path) -> Result<(), BackupError> {
        let unreadable = |source| BackupError::Folder { path: file.to_owned(), source };
        let mut from = File::open(file).map_err(unreadable)?;
        let bytes = from.metadata().map_err(unreadable)?.len();
        let name = self.name(file);
        let part_bytes = PART_BYTES.max(bytes.div_ceil(PARTS_MAX));
        if bytes <= part_bytes {
            let mut all = Vec::new();
            from.read_to_end(&mut all).map_err(unreadable)?;
            return self.run(self.store.put(&name, all.into())).map(drop);
        }
        let mut upload = self.run(self.store.put_multipart(&name))?;
        let mut send_all = || {
            loop {
                let mut part = Vec::new();
                io::Read::by_ref(&mut from).take(part_bytes).read_to_end(&mut part).map_err(unreadable)?;
                if part.is_empty() {
                    return self.run(upload.complete()).map(drop);
                }
                self.run(upload.put_part(part.into()))?;
            }
        };
        let sent = send_all();
        if sent.is_err() {
            // Where that fails too, its parts stay there, under no name.
            let _ = self.run(upload.abort());
        }
        sent
    }

    fn fetch(&self, to: &Path, bytes_max: u64) -> Result<(), BackupError> {
        let unusable = |source| BackupError::Folder { path: to.to_owned(), source };
        let got = self.run(self.store.get(&self.name(to)))?;
        if got.meta.size > bytes_max {
            return Err(self.problem(format!("{} there has {} bytes", self.name(to), got.meta.size)));
        }
        let mut file = File::create(to).map_err(unusable)?;
        let mut pieces = got.into_stream();
        // Each piece has its own time: a large archive takes as long as it takes.
        while let Some(piece) = self.run(pieces.try_next())? {
            file.write_all(&piece).map_err(unusable)?;
        }
        file.sync_all().map_err(unusable)
    }

    fn delete(&self, name: &str) -> Result<(), BackupError> {
        self.run(self.store.delete(&Name::from(format!("{}/{name}", self.prefix))))
    }
}

// === impl Backups ===

impl Backups {
    /// Sends what is proven good here and not there, the oldest first, as far as it would stay there; then the oldest there
    /// go. `now_ms` is milliseconds since 1970. Without a target it does nothing.
    ///
    /// # Errors
    /// If the target is away, or does not take it. All backups stay here.
    pub fn send(&self, now_ms: i64) -> Result<(), BackupError> {
        let Some(config) = &self.target else { return Ok(()) };
        let target = Target::open(config, &self.server)?;
        let there = target.names()?;
        let has_record = |id: &str| there.iter().any(|(name, ..)| *name == format!("{id}.json"));
        let (here, _) = self.list()?;
        let wanted: Vec<&Backup> = here.iter().take(self.keep.max(1)).filter(|one| one.is_proven()).collect();
        for backup in wanted.into_iter().rev().filter(|one| !has_record(&one.id)) {
            for file in self.catalogue.files_of(backup).iter().filter(|file| file.exists()) {
                target.send(file)?;
            }
        }
        for (name, _, at_ms) in &there {
            let id = name.split('.').next().unwrap_or_default();
            if !has_record(id) && integrity::backup::is_id(id) && now_ms.saturating_sub(*at_ms) > STALE_MS {
                target.delete(name)?;
            }
        }
        let elsewhere = self.mirror(target)?;
        let (all, _) = elsewhere.backups.list()?;
        for old in Catalogue::surplus(&all, self.keep) {
            // Its record first, as here.
            for file in elsewhere.backups.catalogue.files_of(old).iter().rev() {
                elsewhere.target.delete(&file.file_name().unwrap_or_default().to_string_lossy())?;
            }
        }
        Ok(())
    }

    /// What is at the target.
    ///
    /// # Errors
    /// If there is no target in the configuration, or it is away.
    pub fn at_target(&self) -> Result<Elsewhere, BackupError> {
        let config = self.target.as_ref().ok_or(BackupError::NoTarget)?;
        self.mirror(Target::open(config, &self.server)?)
    }

    /// Fetches all records with their seals and proofs.
    fn mirror(&self, target: Target) -> Result<Elsewhere, BackupError> {
        let (lock, scratch) = self.begin()?;
        let folder = Folder(scratch.join("target"));
        let path = folder.0.clone();
        let made = remove_tree(&path).and_then(|()| DirBuilder::new().mode(0o700).create(&path));
        made.map_err(|source| BackupError::Folder { path: path.clone(), source })?;
        for (name, ..) in target.names()? {
            let is_document = name.split_once('.').is_some_and(|(id, rest)| {
                integrity::backup::is_id(id) && ["json", "seal.json", "proof.json"].contains(&rest)
            });
            if is_document {
                target.fetch(&path.join(&name), DOCUMENT_BYTES_MAX)?;
            }
        }
        let backups = Self { catalogue: Catalogue::of_records(path), target: None, ..self.clone() };
        Ok(Elsewhere { backups, target, _folder: folder, _lock: lock })
    }
}

// === impl Elsewhere ===

impl Elsewhere {
    /// Fetches a backup, so that it can be proven and put back.
    ///
    /// # Errors
    /// If the target is away, or there is no room for it here.
    pub fn fetch(&self, backup: &Backup) -> Result<(), BackupError> {
        let catalogue = &self.backups.catalogue;
        let archive = catalogue.archive(&backup.id);
        let folder = catalogue.folder();
        let free = integrity::backup::free_bytes(folder)
            .map_err(|source| BackupError::Folder { path: folder.to_owned(), source })?;
        if backup.archive.bytes > free {
            let problem =
                format!("{} bytes are to be fetched, and {free} are free here", backup.archive.bytes);
            return Err(self.target.problem(problem));
        }
        let manifests = (0..backup.record.trees.len()).map(|n| catalogue.manifest(&backup.id, n));
        for file in manifests.chain([archive]) {
            self.target.fetch(&file, free)?;
        }
        Ok(())
    }

    /// Forgets what was fetched of a backup, and sends what came of proving it.
    ///
    /// # Errors
    /// If the target does not take it.
    pub fn give_back(&self, backup: &Backup) -> Result<(), BackupError> {
        let files: Vec<PathBuf> = self.backups.catalogue.files_of(backup);
        for file in files.iter().filter(|file| file.exists()) {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            if name.ends_with(".proof.json") {
                self.target.send(file)?;
            } else if !name.ends_with(".json") {
                fs::remove_file(file).map_err(|source| BackupError::Folder { path: file.clone(), source })?;
            }
        }
        Ok(())
    }
}
