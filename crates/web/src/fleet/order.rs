//! Owns which servers a page of the fleet shows, and in which order: by links, so that it works without a script.

use maud::{Markup, html};

use super::SERVERS_PER_PAGE;
use super::row::{Health, Server};

/// The columns of the table.
pub(super) const COLUMNS: [(Option<Ordering>, &str); 7] = [
    (Some(Ordering::Name), "Server"),
    (Some(Ordering::Worst), "Health"),
    (None, "What is the matter"),
    (Some(Ordering::Latency), "Latency"),
    (Some(Ordering::Errors), "Errors"),
    (Some(Ordering::Memory), "Memory"),
    (Some(Ordering::Restart), "Last start"),
];

/// By what servers are ordered. What is greatest comes first, but for names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ordering {
    /// Those that need somebody.
    #[default]
    Worst,
    /// By name.
    Name,
    /// By latency.
    Latency,
    /// By errors.
    Errors,
    /// By memory.
    Memory,
    /// By their last start.
    Restart,
}

/// What of the fleet somebody wants to see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// In which order.
    pub ordering: Ordering,
    /// What stands in the name, the reason, the phase or the incident, in any case; empty for all.
    pub text: String,
    /// Which page, from 1; 0 counts as 1, and one that is too great as the last.
    pub page: usize,
}

/// What is shown.
pub(super) struct Shown<'s> {
    /// How many servers are wanted.
    pub(super) found: usize,
    /// Those of the page.
    pub(super) page: Vec<&'s Server>,
}

/// Chooses the servers of a page.
pub(super) fn shown<'s>(servers: &'s [Server], query: &Query) -> Shown<'s> {
    let text = query.text.trim().to_lowercase();
    let mut found: Vec<&Server> = servers.iter().filter(|server| server.has(&text)).collect();
    let greatest = |of: fn(&Server) -> Option<f64>| {
        move |a: &&Server, b: &&Server| {
            let (a, b) = (of(a).unwrap_or(f64::NEG_INFINITY), of(b).unwrap_or(f64::NEG_INFINITY));
            b.total_cmp(&a)
        }
    };
    // By name first: what is equal stays in that order.
    found.sort_by(|a, b| a.name.cmp(&b.name));
    match query.ordering {
        Ordering::Name => {}
        Ordering::Worst => found.sort_by_key(|server| server.trouble()),
        Ordering::Latency => found.sort_by(greatest(|one| one.latency.last.filter(|it| !it.is_nan()))),
        Ordering::Errors => found.sort_by(greatest(|one| one.errors.last.filter(|it| !it.is_nan()))),
        Ordering::Memory => found.sort_by(greatest(|one| one.memory.last.filter(|it| !it.is_nan()))),
        Ordering::Restart => found.sort_by_key(|server| std::cmp::Reverse(server.restarted_ms)),
    }
    let n_found = found.len();
    let first = (query.page_of(n_found) - 1) * SERVERS_PER_PAGE;
    Shown { found: n_found, page: found.into_iter().skip(first).take(SERVERS_PER_PAGE).collect() }
}

// === impl Server ===

impl Server {
    /// How much it needs somebody, the most first.
    fn trouble(&self) -> u8 {
        match (self.health, self.phase.as_str()) {
            (Health::Unhealthy, "stopped") => 5,
            (Health::Unhealthy, _) => 0,
            _ if !self.incidents.is_empty() => 1,
            _ if self.fires => 2,
            (Health::Degraded, _) => 3,
            (Health::Unknown, "stopped" | "absent") => 5,
            (Health::Unknown, _) => 4,
            (Health::Healthy, _) => 6,
        }
    }

    fn has(&self, text: &str) -> bool {
        let words = [&self.name, &self.reason, &self.phase];
        text.is_empty()
            || self.health.word() == text
            || words.into_iter().chain(&self.incidents).any(|one| one.to_lowercase().contains(text))
    }
}

// === impl Ordering ===

impl Ordering {
    /// The word for it in an address.
    pub fn word(self) -> &'static str {
        match self {
            Self::Worst => "worst",
            Self::Name => "name",
            Self::Latency => "latency",
            Self::Errors => "errors",
            Self::Memory => "memory",
            Self::Restart => "restart",
        }
    }

    /// What a word in an address means; one that nobody knows the usual order.
    pub fn of(word: &str) -> Self {
        let all = [Self::Name, Self::Latency, Self::Errors, Self::Memory, Self::Restart];
        all.into_iter().find(|one| one.word() == word).unwrap_or_default()
    }
}

// === impl Query ===

impl Query {
    /// The address of the page that shows this.
    pub fn link(&self) -> String {
        let mut fields = Vec::new();
        if self.ordering != Ordering::Worst {
            fields.push(format!("sort={}", self.ordering.word()));
        }
        if !self.text.is_empty() {
            fields.push(format!("q={}", crate::address::encoded(&self.text)));
        }
        if self.page > 1 {
            fields.push(format!("page={}", self.page));
        }
        if fields.is_empty() { "/".to_owned() } else { format!("/?{}", fields.join("&")) }
    }

    pub(super) fn without_text(&self) -> Self {
        Self { text: String::new(), page: 1, ..self.clone() }
    }

    pub(super) fn column(&self, ordering: Option<Ordering>, title: &str) -> Markup {
        let is_it = ordering == Some(self.ordering);
        let sorted = if self.ordering == Ordering::Name { "ascending" } else { "descending" };
        html! {
            th scope="col" aria-sort=[is_it.then_some(sorted)] {
                @match ordering.filter(|_| !is_it) {
                    Some(ordering) => a href=(Self { ordering, page: 1, ..self.clone() }.link()) { (title) },
                    None => (title),
                }
            }
        }
    }

    /// The ways to the other pages, where there are any.
    pub(super) fn pages(&self, found: usize) -> Markup {
        let (page, last) = (self.page_of(found), last(found));
        let to = |page| Self { page, ..self.clone() }.link();
        html! {
            @if last > 1 {
                nav.pages aria-label="Pages of servers" {
                    @if page > 1 { a rel="prev" href=(to(page - 1)) { "Previous" } " " }
                    "page " (page) " of " (last)
                    @if page < last { " " a rel="next" href=(to(page + 1)) { "Next" } }
                }
            }
        }
    }

    fn page_of(&self, found: usize) -> usize {
        self.page.clamp(1, last(found))
    }
}

fn last(found: usize) -> usize {
    found.div_ceil(SERVERS_PER_PAGE).max(1)
}
