//! Tests of what people do about an incident and a server in a browser: what is left to do, what is taken back, seals that
//! are checked, an end of the machine's part, and a guard that is drained.

use incident::Record;
use serde_json::json;
use server::api::wire::BundleSummary;

use crate::browsing::{sign_in_as, word};
use crate::client::ask;
use crate::poll::eventually;
use crate::sessions::Visit;
use crate::site::{Server, Site};
use crate::webdriver::{Browser, ENTER};

#[test]
fn an_incident_is_handled_to_its_end_in_a_browser() {
    let Some(browser) = Browser::start() else { return };
    let mut site = Site::new(&[Server::notes("notes").with("mode = \"suggest\"")]);
    site.serve_until_ready(&["notes"]);
    let (ada, address) = (word(&site, "ada", &["--role", "approver"]), format!("http://{}", site.listen()));
    site.kill("notes");
    let asks = |record: &Record| matches!(record, Record::ApprovalAsked { unit, .. } if unit.unit == "6.1");
    let id = site.incident("notes", "waiting", |story| story.has(asks)).id().to_owned();
    let here = format!("{address}/incidents/{id}");
    sign_in_as(&browser, &address, &ada);
    browser.go(&here);

    // What was sealed before anything is changed was never checked; then it was, by whom the page says.
    assert!(browser.text("#evidence").contains("never checked"));
    browser.click("#evidence form button");
    browser.until("document.getElementById('evidence')?.innerText.includes('as it was sealed at')");
    assert!(browser.text("#evidence").contains("by ada"));

    // What is to be done later, and that it is done.
    browser.click("#follow-up");
    browser.fill("#follow-up-more input[name=text]", "more room");
    browser.press(ENTER);
    browser.until("document.querySelector('#follow-up-1')?.innerText.includes('open')");
    browser.click("#follow-up-1-more summary");
    browser.fill("#follow-up-1-more input[name=text]", "bought");
    browser.press(ENTER);
    browser.until("document.querySelector('#follow-up-1')?.innerText.startsWith('done')");

    // A switch of the server is a change in its incident, and is taken back there.
    switch(&browser, &address);
    browser.go(&here);
    assert!(browser.text("#undo-c1").contains("controls of server notes, by ada"));
    browser.is_accessible("incident-handled");
    browser.pictures("incident-handled");
    // What was changed last is taken back first: each is refused where what stands there is another thing by now.
    for change in ["c3", "c2", "c1"] {
        browser.click(&format!("#undo-{change}-more summary"));
        browser.click(&format!("#undo-{change}-more button"));
        browser
            .until(&format!("document.getElementById('undo') && !document.getElementById('undo-{change}')"));
    }
    assert_eq!(site.status("notes").restriction, None);

    // The machine's part ends by a person's word; the report is accessible too.
    browser.click("#abort");
    browser.fill("#abort-more input[name=reason]", "by hand from here");
    browser.press(ENTER);
    browser.until("document.getElementById('head')?.innerText.includes(\"has ended the machine's part\")");
    // Under the policy of its page no script runs, the checker's neither: it is looked at as a file.
    let report = site.path("report.html");
    std::fs::write(&report, site.run(&["incident", "report", &id, "--format", "html"]).done()).unwrap();
    browser.go(&format!("file://{}", report.display()));
    browser.is_accessible("report");
    browser.pictures("report");
    assert_eq!(browser.complaints(), Vec::<String>::new());
    let story = site.incident("notes", "aborted", |story| {
        story.has(|record| matches!(record, Record::Aborted { by, .. } if by == "ada"))
    });
    let by_ada = |record: &Record| match record {
        Record::FollowUp { by, .. } | Record::FollowUpDone { by, .. } => by == "ada",
        Record::Approved { unit, by, .. } => unit.unit.starts_with("undo-c") && by == "ada",
        _ => false,
    };
    assert_eq!(story.count(by_ada), 5, "{story}");
}

/// Lets clients of the server only read, drains it for a moment, and limits them for a moment.
fn switch(browser: &Browser, address: &str) {
    browser.go(&format!("{address}/servers/notes"));
    browser.click("#act-readonly summary");
    browser.fill("#act-readonly input[name=reason]", "looking");
    browser.click("#act-readonly button");
    browser.until("document.getElementById('switches')?.innerText.includes('Clients may only read.')");
    browser.click("#act-drain summary");
    browser.click("#act-drain button");
    browser.until("document.getElementById('switches')?.innerText.includes('It takes no new requests.')");
    browser.click("#act-undrain summary");
    browser.click("#act-undrain button");
    browser.until("document.getElementById('act-drain')");
    browser.click("#act-limit summary");
    browser.fill("#act-limit input[name=per_second]", "50");
    browser.fill("#act-limit input[name=reason]", "flood");
    browser.press(ENTER);
    browser.until(
        "document.getElementById('switches')?.innerText.includes('may send 50 requests a second each.')",
    );
    browser.click("#act-unlimit summary");
    browser.click("#act-unlimit button");
    browser.until("document.getElementById('switches') && !document.getElementById('act-unlimit')");
}

