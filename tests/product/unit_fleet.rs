//! Tests `serve` under a real systemd with servers in units of the shipped form: one owner of restarts, exits at once, and
//! what a person does with `systemctl` respected.

use std::fs;
use std::process::{Child, Stdio};

use incident::Record;
use server::api::wire::{Detail, ServerStatus, Summary};

use crate::machine::{Machine, within};
use crate::poll::DEADLINE;
use crate::story::Story;
use crate::two_units::{CONFIG, install_servers};

const FILES: &str = include_str!("../../deploy/tmpfiles/paramedic.conf");
const RULES: &str = include_str!("../../deploy/polkit/50-paramedic.rules");
const SERVE: &str = include_str!("../../deploy/systemd/paramedic.service");

/// The program, the units of two servers, and the configuration.
fn install(machine: &Machine) {
    install_servers(machine);
    machine.write("/etc/paramedic/paramedic.toml", CONFIG);
}

/// A machine with two servers, whose names share a prefix, and `serve` over them.
struct Site {
    machine: Machine,
    /// Unless it lives in a unit.
    serve: Option<Child>,
}

impl Site {
    fn new() -> Option<Self> {
        Machine::boot().map(Self::over)
    }

    fn over(machine: Machine) -> Self {
        Self::with(machine, CONFIG)
    }

    fn with(machine: Machine, config: &str) -> Self {
        install(&machine);
        machine.write("/etc/paramedic/paramedic.toml", config);
        let log = fs::File::create(machine.path("/var/log/serve.log")).unwrap();
        let mut command = machine.command(&["/usr/bin/paramedic", "serve"]);
        let serve = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let site = Self { machine, serve: Some(serve) };
        for name in ["mem", "mem-2"] {
            site.until(name, |status| status.health == "healthy" && status.phase == "ready");
        }
        site
    }

    fn ask<T: serde::de::DeserializeOwned>(&self, words: &[&str]) -> Option<T> {
        let argv = [&["/usr/bin/paramedic"], words, &["-o", "json"]].concat();
        let output = self.machine.command(&argv).stderr(Stdio::null()).output().unwrap();
        serde_json::from_slice(&output.stdout).ok()
    }

    #[track_caller]
    fn until(&self, server: &str, is: impl Fn(&ServerStatus) -> bool) -> ServerStatus {
        let found = within(DEADLINE, || {
            self.ask::<ServerStatus>(&["server", "status", server]).filter(|status| is(status))
        });
        found.unwrap_or_else(|| {
            let now: Option<ServerStatus> = self.ask(&["server", "status", server]);
            panic!("{now:?}\n{}", self.log())
        })
    }

    fn log(&self) -> String {
        fs::read_to_string(self.machine.path("/var/log/serve.log")).unwrap_or_default()
    }

    fn incidents(&self) -> Vec<Summary> {
        self.ask(&["incident", "list", "--all"]).unwrap_or_default()
    }

    /// Waits until there are so many incidents and the newest is so.
    #[track_caller]
    fn story(&self, count: usize, is: impl Fn(&Story) -> bool) -> Story {
        let newest = || {
            let all = self.incidents();
            let newest = all.iter().max_by_key(|one| one.opened_ms).filter(|_| all.len() == count)?;
            let detail: Detail = self.ask(&["incident", "show", newest.id.as_str()])?;
            Some(Story::new(detail))
        };
        // A restart that systemd has done is looked at for as long as the runbook says, which is longer than others wait.
        let found = within(2 * DEADLINE, || newest().filter(|story| is(story)));
        found.unwrap_or_else(|| {
            let told = newest().map_or_else(|| "no such incident".to_owned(), |story| story.to_string());
            panic!("{told}\n{:?}\n{}", self.incidents(), self.log())
        })
    }

    fn property(&self, unit: &str, name: &str) -> String {
        self.machine.run(&["systemctl", "show", "-P", name, unit]).trim().to_owned()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(serve) = &mut self.serve {
            let _ = serve.kill();
            let _ = serve.wait();
        }
    }
}

fn restarts_by(story: &Story, who: &str) -> usize {
    story.count(|record| matches!(record, Record::Restarted { by, .. } if by == who))
}

