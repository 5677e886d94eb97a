//! Tests that backups go to an object store as well, and come back from there whole; whatever happens on the way, half a
//! backup is none. The store is moto, which answers as S3 does.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use serde_json::Value;

use crate::poll::eventually;
use crate::real::installed;
use crate::site::{Server, Setup, Site, free_port};

/// No limit.
const ALL: u64 = u64::MAX;

/// An object store with one bucket, behind a way to it that can be cut.
struct Store {
    moto: Child,
    way: u16,
    /// So many bytes still go to the store.
    left: Arc<AtomicU64>,
}

impl Store {
    fn start() -> Option<Self> {
        let python = installed("PARAMEDIC_TEST_VENV_MOTO", "bin/python3")?;
        let port = free_port();
        let mut moto = Command::new(python);
        moto.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
        let moto = moto.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let way = listener.local_addr().unwrap().port();
        let left = Arc::new(AtomicU64::new(ALL));
        let counted = Arc::clone(&left);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let left = Arc::clone(&counted);
                thread::spawn(move || relay(&client, port, &left));
            }
        });
        let store = Self { moto, way, left };
        // A bucket is made by whoever has an account there.
        eventually("the store answers", || store.put("/backups", b"").ok());
        Some(store)
    }

    /// Puts something there without the product.
    fn put(&self, path: &str, content: &[u8]) -> io::Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.way))?;
        let head = format!(
            "PUT {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            content.len()
        );
        stream.write_all(&[head.as_bytes(), content].concat())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        if answer.starts_with("HTTP/1.1 200") { Ok(()) } else { Err(io::Error::other(answer)) }
    }

    /// The way to it breaks after so many bytes, for good.
    fn cut_after(&self, bytes: u64) {
        self.left.store(bytes, Ordering::SeqCst);
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.moto.kill();
        let _ = self.moto.wait();
    }
}

/// Hands on what a client sends as long as there is something left, and every answer.
fn relay(client: &TcpStream, port: u16, left: &AtomicU64) {
    let Ok(store) = TcpStream::connect(("127.0.0.1", port)) else { return };
    thread::scope(|scope| {
        scope.spawn(|| {
            let _ = io::copy(&mut &store, &mut &*client);
            let _ = client.shutdown(Shutdown::Both);
        });
        let mut piece = [0; 16 << 10];
        while let Ok(n @ 1..) = (&mut &*client).read(&mut piece) {
            let taken = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| match left {
                ALL => Some(ALL),
                left => left.checked_sub(n as u64),
            });
            if taken.is_err() {
                left.store(0, Ordering::SeqCst);
                break;
            }
            if (&mut &store).write_all(&piece[..n]).is_err() {
                break;
            }
        }
        let _ = client.shutdown(Shutdown::Both);
        let _ = store.shutdown(Shutdown::Both);
    });
}

/// A server whose backups go there.
fn site(store: &Store) -> Site {
    let target = format!(
        "[backup.target]\nurl = \"s3://backups/paramedic\"\nendpoint = \"http://127.0.0.1:{}\"\naccess_key = \"test\"\nsecret_key = {{ file = \"key\" }}",
        store.way
    );
    let server = Server::notes("notes").with("[[server.data]]\npath = \"files\"");
    let site = Site::of(&Setup { tables: &target, servers: &[server], ..Setup::default() });
    fs::create_dir(site.path("files")).unwrap();
    fs::write(site.path("files/one.json"), "[1]").unwrap();
    let key = site.path("key");
    fs::write(&key, "secret\n").unwrap();
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    site
}

/// Nothing makes it smaller.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..bytes / 8).flat_map(|_| next()).collect()
}

