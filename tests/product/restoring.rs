//! Tests the runbook for data corruption from the damage to the last step, with servers that nobody here wrote; and that
//! writes that were allowed by steps are taken back at the first bad sign.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use incident::Record;
use serde_json::{Value, json};

use crate::client::ask;
use crate::faults::Postgres;
use crate::poll::eventually;
use crate::real::installed;
use crate::site::{Server, Setup, Site};
use crate::story::{Story, is_success};

const BOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../runbooks/data-corruption.md");

/// The row that is known of the data.
const KNOWN: &str = "name 777";

/// A table of some dozen pages.
const ROWS: &str = "INSERT INTO people WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 3000) SELECT id, 'name ' || id FROM n";

/// Writes the shipped runbook with watches that a test can wait for.
fn write_book(site: &Site) {
    let mut text = fs::read_to_string(BOOK).unwrap();
    for (before, after) in [
        ("until=\"5m\" every=30s", "until=\"1s\" every=1s"),
        ("until=\"10m\" every=2m", "until=\"1s\" every=1s"),
        ("--hold 60s", "--hold 500ms"),
        // The rest of it is tested elsewhere, and takes a while.
        ("evidence collect \"$SERVER_NAME\"", "evidence collect \"$SERVER_NAME\" --depth t0"),
    ] {
        assert_eq!(text.matches(before).count(), 1, "{before}");
        text = text.replace(before, after);
    }
    fs::write(site.path("book.md"), text).unwrap();
}

/// All files below a folder with their content.
fn all(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(one) = open.pop() {
        for entry in fs::read_dir(&one).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                open.push(entry);
            } else {
                found.insert(entry.strip_prefix(folder).unwrap().to_owned(), fs::read(&entry).unwrap());
            }
        }
    }
    found
}

/// Writes over a part of a file, as a disk or a program gone wrong would.
fn overwrite(file: &Path, at: u64, bytes: &[u8]) {
    let mut file = fs::File::options().write(true).open(file).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(bytes).unwrap();
}

/// The backups, newest first.
fn backups(site: &Site, server: &str, more: &[&str]) -> Vec<String> {
    let ran = site.run(&[&["backup", "list", server, "-o", "json"], more].concat());
    // Nothing is known of any damage yet.
    let list: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| json!([]));
    list.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

/// Cuts the archive of a backup in half.
fn cut(site: &Site, server: &str, id: &str) {
    let archive = site.path(&format!("data/backup/{server}/{id}.tar.zst"));
    let file = fs::File::options().write(true).open(archive).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
}

/// The unit of this statement that was begun.
fn begun(story: &Story, words: &str) -> Option<String> {
    story.timeline().iter().find_map(|happened| match &happened.record {
        Record::Intent { unit, statement, .. } if statement.contains(words) => Some(unit.unit.clone()),
        _ => None,
    })
}

/// Whether a statement was carried out, and did what it was to do.
fn is_done(story: &Story, words: &str) -> bool {
    begun(story, words).is_some_and(|unit| story.has(|record| is_success(record, &unit)))
}

/// Says yes to each of the questions, one after the other, and waits for the end.
#[track_caller]
fn carry_out(site: &Site, server: &str) -> Story {
    for words in ["server stop", "backup restore", "server writes"] {
        let asked = |story: &Story| {
            story.timeline().iter().find_map(|happened| match &happened.record {
                Record::ApprovalAsked { unit, statement, .. } if statement.contains(words) => {
                    Some(unit.unit.clone())
                }
                _ => None,
            })
        };
        let story = site.incident(server, &format!("asks for {words}"), |story| asked(story).is_some());
        site.approve(story.id(), &asked(&story).unwrap()).done();
    }
    site.incident(server, "carried out to its end", |story| is_done(story, "incident report"))
}

/// Two servers that nobody here wrote, and their data.
struct Fleet {
    site: Site,
    /// What the data are in.
    folder: tempfile::TempDir,
    base: PathBuf,
    docs: PathBuf,
}

// === impl Fleet ===

