//! Owns the head of a server's page: how it is at a glance, and how it ended the last time.

use incident::plain;
use maud::html;

use super::ServerPage;
use crate::moment::moment;
use crate::part::Part;

// === impl ServerPage ===

impl ServerPage {
    pub(super) fn head(&self) -> Part {
        Part::new(
            "head",
            html! {
                section #head aria-labelledby="title" {
                    h1 #title { (self.name) " " (self.health.badge()) " " span.soft { (plain(&self.phase)) } }
                    p { (plain(&self.reason)) }
                    @for alert in &self.alerts {
                        p class=(if alert.severity == "critical" { "bad" } else { "warn" }) {
                            strong { (plain(&alert.name)) } " (" (plain(&alert.severity)) ") fires since "
                            (moment(alert.since_ms))
                            @if let Some(quiet) = &alert.quiet { ", " (plain(quiet)) }
                        }
                    }
                    dl.facts {
                        @for (name, value) in &self.facts { div { dt { (name) } dd { (plain(value)) } } }
                    }
                }
            },
        )
    }

    pub(super) fn exit_part(&self) -> Part {
        Part::new(
            "exit",
            html! {
                section #exit aria-label="Its last end" {
                    @if let Some(exit) = &self.exit {
                        p { "Its process ended the last time at " (moment(exit.at_ms)) ": " (plain(&exit.reason)) }
                        @if !exit.stderr.is_empty() {
                            details #last-words {
                                summary { "Its last words" }
                                pre tabindex="0" { @for line in &exit.stderr { (plain(line)) "\n" } }
                            }
                        }
                    }
                }
            },
        )
    }
}
