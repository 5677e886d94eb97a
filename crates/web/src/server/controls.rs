//! Owns the switches of a server: what its guard lets through, and what its owner can have done.

use incident::plain;
use maud::{Markup, html};

use super::{ServerPage, form};
use crate::moment::moment;
use crate::part::Part;

/// What operators have laid down for a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Controls {
    /// How many of all sessions may write, in percent: 0 is read-only mode.
    pub percent: u8,
    /// The same for clients of these names.
    pub clients: Vec<(String, u8)>,
    /// Who has said so, when and why, in words.
    pub set: Option<String>,
    /// Who and what is shut out.
    pub blocks: Vec<Block>,
    /// How much clients may take, where an operator has said so.
    pub pace: Option<Pace>,
    /// Whether it takes no new requests.
    pub draining: bool,
    /// Requests that run now.
    pub in_flight: u64,
    /// Sessions that clients have open.
    pub sessions: u64,
    /// Why what is laid down is not what somebody wrote.
    pub problem: Option<String>,
}

/// How much clients may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// How many requests in a second, each client.
    pub per_second: Option<u64>,
    /// How many requests at once, all together.
    pub at_once: Option<u64>,
    /// Who has said so, when and why, in words.
    pub set: String,
}

/// Somebody, or a tool, that is shut out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// `address`, `client` or `tool`.
    pub kind: String,
    /// Which.
    pub name: String,
    /// Until when, in milliseconds since the Unix epoch; none for as long as nobody says otherwise.
    pub until_ms: Option<i64>,
    /// Who has said so, when and why, in words.
    pub set: String,
}

// === impl ServerPage ===

impl ServerPage {
    pub(super) fn switches(&self) -> Part {
        Part::new(
            "switches",
            html! {
                section #switches aria-labelledby="switches-title" {
                    h2 #switches-title { "Switches" }
                    @match &self.controls {
                        Some(controls) => (self.state(controls)),
                        None => p.soft { "No guard stands in front of it that could be asked." },
                    }
                    @if let Some(csrf) = &self.csrf {
                        @if let Some(controls) = &self.controls { (self.guard_forms(controls, csrf)) }
                        @if self.takes_orders { (self.orders(csrf)) }
                    }
                }
            },
        )
    }

    fn state(&self, controls: &Controls) -> Markup {
        html! {
            p {
                @match controls.percent {
                    0 => strong.warn { "Clients may only read." },
                    100 if controls.clients.is_empty() => "Clients may read and write.",
                    100 => "Clients may write, but for those below.",
                    percent => strong.warn { (percent) " % of the sessions may write." },
                }
                @if controls.draining { " " strong.warn { "It takes no new requests." } }
                " " (controls.in_flight) " requests run, " (controls.sessions) " sessions are open."
                @if let Some(set) = &controls.set { " " span.soft { (plain(set)) } }
            }
            @if let Some(pace) = &controls.pace {
                p {
                    strong.warn {
                        "Clients may send "
                        @if let Some(number) = pace.per_second { (number) " requests a second each" }
                        @if pace.per_second.is_some() && pace.at_once.is_some() { ", and " }
                        @if let Some(number) = pace.at_once { (number) " at once together" }
                        "."
                    }
                    " " span.soft { (plain(&pace.set)) }
                }
            }
            @if let Some(problem) = &controls.problem { p.alert { (plain(problem)) } }
            @if !controls.clients.is_empty() || !controls.blocks.is_empty() {
                ul.plain {
                    @for (client, percent) in &controls.clients {
                        li { (percent) " % of the sessions of " strong { (plain(client)) } " may write" }
                    }
                    @for block in &controls.blocks {
                        li {
                            "The " (plain(&block.kind)) " " strong { (plain(&block.name)) } " is shut out"
                            @if let Some(until_ms) = block.until_ms { " until " (moment(until_ms)) }
                            " " span.soft { (plain(&block.set)) }
                            @if let Some(csrf) = &self.csrf {
                                @let fields = html! {
                                    input type="hidden" name="kind" value=(block.kind);
                                    input type="hidden" name="name" value=(block.name);
                                };
                                " " (form(csrf, &self.path("unblock"), &fields, "Let in again"))
                            }
                        }
                    }
                }
            }
        }
    }

    fn guard_forms(&self, controls: &Controls, csrf: &str) -> Markup {
        let reason =
            html! { label { "Why " input name="reason" required maxlength="128" autocomplete="off"; } };
        let part = html! { label { "Percent of the sessions " input name="percent" type="number" min="1" max="100" value="100" required; } };
        let whom = html! {
            label { "What " select name="kind" {
                option { "client" } option { "address" } option { "tool" }
            } }
            label { "Which " input name="name" required maxlength="128" autocomplete="off"; }
            label { "For how long " input name="for" placeholder="1h; empty: until let in again" autocomplete="off"; }
            (reason)
        };
        html! {
            div.acts {
                @if controls.percent > 0 {
                    (more("readonly", "Read only", &form(csrf, &self.path("readonly"), &reason, "Let clients only read")))
                }
                @if controls.percent < 100 || !controls.clients.is_empty() {
                    (more("writes", "Let write", &form(csrf, &self.path("writes"), &html! { (part) (reason) }, "Let clients write")))
                }
                (more("block", "Shut out", &form(csrf, &self.path("block"), &whom, "Shut out")))
                (more("limit", "Limit", &form(csrf, &self.path("limit"), &html! { (pace_fields()) (reason) }, "Limit what clients send")))
                @if controls.pace.is_some() {
                    (more("unlimit", "No limits", &form(csrf, &self.path("unlimit"), &html! {}, "Let clients send what the guard's settings allow")))
                }
                @if controls.draining {
                    (more("undrain", "Take requests", &form(csrf, &self.path("undrain"), &html! {}, "Take requests again")))
                } @else {
                    @let words = html! { p.soft { "What runs goes on to its end; new requests are told to come again." } };
                    (more("drain", "Drain", &form(csrf, &self.path("drain"), &words, "Take no new requests")))
                }
                (more("clear", "Empty caches", &form(csrf, &self.path("clear-cache"), &html! {}, "Empty its guard's caches")))
            }
        }
    }

    fn orders(&self, csrf: &str) -> Markup {
        let order = |act: &str, said: &str, button: &str| {
            let words = html! { p.soft { (said) } };
            form(csrf, &self.path(act), &words, button)
        };
        html! {
            div.acts {
                @if self.phase == "stopped" {
                    (more("start", "Start", &order("start", "Its process is started.", "Start it")))
                } @else {
                    (more("restart", "Restart", &order("restart", "Its process ends, and another one is started. What its clients have asked for and not got yet is lost.", "Restart it")))
                    (more("stop", "Stop", &order("stop", "Its process ends, and no other is started until somebody starts it. No alert says that it is down.", "Stop it")))
                }
            }
        }
    }
}

fn pace_fields() -> Markup {
    let number = |name: &str, said: &str| {
        html! { label { (said) " " input name=(name) type="number" min="1" max="1000000" placeholder="no limit"; } }
    };
    html! {
        (number("per_second", "Requests a second, each client"))
        (number("at_once", "Requests at once, all together"))
    }
}

/// One thing that can be done; what that takes is shown to whoever opens it, so that nothing happens by one slip.
fn more(id: &str, name: &str, form: &Markup) -> Markup {
    html! { details id={ "act-" (id) } { summary { (name) } (form) } }
}