#[test]
fn units_have_one_owner_of_their_restarts() {
    let Some(site) = Site::new() else { return };
    let other = site.property("mcp-server@mem-2", "MainPID");

    // The server is killed: its guard ends with it, systemd starts both again, and nobody does so a second time.
    site.machine.run(&[
        "pkill",
        "-KILL",
        "-o",
        "-f",
        "^/usr/bin/paramedic demo-server notes$",
        "-P",
        &lifeline(&site, "mem"),
    ]);
    let story = site.story(1, Story::is_reported);
    assert_eq!((restarts_by(&story, "systemd"), story.restarts()), (1, 1), "{story}");
    assert_eq!(site.property("mcp-server-mem", "NRestarts"), "1");
    let exit = story.alarm().exit.as_ref().unwrap();
    assert!(exit.stderr.iter().any(|line| line.contains("killed by SIGKILL")), "{exit:?}");
    assert_eq!(site.until("mem", |status| status.phase == "ready").restart_owner, "systemd");

    // A person's stop is no trouble, and stays. So is their start.
    site.machine.run(&["systemctl", "stop", "mcp-server-mem"]);
    let status = site.until("mem", |status| status.phase == "stopped");
    assert_eq!(status.stopped_by.as_deref(), Some("somebody with systemctl"));
    // The probes see that it does not answer, and nobody is called for it.
    site.until("mem", |status| status.health != "healthy");
    assert_eq!(site.incidents().len(), 1, "a stop is no incident");
    site.machine.run(&["systemctl", "start", "mcp-server-mem"]);
    site.until("mem", |status| status.phase == "ready" && status.health == "healthy");

    // Orders go to systemd, by the exact name.
    let before = site.property("mcp-server-mem", "InvocationID");
    let done = site.machine.run(&["/usr/bin/paramedic", "server", "restart", "mem"]);
    assert!(done.contains("restart done"), "{done}");
    assert_ne!(site.property("mcp-server-mem", "InvocationID"), before);
    assert_eq!(site.property("mcp-server@mem-2", "MainPID"), other, "the other one was not touched");

    // It cannot be started any more: systemd gives up, and that is an incident for a person. Either its own restarts have
    // used up the budget by then, for the count is one count, or what was tried did not help.
    site.until("mem", |status| status.health == "healthy");
    site.machine.write("/etc/paramedic/servers/mem.env", "LISTEN=127.0.0.1:7801\nCOMMAND=/bin/false\n");
    site.machine.run(&["systemctl", "kill", "--kill-whom=main", "--signal=KILL", "mcp-server-mem"]);
    let asks = |record: &Record| matches!(record, Record::ApprovalAsked { reason, .. } if reason.contains("restarts_per_hour"));
    let gave_up = |record: &Record| matches!(record, Record::SeenAgain { alarm } if alarm.summary.contains("systemd has given up"));
    site.story(2, |story| story.has(gave_up) && (story.has(asks) || story.person_needed().is_some()));
    assert_eq!(site.property("mcp-server-mem", "ActiveState"), "failed");
    assert_eq!(site.property("mcp-server@mem-2", "MainPID"), other);
}

/// A package manager with a cold cache, which works for six seconds.
const COLD_NPX: &str =
    "#!/bin/bash\n/opt/cold/npm install \"$@\" </dev/null && exec /usr/bin/paramedic demo-server notes\n";
const COLD_NPM: &str = "#!/bin/bash\nend=$((SECONDS+6)); while ((SECONDS < end)); do head -c 20000 /dev/zero >/tmp/x; sleep 0.1; done\n";

/// A unit without a log of a guard speaks to the journal, and that is had by the API.
#[test]
fn what_a_unit_says_is_read_from_the_journal_from_afar() {
    let Some(site) = Site::new() else { return };
    let machine = &site.machine;
    machine.run(&["sh", "-c", "umask 077; paramedic token create vic > /root/vic.token"]);
    let logs = |more: &str| {
        let command = "paramedic logs --server mem -o jsonl --server-url http://127.0.0.1:7477 --token-file /root/vic.token";
        machine.run(&["sh", "-c", &format!("{command} {more}")])
    };
    assert!(logs("").contains("ready after"), "its guard keeps a log: {}", logs(""));
    fs::remove_file(machine.path("/var/log/mcp-servers/mem.log")).unwrap();
    machine.run(&["systemctl", "kill", "--kill-whom=main", "--signal=KILL", "mcp-server-mem"]);
    fs::remove_file(machine.path("/var/log/mcp-servers/mem.log")).ok();
    let found = within(DEADLINE, || {
        // Whoever starts it again may keep a log anew: what was said before stands in the journal alone.
        fs::remove_file(machine.path("/var/log/mcp-servers/mem.log")).ok();
        Some(logs("--search status=9/KILL")).filter(|found| found.contains("mcp-server-mem.service"))
    });
    let found = found.unwrap_or_else(|| panic!("{}", logs("")));
    let first: serde_json::Value = serde_json::from_str(found.lines().next().unwrap()).unwrap();
    assert_eq!((first["server"].as_str(), first["event"].as_str()), (Some("mem"), Some("system")), "{found}");
    assert!(!found.contains("mem-2"), "{found}");
}

