//! Tests what takes root under a real systemd: `serve` and its steps as an ordinary user, the shipped helper behind its
//! socket, and everybody who must not get anything from it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use helper::{Answer, Before, Request, Setting, Topic};
use rustix::thread::{set_thread_gid, set_thread_res_uid};
use server::api::wire::ServerStatus;

use crate::machine::{Machine, within};
use crate::poll::DEADLINE;
use crate::real::installed;
use crate::site::Ran;
use crate::two_units::{CONFIG, install_servers};

const FILES: &str = include_str!("../../deploy/tmpfiles/paramedic.conf");
const RULES: &str = include_str!("../../deploy/polkit/50-paramedic.rules");
const SERVE: &str = include_str!("../../deploy/systemd/paramedic.service");
const SOCKET: &str = include_str!("../../deploy/systemd/paramedic-helper.socket");
const HELPER: &str = include_str!("../../deploy/systemd/paramedic-helper.service");
const CONTAIN_SOCKET: &str = include_str!("../../deploy/systemd/paramedic-contain.socket");
const CONTAIN: &str = include_str!("../../deploy/systemd/paramedic-contain.service");
pub(crate) const LIST: &str = include_str!("../../deploy/helper.toml");

/// The drop-in of the first server.
const DROP_IN: &str = "/run/systemd/system/mcp-server-mem.service.d/50-paramedic-tuning.conf";

/// A runbook that tunes a unit, and then the kernel.
const RUNBOOK: &str = r#"
## Too Much Memory

### Alert: TooMuchMemory

**Severity**: Warning
**Alert Query**: `mcp_memory > 1000`

### Response (0-5 minutes)

1. **Limit it**

   ```bash {verify="ready"}
   paramedic server tune "$SERVER_NAME" --memory-limit 300MiB
   ```
"#;

/// Somebody who may ask for nothing.
const STRANGER: &str = "nobody";

/// A machine with two servers, `serve` in its unit, and the helper.
pub(crate) struct Site {
    pub(crate) machine: Machine,
}

impl Site {
    fn new() -> Option<Self> {
        Self::of(CONFIG)
    }

    pub(crate) fn of(config: &str) -> Option<Self> {
        let machine = Machine::boot()?;
        install_servers(&machine);
        machine.write("/etc/paramedic/paramedic.toml", config);
        machine.write("/etc/paramedic/tune.md", RUNBOOK);
        machine.write("/etc/paramedic/helper.toml", LIST);
        machine.write("/etc/polkit-1/rules.d/50-paramedic.rules", RULES);
        machine.write("/etc/tmpfiles.d/paramedic.conf", FILES);
        machine.run(&["systemd-tmpfiles", "--create", "paramedic.conf"]);
        machine.install(&[
            ("paramedic.service", SERVE),
            ("paramedic-helper.socket", SOCKET),
            ("paramedic-helper.service", HELPER),
            ("paramedic-contain.socket", CONTAIN_SOCKET),
            ("paramedic-contain.service", CONTAIN),
        ]);
        machine.run(&["systemctl", "start", "paramedic", "paramedic-helper.socket"]);
        let site = Self { machine };
        for name in ["mem", "mem-2"] {
            site.ready(name);
        }
        Some(site)
    }

    #[track_caller]
    pub(crate) fn ready(&self, name: &str) {
        let ready = within(DEADLINE, || {
            let said = self.paramedic(&["server", "status", name, "-o", "json"]).stdout;
            let status: ServerStatus = serde_json::from_str(&said).ok()?;
            (status.health == "healthy" && status.phase == "ready").then_some(())
        });
        assert!(ready.is_some(), "{}", self.log("paramedic"));
    }

