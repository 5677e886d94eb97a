//! Owns what the arguments of a call show: each string is judged by what its parameter takes.

use std::collections::BTreeSet;

use logs::secrets;
use serde_json::Value;

use crate::parameter::{Takes, takes, takes_secret};
use crate::sign::{Certainty, Class, Sign};
use crate::{path, shell};

/// Signs of one call that may be honest: more say nothing new. Those that are sure are kept in any case, one of each kind.
const SIGNS_MAX: usize = 16;

/// What is honest for one server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Tools that rightly take commands.
    pub shell_tools: BTreeSet<String>,
    /// Folders that absolute paths have to be in; none where nothing is said of that.
    pub roots: Vec<String>,
}

/// Whether arguments can have a sign at all: a look at the bytes, before they are read. What is honest has none of them,
/// nearly always.
pub(crate) fn is_worth_a_look(json: &str) -> bool {
    let bytes = json.as_bytes();
    let has = |word: &str| memchr::memmem::find(bytes, word.as_bytes()).is_some();
    memchr::memchr3_iter(b'`', b';', b'|', bytes).next().is_some()
        || memchr::memchr3_iter(b'$', b'&', b'>', bytes).next().is_some()
        || memchr::memchr2_iter(b'%', b'\\', bytes).next().is_some()
        || has("..")
        || has("\"-")
        || has("\"/")
        || has("\"~")
        || has("file:")
        || has("/.")
        || is_deep(bytes)
        || secrets::may_hold(json)
}

/// Whether it may be nested more deeply than is read.
fn is_deep(bytes: &[u8]) -> bool {
    memchr::memchr2_iter(b'[', b'{', bytes).nth(100).is_some()
}

/// The signs in the arguments of a call, which are JSON.
pub fn in_call(tool: &str, arguments: &str, allowed: &Allowed) -> Vec<Sign> {
    // Nearly every call ends here.
    if !is_worth_a_look(arguments) {
        return Vec::new();
    }
    let Ok(value) = serde_json::from_str::<Value>(arguments) else {
        // It is JSON, or it would be no message: what reads it is to run out of stack.
        let what = ("nested-too-deeply", Class::ResourceAbuse, Certainty::Certain);
        return vec![Sign::new(what, "", arguments, 0..0)];
    };
    let mut look = Look { allowed, is_shell: allowed.shell_tools.contains(tool), signs: Vec::new() };
    if let Value::Object(members) = &value {
        for (name, value) in members {
            look.value(value, Place { takes: takes(name), name }, &format!("/{}", escaped(name)));
        }
    }
    look.signs
}

/// Where a value stands: what it is for, and the name of its member.
#[derive(Clone, Copy)]
struct Place<'a> {
    takes: Takes,
    name: &'a str,
}

struct Look<'a> {
    allowed: &'a Allowed,
    is_shell: bool,
    signs: Vec<Sign>,
}

// === impl Look ===

impl Look<'_> {
    fn value(&mut self, value: &Value, place: Place<'_>, at: &str) {
        match value {
            Value::String(text) => self.text(text, place, at),
            Value::Array(items) => items
                .iter()
                .enumerate()
                .for_each(|(idx, item)| self.value(item, place, &format!("{at}/{idx}"))),
            Value::Object(members) => members.iter().for_each(|(name, member)| {
                // What is in a path or in a text is one as well, unless its own name says more.
                let takes = match takes(name) {
                    Takes::Name => place.takes,
                    known => known,
                };
                self.value(member, Place { takes, name }, &format!("{at}/{}", escaped(name)));
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn text(&mut self, text: &str, place: Place<'_>, at: &str) {
        let mut seen = Vec::new();
        match place.takes {
            Takes::Path => {
                seen.extend(path::look(text, &self.allowed.roots));
                seen.extend(shell::look(text, place.takes));
            }
            Takes::Name => {
                // A name may be a path too; only what no name has is one for sure.
                let paths = path::look(text, &[]).into_iter();
                seen.extend(paths.filter(|((_, _, certainty), _)| *certainty == Certainty::Certain));
                seen.extend(shell::look(text, place.takes));
            }
            Takes::Command if !self.is_shell => seen.extend(shell::look(text, place.takes)),
            Takes::Command | Takes::Text => {}
        }
        for (what, found) in seen {
            // A server that takes commands takes these.
            if !(self.is_shell && what.1 == Class::CommandInjection) {
                self.add(Sign::new(what, at, text, found));
            }
        }
        for secret in secrets::find_in(place.name, text) {
            // A tool that asks for one gets one.
            let is_certain = secret.is_certain && !takes_secret(place.name, secret.form);
            let certainty = if is_certain { Certainty::Certain } else { Certainty::Likely };
            self.add(Sign::of_secret("secret-in-arguments", certainty, at, &secret));
        }
    }

    fn add(&mut self, sign: Sign) {
        let is_new =
            || !self.signs.iter().any(|one| (one.class, one.certainty) == (sign.class, sign.certainty));
        if self.signs.len() < SIGNS_MAX || sign.certainty == Certainty::Certain && is_new() {
            self.signs.push(sign);
        }
    }
}

/// A name as a step of a JSON pointer (RFC 6901).
pub(crate) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
