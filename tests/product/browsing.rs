//! Tests of the pages in a real browser: an incident is seen, answered and ended there; by the keyboard alone as well.

use incident::Record;
use process::Signal;

use crate::processes;
use crate::site::{Server, Site};
use crate::webdriver::{Browser, ENTER};

/// Text that would do something where it is taken for HTML.
const HOSTILE: &str = "<img src=x onerror=window.hacked=1>";

/// Makes a token by the command; returns its word.
pub(crate) fn word(site: &Site, name: &str, arguments: &[&str]) -> String {
    site.run(&[&["token", "create", name], arguments].concat()).done().trim().to_owned()
}

/// Comes in at the door.
pub(crate) fn sign_in_as(browser: &Browser, address: &str, word: &str) {
    browser.go(&format!("{address}/login"));
    browser.fill("#word", word);
    browser.press(ENTER);
    browser.until("location.pathname != '/login'");
}

fn now_ms() -> u64 {
    u64::try_from(server::now_ms()).unwrap()
}

/// A server whose changes wait for a person, and a browser.
fn site() -> Option<(Site, Browser)> {
    let browser = Browser::start()?;
    let mut site = Site::new(&[Server::notes("notes").with("mode = \"suggest\"")]);
    site.serve_until_ready(&["notes"]);
    Some((site, browser))
}

#[test]
fn an_incident_is_seen_answered_and_ended_in_a_browser() {
    let Some((site, browser)) = site() else { return };
    let (ada, address) = (word(&site, "ada", &["--role", "approver"]), format!("http://{}", site.listen()));

    sign_in(&browser, &address, &ada);
    see(&site, &browser);

    // What is asked: the exact statement, its effect, what it acts on.
    let asked = browser.text("#q-6-1");
    for words in ["paramedic server restart \"$SERVER_NAME\"", "Effect", "Acts on", "notes", "Expires"] {
        assert!(asked.contains(words), "`{words}` is missing: {asked}");
    }
    assert!(browser.text("#u-2-1").contains("paramedic check"));
    browser.is_accessible("incident");
    browser.pictures("incident");

    talk(&site, &browser);

    // A yes runs the step, and the page follows to the end.
    let loaded = browser.js("performance.timeOrigin");
    browser.click("#yes-6-1");
    browser.until("document.querySelector('#step-6 .state.good')");
    browser.until("document.querySelector('#title .state')?.innerText == 'resolved'");
    assert_ne!(browser.js("performance.timeOrigin"), loaded, "the form has loaded the page once");
    browser.is_accessible("incident-resolved");
    browser.pictures("incident-resolved");
    assert_eq!(browser.js("window.hacked"), serde_json::Value::Null);
    assert_eq!(browser.complaints(), Vec::<String>::new());

    // A link from elsewhere leads here, although the cookie does not come along with it.
    let elsewhere = address.replace("127.0.0.1", "localhost");
    browser.go(&format!("{elsewhere}/login"));
    browser.js(&format!("(location.href = '{address}/incidents', 1)"));
    browser.until("location.hostname == '127.0.0.1' && document.querySelector('#over td a')");
    browser.click("#over td a");

    browser.click("#report a");
    browser.until("location.pathname.endsWith('/report.html')");
    assert!(browser.text("body").contains("Server Down"));
    assert_eq!(browser.complaints(), Vec::<String>::new());

    let story = site.resolved("notes");
    let by_ada = |record: &Record| match record {
        Record::Approved { by, .. } | Record::Acknowledged { by } | Record::HandedBack { by } => by == "ada",
        Record::Held { by, reason } => by == "ada" && reason == "looking first",
        Record::Noted { by, text } => by == "ada" && text == HOSTILE,
        _ => false,
    };
    assert_eq!(story.count(by_ada), 5, "{story}");
}

/// Whoever is not in is led to the door, and from there to where they wanted to go.
fn sign_in(browser: &Browser, address: &str, word: &str) {
    browser.go(&format!("{address}/incidents"));
    browser.until("location.pathname == '/login'");
    browser.is_accessible("login");
    browser.pictures("login");
    browser.fill("#word", "paramedic_00000000_0000");
    browser.press(ENTER);
    assert!(browser.text(".alert").contains("nobody knows this token"));
    // A wrong word is answered with 401, which a browser writes down.
    let complaints = browser.complaints();
    assert!(complaints.iter().all(|one| one.contains("401")), "{complaints:?}");
    browser.fill("#word", word);
    browser.press(ENTER);
    browser.until("location.pathname == '/incidents'");
    assert!(browser.text("#open").contains("No incident is open"));
    browser.is_accessible("incidents-none");
    browser.pictures("incidents-none");
}

