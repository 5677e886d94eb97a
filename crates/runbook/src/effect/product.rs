//! Owns the effects of the product's own commands.

use super::token::Word;
use super::{Assessment, Effect};

/// Noun, verb (empty where the noun has none), effect, and what it does where it does something.
const COMMANDS: [(&str, &str, Effect, &str); 24] = [
    ("alert", "list", Effect::Observe, ""),
    ("check", "", Effect::Observe, ""),
    ("config", "show", Effect::Observe, ""),
    ("diagnose", "", Effect::Observe, ""),
    ("doctor", "", Effect::Observe, ""),
    ("evidence", "list", Effect::Observe, ""),
    ("evidence", "verify", Effect::Observe, ""),
    ("incident", "ack", Effect::Observe, "only writes a record"),
    ("incident", "list", Effect::Observe, ""),
    ("incident", "show", Effect::Observe, ""),
    ("logs", "", Effect::Observe, ""),
    ("metrics", "", Effect::Observe, ""),
    ("query", "", Effect::Observe, ""),
    ("runbook", "show", Effect::Observe, ""),
    ("server", "clear-cache", Effect::Change, "empties the cache of the server"),
    ("server", "list", Effect::Observe, ""),
    ("server", "logs", Effect::Observe, ""),
    ("server", "readonly", Effect::Change, "makes the server read-only"),
    ("server", "restart", Effect::Disrupt, "stops the server and starts it again"),
    ("server", "start", Effect::Disrupt, "starts the server"),
    ("server", "status", Effect::Observe, ""),
    ("server", "stop", Effect::Disrupt, "stops the server"),
    ("server", "writes", Effect::Change, "allows writes again"),
    ("version", "", Effect::Observe, ""),
];

/// Options with which a command that looks never ends.
const ENDLESS: [&str; 4] = ["--continuous", "--follow", "--watch", "-f"];

/// Reads the effect of `paramedic ARGUMENTS`.
pub(super) fn assess(arguments: &[Word]) -> Assessment {
    let Some(noun) = arguments.first().and_then(Word::plain) else {
        return Assessment::unknown("what `paramedic` is to do is computed");
    };
    let verb = arguments.get(1).and_then(Word::plain).unwrap_or_default();
    let known = COMMANDS.iter().find(|(n, v, ..)| *n == noun && (v.is_empty() || *v == verb));
    let Some((noun, verb, effect, does)) = known else {
        return Assessment::unknown(format!("`paramedic {noun}` is not known to look only"));
    };
    let name = if verb.is_empty() { format!("paramedic {noun}") } else { format!("paramedic {noun} {verb}") };
    let endless = |word: &Word| {
        let text = word.literal_prefix().0;
        ENDLESS.iter().any(|option| text == *option || text.starts_with(&format!("{option}=")))
    };
    if arguments.iter().any(endless) {
        return Assessment::unknown(format!("`{name}` does not end by itself with that option"));
    }
    let reason = match (effect, *does) {
        (Effect::Observe, "") => name,
        (Effect::Observe, does) => format!("{name} {does}"),
        (_, does) => format!("`{name}` {does}"),
    };
    Assessment { effect: *effect, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_sorted() {
        assert!(COMMANDS.windows(2).all(|pair| (pair[0].0, pair[0].1) < (pair[1].0, pair[1].1)));
    }
}
