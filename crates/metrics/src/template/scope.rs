//! Owns what an expansion has at hand: variables, and how much it may still use.

use super::TemplateContext;
use super::error::Fault;
use super::value::Value;

/// Steps: nodes, commands and turns of loops.
const STEPS_MAX: usize = 100_000;
/// Bytes of the text that comes out, and of each text on the way.
pub(super) const BYTES_MAX: usize = 64 << 10;
/// Templates within templates, actions within actions and parentheses within parentheses, all together: the evaluation
/// recurses as deep.
const DEPTH_MAX: usize = 100;
/// Queries of one expansion; each may read as much as a rule.
const QUERIES_MAX: usize = 20;
/// Elements that a query may bring into a template.
const ELEMENTS_MAX: usize = 10_000;

/// An expansion on its way.
pub(super) struct Scope<'s> {
    pub(super) context: &'s TemplateContext<'s>,
    /// The innermost last.
    variables: Vec<(String, Value)>,
    depth: usize,
    steps: usize,
    queries: usize,
    bytes: usize,
}

// === impl Scope ===

impl<'s> Scope<'s> {
    pub(super) fn new(context: &'s TemplateContext<'s>) -> Self {
        let variables = [
            ("", Value::Root),
            ("labels", Value::Labels(context.labels.clone())),
            ("externalLabels", Value::Labels(context.external_labels.clone())),
            ("externalURL", Value::text(context.external_url)),
            ("value", Value::Float(context.value)),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value)).to_vec();
        Self { context, variables, depth: 0, steps: 0, queries: 0, bytes: 0 }
    }

    /// Counts a step.
    pub(super) fn step(&mut self, offset: usize) -> Result<(), Fault> {
        self.spend(1).map_err(|message| Fault::new(offset, message))
    }

    /// Counts what costs as much as so many steps.
    pub(super) fn spend(&mut self, steps: usize) -> Result<(), String> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > STEPS_MAX {
            return Err(format!("template takes more than {STEPS_MAX} steps"));
        }
        Ok(())
    }

    /// Goes one deeper; [`Scope::rise`] comes back.
    pub(super) fn sink(&mut self, offset: usize) -> Result<(), Fault> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Fault::new(
                offset,
                format!("template is nested, or calls itself, more than {DEPTH_MAX} deep"),
            ));
        }
        Ok(())
    }

    pub(super) fn rise(&mut self) {
        self.depth -= 1;
    }

    /// Counts bytes of texts that functions make, all of them together.
    pub(super) fn made(&mut self, offset: usize, value: &Value) -> Result<(), Fault> {
        if let Value::Text(text) = value {
            self.bytes = self.bytes.saturating_add(text.len());
            // What is made is mostly thrown away again; that a text doubles in each turn of a loop is not.
            if text.len() > BYTES_MAX || self.bytes > 64 * BYTES_MAX {
                return Err(Fault::new(
                    offset,
                    format!("template makes texts of more than {BYTES_MAX} bytes"),
                ));
            }
        }
        Ok(())
    }

    pub(super) fn mark(&self) -> usize {
        self.variables.len()
    }

    pub(super) fn forget(&mut self, mark: usize) {
        self.variables.truncate(mark);
    }

    pub(super) fn declare(&mut self, name: &str, value: Value) {
        self.variables.push((name.to_owned(), value));
    }

    pub(super) fn assign(&mut self, name: &str, value: Value) {
        if let Some((_, known)) = self.variables.iter_mut().rev().find(|(known, _)| known == name) {
            *known = value;
        }
    }

    pub(super) fn get(&self, name: &str) -> Value {
        let found = self.variables.iter().rev().find(|(known, _)| known == name);
        found.map_or(Value::Nil, |(_, value)| value.clone())
    }

    /// Takes all variables away, for a template that sees only `$`; the answer goes back with [`Scope::leave`].
    pub(super) fn enter(&mut self, dot: &Value) -> Vec<(String, Value)> {
        std::mem::replace(&mut self.variables, vec![(String::new(), dot.clone())])
    }

    pub(super) fn leave(&mut self, variables: Vec<(String, Value)>) {
        self.variables = variables;
    }

    /// Answers `query`.
    pub(super) fn query(&mut self, text: &str) -> Result<Value, String> {
        self.queries += 1;
        if self.queries > QUERIES_MAX {
            return Err(format!("template asks more than {QUERIES_MAX} queries"));
        }
        let elements = (self.context.query)(text)?;
        if elements.len() > ELEMENTS_MAX {
            return Err(format!("query `{text}` finds more than {ELEMENTS_MAX} elements"));
        }
        Ok(super::functions::elements(elements))
    }
}