#[test]
fn doors_and_refusals_are_accessible() {
    let Some(browser) = Browser::start() else { return };
    let mut site = Site::new(&[Server::notes("notes")]);
    site.serve_until_ready(&["notes"]);
    let (vic, address) = (word(&site, "vic", &[]), format!("http://{}", site.listen()));
    browser.go(&format!("{address}/login"));
    browser.is_accessible("login");
    browser.fill("#word", "wrong");
    browser.press(ENTER);
    browser.until("document.querySelector('[role=alert]')");
    browser.is_accessible("login-refused");
    sign_in_as(&browser, &address, &vic);
    for (path, name) in
        [("/incidents", "incidents"), ("/nothing", "not-found"), ("/servers/notes", "server-viewer")]
    {
        browser.go(&format!("{address}{path}"));
        browser.is_accessible(name);
    }
    ask(&site.endpoint("notes"), "list_notes", &json!({})).unwrap();
    eventually("a trace", || {
        let traces = site.run(&["trace", "list", "--server", "notes", "-o", "json"]).stdout;
        traces.contains("trace_id").then_some(())
    });
    browser.go(&format!("{address}/servers/notes"));
    browser.click("#traces td a");
    browser.until("location.pathname.startsWith('/traces/')");
    browser.is_accessible("trace");
    browser.pictures("trace");
    // By the keyboard alone: the first link leads past the others, and the server is reached from the fleet.
    browser.go(&format!("{address}/"));
    browser.tab_to("a.skip");
    browser.press(ENTER);
    browser.until("location.hash == '#main'");
    browser.tab_to("a[href='/servers/notes']");
    browser.press(ENTER);
    browser.until("location.pathname == '/servers/notes'");
}

#[test]
fn what_is_taken_back_and_checked_is_of_this_incident_and_by_who_may() {
    let mut site = Site::new(&[Server::notes("notes").with("mode = \"observe\"")]);
    site.serve_until_ready(&["notes"]);
    let words = ["incident", "open", "--server", "notes", "--procedure", "Server Down", "--reason", "to see"];
    let id = site.run(&words).done().trim().to_owned();
    site.run(&["evidence", "collect", "notes", "--incident", "elsewhere", "--depth", "t0"]).done();
    let all: Vec<BundleSummary> = site.get("/api/v1/evidence").unwrap();
    let strange = all.iter().find(|one| one.incident.as_deref() == Some("elsewhere")).unwrap();
    site.run(&["server", "readonly", "notes"]).done();
    let visit = |name: &str, role: &str| Visit::signed_in(&site, &word(&site, name, &["--role", role]));
    let (vic, rob, ada) = (visit("vic", "viewer"), visit("rob", "responder"), visit("ada", "approver"));
    let send = |visit: &Visit<'_>, act: &str, field: (&str, &str)| {
        let csrf = visit.csrf();
        visit.sends(&format!("/incidents/{id}/{act}"), &[("csrf", &csrf), field]).0
    };
    for (act, field) in [
        ("abort", ("reason", "x")),
        ("follow-up", ("text", "x")),
        ("check-evidence", ("bundle", strange.bundle.as_str())),
        ("undo", ("what", "c1")),
    ] {
        assert_eq!(send(&vic, act, field), 403, "{act}");
    }
    assert_eq!(send(&rob, "undo", ("what", "c1")), 403);
    assert!(rob.gets(&format!("/incidents/{id}")).2.contains("An approver takes it back."));
    for bundle in [strange.bundle.as_str(), "", "../../etc", "20261127_000000_none"] {
        assert_eq!(send(&rob, "check-evidence", ("bundle", bundle)), 404, "{bundle}");
    }
    for what in ["c9", "", "1.1; reboot"] {
        assert_eq!(send(&ada, "undo", ("what", what)), 409, "{what}");
    }
    for number in ["1", "0", "-1", "x"] {
        assert_eq!(send(&rob, "follow-up-done", ("number", number)), 409, "{number}");
    }
    assert!(site.status("notes").restriction.is_some(), "nothing was taken back");
    assert_eq!(send(&ada, "undo", ("what", "c1")), 303);
    assert_eq!(site.status("notes").restriction, None);
    let all: Vec<BundleSummary> = site.get("/api/v1/evidence").unwrap();
    assert!(all.iter().all(|one| one.checked.is_none()), "{all:?}");
}