#[test]
fn a_server_that_is_being_installed_in_its_unit_is_not_down() {
    let Some(machine) = Machine::boot() else { return };
    machine.write("/opt/cold/npx", COLD_NPX);
    machine.write("/opt/cold/npm", COLD_NPM);
    // Four seconds without an answer would be an incident; it takes six.
    let site = Site::with(machine, &CONFIG.replace("for = \"10s\"", "for = \"4s\""));
    let settings = "LISTEN=127.0.0.1:7801\nCOMMAND=/opt/cold/npx -y notes\n";
    site.machine.write("/etc/paramedic/servers/mem.env", settings);
    site.machine.run(&["systemctl", "restart", "mcp-server-mem"]);
    let status = site.until("mem", |status| status.phase == "installing");
    assert_eq!(
        site.property("mcp-server-mem", "ActiveState"),
        "active",
        "systemd knows no better: {status:?}"
    );
    site.until("mem", |status| status.reason.contains("is being installed: `npm install` has worked for"));
    let status = site.until("mem", |status| status.phase == "ready" && status.health == "healthy");
    let incidents = site.incidents();
    assert!(incidents.is_empty(), "{incidents:?}\n{status:?}\n{}", site.log());
}

/// A client that has a server keep more than it may: its session first, and then a megabyte with every call, until nobody
/// answers any more.
const EATS: &str = r#"
url=http://127.0.0.1:7801/mcp
ask() { curl -sS -m 30 -H 'Accept: application/json, text/event-stream' -H 'Content-Type: application/json' "$@" "$url"; }
hello='{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}'
session=$(ask -D - -o /dev/null -d "$hello" | tr -d '\r' | sed -n 's/^mcp-session-id: //ip')
{ printf '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add_note","arguments":{"text":"'
  head -c 1000000 /dev/zero | tr '\0' x; printf '"}}}'; } >/tmp/note
for _ in $(seq 200); do
    answer=$(ask -H "Mcp-Session-Id: $session" -d @/tmp/note 2>&1) || { echo "curl ended with $?: $answer"; exit 0; }
    case $answer in *'"result"'*) ;; *) echo "$answer"; exit 0 ;; esac
done
exit 1
"#;

#[test]
fn the_kernel_kills_a_server_at_the_limit_of_its_unit() {
    let Some(machine) = Machine::boot() else { return };
    if !machine.path("/usr/bin/curl").exists() {
        println!("SKIPPED: curl is not installed");
        return;
    }
    machine.write("/etc/systemd/system/mcp-server-mem.service.d/limit.conf", "[Service]\nMemoryMax=64M\n");
    let site = Site::over(machine);
    let [guard, other] = ["mcp-server-mem", "mcp-server@mem-2"].map(|unit| site.property(unit, "MainPID"));
    let server = site.machine.run(&["pgrep", "-P", &lifeline(&site, "mem")]).trim().to_owned();
    let score =
        |pid: &str| site.machine.run(&["cat", &format!("/proc/{pid}/oom_score_adj")]).trim().to_owned();
    let is_shielded = score(&guard) == "-1000";
    assert_eq!(score(&server), "0");
    let told = site.machine.run(&["bash", "-c", EATS]);
    if !is_shielded && told.contains("Empty reply") {
        println!(
            "SKIPPED: nobody may be shielded here (CAP_SYS_RESOURCE), and the kernel has killed the guard too"
        );
        return;
    }
    assert!(told.contains("the kernel had no memory left for it"), "whoever waited is told: {told}");

    // Once: the guard has said it, and ended with its server; systemd has started both again.
    let story = site.story(1, Story::is_reported);
    let exit = story.alarm().exit.as_ref().unwrap();
    let limit = process::control::OutOfMemory { limit_bytes: Some(64 << 20), kills: 1 };
    assert_eq!(exit.out_of_memory, Some(limit), "{exit:?}");
    assert_eq!(exit.reason, "killed by SIGKILL: the kernel had no memory left for it (its limit is 64 MiB)");
    assert_eq!(exit.pid.unwrap().to_string(), server, "the server, and not its guard");
    assert_eq!((restarts_by(&story, "systemd"), story.restarts()), (1, 1), "{story}");
    assert_eq!(site.property("mcp-server-mem", "NRestarts"), "1");
    assert_ne!(site.property("mcp-server-mem", "MainPID"), guard);
    let named = |record: &Record| matches!(record, Record::CauseNamed { cause: Some(cause), .. } if cause == "out_of_memory");
    assert!(story.has(named), "{story}");
    assert!(story.has(|record| matches!(record, Record::Verified { .. })), "{story}");
    site.until("mem", |status| {
        status.phase == "ready" && status.health == "healthy" && status.starts == Some(2)
    });
    assert_eq!(site.property("mcp-server@mem-2", "MainPID"), other);

    let report = site.machine.run(&["/usr/bin/paramedic", "incident", "report", story.id()]);
    let killed = format!(
        "(process {server}) was killed by SIGKILL: the kernel had no memory left for it (its limit is 64 MiB)"
    );
    for words in
        [killed.as_str(), "It was restarted once", "Recovery was verified", "the cause is out_of_memory"]
    {
        assert!(report.contains(words), "`{words}` is missing in\n{report}");
    }
}