    /// A command of the product, as somebody.
    pub(crate) fn run_as(&self, user: &str, words: &[&str]) -> Ran {
        let uid = format!("--reuid={user}");
        let gid = format!("--regid={}", self.machine.run(&["id", "-g", user]).trim());
        let who = [
            "setpriv",
            &uid,
            &gid,
            "--init-groups",
            "/usr/bin/paramedic",
            "--config=/etc/paramedic/paramedic.toml",
        ];
        let output = self.machine.try_run(&[&who, words].concat()).unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ran { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// As the user of `serve`.
    pub(crate) fn paramedic(&self, words: &[&str]) -> Ran {
        self.run_as("paramedic", words)
    }

    fn property(&self, unit: &str, name: &str) -> String {
        self.machine.run(&["systemctl", "show", "-P", name, unit]).trim().to_owned()
    }

    pub(crate) fn log(&self, unit: &str) -> String {
        self.machine.run(&["journalctl", "--no-pager", "-o", "cat", "-u", unit])
    }

    /// Sends bytes to the helper as a user of the machine; gives what came back. It is the kernel that says who it is.
    pub(crate) fn send(&self, user: &str, bytes: &[u8]) -> String {
        let ids = self.machine.run(&["sh", "-c", &format!("id -u {user}; id -g {user}")]);
        let ids: Vec<u32> = ids.lines().map(|line| line.parse().unwrap()).collect();
        let (bytes, run) = (bytes.to_vec(), self.machine.path("/run"));
        // Only this thread becomes the user.
        let talking = std::thread::spawn(move || {
            let flags = rustix::fs::OFlags::PATH.bits().cast_signed();
            let folder = fs::File::options().read(true).custom_flags(flags).open(run).unwrap();
            if ids[0] != 0 {
                set_thread_gid(rustix::process::Gid::from_raw(ids[1])).unwrap();
                let uid = rustix::process::Uid::from_raw(ids[0]);
                set_thread_res_uid(uid, uid, uid).unwrap();
            }
            let path = format!(
                "/proc/self/task/{}/fd/{}/paramedic-helper.sock",
                rustix::thread::gettid().as_raw_nonzero(),
                folder.as_raw_fd()
            );
            let mut stream = match UnixStream::connect(path) {
                Ok(stream) => stream,
                Err(error) => return format!("no connection: {:?}", error.kind()),
            };
            stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            // It may refuse before it has read all of it.
            let _ = stream.write_all(&bytes);
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer);
            answer
        });
        talking.join().unwrap()
    }

    #[track_caller]
    fn refused(&self, user: &str, bytes: &[u8], words: &str) {
        let text = self.send(user, bytes);
        let answer: Answer = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?}"));
        let Answer::Refused { reason, .. } = answer else { panic!("{answer:?}") };
        assert!(reason.contains(words), "{reason}");
    }
}

fn write(unit: &str, settings: Vec<Setting>) -> Request {
    Request::WriteDropIn { unit: unit.to_owned(), topic: Topic::Tuning, settings, over: None }
}

/// All drop-ins of ours on the machine, and the file of parameters.
fn written(machine: &Machine) -> Vec<PathBuf> {
    let find = "find /run/systemd /etc /usr/lib/systemd -name '*paramedic-*' -newer /etc/paramedic/helper.toml -type f; ls -d /etc/sysctl.d/60-paramedic.conf 2>/dev/null || :";
    machine
        .run(&["sh", "-c", find])
        .lines()
        .map(PathBuf::from)
        .filter(|path| path.extension().is_some_and(|end| end == "conf"))
        .collect()
}

