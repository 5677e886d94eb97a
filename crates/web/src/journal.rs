//! Owns the page of the journal: its entries from the newest on, and whether its chain is whole.

use incident::plain;
use maud::html;

use crate::address::encoded;
use crate::moment::moment;
use crate::part::Part;

/// The longest body that is shown whole, in characters.
const BODY_CHARS_MAX: usize = 20_000;

/// Which entries somebody wants to see; empty fields are for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JournalQuery {
    /// Of this incident.
    pub incident: String,
    /// About this server.
    pub server: String,
    /// Of this kind.
    pub kind: String,
    /// Before this place.
    pub before: Option<i64>,
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalRow {
    /// Its place.
    pub seq: i64,
    /// When it happened, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// The incident that it belongs to.
    pub incident: Option<String>,
    /// What kind of event it is.
    pub kind: String,
    /// What it says, in a sentence; empty where this program does not understand it.
    pub said: String,
    /// All of it, as JSON.
    pub body: String,
    /// Its digest.
    pub digest: String,
}

/// What the last check of the chain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// When it was checked, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// How many entries are whole and in their place.
    pub entries: u64,
    /// How many were given up, as the journal itself states.
    pub pruned: u64,
    /// Where it breaks, where it does.
    pub broken: Option<String>,
}

/// What the page is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalPage {
    /// What somebody wants to see.
    pub query: JournalQuery,
    /// The entries, the newest first.
    pub rows: Vec<JournalRow>,
    /// Whether there are older ones.
    pub more: bool,
    /// What the last check found, or why there was none.
    pub chain: Result<Chain, String>,
}

/// The page.
pub fn journal(page: &JournalPage) -> Vec<Part> {
    vec![page.head(), page.find(), page.entries()]
}

// === impl JournalPage ===

impl JournalPage {
    fn head(&self) -> Part {
        Part::new(
            "chain",
            html! {
                section #chain aria-labelledby="title" {
                    h1 #title { "Journal" }
                    @match &self.chain {
                        Ok(Chain { broken: Some(broken), entries, .. }) => p.alert role="alert" {
                            "The chain is broken: " (plain(broken)) ". " (entries) " entries before that are whole."
                        },
                        Ok(chain) => p {
                            span.good { "The chain is whole" } ": " (chain.entries) " entries, each with the digest of the one before"
                            @if chain.pruned > 0 { "; " (chain.pruned) " older ones were given up to save room, which the journal states" }
                            ". Checked at " (moment(chain.at_ms)) "."
                        },
                        Err(why) => p.warn { "The chain was not checked: " (plain(why)) },
                    }
                }
            },
        )
    }

    fn find(&self) -> Part {
        let fields =
            [("incident", &self.query.incident), ("server", &self.query.server), ("kind", &self.query.kind)];
        Part::new(
            "find",
            html! {
                form #find.act method="get" action="/journal" role="search" {
                    @for (name, value) in fields {
                        label { (name) " " input name=(name) value=(value) autocomplete="off"; }
                    }
                    button { "Show" }
                }
            },
        )
    }

    fn entries(&self) -> Part {
        let older = self.rows.last().filter(|_| self.more).map(|row| self.query.link(Some(row.seq)));
        Part::new(
            "entries",
            html! {
                section #entries aria-label="Entries" {
                    @if self.rows.is_empty() { p.soft { "No entries." } }
                    ol.entries reversed {
                        @for row in &self.rows { li id={ "entry-" (row.seq) } {
                            span.soft { (row.seq) } " " (moment(row.at_ms)) " " code { (plain(&row.kind)) } " "
                            @if let Some(id) = &row.incident { a href={ "/incidents/" (encoded(id)) } { (plain(id)) } " " }
                            (plain(&row.said))
                            details id={ "body-" (row.seq) } {
                                summary { "all of it" }
                                pre tabindex="0" { (plain(&shortened(&row.body))) }
                                p.soft { "SHA-256 " (row.digest) }
                            }
                        } }
                    }
                    nav.pages aria-label="Older and newer" {
                        @if self.query.before.is_some() { a href=(self.query.link(None)) { "The newest" } " " }
                        @if let Some(older) = older { a rel="next" href=(older) { "Older" } }
                    }
                }
            },
        )
    }
}

// === impl JournalQuery ===

impl JournalQuery {
    fn link(&self, before: Option<i64>) -> String {
        let texts = [("incident", &self.incident), ("server", &self.server), ("kind", &self.kind)];
        let texts = texts.into_iter().filter(|(_, value)| !value.is_empty());
        let mut fields: Vec<String> =
            texts.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        fields.extend(before.map(|before| format!("before={before}")));
        if fields.is_empty() { "/journal".to_owned() } else { format!("/journal?{}", fields.join("&")) }
    }
}

fn shortened(body: &str) -> String {
    let short: String = body.chars().take(BODY_CHARS_MAX).collect();
    let end = if short.len() < body.len() { "\n…" } else { "" };
    short + end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(seq: i64, said: &str) -> JournalRow {
        let (incident, kind) = (Some("INC-1".to_owned()), "opened".to_owned());
        JournalRow {
            seq,
            at_ms: 0,
            incident,
            kind,
            said: said.to_owned(),
            body: "{}".to_owned(),
            digest: "ab".to_owned(),
        }
    }

    fn text(page: &JournalPage) -> String {
        journal(page).iter().map(|part| part.html.as_str()).collect()
    }

    #[test]
    fn entries_are_pages_and_text_from_outside_is_text() {
        let chain = Ok(Chain { at_ms: 0, entries: 9, pruned: 2, broken: None });
        let query = JournalQuery { server: "a&b".to_owned(), before: Some(50), ..JournalQuery::default() };
        let mut page =
            JournalPage { query, rows: vec![row(49, "<script>x"), row(48, "")], more: true, chain };
        page.rows[1].body = "</pre><script>".to_owned();
        let shown = text(&page);
        assert!(!shown.contains("<script"), "{shown}");
        assert!(
            shown.contains("href=\"/journal?server=a%26b&amp;before=48\"")
                && shown.contains("href=\"/journal?server=a%26b\""),
            "{shown}"
        );
        assert!(shown.contains("The chain is whole") && shown.contains("2 older ones"), "{shown}");
        page.more = false;
        assert!(!text(&page).contains("Older</a>"));
    }

    #[test]
    fn a_broken_chain_is_told_first() {
        let broken = Some("entry 7 was changed: its digest does not match".to_owned());
        let chain = Ok(Chain { at_ms: 0, entries: 6, pruned: 0, broken });
        let mut page = JournalPage { query: JournalQuery::default(), rows: Vec::new(), more: false, chain };
        assert!(text(&page).contains("role=\"alert\">The chain is broken: entry 7"));
        page.chain = Err("it is too long".to_owned());
        assert!(
            text(&page).contains("was not checked: it is too long") && text(&page).contains("No entries.")
        );
    }
}