/// The names of the backups, newest first.
fn backups(site: &Site, more: &[&str]) -> Vec<String> {
    let ran = site.run(&[&["backup", "list", "notes", "-o", "json"], more].concat());
    let list: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    list.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

/// All that is left here of backups.
fn forget(site: &Site) {
    let folder: PathBuf = site.path("data/backup/notes");
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn backups_come_back_from_an_object_store() {
    let Some(store) = Store::start() else { return };
    let site = site(&store);
    // More than one part.
    let large = noise(40 << 20);
    fs::write(site.path("files/large.bin"), &large).unwrap();
    site.run(&["backup", "create", "notes"]).done();
    let [id] = backups(&site, &["--target", "--verified"]).try_into().unwrap();
    assert_eq!(backups(&site, &[]), [id.as_str()]);
    // This machine has lost them all, and the data are damaged.
    forget(&site);
    fs::write(site.path("files/one.json"), "[").unwrap();
    fs::remove_file(site.path("files/large.bin")).unwrap();
    let verified = site.run(&["backup", "verify", "notes", "--all", "--target"]).done();
    assert!(verified.contains(&id) && verified.contains("good at"), "{verified}");
    let told = site.run(&["backup", "restore", "notes", "--latest", "--target"]).done();
    assert!(told.contains(&id), "{told}");
    assert_eq!(fs::read(site.path("files/one.json")).unwrap(), b"[1]");
    assert!(fs::read(site.path("files/large.bin")).unwrap() == large);
    // Nothing of it stays beside the backups of here.
    assert!(!site.path("data/backup/notes/scratch/target").exists());
}

#[test]
fn a_store_that_goes_away_in_the_middle_has_no_half_backup() {
    let Some(store) = Store::start() else { return };
    let site = site(&store);
    site.run(&["backup", "create", "notes"]).done();
    let [first] = backups(&site, &["--target"]).try_into().unwrap();
    fs::write(site.path("files/large.bin"), noise(40 << 20)).unwrap();
    store.cut_after(20 << 20);
    let ran = site.run(&["backup", "create", "notes"]);
    ran.failed(1, &["is here and good, and was not sent", "s3://backups/paramedic"]);
    let here = backups(&site, &["--verified"]);
    assert_eq!(here.len(), 2, "{here:?}");
    site.run(&["backup", "list", "notes", "--target"]).failed(1, &["s3://backups/paramedic"]);
    store.cut_after(ALL);
    assert_eq!(backups(&site, &["--target"]), [first.as_str()]);

    // The same, killed while it sends.
    store.cut_after(ALL - 1);
    let mut going = site.command(&["backup", "create", "notes"]);
    let mut going = going.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let sent = || ALL - 1 - store.left.load(Ordering::SeqCst);
    eventually("it sends", || (sent() > 18 << 20).then_some(()));
    going.kill().unwrap();
    going.wait().unwrap();
    assert_eq!(backups(&site, &["--target"]), [first.as_str()], "{} bytes were sent", sent());

    // The next one sends what is missing there.
    store.cut_after(ALL);
    site.run(&["backup", "create", "notes"]).done();
    let here = backups(&site, &["--verified"]);
    assert_eq!(backups(&site, &["--target", "--verified"]), here);
    assert_eq!(here.len(), 4);
    site.run(&["backup", "verify", "notes", &here[0], "--target"]).done();
}

#[test]
fn what_became_of_a_backup_at_the_store_is_written_down_there() {
    let Some(store) = Store::start() else { return };
    let site = site(&store);
    site.run(&["backup", "create", "notes"]).done();
    let [id] = backups(&site, &["--target", "--verified"]).try_into().unwrap();
    let archive = fs::read(site.path(&format!("data/backup/notes/{id}.tar.zst"))).unwrap();
    let mut altered = archive.clone();
    altered[archive.len() / 2] ^= 1;
    let put = |content: &[u8]| store.put(&format!("/backups/paramedic/notes/{id}.tar.zst"), content).unwrap();
    put(&altered);
    site.run(&["backup", "verify", "notes", &id, "--target"]).failed(1, &[]);
    // Whoever asks from another machine, which has nothing of all that, is told.
    forget(&site);
    let none: [String; 0] = [];
    assert_eq!(backups(&site, &["--target", "--verified"]), none);
    assert_eq!(backups(&site, &["--target"]), [id.as_str()]);
    site.run(&["backup", "restore", "notes", "--latest", "--target"]).failed(1, &[]);
    // And so it is when it has come right again.
    put(&archive);
    site.run(&["backup", "verify", "notes", &id, "--target"]).done();
    forget(&site);
    assert_eq!(backups(&site, &["--target", "--verified"]), [id.as_str()]);
}