#[test]
fn an_unprivileged_serve_tunes_a_unit_through_the_helper_and_takes_it_back() {
    let Some(site) = Site::new() else { return };
    let serve = site.property("paramedic", "MainPID");
    assert_eq!(site.machine.run(&["ps", "-o", "user=", "-p", &serve]).trim(), "paramedic");
    assert_eq!(site.property("paramedic-helper.service", "ActiveState"), "inactive", "nobody has asked yet");
    assert_eq!(site.property("mcp-server-mem", "MemoryMax"), "infinity");
    let other = site.property("mcp-server@mem-2", "MainPID");
    let run = site.property("mcp-server-mem", "InvocationID");

    let tune = ["server", "tune", "mem", "--memory-limit", "200MiB"];
    let done = site.paramedic(&tune);
    assert!(done.stderr.contains("it holds at once"), "{done:?}\n{}", site.log("paramedic-helper"));
    assert!(done.stdout.contains("+MemoryMax=209715200"), "{done:?}");
    assert_eq!(site.property("mcp-server-mem", "MemoryMax"), "209715200");
    assert_eq!(site.property("mcp-server-mem", "InvocationID"), run, "it runs on");
    assert_eq!(site.property("mcp-server@mem-2", "MemoryMax"), "infinity");
    let file = fs::metadata(site.machine.path(DROP_IN)).unwrap();
    assert_eq!((file.uid(), file.mode() & 0o7777), (0, 0o644));

    // The same again is nothing; what is there is shown; nonsense is refused.
    assert_eq!(site.paramedic(&tune).done(), "mem: nothing to do, it is tuned so already\n");
    assert!(site.paramedic(&["server", "tune", "mem"]).done().contains("MemoryMax=209715200"));
    let tune = |more: &[&str]| site.paramedic(&[&["server", "tune", "mem"], more].concat());
    tune(&["--memory-limit", "900TiB"]).failed(1, &["more than the machine has"]);
    tune(&["--memory-limit", "2MiB"]).failed(1, &["less than what is in use"]);
    tune(&["--heap", "64MiB"]).failed(1, &["only Node.js and Java"]);
    tune(&["--argument", "x"]).failed(4, &["`systemctl edit`"]);
    tune(&["--env", "LEVEL=debug"]).failed(4, &["the variable `LEVEL` is not on the list"]);
    tune(&["--env", "LD_PRELOAD=/x.so"]).failed(1, &["decides what the server runs"]);

    // More of it, with a restart by polkit; then back, one change after another.
    let more = tune(&["--open-files", "512", "--cpu-quota", "150", "--restart"]).done();
    assert!(more.contains("+LimitNOFILE=512") && more.contains("restart done"), "{more}");
    assert_eq!(site.property("mcp-server-mem", "LimitNOFILE"), "512");
    assert_eq!(site.property("mcp-server-mem", "CPUQuotaPerSecUSec"), "1.500000s");
    assert_eq!(site.property("mcp-server-mem", "MemoryMax"), "209715200");
    let back = tune(&["--undo"]);
    assert!(
        back.stdout.contains("-LimitNOFILE=512") && back.stderr.contains("from the next start on"),
        "{back:?}"
    );
    assert_ne!(site.property("mcp-server-mem", "LimitNOFILE"), "512");
    assert_eq!(site.property("mcp-server-mem", "MemoryMax"), "209715200");
    tune(&["--unset", "memory-limit"]).done();
    assert_eq!(site.property("mcp-server-mem", "MemoryMax"), "infinity");
    assert!(!site.machine.path(DROP_IN).exists());
    tune(&["--undo"]).done();
    assert_eq!(site.property("mcp-server-mem", "MemoryMax"), "209715200");

    edits_and_roots_hand(&site);
    assert_eq!(site.property("mcp-server@mem-2", "MainPID"), other, "the other one was not touched");

    // Every one is written down, here and there: who, what, and the difference.
    let journal: Vec<u8> = ["journal.db", "journal.db-wal"]
        .iter()
        .flat_map(|name| fs::read(site.machine.path("/var/lib/paramedic").join(name)).unwrap_or_default())
        .collect();
    let journal = String::from_utf8_lossy(&journal);
    assert!(journal.contains("MemoryMax=209715200") && journal.contains("server_tuning"), "in the journal");
    let log = site.log("paramedic-helper");
    let uid = site.machine.run(&["id", "-u", "paramedic"]);
    let line =
        log.lines().find(|line| line.contains("MemoryMax=209715200") && line.contains("done")).unwrap();
    assert!(line.contains(&format!("uid={}", uid.trim())), "{line}");
}

