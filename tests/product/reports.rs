//! Tests of what is left when an incident is over: the report in its forms, its duties, what would have been done, and
//! whether all of it is as it was written.

use std::fs;

use incident::{Record, Report, Shadow};
use process::Signal;
use server::client::Client;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::site::{Server, Setup, Site, block_on};
use crate::story::Story;

/// A page of an ordinary incident has fewer bytes.
const PAGE_BYTES_MAX: usize = 100_000;

/// A server that was killed and brought back, and the name of its incident.
fn resolved() -> (Site, String) {
    let mut site = Site::new(&[Server::notes("notes")]);
    site.serve_until_ready(&["notes"]);
    site.kill("notes");
    let id = site.resolved("notes").id().to_owned();
    (site, id)
}

#[test]
fn a_report_has_three_forms_that_say_the_same_and_serve_writes_all() {
    let (site, id) = resolved();
    let markdown = site.run(&["incident", "report", &id]).done();
    let html = site.run(&["incident", "report", &id, "--format", "html"]).done();
    let json = site.run(&["incident", "report", &id, "--format", "json"]).done();
    assert_eq!(site.run(&["incident", "report", &id, "-o", "json"]).done(), json);
    let report: Report = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (report.markdown().trim_end(), report.html().trim_end()),
        (markdown.trim_end(), html.trim_end())
    );

    let restart = report.steps.iter().flat_map(|step| &step.commands).find(|one| one.unit == "6.1").unwrap();
    assert_eq!((restart.exit_code, restart.values["SERVER_NAME"].as_str()), (Some(0), "notes"));
    for words in ["## Phases", "within its window", "it read SERVER_NAME=notes", "| diagnosed | "] {
        assert!(markdown.contains(words), "`{words}` is missing in\n{markdown}");
    }
    assert!(html.len() < PAGE_BYTES_MAX, "{} bytes", html.len());
    for form in ["md", "html", "json"] {
        let file = fs::read_to_string(site.path(&format!("data/reports/{id}.{form}"))).unwrap();
        assert!(file.contains("was killed by SIGKILL"), "{form}: {file}");
    }
    let client = Client::new(&site.path("data/run/paramedic.sock")).unwrap();
    let page = block_on(client.get_text(&format!("/api/v1/incidents/{id}/report?format=html"))).unwrap();
    assert_eq!(page, report.html());
}