/// A page that is open shows the incident by itself.
fn see(site: &Site, browser: &Browser) {
    browser.js(
        "(new MutationObserver(() => { if (document.querySelector('.cards li')) window.seen ||= Date.now() })\
         .observe(document.getElementById('parts'), {childList: true, subtree: true}), 1)",
    );
    let pid = site.status("notes").pid.unwrap();
    let killed_ms = now_ms();
    processes::signal(pid, Signal::KILL);
    browser.until("window.seen");
    let took_ms = browser.js("window.seen").as_u64().unwrap().saturating_sub(killed_ms);
    println!("the page showed the incident {took_ms} ms after its server was killed");
    assert!(took_ms < 10_000, "{took_ms} ms");
    browser.until("document.querySelector('.cards p.warn')?.innerText.includes('yes or no')");
    browser.is_accessible("incidents");
    browser.pictures("incidents");
    // What is typed is looked for at once.
    browser.fill("#q", "nothing has this");
    browser.until("!document.querySelector('.cards li') && document.getElementById('open-title').innerText.includes('with')");
    browser.js("(document.getElementById('q').value = '', 1)");
    browser.fill("#q", "NOTES");
    browser.until("document.querySelectorAll('.cards li').length == 1 && document.activeElement.id == 'q'");
    browser.click(".cards a");
}

/// Takes notice, notes, takes over and hands back.
fn talk(site: &Site, browser: &Browser) {
    browser.click("#acknowledge");
    browser.until("document.getElementById('timeline')?.innerText.includes('acknowledged by ada')");
    // What is being typed stays when something else changes meanwhile, by somebody else.
    browser.click("#note");
    browser.fill("#note-more textarea", &HOSTILE[..4]);
    let id = browser.js("location.pathname.split('/')[2]");
    site.run(&["incident", "note", id.as_str().unwrap(), "somebody else is here"]).done();
    browser.until("document.getElementById('timeline').innerText.includes('somebody else is here')");
    assert_eq!(browser.js("document.activeElement.value"), &HOSTILE[..4]);
    browser.press(&HOSTILE[4..]);
    browser.click("#note-more button");
    browser.until("document.getElementById('timeline')?.innerText.includes('ada notes: <img src=x')");
    browser.click("#hold");
    browser.fill("#hold-more input[name=reason]", "looking first");
    browser.click("#hold-more button");
    browser.until("document.getElementById('head')?.innerText.includes('ada has taken over: looking first')");
    browser.until("!document.querySelector('.question')");
    browser.click("#resume");
    browser.until("document.querySelector('#yes-6-1')");
}

#[test]
fn the_keyboard_is_enough() {
    let Some((site, browser)) = site() else { return };
    let ada = word(&site, "ada", &["--role", "approver"]);
    site.kill("notes");
    let story = site.incident("notes", "waiting", |story| {
        story.has(|record| matches!(record, Record::ApprovalAsked { unit, .. } if unit.unit == "6.1"))
    });
    browser.go(&format!("http://{}/incidents/{}", site.listen(), story.id()));
    // The focus is on the word from the beginning.
    browser.press(&ada);
    browser.press(ENTER);
    browser.until("location.pathname.startsWith('/incidents/')");
    browser.tab_to("a.skip");
    browser.press(ENTER);
    browser.tab_to("#note");
    browser.press(ENTER);
    browser.tab_to("#note-more textarea");
    browser.press("seen");
    browser.tab_to("#note-more button");
    browser.press(ENTER);
    browser.until("document.getElementById('timeline')?.innerText.includes('ada notes: seen')");
    browser.tab_to("#yes-6-1");
    browser.press(ENTER);
    browser.until("document.querySelector('#title .state')?.innerText == 'resolved'");
    assert_eq!(browser.complaints(), Vec::<String>::new());
    let story = site.resolved("notes");
    assert!(story.has(|record| matches!(record, Record::Approved { by, .. } if by == "ada")), "{story}");
}