impl Fleet {
    fn start() -> Option<Self> {
        let sqlite = installed("PARAMEDIC_TEST_VENV_BEFORE_2", "bin/mcp-server-sqlite")?;
        let script = "node_modules/@modelcontextprotocol/server-filesystem/dist/index.js";
        let script = installed("PARAMEDIC_TEST_NPM", script)?;
        let folder = tempfile::tempdir().unwrap();
        let (base, docs) = (folder.path().join("base"), folder.path().join("docs"));
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let data = |immutable: bool, path: &Path, settings: &str| {
            format!(
                "guard_settings = {settings:?}\n[[server.data]]\npath = {path:?}\nimmutable = {immutable}"
            )
        };
        let servers = [
            Server::new("people", &[&text(&sqlite), "--db-path", &text(&base.join("people.db"))])
                .with(&data(false, &base, "people.toml")),
            Server::new("docs", &["node", &text(&script), &text(&docs)]).with(&data(
                true,
                &docs,
                "docs.toml",
            )),
        ];
        let site = Site::of(&Setup {
            keys: "runbooks = [\"book.md\"]",
            tables: "[integrity]\nquick = \"500ms\"\n[policy]\nmode = \"auto\"",
            servers: &servers,
            verify_seconds: 0,
        });
        write_book(&site);
        let mut fleet = Self { site, folder, base, docs };
        fleet.fill();
        fleet.site.serve_until_ready(&["people", "docs"]);
        let table = json!({ "query": "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT)" });
        ask(&fleet.site.endpoint("people"), "create_table", &table).unwrap();
        fleet.write(ROWS);
        Some(fleet)
    }

    /// Writes the settings of the guards, and the files.
    fn fill(&self) {
        let settings = |tool: &str, arguments: String, expect: &str| {
            format!(
                "reads = [{tool:?}]\n[test_read]\ntool = {tool:?}\narguments = {arguments}\nexpect = {expect:?}\n"
            )
        };
        let query = format!("SELECT name FROM people WHERE name = '{KNOWN}'");
        let people = settings("read_query", format!("{{ query = {query:?} }}"), KNOWN);
        fs::write(self.site.path("people.toml"), people).unwrap();
        let known = self.docs.join("known.txt");
        let docs = settings("read_text_file", format!("{{ path = {known:?} }}"), "as it was");
        fs::write(self.site.path("docs.toml"), docs).unwrap();
        fs::create_dir_all(&self.base).unwrap();
        fs::create_dir_all(self.docs.join("below")).unwrap();
        for n in 0..40 {
            let file = self.docs.join(format!("below/{n}.json"));
            fs::write(file, format!("[{n}, {:?}]", "x".repeat(500))).unwrap();
        }
        fs::write(&known, "as it was\n").unwrap();
    }

    fn write(&self, query: &str) {
        ask(&self.site.endpoint("people"), "write_query", &json!({ "query": query })).unwrap();
    }

    /// A page of zeros in the middle of the table; a bit that is another, and a file cut short.
    fn damage(&self) {
        overwrite(&self.base.join("people.db"), 10 * 4096, &[0; 4096]);
        overwrite(&self.docs.join("known.txt"), 3, b"\x49");
        let file = fs::File::options().write(true).open(self.docs.join("below/7.json")).unwrap();
        file.set_len(100).unwrap();
    }

    /// Two more backups of a server: of what is damaged, and one that is half of one. The one before is the one to take.
    fn more_backups(&self, server: &str) {
        let site = &self.site;
        let [first] = backups(site, server, &["--verified"]).try_into().unwrap();
        site.run(&["backup", "create", server]);
        site.run(&["backup", "create", server]);
        let all = backups(site, server, &[]);
        assert_eq!((all.len(), &all[2]), (3, &first));
        cut(site, server, &all[0]);
        let chosen = eventually("the damage is found", || {
            let chosen = backups(site, server, &["--verified", "--before-damage"]);
            (!chosen.is_empty()).then_some(chosen)
        });
        assert_eq!(chosen, [first]);
    }

    /// What was there before a restore.
    fn kept(&self, root: &Path) -> Vec<BTreeMap<PathBuf, Vec<u8>>> {
        let begin = format!("{}.before-", root.file_name().unwrap().to_string_lossy());
        let found = fs::read_dir(self.folder.path()).unwrap().map(|one| one.unwrap().path());
        let is_kept = |one: &PathBuf| one.file_name().unwrap().to_string_lossy().starts_with(&begin);
        found.filter(is_kept).map(|one| all(&one)).collect()
    }
}

