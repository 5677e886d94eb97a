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

/// A number of bytes, for people.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{}.{} kB", bytes / 1_000, bytes % 1_000 / 100),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}
