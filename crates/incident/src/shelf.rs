//! Owns the runbooks at hand: parsed once, found by the alert they answer, and kept as they were for each incident.

use std::sync::Arc;

use runbook::lint::{Config, Objection, Objections, lint_parsed};
use runbook::{Procedure, Runbook};

/// A runbook with its bytes.
#[derive(Debug, Clone)]
pub struct Book {
    /// The document as parsed.
    pub runbook: Arc<Runbook>,
    /// The document as read.
    pub bytes: Arc<[u8]>,
    /// What the rules of the linter have against its statements.
    objections: Arc<Objections>,
}

/// The runbooks at hand, in the order of the configuration.
#[derive(Debug, Clone, Default)]
pub struct Shelf {
    books: Vec<Book>,
}

// === impl Book ===

impl Book {
    /// Parses a document. Never fails; what is wrong in it is in the diagnostics.
    pub fn parse(name: &str, bytes: &[u8]) -> (Self, Vec<runbook::Diagnostic>) {
        let (runbook, diagnostics) = runbook::parse(name, bytes);
        let objections =
            Objections::new(&lint_parsed(bytes, &runbook, &diagnostics, &Config::default(), None));
        let book = Self { runbook: Arc::new(runbook), bytes: bytes.into(), objections: Arc::new(objections) };
        (book, diagnostics)
    }

    /// What the rules have against a statement.
    pub fn objection(&self, procedure: &str, unit: &str) -> Option<&Objection> {
        self.objections.of(procedure, unit)
    }

    /// A procedure by its id.
    pub fn procedure(&self, id: &str) -> Option<&Procedure> {
        self.runbook.procedures.iter().find(|procedure| procedure.id == id)
    }
}

// === impl Shelf ===

impl Shelf {
    /// Puts books on the shelf; where two answer the same alert, the first is taken.
    pub fn new(books: Vec<Book>) -> Self {
        Self { books }
    }

    /// The procedure that answers an alert.
    pub fn for_alert(&self, alert: &str) -> Option<(&Book, &Procedure)> {
        self.procedures()
            .find(|(_, procedure)| procedure.alert.as_ref().is_some_and(|spec| spec.name == alert))
    }

    /// All procedures with their books.
    pub fn procedures(&self) -> impl Iterator<Item = (&Book, &Procedure)> {
        self.books
            .iter()
            .flat_map(|book| book.runbook.procedures.iter().map(move |procedure| (book, procedure)))
    }

    /// The books.
    pub fn books(&self) -> &[Book] {
        &self.books
    }
}