/// What somebody has edited, and root, who needs no helper.
fn edits_and_roots_hand(site: &Site) {
    let tune = |more: &[&str]| site.paramedic(&[&["server", "tune", "mem"], more].concat());
    // Somebody's edit is left alone, by the user of `serve` and by root.
    let edited = fs::read_to_string(site.machine.path(DROP_IN)).unwrap() + "Nice=5\n";
    site.machine.write(DROP_IN, &edited);
    for user in ["paramedic", "root"] {
        site.run_as(user, &["server", "tune", "mem", "--memory-limit", "300MiB"]).failed(4, &["was edited"]);
    }
    assert_eq!(fs::read_to_string(site.machine.path(DROP_IN)).unwrap(), edited);
    fs::remove_file(site.machine.path(DROP_IN)).unwrap();
    site.machine.run(&["systemctl", "daemon-reload"]);

    // Root needs no helper; without one nobody else gets anywhere.
    site.machine.run(&["systemctl", "stop", "paramedic-helper.socket", "paramedic-helper.service"]);
    tune(&["--memory-limit", "300MiB"])
        .failed(4, &["the helper is not installed", "paramedic-helper.socket"]);
    assert!(!site.machine.path(DROP_IN).exists());
    site.run_as("root", &["server", "tune", "mem", "--memory-limit", "300MiB"]).done();
    assert_eq!(site.property("mcp-server-mem", "MemoryMax"), "314572800");
    site.machine.run(&["systemctl", "start", "paramedic-helper.socket"]);
    tune(&["--undo"]).done();
    assert_eq!(site.property("mcp-server-mem", "MemoryMax"), "infinity");
}

#[test]
fn the_kernel_is_tuned_from_a_closed_list() {
    let Some(site) = Site::new() else { return };
    let tune = |more: &[&str]| site.paramedic(&[&["host", "tune"], more].concat());
    // The parameters of the network are those of the machine, and not of this one.
    let read = || site.machine.run(&["cat", "/proc/sys/net/core/somaxconn"]).trim().to_owned();
    let before = read();
    tune(&["net.core.somaxconn=1234"]).done();
    assert_eq!(read(), "1234");
    let kept = site.machine.path("/etc/sysctl.d/60-paramedic.conf");
    assert!(fs::read_to_string(&kept).unwrap().contains("net.core.somaxconn = 1234\n"));
    tune(&["net.core.somaxconn=1234"]).done();
    tune(&["net.core.somaxconn=7"]).failed(4, &["128 to 65535"]);
    tune(&["net.core.wmem_max=300000"]).failed(4, &["not on the list"]);
    tune(&["kernel.panic=1"]).failed(4, &["not on the list"]);
    assert_eq!(read(), "1234");
    // Two in one file: each is put back by itself.
    let list = LIST.replace("\"vm.swappiness\"]", "\"net.ipv4.tcp_fin_timeout\"]");
    site.machine.write("/etc/paramedic/helper.toml", &list);
    tune(&["net.ipv4.tcp_fin_timeout=33"]).done();
    tune(&["net.core.somaxconn", "--undo"]).done();
    let left = fs::read_to_string(&kept).unwrap();
    assert!(left.contains("tcp_fin_timeout = 33\n") && !left.contains("somaxconn"), "{left}");
    tune(&["net.ipv4.tcp_fin_timeout", "--undo"]).done();
    assert_eq!((read(), kept.exists()), (before, false));
}

