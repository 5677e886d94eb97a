//! Owns which tools only read: what their server says of them, what the operator says, and lists that show no others.
//!
//! A tool only reads if the operator's list of reads names it, or if its annotations have `readOnlyHint: true`, and the
//! operator neither lists it as a write nor distrusts the server's hints. Whatever is not known to read is a write.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::envelope;

/// A server with more tools than these is not one that anybody has seen; what is beyond them is a write.
const TOOLS_MAX: usize = 10_000;

/// What the operator says of tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reads {
    /// Tools that only read, whatever the server says of them.
    pub reads: BTreeSet<String>,
    /// Tools that write, whatever the server says of them.
    pub writes: BTreeSet<String>,
    /// Whether `readOnlyHint: true` of the server counts.
    pub trust_hints: bool,
}

/// What a server says of its tools, as far as it was listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hints {
    /// By the name of the tool: whether it has `readOnlyHint: true`.
    tools: BTreeMap<String, bool>,
}

/// One tool of a list.
#[derive(Deserialize)]
struct Tool<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    annotations: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Annotations<'a> {
    #[serde(rename = "readOnlyHint", borrow, default)]
    read_only: Option<&'a RawValue>,
}

// === impl Reads ===

impl Default for Reads {
    fn default() -> Self {
        Self { reads: BTreeSet::new(), writes: BTreeSet::new(), trust_hints: true }
    }
}

impl Reads {
    /// What the operator says of a tool, without asking the server; none where its hint decides.
    pub(crate) fn said(&self, tool: &str) -> Option<bool> {
        if self.writes.contains(tool) {
            return Some(false);
        }
        if self.reads.contains(tool) {
            return Some(true);
        }
        (!self.trust_hints).then_some(false)
    }

    pub(crate) fn is_read(&self, tool: &str, hint: bool) -> bool {
        self.said(tool).unwrap_or(hint)
    }
}

// === impl Hints ===

impl Hints {
    /// Takes in one page of `tools/list`. A tool that is listed twice only reads if both say so.
    pub(crate) fn learn(&mut self, result: &str) {
        for raw in tools_of(result).unwrap_or_default() {
            let Some((name, hint)) = tool(raw) else { continue };
            if let Some(known) = self.tools.get_mut(&*name) {
                *known &= hint;
            } else if self.tools.len() < TOOLS_MAX {
                self.tools.insert(name.into_owned(), hint);
            }
        }
    }

    /// Forgets everything.
    pub(crate) fn forget(&mut self) {
        self.tools.clear();
    }

    /// Whether the server says that this tool only reads.
    pub(crate) fn of(&self, tool: &str) -> bool {
        self.tools.get(tool).copied().unwrap_or(false)
    }

    pub(crate) fn len(&self) -> usize {
        self.tools.len()
    }
}

/// The result of `tools/list` without the tools that are not kept, which it is asked for by name and hint; none where it
/// is not understood.
pub(crate) fn narrowed(result: &str, keep: impl Fn(&str, bool) -> bool) -> Option<String> {
    let list = envelope::member(result, "tools").ok()??;
    let tools = serde_json::from_str::<Vec<&RawValue>>(list).ok()?;
    let kept = tools.into_iter().filter(|raw| tool(raw).is_some_and(|(name, hint)| keep(&name, hint)));
    let kept: Vec<&str> = kept.map(RawValue::get).collect();
    Some(envelope::exchange(result, list, &format!("[{}]", kept.join(","))))
}

/// The tools of a list, as they stand in it.
pub(crate) fn tools_of(result: &str) -> Option<Vec<&RawValue>> {
    serde_json::from_str(envelope::member(result, "tools").ok()??).ok()
}

/// The name and the hint of one tool. What is there twice, or is no boolean, is no hint.
pub(crate) fn tool(raw: &RawValue) -> Option<(Cow<'_, str>, bool)> {
    let tool: Tool<'_> = serde_json::from_str(raw.get()).ok()?;
    let annotations =
        tool.annotations.and_then(|raw| serde_json::from_str::<Annotations<'_>>(raw.get()).ok());
    let hint = annotations.and_then(|annotations| annotations.read_only);
    Some((tool.name, hint.is_some_and(|hint| hint.get() == "true")))
}

#[cfg(test)]
mod tests {
    use super::{Hints, Reads, narrowed};

    const LIST: &str = r#"{"nextCursor":"2", "tools":[
        {"name":"get","annotations":{"readOnlyHint":true,"title":"Get"}},
        {"name":"put","annotations":{"readOnlyHint":false}},
        {"name":"bare"},
        {"name":"text","annotations":{"readOnlyHint":"true"}},
        {"name":"twice","annotations":{"readOnlyHint":true,"readOnlyHint":false}},
        {"name":"\u0073ly","annotations":{"readOnlyHint":true}},
        {"annotations":{"readOnlyHint":true}},
        7
    ],"_meta":{"x":1}}"#;

    #[test]
    fn only_a_plain_true_is_a_hint() {
        let mut hints = Hints::default();
        hints.learn(LIST);
        let known = ["get", "put", "bare", "text", "twice", "sly", "absent"].map(|name| hints.of(name));
        assert_eq!(known, [true, false, false, false, false, true, false]);
        hints.learn(r#"{"tools":[{"name":"get"}]}"#);
        assert!(!hints.of("get"), "of two that share a name, one may write");
        for wrong in ["", "[]", "{}", r#"{"tools":{}}"#, r#"{"tools":[],"tools":[{"name":"x"}]}"#] {
            hints.learn(wrong);
        }
        assert_eq!(hints.len(), 6);
    }

    #[test]
    fn the_operator_has_the_last_word() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let mut reads = Reads { reads: names(&["a", "b"]), writes: names(&["b"]), trust_hints: true };
        let all =
            |reads: &Reads| ["a", "b", "c"].map(|tool| [false, true].map(|hint| reads.is_read(tool, hint)));
        assert_eq!(all(&reads), [[true, true], [false, false], [false, true]]);
        reads.trust_hints = false;
        assert_eq!(all(&reads), [[true, true], [false, false], [false, false]]);
    }

    #[test]
    fn a_list_is_narrowed_and_otherwise_as_it_was() {
        let reads = Reads::default();
        let narrow = |list| narrowed(list, |name, hint| reads.is_read(name, hint));
        let found = narrow(LIST).unwrap();
        assert_eq!(
            found,
            r#"{"nextCursor":"2", "tools":[{"name":"get","annotations":{"readOnlyHint":true,"title":"Get"}},{"name":"\u0073ly","annotations":{"readOnlyHint":true}}],"_meta":{"x":1}}"#
        );
        for wrong in ["", "[]", "{}", r#"{"tools":7}"#, r#"{"tools":[],"tools":[]}"#] {
            assert_eq!(narrow(wrong), None, "{wrong}");
        }
    }
}
