//! Tests of the door of the pages: what a browser of somebody else, a guess, a forged or a repeated form comes to.

use incident::Record;
use reqwest::header::{CONTENT_TYPE, COOKIE, HOST, HeaderMap, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Client, Method, redirect};

use crate::browsing::word;
use crate::site::{Server, Site};
use crate::webdriver::plainly;

/// The unit of the shipped runbook that restarts the server.
const RESTART: &str = "6.1";

/// A browser without a screen: it says where its forms come from, and brings its cookie.
pub(crate) struct Visit<'a> {
    site: &'a Site,
    pub(crate) cookie: String,
}

// === impl Visit ===

impl<'a> Visit<'a> {
    fn new(site: &'a Site) -> Self {
        Self { site, cookie: String::new() }
    }

    pub(crate) fn signed_in(site: &'a Site, word: &str) -> Self {
        let mut visit = Self::new(site);
        let (status, headers, text) = visit.sends("/login", &[("word", word)]);
        assert_eq!(status, 303, "{text}");
        visit.cookie = cookie(&headers);
        visit
    }

    fn asks(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let client = Client::builder().redirect(redirect::Policy::none()).build().unwrap();
        let request = client.request(method, format!("http://{}{path}", self.site.listen()));
        request.header(COOKIE, &self.cookie)
    }

    pub(crate) fn gets(&self, path: &str) -> (u16, HeaderMap, String) {
        plainly(self.asks(Method::GET, path))
    }

    pub(crate) fn sends(&self, path: &str, fields: &[(&str, &str)]) -> (u16, HeaderMap, String) {
        plainly(self.form(path, fields).header(ORIGIN, format!("http://{}", self.site.listen())))
    }

    fn form(&self, path: &str, fields: &[(&str, &str)]) -> reqwest::RequestBuilder {
        let plain = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        };
        let encoded = |text: &str| text.bytes().map(plain).collect::<String>();
        let pairs = fields.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
        let body = pairs.collect::<Vec<_>>().join("&");
        self.asks(Method::POST, path).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body)
    }

    /// The word that the forms of this session bring back.
    pub(crate) fn csrf(&self) -> String {
        value(&self.gets("/incidents").2, "csrf")
    }
}

/// What our cookie holds.
fn cookie(headers: &HeaderMap) -> String {
    let set = headers[SET_COOKIE].to_str().unwrap();
    assert!(set.contains("; HttpOnly; SameSite=Strict; Path=/"), "{set}");
    set.split(';').next().unwrap().to_owned()
}

/// The value of the first field of this name.
fn value(page: &str, name: &str) -> String {
    let mark = format!("name=\"{name}\" value=\"");
    page.split(&mark).nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default().to_owned()
}

#[test]
fn strangers_forms_names_and_guesses_stay_outside() {
    let mut site = Site::new(&[Server::notes("notes")]);
    site.serve_until_ready(&["notes"]);
    let ada = word(&site, "ada", &["--role", "approver"]);
    let stranger = Visit::new(&site);
    for path in ["/", "/incidents", "/incidents/x", "/incidents/x/report.html", "/nothing"] {
        let (status, headers, _) = stranger.gets(path);
        assert_eq!(
            (status, headers[LOCATION].to_str().unwrap().starts_with("/login?next=")),
            (303, true),
            "{path}"
        );
    }
    assert_eq!(stranger.gets("/events?page=/incidents").0, 401);
    assert_eq!(stranger.sends("/incidents/x/note", &[]).0, 401);

    // A name that somebody else has led to this address; an address of ours in its other forms.
    for (host, expect) in
        [("evil.example", 421), ("evil.example:7477", 421), ("localhost", 200), ("[::1]:7477", 200)]
    {
        assert_eq!(plainly(stranger.asks(Method::GET, "/login").header(HOST, host)).0, expect, "{host}");
    }
    // A session that somebody else has begun, and planted, is not gone on with.
    let planted = Visit {
        cookie: format!("paramedic_{}=planted", site.listen().rsplit(':').next().unwrap()),
        site: &site,
    };
    let (_, headers, _) = planted.sends("/login", &[("word", &ada)]);
    let fresh = cookie(&headers);
    assert_ne!(fresh, planted.cookie);
    assert_eq!(planted.gets("/incidents").0, 303);

    let visit = Visit { cookie: fresh, site: &site };
    let (status, headers, page) = visit.gets("/incidents");
    assert_eq!(status, 200);
    assert!(page.len() < 100_000, "{} bytes", page.len());
    let policy = headers["content-security-policy"].to_str().unwrap();
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "frame-ancestors 'none'",
        "form-action 'self'",
        "base-uri 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert_eq!(
        (&headers["x-content-type-options"], &headers["cache-control"]),
        (&"nosniff".parse().unwrap(), &"no-store".parse().unwrap())
    );
    assert!(!page.contains("onclick") && !page.contains("<style") && !page.contains("style=\""));

    forms_of_others(&visit);

    // The door leads to our own pages only.
    let (_, headers, _) = Visit::new(&site).sends("/login", &[("word", &ada), ("next", "//evil.example/")]);
    assert_eq!(headers[LOCATION], "/");
    // Nothing but what there is can be had by a path.
    for path in [
        "/assets/../../etc/passwd",
        "/assets/x/style.css",
        "/assets/%2e%2e/%2e%2e%2fetc%2fpasswd",
        "/incidents/..%2f..%2fetc/report.html",
        "/incidents/x/kept/..%2f..%2f..%2fetc%2fpasswd",
    ] {
        assert_eq!(visit.gets(path).0, 404, "{path}");
    }

    // Out is out; and what was taken back is no good at once.
    let csrf = visit.csrf();
    assert_eq!(visit.sends("/logout", &[("csrf", &csrf)]).0, 303);
    assert_eq!(visit.gets("/incidents").0, 303);
    let visit = Visit::signed_in(&site, &ada);
    assert_eq!(visit.gets("/incidents").0, 200);
    site.run(&["token", "revoke", "ada"]).done();
    assert_eq!(visit.gets("/incidents").0, 303);

    let codes: Vec<u16> =
        (0..25).map(|_| stranger.sends("/login", &[("word", "paramedic_00000000_0000")]).0).collect();
    assert_eq!((codes[0], codes[24]), (401, 429), "{codes:?}");
}