#[test]
fn whoever_must_not_gets_a_reason_and_nothing_is_written() {
    let Some(site) = Site::new() else { return };
    let unit = "mcp-server-mem.service";
    let limit = || vec![Setting::MemoryMax(200 << 20)];
    let good = write(unit, limit()).to_line();
    let forged = |from: &str, to: &str| good.replace(from, to).into_bytes();

    // Somebody else does not even reach it; who is in its group by mistake is told.
    assert_eq!(site.send(STRANGER, good.as_bytes()), "no connection: PermissionDenied");
    site.machine.run(&["chmod", "0666", "/run/paramedic-helper.sock"]);
    site.refused(STRANGER, good.as_bytes(), "may ask for nothing here");
    site.machine.run(&["chmod", "0660", "/run/paramedic-helper.sock"]);

    // The user of `serve`, if it were somebody else's puppet.
    let who = "paramedic";
    for other in ["ssh.service", "paramedic.service", "dbus.service", "xmcp-server-mem.service"] {
        site.refused(who, write(other, limit()).to_line().as_bytes(), "is not on the list");
    }
    for (name, words) in [
        ("../../../etc/systemd/system/x.service", "is no name of a unit"),
        ("mcp-server-../../x.service", "is no name of a unit"),
        ("mcp-server-*.service", "is no name of a unit"),
        ("mcp-server-mem.socket", ".service"),
        ("mcp-server-mem.service/../x", "is no name of a unit"),
    ] {
        site.refused(who, write(name, limit()).to_line().as_bytes(), words);
    }
    site.refused(
        who,
        &forged("{\"memory_max\":209715200}", "{\"exec_start\":\"/bin/sh\"}"),
        "unknown variant `exec_start`",
    );
    site.refused(who, &forged("{\"memory_max\":209715200}", "\"User=root\""), "unknown variant");
    site.refused(who, &forged("209715200", "\"1G\\nUser=root\""), "invalid type");
    site.refused(who, &forged("\"tuning\"", "\"../x\""), "unknown variant");
    site.refused(who, &forged("\"over\"", "\"command\""), "unknown field `command`");
    site.refused(who, b"{\"verb\":\"run\",\"command\":[\"id\"]}\n", "unknown variant `run`");
    let variables = |name: &str, value: &str| {
        let pair = (name.to_owned(), value.to_owned());
        write(unit, vec![Setting::Environment([pair].into())]).to_line().into_bytes()
    };
    site.refused(who, &variables("LD_PRELOAD", "/tmp/x.so"), "not on the list");
    site.refused(who, &variables("NODE_OPTIONS", "--require=/tmp/x.js"), "size of a heap");
    // The shipped list names no such unit of a server that is not there.
    site.refused(who, write("mcp-server-gone.service", limit()).to_line().as_bytes(), "there is no unit");
    // The name of a server that somebody gave to something else does not help.
    let other = "[Service]\nExecStart=/bin/sleep 1000\n[Install]\nAlias=mcp-server-alias.service\n";
    site.machine.install(&[("other.service", other)]);
    site.machine.run(&["systemctl", "enable", "other.service"]);
    let alias = write("mcp-server-alias.service", limit());
    site.refused(who, alias.to_line().as_bytes(), "is another name of `other.service`");
    let over = Request::WriteDropIn {
        unit: unit.to_owned(),
        topic: Topic::Tuning,
        settings: limit(),
        over: Some(vec![Setting::PrivateTmp]),
    };
    site.refused(who, over.to_line().as_bytes(), "was changed since");

    long_and_broken(&site, &good);
    lists_that_are_none(&site, &good);

    // After all of that it still answers who may ask.
    let text = site.send(who, good.as_bytes());
    let answer: Answer = serde_json::from_str(&text).unwrap();
    assert_eq!(answer, Answer::Done { before: Before::DropIn(None) }, "{}", site.log("paramedic-helper"));
    assert_eq!(written(&site.machine), [Path::new(DROP_IN)]);
    assert_eq!(site.property("mcp-server-mem", "MemoryMax"), "209715200");
    let log = site.log("paramedic-helper");
    assert!(log.contains("refused") && log.contains("`ssh.service` is not on the list"), "{log}");

    // It is root without root's rights.
    let pid = site.property("paramedic-helper", "MainPID");
    let status = fs::read_to_string(site.machine.path(&format!("/proc/{pid}/status"))).unwrap();
    for line in ["CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(status.contains(line), "{line}: {status}");
    }
}