#[test]
fn a_damaged_database_and_damaged_files_come_back_by_the_runbook() {
    let Some(fleet) = Fleet::start() else { return };
    let site = &fleet.site;
    site.run(&["server", "test-read", "people"]).done();
    site.run(&["integrity", "baseline", "docs"]).done();
    for server in ["people", "docs"] {
        site.run(&["backup", "create", server]).done();
        site.run(&["integrity", "check", server]).done();
    }
    let good = (all(&fleet.base), all(&fleet.docs));
    fleet.damage();
    let damaged = (all(&fleet.base), all(&fleet.docs));
    fleet.more_backups("people");
    fleet.more_backups("docs");
    // What is damaged, and what goes with it: the table, its rows, and what came after the backup.
    let scope = site.run(&["integrity", "scope", "people"]);
    assert_eq!(scope.code, Some(1), "{scope:?}");
    for words in
        ["broken people.db", "table people: rows ", "cannot be read", "since:  between", "lost by it:"]
    {
        assert!(scope.stdout.contains(words), "`{words}` is missing: {scope:?}");
    }

    let trees = [("people", &fleet.base, good.0, damaged.0), ("docs", &fleet.docs, good.1, damaged.1)];
    for (server, root, good, damaged) in trees {
        let story = carry_out(site, server);
        let alert = story.alarm().alert.as_ref().map(|alert| alert.name.as_str());
        assert_eq!(alert, Some("MCPDataIntegrityFailed"), "{story}");
        for words in ["integrity check", "server start", "server test-read", "server writes", "backup create"]
        {
            assert!(is_done(&story, words), "{words}: {story}");
        }
        assert_eq!(all(root), good, "{server}: {story}");
        assert_eq!(fleet.kept(root), [damaged], "{server}");
        assert_eq!(site.status(server).restriction, None);
        // The blanks of the original's recovery report.
        let report = site.run(&["incident", "report", story.id()]).done();
        for words in [
            "## Data recovery",
            "damaged between",
            "Backup used",
            "Data loss",
            "Recovery time",
            "after it was detected",
        ] {
            assert!(report.contains(words), "`{words}` is missing: {report}");
        }
    }
    // Clients write again, and what they write lasts.
    fleet.write("INSERT INTO people VALUES (5000, 'new')");
    let count =
        ask(&site.endpoint("people"), "read_query", &json!({ "query": "SELECT count(*) AS n FROM people" }));
    assert!(count.as_ref().is_ok_and(|answer| answer.contains("3001")), "{count:?}");
}

#[test]
fn writes_by_steps_are_taken_back_at_the_first_bad_sign() {
    let server = Server::notes("notes").with("[[server.data]]\npath = \"files\"");
    let mut site =
        Site::of(&Setup { tables: "[policy]\nmode = \"observe\"", servers: &[server], ..Setup::default() });
    fs::create_dir(site.path("files")).unwrap();
    let file = site.path("files/one.json");
    fs::write(&file, "[1]").unwrap();
    site.serve_until_ready(&["notes"]);
    let restriction = || site.status("notes").restriction.unwrap_or_default();
    let steps =
        |hold: &str| site.command(&["server", "writes", "notes", "--steps", "20,100", "--hold", hold]);

    site.run(&["server", "readonly", "notes"]).done();
    let mut going = steps("10m").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    eventually("a part may write", || restriction().contains("20 %").then_some(()));
    fs::write(&file, "[1").unwrap();
    eventually("it is over", || going.try_wait().unwrap());
    let said = std::io::read_to_string(going.stderr.take().unwrap()).unwrap();
    assert!(
        said.contains("at 20 % of the sessions")
            && said.contains("broken one.json")
            && said.contains("read-only again"),
        "{said}"
    );
    assert!(restriction().contains("read-only"), "{}", restriction());

    // Nothing is allowed at all as long as it is so; and who ends it takes it back.
    let ran = crate::site::run(steps("10ms"));
    ran.failed(1, &["nothing was allowed", "one.json"]);
    fs::write(&file, "[1]").unwrap();
    site.run(&["integrity", "check", "notes", "--deep"]).done();
    let mut going = steps("10m").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    eventually("a part may write", || restriction().contains("20 %").then_some(()));
    crate::processes::signal(i32::try_from(going.id()).unwrap(), process::Signal::TERM);
    assert_eq!(eventually("it is over", || going.try_wait().unwrap()).code(), Some(1));
    assert!(restriction().contains("read-only"), "{}", restriction());
    let said = crate::site::run(steps("10ms")).done();
    assert!(said.contains("all well at 20 %") && said.contains("all well at 100 %"), "{said}");
    assert_eq!(restriction(), "");
}

