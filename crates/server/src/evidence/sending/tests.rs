//! Tests sending over HTTP: to a server that is ill, and to none.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ::evidence::manifest::{FORMAT, Head};
use ::evidence::{End, Gathered, SigningKey, Writer, verify};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};

use super::Sending;
use crate::config::{Config, parse};

/// What a store has got, and how often it will say first that it cannot.
#[derive(Default)]
struct Store {
    got: BTreeMap<String, Vec<u8>>,
    ill: u32,
    refuses: bool,
}

type Shared = Arc<Mutex<Store>>;

async fn put(
    State(store): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let mut store = store.lock().unwrap();
    assert_eq!((method, headers["authorization"].to_str().unwrap()), (Method::PUT, "Bearer let-me-in"));
    if store.refuses {
        return StatusCode::FORBIDDEN;
    }
    if store.ill > 0 {
        store.ill -= 1;
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    store.got.insert(uri.path().to_owned(), body.to_vec());
    StatusCode::CREATED
}

/// A store on a port of its own.
async fn serve(store: Store) -> (Shared, String) {
    let shared = Arc::new(Mutex::new(store));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/vault", listener.local_addr().unwrap());
    let app = axum::Router::new().fallback(put).with_state(Arc::clone(&shared));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (shared, url)
}

fn configured(folder: &Path, url: &str) -> Config {
    let token = folder.join("token");
    fs::write(&token, "Bearer let-me-in\n").unwrap();
    fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let text = format!(
        "[evidence.stream]\nurl = \"{url}\"\nauthorization = {{ file = \"{}\" }}\ntimeout = \"5s\"\ntries = 3\n",
        token.display()
    );
    parse(&text).unwrap()
}

/// Writes a small bundle while it is sent. Returns its folder, what became of the sending, and the key.
async fn send(config: &Config, place: &Path) -> (PathBuf, Result<String, String>, Arc<SigningKey>) {
    let key = Arc::new(SigningKey::of_seed(&[7; 32]));
    let folder = place.join("20261126_000000_notes");
    let head = Head {
        format: FORMAT,
        server: None,
        incident: None,
        by: "test".to_owned(),
        host: None,
        at_ms: 0,
        tiers: Vec::new(),
        place: None,
        since_ms: None,
    };
    let mut writer = Writer::begin(&folder, head, Arc::clone(&key)).unwrap();
    let stream = config.evidence.stream.as_ref().unwrap();
    let sending = Sending::begin(stream, writer.folder(), Path::new("/nowhere"));
    writer.on_seal(sending.teller());
    writer.take("a", Gathered::whole("t0/a", "what was found")).unwrap();
    writer.step_over("a", 0, 1).unwrap();
    let sealed = writer.finish(End::Complete, "test", 0).unwrap();
    let sent = sending.end(&folder, sealed.sha256, &key, "test", 1, std::future::pending()).await;
    (folder, sent, key)
}

#[tokio::test]
async fn a_bundle_arrives_in_parts_although_the_store_is_ill_for_a_while() {
    let place = tempfile::tempdir().unwrap();
    let (store, url) = serve(Store { ill: 2, ..Store::default() }).await;
    let (folder, sent, key) = send(&configured(place.path(), &url), place.path()).await;
    assert!(sent.as_ref().is_ok_and(|sent| sent.contains(&url)), "{sent:?}");
    // As `cat` puts it together.
    let copy = place.path().join("copy");
    fs::create_dir(&copy).unwrap();
    for (path, bytes) in &store.lock().unwrap().got {
        let name = path.strip_prefix("/vault/20261126_000000_notes/").unwrap();
        let is_piece = name.ends_with(|c: char| c.is_ascii_digit());
        let file = copy.join(if is_piece { &name[..name.len() - 7] } else { name });
        let all = [fs::read(&file).unwrap_or_default(), bytes.clone()].concat();
        fs::write(file, if is_piece { &all } else { bytes }).unwrap();
    }
    let arrived = verify(&copy, key.public());
    assert!(arrived.is_sound() && arrived.items.len() == 1, "{:?}", arrived.problems);
    let here = verify(&folder, key.public());
    assert!(here.is_sound() && here.sha256 == arrived.sha256, "{:?}", here.problems);
    assert!(here.custody[1].action.starts_with("sent to http://"), "{:?}", here.custody);
}

#[tokio::test]
async fn a_bundle_that_did_not_arrive_is_sent_once_more() {
    let place = tempfile::tempdir().unwrap();
    let (store, url) = serve(Store { refuses: true, ..Store::default() }).await;
    let mut config = configured(place.path(), &url);
    let (folder, sent, _) = send(&config, place.path()).await;
    assert!(sent.is_err());
    // By the key that this host has: that of another is refused.
    config.data_dir = place.path().to_owned();
    let again = |config: Config| {
        let folder = folder.clone();
        async move {
            super::super::send(&config, &folder, Path::new("/x"), "ann", 2, std::future::pending()).await
        }
    };
    let foreign = again(config.clone()).await.unwrap_err();
    assert!(foreign.contains("not as it was sealed"), "{foreign}");
    let key = crate::evidence::evidence_key(&config).unwrap();
    fs::remove_dir_all(&folder).unwrap();
    let head = Head {
        format: FORMAT,
        server: None,
        incident: None,
        by: "test".to_owned(),
        host: None,
        at_ms: 0,
        tiers: Vec::new(),
        place: None,
        since_ms: None,
    };
    let mut writer = Writer::begin(&folder, head, Arc::new(key)).unwrap();
    writer.take("a", Gathered::whole("t0/a", "what was found")).unwrap();
    writer.step_over("a", 0, 1).unwrap();
    writer.finish(End::Complete, "test", 0).unwrap();
    assert!(again(config.clone()).await.unwrap_err().contains("HTTP 403"));
    store.lock().unwrap().refuses = false;
    let sent = again(config.clone()).await.unwrap();
    assert!(sent.starts_with("sent to http://"), "{sent}");
    assert!(store.lock().unwrap().got.keys().any(|path| path.ends_with("_notes/custody.json")));
    config.evidence.stream = None;
    assert!(again(config).await.unwrap_err().contains("no `[evidence.stream]`"));
}

#[tokio::test]
async fn what_does_not_arrive_is_in_the_custody_log() {
    let (_, refusing) = serve(Store { refuses: true, ..Store::default() }).await;
    let (_, ill) = serve(Store { ill: u32::MAX, ..Store::default() }).await;
    for (url, words) in
        [(refusing, "HTTP 403"), (ill, "HTTP 503"), ("http://127.0.0.1:1".to_owned(), "no answer")]
    {
        let place = tempfile::tempdir().unwrap();
        let (folder, sent, key) = send(&configured(place.path(), &url), place.path()).await;
        assert!(sent.is_err());
        let here = verify(&folder, key.public());
        let said = &here.custody[1].action;
        assert!(here.is_sound() && said.starts_with("not sent to ") && said.contains(words), "{said}");
        assert!(!said.contains("let-me-in"), "{said}");
    }
}
