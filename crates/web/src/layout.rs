//! Owns the frame of every page: its head, the way to the other pages, and who looks at it.

use maud::{DOCTYPE, Markup, html};

use crate::assets::assets;

/// Where in the product a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The servers.
    Fleet,
    /// The incidents.
    Incidents,
    /// The runbooks.
    Runbooks,
    /// The journal.
    Journal,
    /// The door.
    Login,
    /// None of them.
    None,
}

/// Who looks at a page.
#[derive(Debug, Clone, Copy)]
pub struct Visitor<'a> {
    /// The owner of the token.
    pub name: &'a str,
    /// Its role, in a word.
    pub role: &'a str,
    /// The word that each of this session's forms brings back, so that no other site can send them.
    pub csrf: &'a str,
}

/// What stands around a page.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// The title.
    pub title: &'a str,
    /// Where it is.
    pub place: Place,
    /// Who looks; nobody at the door.
    pub visitor: Option<Visitor<'a>>,
    /// The stream that tells of parts that have changed, where the page has any.
    pub events: Option<&'a str>,
    /// When it is made, in milliseconds since the Unix epoch; what counts by itself counts from there.
    pub now_ms: Option<i64>,
}

const PLACES: [(Place, &str, &str); 4] = [
    (Place::Fleet, "/", "Fleet"),
    (Place::Incidents, "/incidents", "Incidents"),
    (Place::Runbooks, "/runbooks", "Runbooks"),
    (Place::Journal, "/journal", "Journal"),
];

// === impl Frame ===

impl Frame<'_> {
    /// The whole document around a body.
    pub fn page(&self, body: &Markup) -> String {
        let [style, script] = assets();
        let document = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width,initial-scale=1";
                    meta name="robots" content="noindex";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) " · Paramedic" }
                    link rel="icon" href="data:,";
                    link rel="stylesheet" href=(style.path);
                    script src=(script.path) defer {}
                }
                body data-events=[self.events] data-now=[self.now_ms] {
                    a.skip href="#main" { "To the content" }
                    header {
                        a.mark href="/" { "Paramedic" }
                        @if let Some(visitor) = self.visitor {
                            (self.ways())
                            (goodbye(visitor))
                        }
                    }
                    p #connection role="status" {}
                    main #main tabindex="-1" { (body) }
                }
            }
        };
        document.into_string()
    }

    fn ways(&self) -> Markup {
        html! {
            nav aria-label="Pages" {
                @for (place, path, name) in PLACES {
                    a href=(path) aria-current=[(place == self.place).then_some("page")] { (name) }
                }
            }
        }
    }
}

fn goodbye(visitor: Visitor<'_>) -> Markup {
    html! {
        form.who method="post" action="/logout" {
            input type="hidden" name="csrf" value=(visitor.csrf);
            span { (visitor.name) " (" (visitor.role) ")" }
            button { "Log out" }
        }
    }
}