/// What a question to a database is answered with.
fn psql(postgres: &Postgres, database: &str, sql: &str) -> String {
    let mut command = Command::new(postgres.bin.join("psql"));
    command.args([
        "-X",
        "-A",
        "-t",
        "-q",
        "-h",
        "127.0.0.1",
        "-p",
        &postgres.port.to_string(),
        "-U",
        "postgres",
    ]);
    let output = command.args(["-d", database, "-c", sql]).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{sql}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_database_of_postgresql_is_checked_backed_up_and_put_back() {
    let Some(postgres) = Postgres::start(20, "", "") else { return };
    psql(&postgres, "postgres", "CREATE DATABASE notes");
    psql(
        &postgres,
        "notes",
        "CREATE TABLE people AS SELECT id, 'name ' || id AS name FROM generate_series(1, 3000) AS id",
    );
    psql(&postgres, "notes", "CREATE TABLE small (a int)");
    let (address, bin) = (format!("postgresql://postgres@127.0.0.1:{}/notes", postgres.port), &postgres.bin);
    let server = Server::notes("notes")
        .with(&format!("[[server.database]]\npostgres = {address:?}\nprograms = {bin:?}"));
    let site = Site::of(&Setup { servers: &[server], ..Setup::default() });
    let checked = site.run(&["integrity", "check", "notes", "--deep"]).done();
    assert!(checked.contains("whole"), "{checked}");
    let made = site.run(&["backup", "create", "notes"]).done();
    assert!(made.contains("good at"), "{made}");
    site.run(&["integrity", "check", "notes", "--deep"]).done();
    let names =
        || psql(&postgres, "postgres", "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database");
    assert_eq!(names(), "notes postgres template0 template1", "nothing of the proof stays");

    // A page that is none any more, below a database that does not run.
    let file = psql(&postgres, "notes", "CHECKPOINT; SELECT pg_relation_filepath('people')");
    psql(&postgres, "notes", "INSERT INTO people VALUES (5000, 'later')");
    postgres.run("pg_ctl", &["-w", "-s", "-m", "fast", "stop"]);
    overwrite(&postgres.folder.path().join("data").join(file), 8192, &[0xff; 8192]);
    let options =
        format!("-p {} -k {} -c listen_addresses=127.0.0.1", postgres.port, postgres.folder.path().display());
    postgres.run("pg_ctl", &["-w", "-s", "-l", "/dev/null", "-o", &options, "start"]);
    let ran = site.run(&["integrity", "check", "notes", "--deep"]);
    assert!(
        ran.code == Some(1) && ran.stdout.contains("public.people") && ran.stdout.contains("XX001"),
        "{ran:?}"
    );
    site.run(&["backup", "create", "notes"]).failed(1, &["pg_dump", "notes"]);

    let mut session = Command::new(bin.join("psql"));
    session
        .args(["-X", "-d", &address, "-c", "SELECT pg_sleep(600)"])
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let mut session = session.stderr(Stdio::null()).spawn().unwrap();
    let connected = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'notes' AND state = 'active'";
    eventually("somebody is connected", || (psql(&postgres, "postgres", connected) == "1").then_some(()));
    let restore = ["backup", "restore", "notes", "--latest", "--before-damage"];
    site.run(&restore).failed(1, &["is connected", "nothing was put back"]);
    session.kill().unwrap();
    session.wait().unwrap();
    psql(
        &postgres,
        "postgres",
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = 'notes'",
    );

    let told = site.run(&restore).done();
    assert!(told.contains("notes_before_"), "{told}");
    assert_eq!(psql(&postgres, "notes", "SELECT count(*), max(id) FROM people"), "3000|3000");
    assert!(names().starts_with("notes notes_before_"), "{}", names());
    site.run(&["integrity", "check", "notes", "--deep"]).done();
    // With its extension, the indexes are compared with their tables as well.
    psql(&postgres, "notes", "CREATE EXTENSION amcheck");
    site.run(&["integrity", "check", "notes", "--deep"]).done();
    let kept =
        psql(&postgres, "postgres", "SELECT datname FROM pg_database WHERE datname LIKE 'notes_before%'");
    assert_eq!(psql(&postgres, &kept, "SELECT count(*) FROM small"), "0");
}

#[test]
fn a_damaged_database_of_postgresql_comes_back_by_the_runbook() {
    let Some(postgres) = Postgres::start(20, "", "") else { return };
    psql(&postgres, "postgres", "CREATE DATABASE notes");
    let filled =
        "CREATE TABLE people AS SELECT id, 'name ' || id AS name FROM generate_series(1, 3000) AS id";
    psql(&postgres, "notes", filled);
    let (address, bin) = (format!("postgresql://postgres@127.0.0.1:{}/notes", postgres.port), &postgres.bin);
    let keys = format!(
        "guard_settings = \"notes.toml\"\n[[server.database]]\npostgres = {address:?}\nprograms = {bin:?}\ntables = [\"public.people\"]"
    );
    let mut site = Site::of(&Setup {
        keys: "runbooks = [\"book.md\"]",
        tables: "[integrity]\nquick = \"500ms\"\n[policy]\nmode = \"auto\"",
        servers: &[Server::notes("notes").with(&keys)],
        verify_seconds: 0,
    });
    write_book(&site);
    let settings = "reads = [\"list_notes\"]\n[test_read]\ntool = \"list_notes\"\narguments = {}\n";
    fs::write(site.path("notes.toml"), settings).unwrap();
    site.run(&["backup", "create", "notes"]).done();
    let [good] = backups(&site, "notes", &["--verified"]).try_into().unwrap();
    site.run(&["integrity", "check", "notes", "--deep"]).done();
    // Somebody works with it, and then a page of it is lost.
    psql(&postgres, "notes", "INSERT INTO people VALUES (5000, 'later')");
    let file = psql(&postgres, "notes", "CHECKPOINT; SELECT pg_relation_filepath('people')");
    postgres.run("pg_ctl", &["-w", "-s", "-m", "fast", "stop"]);
    overwrite(&postgres.folder.path().join("data").join(file), 8192, &[0xff; 8192]);
    let options =
        format!("-p {} -k {} -c listen_addresses=127.0.0.1", postgres.port, postgres.folder.path().display());
    postgres.run("pg_ctl", &["-w", "-s", "-l", "/dev/null", "-o", &options, "start"]);
    assert_eq!(site.run(&["integrity", "check", "notes", "--deep"]).code, Some(1));
    let scope = site.run(&["integrity", "scope", "notes"]);
    for words in ["public.people", "XX001", &good, "1 row(s) of table public.people", "the backup has 3000"] {
        assert!(scope.stdout.contains(words), "`{words}` is missing: {scope:?}");
    }
    let databases = "SELECT count(*) FROM pg_database WHERE datname LIKE 'notes_restore%'";
    assert_eq!(psql(&postgres, "postgres", databases), "0", "what was compared with is gone again");

    site.serve_until_ready(&["notes"]);
    let story = carry_out(&site, "notes");
    for words in ["integrity check", "server start", "server writes", "backup create"] {
        assert!(is_done(&story, words), "{words}: {story}");
    }
    assert_eq!(psql(&postgres, "notes", "SELECT count(*), max(id) FROM people"), "3000|3000");
    let report = site.run(&["incident", "report", story.id()]).done();
    for words in ["## Data recovery", "damaged between", &good, "1 row(s) of table public.people"] {
        assert!(report.contains(words), "`{words}` is missing: {report}");
    }
    let kept = "SELECT datname FROM pg_database WHERE datname LIKE 'notes_before%'";
    assert!(psql(&postgres, "postgres", kept).starts_with("notes_before_"));
}