#[test]
fn duties_are_checked_and_a_person_meets_the_rest() {
    let (site, id) = resolved();
    let checked = site.run(&["incident", "report", &id, "--check"]).done();
    assert_eq!(checked.matches(" yes ").count(), 4, "{checked}");

    // Whoever takes over by hand has to say what they did.
    let open = ["incident", "open", "--server", "notes", "--reason", "odd", "--procedure", "MCPServerDown"];
    let id = site.run(&open).done().trim().to_owned();
    site.run(&["incident", "abort", &id]).done();
    site.incident("notes", "captured", |story| story.has(|record| matches!(record, Record::Captured(_))));
    site.run(&["incident", "close", &id, "--reason", "it was nothing"]).done();
    site.incident("notes", "reported", Story::is_reported);
    let refused = site.run(&["incident", "report", &id, "--check"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let unmet: Vec<&str> = refused.stdout.lines().filter(|line| line.contains(" NO ")).collect();
    assert!(unmet.len() == 1 && unmet[0].contains("Every command that was run by hand"), "{refused:?}");
    site.run(&["incident", "note", &id, "none", "--duty", "9"]).failed(2, &["no documentation duty 9"]);
    site.run(&["incident", "note", &id, "none", "--duty", "1"]).done();
    let checked = site.run(&["incident", "report", &id, "--check"]).done();
    assert!(checked.contains("tester: none"), "{checked}");
    site.run(&["incident", "report"]).failed(2, &["required"]);
}

#[test]
fn what_would_have_been_done_is_shown_for_one_and_for_all() {
    let servers = [Server::notes("notes").with("mode = \"observe\""), Server::notes("other")];
    let mut site = Site::of(&Setup { servers: &servers, verify_seconds: 5, ..Setup::default() });
    site.serve_until_ready(&["notes", "other"]);
    site.kill("notes");
    site.kill("other");
    let other = site.resolved("other").id().to_owned();
    let story = site.incident("notes", "given to a person", |story| story.person_needed().is_some());
    let id = story.id().to_owned();
    assert!(!story.has(|record| matches!(record, Record::Restarted { .. })));

    let table = site.run(&["incident", "report", &id, "--would"]).done();
    let first = table.lines().nth(1).unwrap();
    for words in ["6.1", "disrupt", "run", "paramedic server restart", "SERVER_NAME=notes", "mode `auto`"] {
        assert!(first.contains(words), "`{words}` is missing in\n{table}");
    }
    assert!(site.run(&["incident", "report", &other, "--would"]).done().is_empty());

    let all = site.run(&["incident", "report", "--would"]).done();
    assert!(
        all.contains("2 incidents; in 1 the machine only looked on: it would have run 2 statements"),
        "{all}"
    );
    let lines = site.run(&["incident", "report", "--would", "-o", "jsonl"]).done();
    let shadow: Shadow = serde_json::from_str(lines.trim()).unwrap();
    assert_eq!(
        (shadow.id.as_str(), shadow.would.len()),
        (id.as_str(), 2),
        "once in each run of the procedure"
    );
}

#[test]
fn what_is_kept_is_checked_beside_serve_and_after_it() {
    let (mut site, id) = resolved();
    let whole = site.run(&["incident", "verify"]).done();
    assert!(whole.contains("all whole") && whole.contains("blobs: "), "{whole}");
    site.end_serve(Signal::TERM);
    site.run(&["incident", "verify"]).done();

    let report: Report =
        serde_json::from_str(&site.run(&["incident", "report", &id, "-o", "json"]).done()).unwrap();
    let outputs = report.steps.iter().flat_map(|step| &step.commands).filter_map(|one| one.stdout.as_ref());
    let sha256 = outputs.map(|output| &output.sha256).next().unwrap();
    let plain = site.path(&format!("data/blobs/{sha256}"));
    let file = if plain.exists() { plain } else { plain.with_extension("zst") };
    let before = fs::read(&file).unwrap();
    fs::write(&file, b"nothing happened here").unwrap();
    let broken = site.run(&["incident", "verify"]);
    assert_eq!(broken.code, Some(1), "{broken:?}");
    assert!(
        broken.stdout.contains(sha256.as_str()) && broken.stdout.contains("it was changed"),
        "{broken:?}"
    );
    fs::write(&file, before).unwrap();
    site.run(&["incident", "verify"]).done();

    block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(site.path("data/journal.db"));
        let mut database = options.connect().await.unwrap();
        let forge = "DROP TRIGGER entry_update; UPDATE entry SET body = replace(body, 'SIGKILL', 'SIGTERM') WHERE seq = 2";
        sqlx::raw_sql(forge).execute(&mut database).await.unwrap();
        sqlx::raw_sql("UPDATE entry SET node = 'elsewhere' WHERE seq = 9")
            .execute(&mut database)
            .await
            .unwrap();
        database.close().await.unwrap();
    });
    let broken = site.run(&["incident", "verify", "-o", "json"]);
    assert_eq!(broken.code, Some(1), "{broken:?}");
    let found: serde_json::Value = serde_json::from_str(&broken.stdout).unwrap();
    let first = found["chain"]["broken"]["seq"].as_i64().unwrap();
    assert!(first == 2 || first == 9, "the first entry that was changed: {found}");
    assert_eq!(found["chain"]["broken"]["reason"], "digest_mismatch");
    let nowhere = Site::new(&[]);
    nowhere.run(&["incident", "verify"]).failed(2, &["there is no journal"]);
}
