//! Tests of the pages of the fleet, of a server, of runbooks and the journal: in a real browser, and by who may do what.

use process::Signal;

use crate::browsing::word;
use crate::processes;
use crate::sessions::Visit;
use crate::site::{Server, Site};
use crate::webdriver::{Browser, ENTER};

/// Two servers, of which nothing is changed without a person.
fn site() -> Site {
    let suggests = |name: &str| Server::notes(name).with("mode = \"suggest\"");
    let mut site = Site::new(&[suggests("notes"), suggests("other")]);
    site.serve_until_ready(&["notes", "other"]);
    site
}

#[test]
fn a_fleet_is_seen_and_switched_in_a_browser() {
    let Some(browser) = Browser::start() else { return };
    let site = site();
    let (ada, address) = (word(&site, "ada", &["--role", "approver"]), format!("http://{}", site.listen()));
    browser.go(&format!("{address}/"));
    browser.fill("#word", &ada);
    browser.press(ENTER);
    browser.until("document.querySelectorAll('.fleet tbody tr').length == 2");
    browser.until("document.getElementById('server-notes')?.innerText.includes('MiB')");

    // One that dies changes its row and comes on top, and what is asked stands above all, without a click.
    let loaded = browser.js("performance.timeOrigin");
    processes::signal(site.status("notes").pid.unwrap(), Signal::KILL);
    browser.until("document.querySelector('#server-notes .state.bad')");
    browser.until("document.querySelector('.fleet tbody tr')?.id == 'server-notes'");
    browser.until("document.getElementById('asked')?.innerText.includes('a yes or a no to 6.1')");
    browser.until("document.getElementById('alerts')?.innerText.includes('MCPServerDown')");
    assert_eq!(browser.js("performance.timeOrigin"), loaded, "the page was loaded once");
    browser.is_accessible("fleet");
    browser.pictures("fleet");
    browser.click("thead th:nth-child(6) a");
    browser.until(
        "location.search == '?sort=memory' && document.querySelector('th[aria-sort]')?.innerText == 'Memory'",
    );
    // What is typed is looked for at once, in the page that is there; and what changes still comes.
    let loaded = browser.js("performance.timeOrigin");
    browser.fill("#q", "other");
    browser.until(
        "document.querySelectorAll('.fleet tbody tr').length == 1 && document.getElementById('server-other')",
    );
    browser.until("location.search == '?q=other&sort=memory' && document.activeElement.id == 'q'");
    assert_eq!(browser.js("performance.timeOrigin"), loaded, "the page was loaded once");
    site.run(&["server", "stop", "other"]).done();
    browser.until("document.getElementById('server-other')?.innerText.includes('stopped')");
    site.run(&["server", "start", "other"]).done();
    assert_eq!(browser.js("performance.timeOrigin"), loaded, "the page was loaded once");
    // The form works without that as well.
    browser.press(ENTER);
    browser.until(&format!(
        "performance.timeOrigin != {loaded} && document.querySelectorAll('.fleet tbody tr').length == 1"
    ));

    server(&site, &browser, &address);

    browser.go(&format!("{address}/runbooks"));
    browser.is_accessible("runbooks");
    browser.pictures("runbooks");
    browser.click("tbody th a");
    browser.until("document.querySelector('#document .effects')");
    assert!(browser.text("#document").contains("paramedic server restart"));
    browser.is_accessible("runbook");
    browser.pictures("runbook");
    browser.go(&format!("{address}/journal"));
    browser.until("document.getElementById('chain')?.innerText.includes('The chain is whole')");
    browser.is_accessible("journal");
    browser.pictures("journal");
    browser.go(&format!("{address}/journal?kind=opened"));
    browser.until("document.getElementById('entries')?.innerText.includes('incident opened for')");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

/// Looks at a server, starts it again, and lets its clients only read.
fn server(site: &Site, browser: &Browser, address: &str) {
    browser.go(&format!("{address}/servers/notes?window=6h"));
    browser.until("document.querySelector('#memory svg')");
    assert!(browser.text("#incidents").contains("Server Down"));
    assert!(browser.text("#exit").contains("SIGKILL"));
    assert!(browser.text("#logs").contains("SIGKILL"), "{}", browser.text("#logs"));
    browser.is_accessible("server");
    browser.pictures("server");
    browser.click("#act-restart summary");
    browser.click("#act-restart button");
    browser.until("document.querySelector('#head .state.good')");
    assert_eq!(site.status("notes").phase, "ready");
    browser.click("#act-readonly summary");
    browser.fill("#act-readonly input[name=reason]", "<b>looking</b>");
    browser.click("#act-readonly button");
    browser.until("document.getElementById('switches')?.innerText.includes('Clients may only read.')");
    assert!(browser.text("#switches").contains("<b>looking</b>"));
    assert!(site.status("notes").restriction.is_some());
    browser.click("#act-writes summary");
    browser.fill("#act-writes input[name=reason]", "seen");
    browser.click("#act-writes button");
    browser.until("document.getElementById('switches')?.innerText.includes('Clients may read and write.')");
    assert_eq!(site.status("notes").restriction, None);
    // What was laid down is in the journal, by whoever did.
    browser.go(&format!("{address}/journal?kind=changed"));
    browser.until("document.querySelectorAll('#entries li').length == 2");
    assert!(browser.text("#entries").contains("ada"));
}

#[test]
fn pages_show_and_do_what_a_token_may() {
    let site = site();
    let (ada, vic) = (word(&site, "ada", &["--role", "approver"]), word(&site, "vic", &[]));
    let oda = word(&site, "oda", &["--role", "approver", "--server", "other"]);
    let [ada, vic, oda] = [&ada, &vic, &oda].map(|word| Visit::signed_in(&site, word));
    let (status, _, page) = vic.gets("/");
    assert_eq!((status, page.contains("server-notes"), page.contains("server-other")), (200, true, true));
    assert!(page.len() < 100_000, "{} bytes", page.len());

    // A viewer is offered nothing, and does nothing all the same.
    let (_, _, page) = vic.gets("/servers/notes");
    assert!(page.contains("What it said") && !page.contains("method=\"post\" action=\"/servers/"), "{page}");
    let csrf = vic.csrf();
    for act in ["restart", "stop", "readonly", "block"] {
        let (status, _, page) =
            vic.sends(&format!("/servers/notes/{act}"), &[("csrf", &csrf), ("reason", "x")]);
        assert_eq!((status, page.contains("takes an approver")), (403, true), "{act}: {page}");
    }
    // Whoever is for one server sees no other, and not what is about all.
    let (_, _, page) = oda.gets("/");
    assert!(page.contains("server-other") && !page.contains("server-notes"), "{page}");
    let csrf = oda.csrf();
    assert_eq!(oda.gets("/servers/notes").0, 404);
    assert_eq!(oda.sends("/servers/notes/stop", &[("csrf", &csrf)]).0, 404);
    assert_eq!(oda.gets("/journal").0, 403);
    assert_eq!(oda.gets("/servers/other").0, 200);
    assert_eq!(site.status("notes").phase, "ready");

    // What is not there, and what is no sensible address, is said.
    for path in [
        "/servers/nobody",
        "/servers/..%2fx",
        "/runbooks/..%2f..%2fetc%2fpasswd",
        "/runbooks/none",
        "/traces/zz",
    ] {
        assert_eq!(ada.gets(path).0, 404, "{path}");
    }
    let hostile = "/?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&sort=%3Cb%3E&page=-1";
    let (status, _, page) = ada.gets(hostile);
    assert!(status == 200 && !page.contains("<script>alert"), "{page}");
    for path in
        ["/servers/notes?window=x&level=%00&q=(", "/journal?before=x&kind=%27%20OR%201=1", "/runbooks"]
    {
        assert_eq!(ada.gets(path).0, 200, "{path}");
    }

    // An approver does, and what cannot be done is said on the page.
    let csrf = ada.csrf();
    let form =
        [("csrf", csrf.as_str()), ("kind", "client"), ("name", "evil"), ("for", "soon"), ("reason", "x")];
    let (status, _, page) = ada.sends("/servers/notes/block", &form);
    assert!(status == 400 && page.contains("`soon` is no length of time"), "{page}");
    let form =
        [("csrf", csrf.as_str()), ("kind", "client"), ("name", "evil"), ("for", "1h"), ("reason", "x")];
    assert_eq!(ada.sends("/servers/notes/block", &form).0, 303);
    assert!(ada.gets("/servers/notes").2.contains("<strong>evil</strong> is shut out"));
    let form = [("csrf", csrf.as_str()), ("kind", "client"), ("name", "evil")];
    assert_eq!(ada.sends("/servers/notes/unblock", &form).0, 303);
    assert!(!ada.gets("/servers/notes").2.contains("<strong>evil</strong>"));
    assert_eq!(ada.sends("/servers/notes/stop", &[("csrf", &csrf)]).0, 303);
    assert_eq!(site.status("notes").phase, "stopped");
    assert_eq!(ada.sends("/servers/notes/start", &[("csrf", &csrf)]).0, 303);
    assert_eq!(site.status("notes").phase, "ready");
}
