//! Owns the tests of the helper as a service over a real socket, below a folder that is its root. They need no root and no
//! systemd: what takes those is tested with the whole product.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use helper::service::{Setup, run};
use helper::{
    ALLOWED_FILE, Answer, Before, ClientError, PARAMETERS_FILE, ParameterState, Request, Setting, Topic, ask,
};
use systemd::Systemd;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

const LIST: &str = "user = \"me\"\nunits = [\"mcp-server-*.service\"]\nparameters = [\"vm.swappiness\"]\n";

/// A place with a list, one parameter and no systemd.
struct Place {
    folder: TempDir,
    me: u32,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let me = rustix::process::geteuid().as_raw();
        let place = Self { folder, me };
        place.write("etc/passwd", &format!("me:x:{me}:{me}::/:/bin/sh\n"));
        place.write(ALLOWED_FILE, LIST);
        place.write("proc/sys/vm/swappiness", "60\n");
        fs::create_dir_all(place.path("etc/sysctl.d")).unwrap();
        fs::create_dir_all(place.path("run/systemd/system")).unwrap();
        for name in ["etc", "etc/paramedic"] {
            fs::set_permissions(place.path(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    }

    fn socket(&self) -> PathBuf {
        self.path("helper.sock")
    }

    fn setup(&self, idle: Duration) -> Setup {
        let bus = format!("unix:path={}", self.path("no-bus").display());
        Setup {
            root: self.folder.path().to_owned(),
            owner: self.me,
            systemd: Systemd::new(&bus, Duration::from_secs(1)),
            idle,
        }
    }

    /// Does something while the service runs.
    async fn served<T>(&self, work: impl Future<Output = T>) -> T {
        let listener = UnixListener::bind(self.socket()).unwrap();
        let setup = self.setup(Duration::from_secs(600));
        tokio::select! {
            done = work => done,
            () = run(listener, &setup) => panic!("the service has ended"),
        }
    }
}

fn swappiness(from: (&str, Option<&str>), to: (&str, Option<&str>)) -> Request {
    let state = |(live, kept): (&str, Option<&str>)| ParameterState {
        live: live.to_owned(),
        kept: kept.map(str::to_owned),
    };
    Request::SetParameter { key: "vm.swappiness".to_owned(), to: state(to), over: state(from) }
}

#[tokio::test]
async fn a_parameter_is_set_over_the_socket_and_its_answer_takes_it_back() {
    let place = Place::new();
    place
        .served(async {
            let set = swappiness(("60", None), ("10", Some("10")));
            let answer = ask(&place.socket(), place.me, &set).await.unwrap();
            let before = ParameterState { live: "60".to_owned(), kept: None };
            assert_eq!(answer, Answer::Done { before: Before::Parameter(before) });
            assert!(
                fs::read_to_string(place.path(PARAMETERS_FILE)).unwrap().contains("vm.swappiness = 10\n")
            );
            // It is so already; over something else nothing is done.
            assert!(matches!(ask(&place.socket(), place.me, &set).await.unwrap(), Answer::Done { .. }));
            let stale = swappiness(("60", None), ("20", None));
            let answer = ask(&place.socket(), place.me, &stale).await.unwrap();
            assert!(matches!(answer, Answer::Refused { before: Some(_), .. }), "{answer:?}");
            let back = swappiness(("10", Some("10")), ("60", None));
            assert!(matches!(ask(&place.socket(), place.me, &back).await.unwrap(), Answer::Done { .. }));
        })
        .await;
    assert_eq!(fs::read_to_string(place.path("proc/sys/vm/swappiness")).unwrap(), "60");
    assert!(!place.path(PARAMETERS_FILE).exists());
}

#[tokio::test]
async fn without_systemd_no_drop_in_is_left() {
    let place = Place::new();
    let settings = vec![Setting::MemoryMax(64 << 20)];
    let unit = "mcp-server-mem.service".to_owned();
    let request = Request::WriteDropIn { unit, topic: Topic::Tuning, settings, over: None };
    let answer = place.served(async { ask(&place.socket(), place.me, &request).await.unwrap() }).await;
    let Answer::Failed { reason, before } = answer else { panic!("{answer:?}") };
    assert!(reason.contains("systemd cannot be reached"), "{reason}");
    assert_eq!(before, Some(Before::DropIn(None)));
    assert_eq!(fs::read_dir(place.path("run/systemd/system")).unwrap().count(), 0);
}

#[tokio::test]
async fn without_a_list_nothing_is_done() {
    let place = Place::new();
    let set = swappiness(("60", None), ("10", None));
    for (text, words) in [
        (None, "cannot be read"),
        (Some("user = \"me\"\nshell = true\n"), "is not understood"),
        (Some("user = \"me\"\n"), "`vm.swappiness` is not on the list"),
    ] {
        match text {
            None => fs::remove_file(place.path(ALLOWED_FILE)).unwrap(),
            Some(text) => place.write(ALLOWED_FILE, text),
        }
        let answer = place.served(async { ask(&place.socket(), place.me, &set).await.unwrap() }).await;
        fs::remove_file(place.socket()).unwrap();
        let Answer::Refused { reason, .. } = answer else { panic!("{answer:?}") };
        assert!(reason.contains(words), "{reason}");
    }
    assert_eq!(fs::read_to_string(place.path("proc/sys/vm/swappiness")).unwrap(), "60\n");
}

#[tokio::test]
async fn whoever_says_nothing_holds_nobody_up_for_long() {
    let place = Place::new();
    place
        .served(async {
            let mut silent = UnixStream::connect(place.socket()).await.unwrap();
            let mut gone = UnixStream::connect(place.socket()).await.unwrap();
            gone.write_all(b"{").await.unwrap();
            drop(gone);
            let set = swappiness(("60", None), ("10", None));
            assert!(matches!(ask(&place.socket(), place.me, &set).await.unwrap(), Answer::Done { .. }));
            let mut said = String::new();
            silent.read_to_string(&mut said).await.unwrap();
            assert!(said.contains("no whole request came within 2s"), "{said}");
        })
        .await;
}

#[tokio::test]
async fn it_ends_when_nobody_comes_and_who_asks_then_is_told() {
    let place = Place::new();
    let listener = UnixListener::bind(place.socket()).unwrap();
    run(listener, &place.setup(Duration::from_millis(10))).await;
    let set = swappiness(("60", None), ("10", None));
    let error = ask(&place.socket(), place.me, &set).await.unwrap_err();
    assert!(
        matches!(error, ClientError::Absent(_)) && error.to_string().contains("is not installed"),
        "{error}"
    );
}

#[tokio::test]
async fn somebody_else_at_the_socket_is_not_asked() {
    let place = Place::new();
    let _listener = UnixListener::bind(place.socket()).unwrap();
    let set = swappiness(("60", None), ("10", None));
    let error = ask(&place.socket(), place.me + 1, &set).await.unwrap_err();
    assert!(matches!(error, ClientError::Impostor { uid, .. } if uid == place.me), "{error}");
}