/// The lifeline of a server, which is the parent of the server.
fn lifeline(site: &Site, server: &str) -> String {
    let guard = site.property(&format!("mcp-server-{server}"), "MainPID");
    site.machine.run(&["pgrep", "-P", &guard]).trim().to_owned()
}

/// The shipped unit of `serve`: an ordinary user, ready when it serves, alive or started again, and orders by polkit.
#[test]
fn serve_lives_in_its_shipped_unit() {
    let Some(machine) = Machine::boot() else { return };
    if !machine.path("/usr/lib/polkit-1/polkitd").exists() {
        println!("SKIPPED: polkit is not installed");
        return;
    }
    install(&machine);
    machine.write("/etc/polkit-1/rules.d/50-paramedic.rules", RULES);
    machine.write("/etc/tmpfiles.d/paramedic.conf", FILES);
    machine.run(&["systemd-tmpfiles", "--create", "paramedic.conf"]);
    // Half a minute is too long for a test.
    machine.write("/etc/systemd/system/paramedic.service.d/test.conf", "[Service]\nWatchdogSec=2s\n");
    machine.install(&[("paramedic.service", SERVE)]);
    machine.run(&["systemctl", "start", "polkit", "paramedic"]);
    let site = Site { machine, serve: None };
    site.until("mem", |status| status.phase == "ready" && status.health == "healthy");
    let serve = site.property("paramedic", "MainPID");
    assert_eq!(site.machine.run(&["ps", "-o", "user=", "-p", &serve]).trim(), "paramedic");

    let before = site.property("mcp-server-mem", "InvocationID");
    site.machine.run(&["/usr/bin/paramedic", "server", "restart", "mem"]);
    assert_ne!(site.property("mcp-server-mem", "InvocationID"), before);

    // It hangs: systemd ends it, and the next one goes on.
    site.machine.run(&["kill", "-STOP", &serve]);
    let again = within(DEADLINE, || {
        Some(site.property("paramedic", "MainPID")).filter(|pid| *pid != serve && pid != "0")
    });
    assert!(again.is_some(), "{}", site.machine.run(&["systemctl", "status", "paramedic"]));
    assert_eq!(site.property("paramedic", "NRestarts"), "1");
    site.until("mem", |status| status.phase == "ready" && status.health == "healthy");
    site.machine.run(&["systemctl", "stop", "paramedic"]);
    assert_eq!(site.property("paramedic", "Result"), "success");
    assert_eq!(site.property("mcp-server-mem", "ActiveState"), "active", "servers outlive serve");
}

/// Anybody may write a line that says it comes from `sshd`: it counts who the kernel says has written it.
#[test]
fn sign_ins_are_believed_only_where_root_has_written_them() {
    let Some(site) = Site::new() else { return };
    let learned = site.machine.run(&["/usr/bin/paramedic", "security", "baseline", "mem"]);
    assert!(learned.contains("programs"), "{learned}");
    let line = |n: u8| format!("Accepted password for eve from 203.0.113.{n} port 1 ssh2");
    site.machine.run(&["runuser", "-u", "nobody", "--", "logger", "-t", "sshd", &line(1)]);
    site.machine.run(&["logger", "-t", "sshd", "-p", "auth.info", &line(2)]);
    let signs = within(DEADLINE, || {
        let signs: serde_json::Value = site.ask(&["security", "check", "mem"])?;
        signs.to_string().contains("203.0.113.2").then_some(signs)
    });
    let signs = signs.expect("who came in is seen").to_string();
    assert!(signs.contains("new_source") && !signs.contains("203.0.113.1"), "{signs}");
}