/// Too long, twice, no end, never an end.
fn long_and_broken(site: &Site, good: &str) {
    let who = "paramedic";
    let mut long = good.to_owned().into_bytes();
    long.splice(0..0, vec![b' '; 20_000]);
    site.refused(who, &long, "at most 16384 bytes");
    site.refused(who, &vec![b'x'; 4 << 20], "at most 16384 bytes");
    site.refused(who, format!("{good}{good}").as_bytes(), "nothing comes behind it");
    site.refused(who, good.trim_end().as_bytes(), "no whole request came within 2s");
    assert_eq!(written(&site.machine), [] as [&Path; 0]);
}

/// A list that somebody else could have written.
fn lists_that_are_none(site: &Site, good: &str) {
    let who = "paramedic";
    site.machine.run(&["chown", "paramedic", "/etc/paramedic/helper.toml"]);
    site.refused(who, good.as_bytes(), "is not root's alone");
    site.machine.run(&["chown", "root", "/etc/paramedic/helper.toml"]);
    site.machine.run(&["chmod", "0666", "/etc/paramedic/helper.toml"]);
    site.refused(who, good.as_bytes(), "is not root's alone");
    site.machine.run(&["chmod", "0644", "/etc/paramedic/helper.toml"]);
    assert_eq!(written(&site.machine), [] as [&Path; 0]);
}

#[test]
fn the_heap_of_a_node_server_in_a_unit() {
    let script = "node_modules/@modelcontextprotocol/server-everything/dist/index.js";
    let Some(script) = installed("PARAMEDIC_TEST_NPM", script) else { return };
    if script.starts_with("/tmp") {
        return println!("SKIPPED: a unit has a /tmp of its own, and {} is in ours", script.display());
    }
    let Some(site) = Site::new() else { return };
    let settings = format!("LISTEN=127.0.0.1:7801\nCOMMAND=node {} stdio\n", script.display());
    site.machine.write("/etc/paramedic/servers/mem.env", &settings);
    let own = "[Service]\nEnvironment=NODE_OPTIONS=--enable-source-maps\n";
    site.machine.write("/etc/systemd/system/mcp-server-mem.service.d/10-own.conf", own);
    site.machine.run(&["systemctl", "daemon-reload"]);
    site.machine.run(&["systemctl", "restart", "mcp-server-mem"]);
    site.ready("mem");
    let tune = |more: &[&str]| site.paramedic(&[&["server", "tune", "mem"], more].concat());
    // Of the process that is really node.
    let options = || {
        let script = "tr '\\0' '\\n' < /proc/$(pgrep -x -f '.*node .*index.js stdio' -u paramedic | tail -1)/environ | grep ^NODE_OPTIONS=";
        site.machine.run(&["sh", "-c", script])
    };
    assert_eq!(options(), "NODE_OPTIONS=--enable-source-maps\n");
    let done = tune(&["--heap", "384MiB", "--restart"]).done();
    assert!(done.contains("NODE_OPTIONS=--enable-source-maps --max-old-space-size=384"), "{done}");
    assert_eq!(options(), "NODE_OPTIONS=--enable-source-maps --max-old-space-size=384\n");
    assert_eq!(tune(&["--heap", "384MiB"]).done(), "mem: nothing to do, it is tuned so already\n");
    tune(&["--memory-limit", "200MiB"]).failed(1, &["above its memory limit"]);
    tune(&["--undo", "--restart"]).done();
    assert_eq!(options(), "NODE_OPTIONS=--enable-source-maps\n");

    // What is read later wins, and so does a file of the unit: then nothing is left of ours.
    let later = "[Service]\nEnvironment=NODE_OPTIONS=--trace-gc\nMemoryMax=2G\n";
    site.machine.write("/etc/systemd/system/mcp-server-mem.service.d/90-own.conf", later);
    site.machine.run(&["systemctl", "daemon-reload"]);
    tune(&["--heap", "384MiB"]).failed(4, &["no effect on Environment", "read later"]);
    tune(&["--memory-limit", "1GiB"]).failed(4, &["no effect on MemoryMax", "read later"]);
    assert!(!site.machine.path(DROP_IN).exists());
    site.machine.run(&["rm", "/etc/systemd/system/mcp-server-mem.service.d/90-own.conf"]);
    site.machine.run(&["systemctl", "daemon-reload"]);
    site.machine.write("/etc/paramedic/servers/mem.env", &format!("{settings}NODE_OPTIONS=--trace-gc\n"));
    site.machine.run(&["chmod", "0600", "/etc/paramedic/servers/mem.env"]);
    tune(&["--heap", "384MiB"]).failed(4, &["/etc/paramedic/servers/mem.env", "would win"]);
    assert!(!site.machine.path(DROP_IN).exists());
}

