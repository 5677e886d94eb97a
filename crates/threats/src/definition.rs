//! Owns what the definition of a tool shows: orders to the model, what people do not see, schemas that reach out.

use checksum::Digest;
use serde_json::{Map, Value};

use crate::arguments::escaped;
use crate::pins::Change;
use crate::prose;
use crate::sign::{Certainty, Class, Sign};

/// Texts below this depth are not looked at.
const DEPTH_MAX: usize = 32;
/// Signs of one definition: more say nothing new.
const SIGNS_MAX: usize = 16;

/// What a server says of one of its tools, and the marks by which it is known again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// The mark of all that a model or a client reads of it: description, schemas, hints; not of its name.
    pub sha256: Digest,
    /// The whole.
    pub json: Value,
}

/// The tools in a result of `tools/list`, as far as they have a name.
pub fn definitions(result: &str) -> Vec<Definition> {
    let Ok(Value::Object(result)) = serde_json::from_str(result) else { return Vec::new() };
    let Some(Value::Array(tools)) = result.get("tools") else { return Vec::new() };
    tools.iter().filter_map(Definition::of).collect()
}

// === impl Definition ===

impl Definition {
    fn of(tool: &Value) -> Option<Self> {
        let mut members = tool.as_object()?.clone();
        let name = members.remove("name")?.as_str()?.to_owned();
        // Pictures and the like are for people's eyes; nothing acts by them.
        for dressing in ["icons", "_meta"] {
            members.remove(dressing);
        }
        let sha256 = Digest::of(canonical(&Value::Object(members)).to_string().as_bytes());
        Some(Self { name, sha256, json: tool.clone() })
    }
}

/// The same whatever the order in which members are written.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut names: Vec<&String> = members.keys().collect();
            names.sort();
            let sorted = names.into_iter().map(|name| (name.clone(), canonical(&members[name])));
            Value::Object(sorted.collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(canonical).collect(),
        other => other.clone(),
    }
}

/// The signs in what a server says of a tool.
pub fn in_definition(definition: &Definition) -> Vec<Sign> {
    let mut signs = Vec::new();
    visit(&definition.json, "", 0, &mut signs);
    signs
}

/// The sign that a tool is not as it was approved.
pub fn in_change(change: &Change, tool: &str) -> Sign {
    let (rule, certainty) = match change {
        Change::Changed => ("tool-changed", Certainty::Certain),
        Change::Renamed(_) => ("tool-renamed", Certainty::Certain),
        Change::New => ("tool-new", Certainty::Likely),
    };
    let words = format!("{tool}: {change}");
    Sign::new((rule, Class::RugPull, certainty), "/name", &words, 0..words.len())
}

fn visit(value: &Value, at: &str, depth: usize, signs: &mut Vec<Sign>) {
    if depth > DEPTH_MAX || signs.len() >= SIGNS_MAX {
        return;
    }
    match value {
        Value::String(text) => {
            let is_reference = at.ends_with("/$ref") || at.ends_with("/$dynamicRef");
            if is_reference && text.contains("://") {
                let what = ("reference-to-network", Class::ResourceAbuse, Certainty::Certain);
                signs.push(Sign::new(what, at, text, 0..text.len()));
            }
            signs.extend(orders(text, at));
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(idx, item)| visit(item, &format!("{at}/{idx}"), depth + 1, signs));
        }
        Value::Object(members) => members.iter().for_each(|(name, member)| {
            let at = format!("{at}/{}", escaped(name));
            // Names of parameters are read by models as well.
            signs.extend(orders(name, &at));
            visit(member, &at, depth + 1, signs);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Orders to a model in a text. One may be clumsy words; two of different kinds in one text are meant.
fn orders(text: &str, at: &str) -> Vec<Sign> {
    let found = prose::look(text);
    let certainty = if found.len() > 1 { Certainty::Certain } else { Certainty::Likely };
    let sign = |one: prose::Found| {
        let certainty = if one.is_plain { Certainty::Certain } else { certainty };
        Sign::new((one.rule, Class::ToolPoisoning, certainty), at, text, one.at)
    };
    found.into_iter().map(sign).collect()
}