/// Forms of other pages, forms that say nothing of where they come from, and forms without the word.
fn forms_of_others(visit: &Visit<'_>) {
    let csrf = visit.csrf();
    let fields = [("csrf", csrf.as_str())];
    let from = |origin: &str| plainly(visit.form("/logout", &fields).header(ORIGIN, origin)).0;
    assert_eq!(
        (from("https://evil.example"), from("null"), plainly(visit.form("/logout", &fields)).0),
        (403, 403, 403)
    );
    let ours = format!("http://{}", visit.site.listen());
    let crossed = visit.form("/logout", &fields).header(ORIGIN, &ours).header("sec-fetch-site", "cross-site");
    assert_eq!(plainly(crossed).0, 403);
    let wrongs: [&[(&str, &str)]; 4] = [&[], &[("csrf", "")], &[("csrf", "x")], &[("csrf", &csrf[1..])]];
    for wrong in wrongs {
        assert_eq!(visit.sends("/logout", wrong).0, 403, "{wrong:?}");
    }
    let large = "x".repeat(70_000);
    assert_eq!(visit.sends("/incidents/x/note", &[("csrf", &csrf), ("text", &large)]).0, 413);
}

#[test]
fn a_yes_is_of_an_approver_and_to_the_question_that_was_read() {
    let mut site = Site::new(&[
        Server::notes("notes").with("mode = \"suggest\""),
        Server::notes("other").with("mode = \"suggest\""),
    ]);
    site.serve_until_ready(&["notes", "other"]);
    site.kill("notes");
    let story = site.incident("notes", "waiting", |story| {
        story.has(|record| matches!(record, Record::ApprovalAsked { unit, .. } if unit.unit == RESTART))
    });
    let (page, approve) =
        (format!("/incidents/{}", story.id()), format!("/incidents/{}/approve", story.id()));
    let ada = Visit::signed_in(&site, &word(&site, "ada", &["--role", "approver"]));
    let vic = Visit::signed_in(&site, &word(&site, "vic", &[]));
    let oda = Visit::signed_in(&site, &word(&site, "oda", &["--role", "approver", "--server", "other"]));

    // Who may not is not asked, and is refused.
    let shown = vic.gets(&page).2;
    assert!(shown.contains("An approver answers this.") && !shown.contains(&approve), "{shown}");
    let shown = ada.gets(&page).2;
    let question = value(&shown, "question");
    assert!(question.len() == 12 && shown.len() < 100_000, "{} bytes", shown.len());
    let fields = |visit: &Visit<'_>, question: &str| {
        let pairs = [("csrf", visit.csrf()), ("unit", RESTART.to_owned()), ("question", question.to_owned())];
        pairs.map(|(name, value)| (name, value))
    };
    let send = |visit: &Visit<'_>, question: &str| {
        let fields = fields(visit, question);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        visit.sends(&approve, &fields)
    };
    let (status, _, text) = send(&vic, &question);
    assert!(status == 403 && text.contains("this takes a role of approver"), "{status} {text}");
    assert_eq!(
        (send(&oda, &question).0, oda.gets(&page).0),
        (404, 404),
        "to whom it is not for there is none"
    );
    assert!(!oda.gets("/incidents").2.contains("notes"));
    // Another question, none, and the word of another session.
    assert_eq!((send(&ada, "000000000000").0, send(&ada, "").0), (409, 409));
    let of_vic = vic.csrf();
    let forged = [("csrf", of_vic.as_str()), ("unit", RESTART), ("question", &question)];
    assert_eq!(ada.sends(&approve, &forged).0, 403);
    assert_eq!(site.status("notes").starts, Some(1), "nothing was run");

    // The yes, and the same again.
    assert_eq!(send(&ada, &question).0, 303);
    let (status, _, text) = send(&ada, &question);
    assert!(status == 409 && text.contains("role=\"alert\""), "{status} {text}");
    let story = site.resolved("notes");
    assert_eq!(story.restarts(), 1);
    let kept = story.has(|record| matches!(record, Record::Approved { by, .. } if by == "ada"));
    assert!(kept, "{story}");
    // The report, alone in its page; and evidence, as text.
    let (status, headers, report) = ada.gets(&format!("{page}/report.html"));
    assert!(status == 200 && report.contains("Server Down"));
    assert!(headers["content-security-policy"].to_str().unwrap().ends_with("sandbox"));
    let shown = ada.gets(&page).2;
    let kept = shown.split("/kept/").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let (status, headers, _) = ada.gets(&format!("{page}/kept/{kept}"));
    assert_eq!((status, headers["content-type"].to_str().unwrap()), (200, "text/plain; charset=utf-8"));
    assert_eq!(ada.gets(&format!("{page}/kept/{}", "0".repeat(64))).0, 404);
}
