//! Owns conditions: CEL expressions over what an incident knows, with every bound checked before the CEL library sees them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use cel::objects::Key;
use cel::{Context, Env, Program, Value};
use serde::{Serialize, Serializer};
use serde_json::Value as Json;

/// The names a condition may use; each is bound in every evaluation, to null where nothing is known.
pub const NAMES: [&str; 7] = ["alert", "server", "steps", "cause", "findings", "host", "parameters"];

/// Longer conditions are programs, and belong in a script.
const LENGTH_MAX: usize = 1024;
/// The CEL parser recurses some ten frames per nesting level, and the stack of a worker thread is 2 MiB.
const DEPTH_MAX: usize = 8;
/// Evaluation recurses once per operator of a chain such as `a && b && c`; counted in characters.
const OPERATORS_MAX: usize = 128;
/// Each macro multiplies the work by the length of its list.
const LOOPS_MAX: usize = 2;
/// Two loops over a list of this length are still quick.
const LIST_ITEMS_MAX: usize = 1000;

/// A condition that was understood. Cheap to clone.
#[derive(Clone)]
pub struct Condition {
    source: Arc<str>,
    program: Arc<Program>,
}

/// Why a condition can not be read or has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConditionError {
    /// The text is longer, deeper or busier than a condition may be, or the facts are.
    #[error("there are more than {max} {what}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much there may be.
        max: usize,
    },
    /// The text is not CEL.
    #[error("condition `{source_text}` is not a CEL expression: {reason}")]
    Parse {
        /// The text.
        source_text: String,
        /// What the parser says, on one line.
        reason: String,
    },
    /// The text uses a name that no incident has.
    #[error("condition names `{name}`, which is none of {}", NAMES.join(", "))]
    UnknownName {
        /// The name.
        name: String,
    },
    /// The expression has no value here, for instance because a key is missing.
    #[error("condition `{source_text}` has no value: {reason}")]
    Evaluate {
        /// The text.
        source_text: String,
        /// What the interpreter says.
        reason: String,
    },
    /// The value is neither true nor false.
    #[error("condition `{source_text}` is not a yes or no, but {kind}")]
    NotBoolean {
        /// The text.
        source_text: String,
        /// The kind of the value.
        kind: String,
    },
}

// === impl Condition ===

impl Condition {
    /// Parses a condition and checks its size and its names.
    ///
    /// # Errors
    ///
    /// Returns what is too large, not CEL, or not a name of [`NAMES`].
    pub fn parse(source: &str) -> Result<Self, ConditionError> {
        let source = source.trim();
        check_bounds(source)?;
        let program = Program::compile(source).map_err(|errors| ConditionError::Parse {
            source_text: source.to_owned(),
            reason: errors.errors.first().map_or_else(|| "empty".to_owned(), |e| first_line(&e.msg)),
        })?;
        let bound = bound_names(source);
        let references = program.references();
        let mut names = references.variables();
        names.sort_unstable();
        let unknown = names
            .into_iter()
            .find(|name| !NAMES.contains(name) && !bound.contains(name) && !name.starts_with('@'));
        if let Some(name) = unknown {
            return Err(ConditionError::UnknownName { name: name.to_owned() });
        }
        Ok(Self { source: source.into(), program: Arc::new(program) })
    }

    /// Answers the condition with `facts`, a map whose keys are among [`NAMES`].
    ///
    /// # Errors
    ///
    /// Returns why there is no answer: a missing key, incomparable values, a value that is not a boolean.
    pub fn eval(&self, facts: &Json) -> Result<bool, ConditionError> {
        static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));
        let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
        for name in NAMES {
            let fact = facts.get(name).map(value).transpose()?;
            context.add_variable_from_value(name, fact.unwrap_or(Value::Null));
        }
        match self.program.execute(&context) {
            Ok(Value::Bool(answer)) => Ok(answer),
            Ok(other) => Err(ConditionError::NotBoolean {
                source_text: self.source.to_string(),
                kind: other.type_of().to_string(),
            }),
            Err(error) => Err(ConditionError::Evaluate {
                source_text: self.source.to_string(),
                reason: first_line(&error.to_string()),
            }),
        }
    }

    /// Returns the text of the condition.
    pub fn as_str(&self) -> &str {
        &self.source
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Condition({:?})", self.source)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Condition {}

impl Serialize for Condition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.source)
    }
}

/// Refuses what would overflow the stack of the parser or the interpreter, or run for ever.
fn check_bounds(source: &str) -> Result<(), ConditionError> {
    let too_large = |what, max| Err(ConditionError::TooLarge { what, max });
    if source.len() > LENGTH_MAX {
        return too_large("bytes in the condition", LENGTH_MAX);
    }
    // Text inside quotes is counted as well: that refuses a little more than needed and can not be fooled.
    let mut depth = 0_usize;
    let mut deepest = 0_usize;
    for byte in source.bytes() {
        match byte {
            b'(' | b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    if deepest > DEPTH_MAX {
        return too_large("levels of brackets in the condition", DEPTH_MAX);
    }
    let symbols = source.bytes().filter(|byte| b"?:!&|<>=+-*/%.([{".contains(byte)).count();
    let words = source.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let (mut named, mut loops) = (0, 0);
    for word in words {
        match word {
            "in" => named += 1,
            "all" | "exists" | "exists_one" | "map" | "filter" => loops += 1,
            _ => {}
        }
    }
    if symbols + named > OPERATORS_MAX {
        return too_large("operators in the condition", OPERATORS_MAX);
    }
    if loops > LOOPS_MAX {
        return too_large("loops in the condition", LOOPS_MAX);
    }
    Ok(())
}

/// Returns the loop variables: the first argument of each macro.
fn bound_names(source: &str) -> Vec<&str> {
    let opened = source.split('(').skip(1);
    let first_argument = opened.filter_map(|rest| rest.split_once(',').map(|(name, _)| name.trim()));
    first_argument.filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')).collect()
}

/// Converts JSON to CEL; whole numbers become `int`, so that they compare with literals.
fn value(json: &Json) -> Result<Value, ConditionError> {
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(*truth),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => Value::Int(int),
            (None, Some(unsigned)) => Value::UInt(unsigned),
            (None, None) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) if items.len() > LIST_ITEMS_MAX => {
            return Err(ConditionError::TooLarge { what: "items in a list", max: LIST_ITEMS_MAX });
        }
        Json::Array(items) => Value::from(items.iter().map(value).collect::<Result<Vec<_>, _>>()?),
        Json::Object(fields) => {
            let field = |(key, field): (&String, &Json)| Ok((Key::from(key.as_str()), value(field)?));
            Value::from(fields.iter().map(field).collect::<Result<HashMap<Key, Value>, ConditionError>>()?)
        }
    })
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
#[path = "condition/tests.rs"]
mod tests;
