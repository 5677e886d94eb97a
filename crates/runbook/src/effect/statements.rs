//! Owns answering an author: each statement of a script with its effect and the reason.

use serde::Serialize;

use super::assess::{Known, assess};
use super::{Assessment, Effect, Table};
use crate::bash;

/// A statement of a script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stated {
    /// The statement, verbatim.
    pub statement: String,
    /// Line of its beginning, from 1.
    pub line: usize,
    /// What it does to the world.
    pub effect: Effect,
    /// Why it is taken to have that effect.
    pub reason: String,
}

/// Returns the top-level statements of a script, in order.
///
/// A script that can not be read is one statement of effect [`Effect::Unknown`].
pub fn statements(source: &str, table: &Table) -> Vec<Stated> {
    let source = source.replace("\r\n", "\n");
    let script = match bash::parse(&source) {
        Ok(script) => script,
        Err(error) => {
            let line = source[..error.offset].matches('\n').count() + 1;
            let Assessment { effect, reason, .. } =
                Assessment::unknown(format!("it can not be read: {error}"));
            return vec![Stated { statement: source.trim().to_owned(), line, effect, reason }];
        }
    };
    let mut known = Known::default();
    let mut line = 1;
    let mut end = 0;
    let mut stated = Vec::with_capacity(script.items.len());
    for item in &script.items {
        let Assessment { effect, reason, .. } =
            assess(&script, std::slice::from_ref(item), table, &mut known);
        line += source[end..item.span.start.max(end)].matches('\n').count();
        end = item.span.start.max(end);
        stated.push(Stated { statement: source[item.span.clone()].to_owned(), line, effect, reason });
    }
    taint(&mut stated, &script);
    stated
}

/// After a statement that may change what words mean, nobody knows what they mean.
fn taint(stated: &mut [Stated], script: &bash::Script) {
    let mut hijack: Option<(usize, String)> = None;
    for (idx, one) in stated.iter_mut().enumerate() {
        if let Some((line, reason)) = &hijack
            && one.effect < Effect::Unknown
        {
            one.effect = Effect::Unknown;
            one.reason = format!("words may mean something else since line {line}: {reason}");
        }
        if hijack.is_none() && one.effect == Effect::Unknown {
            let reason = crate::shell::hijack_of(script, &script.items[idx..=idx]);
            hijack = reason.map(|reason| (one.line, reason));
        }
    }
}