/// A step of a runbook is run by `serve`, in the sandbox of its unit, as its user.
#[test]
fn a_step_of_a_runbook_tunes_a_unit_and_is_taken_back() {
    let config = format!("runbooks = [\"/etc/paramedic/tune.md\"]\n{CONFIG}");
    let Some(site) = Site::of(&config) else { return };
    let open = ["incident", "open", "--server", "mem", "--procedure", "TooMuchMemory", "--reason", "much"];
    let id = site.paramedic(&open).done().trim().to_owned();
    let limit = || site.property("mcp-server-mem", "MemoryMax");
    let shown = || site.paramedic(&["incident", "show", &id]).stdout;
    let limited = within(DEADLINE, || (limit() == "314572800").then_some(()));
    assert!(limited.is_some(), "{}\n{}", shown(), site.log("paramedic-helper"));
    let noted = within(DEADLINE, || shown().contains("change c1: tuning of server `mem`").then_some(()));
    assert!(noted.is_some(), "{}", shown());
    let undone = site.paramedic(&["incident", "undo", &id, "c1"]).done();
    assert!(undone.contains("-MemoryMax=314572800"), "{undone}");
    assert_eq!((limit().as_str(), site.machine.path(DROP_IN).exists()), ("infinity", false));
    site.paramedic(&["incident", "undo", &id, "c1"]).failed(1, &["took it back already"]);
}

#[test]
fn uninstall_takes_back_what_the_helper_did_and_the_helper() {
    let Some(site) = Site::new() else { return };
    site.machine.run(&["systemctl", "enable", "paramedic-helper.socket"]);
    let before = site.machine.run(&["cat", "/proc/sys/net/core/somaxconn"]);
    site.paramedic(&["server", "tune", "mem", "--memory-limit", "200MiB"]).done();
    site.paramedic(&["host", "tune", "net.core.somaxconn=1234"]).done();
    site.machine.run(&["systemctl", "stop", "paramedic"]);
    let said = site.run_as("root", &["uninstall", "--yes"]);
    assert!(said.stderr.contains("are in the journal"), "{said:?}");
    assert_eq!(site.property("mcp-server-mem", "MemoryMax"), "infinity");
    assert_eq!(site.machine.run(&["cat", "/proc/sys/net/core/somaxconn"]), before);
    assert_eq!(site.property("paramedic-helper.socket", "LoadState"), "not-found");
    for gone in [
        DROP_IN,
        "/etc/sysctl.d/60-paramedic.conf",
        "/run/paramedic-helper.sock",
        "/etc/systemd/system/paramedic-helper.service",
        "/etc/systemd/system/sockets.target.wants/paramedic-helper.socket",
    ] {
        assert!(
            !site.machine.path(gone).exists() && !site.machine.path(gone).is_symlink(),
            "{gone}: {said:?}"
        );
    }
    // The journal is still that of the user of `serve`.
    site.machine.run(&["systemctl", "start", "paramedic"]);
    site.ready("mem");
    assert_eq!(site.paramedic(&["incident", "verify"]).code, Some(0));
}
