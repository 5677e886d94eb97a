//! Owns templates: the text of labels and annotations in rule files, in the language of Go's `text/template`.
//!
//! A template is read once and expanded for each alert. What it may use is bounded: nesting, steps, bytes, queries; a
//! template that calls itself for ever ends with an error, as any other mistake does.

mod ast;
mod builtins;
mod clock;
mod compare;
mod error;
mod eval;
mod format;
mod functions;
mod humanize;
mod lexer;
mod number;
mod parser;
mod printf;
mod scope;
mod text;
mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::labels::Labels;
use crate::promql::Element;
use ast::Node;
pub use error::TemplateError;

/// How many bytes a template may have; real ones have a few hundred.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// A text with expressions in double braces; cheap to clone.
#[derive(Clone)]
pub struct Template(Arc<Parsed>);

struct Parsed {
    text: String,
    main: Vec<Node>,
    named: BTreeMap<String, Vec<Node>>,
}

/// What the expressions of a template can see.
#[derive(Clone, Copy)]
pub struct TemplateContext<'c> {
    /// `$labels`: the labels of the element.
    pub labels: &'c Labels,
    /// `$value`: its value.
    pub value: f64,
    /// `$externalLabels`: what tells this responder from others.
    pub external_labels: &'c Labels,
    /// `$externalURL`: where people find this responder; empty where nobody has said.
    pub external_url: &'c str,
    /// The moment of the evaluation, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Answers `query "…"`.
    pub query: &'c dyn Fn(&str) -> Result<Vec<Element>, String>,
}

// === impl Template ===

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// Fails if the text is no template, names a function or a variable that does not exist, or is too large.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(TemplateError::whole(format!("template has more than {TEXT_BYTES_MAX} bytes")));
        }
        let (main, named) = parser::parse(text)?;
        Ok(Self(Arc::new(Parsed { text: text.to_owned(), main, named })))
    }

    /// Returns the template that stands for a text as it is, whatever braces are in it.
    pub fn literal(text: &str) -> Self {
        let main = vec![Node::Text(text.to_owned())];
        Self(Arc::new(Parsed { text: text.to_owned(), main, named: BTreeMap::new() }))
    }

    /// Returns the text that was read.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Returns the text with every expression replaced by its value.
    ///
    /// # Errors
    ///
    /// Fails where an expression cannot be evaluated, or more is needed than a template may use.
    pub fn expand(&self, context: &TemplateContext<'_>) -> Result<String, TemplateError> {
        // Nearly every label is a plain text.
        match self.0.main.as_slice() {
            [] => Ok(String::new()),
            [Node::Text(text)] => Ok(text.clone()),
            _ => eval::expand(&self.0.text, &self.0.main, &self.0.named, context),
        }
    }

    /// As [`Template::expand`], with what Prometheus puts in the place of a text that cannot be expanded.
    pub fn expand_or_say(&self, context: &TemplateContext<'_>) -> String {
        self.expand(context).unwrap_or_else(|error| format!("<error expanding template: {error}>"))
    }

    /// Tells whether what it expands to depends on the value of the element.
    pub fn reads_value(&self) -> bool {
        ast::any_operand(&self.0.main, &|operand| operand.is_value())
            || self.0.named.values().any(|nodes| ast::any_operand(nodes, &|operand| operand.is_value()))
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Template").field(&self.text()).finish()
    }
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Template {}

#[cfg(test)]
mod tests;
