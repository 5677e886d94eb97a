//! Owns a part of a page: a piece that changes by itself, and has an id by which it is replaced.

use maud::{Markup, PreEscaped, Render};

/// A piece of a page. Its markup has one element at the top, with this id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The id of its element, unique in a page.
    pub id: String,
    /// The element.
    pub html: String,
}

// === impl Part ===

impl Part {
    /// A part from its element.
    pub fn new(id: impl Into<String>, element: Markup) -> Self {
        Self { id: id.into(), html: element.into_string() }
    }
}

impl Render for Part {
    fn render(&self) -> Markup {
        PreEscaped(self.html.clone())
    }
}
