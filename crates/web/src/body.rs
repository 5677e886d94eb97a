//! Owns what stands in the frame: the parts, what was refused, and pages that only say something.

use maud::{Markup, html};

use crate::part::Part;

/// Parts, one below the other.
pub fn all(parts: &[Part]) -> Markup {
    html! { @for part in parts { (part) } }
}

/// What stands in the frame; `refused` is why something was not done that was asked for.
pub fn body(refused: Option<&str>, page: &Markup) -> Markup {
    html! {
        @if let Some(refused) = refused {
            p.alert role="alert" { (incident::plain(refused)) }
        }
        div #parts { (page) }
    }
}

/// A page that says this.
pub fn message(title: &str, words: &str) -> Markup {
    html! {
        h1 { (title) }
        p role="alert" { (incident::plain(words)) }
        p { a href="/" { "To the fleet" } " · " a href="/incidents" { "To the incidents" } }
    }
}
