//! Owns documentation duties: what a line under `### Documentation Requirements` asks for, as far as a machine can tell.
//!
//! A line is read by its words, and kept verbatim. What no rule reads is a duty that only a person can meet.

/// What has to be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duty {
    /// The line, verbatim.
    pub text: String,
    /// What it asks for.
    pub asks: Asks,
}

/// What a duty asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// Every command that was executed.
    Commands,
    /// What people have run by hand, beside Paramedic.
    CommandsByHand,
    /// The error messages that were seen.
    ErrorMessages,
    /// The changes of configuration.
    Changes,
    /// The same, each with the value before it.
    ChangesWithOldValues,
    /// What happened when.
    Timeline,
    /// Something that only a person knows.
    Person,
}

/// What more a line may say about an error message without asking for something else.
const WORD_FOR_WORD: [&str; 3] = ["word for word", "verbatim", "exactly"];

// === impl Duty ===

impl Duty {
    /// Reads one line. Never fails.
    pub fn read(text: &str) -> Self {
        Self { text: text.to_owned(), asks: asks(&text.to_lowercase()) }
    }
}

/// Each rule holds for the whole line only: a line that asks for more than the rule reads is a person's.
fn asks(line: &str) -> Asks {
    let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
    let clauses = line.split([',', ';']).filter(|clause| !clause.trim().is_empty()).count();
    if has(&["command", "statement"]) && has(&["by hand", "manually"]) {
        return Asks::CommandsByHand;
    }
    if has(&["command"]) && has(&["executed", "run", "issued"]) && clauses == 1 {
        return Asks::Commands;
    }
    let is_only_emphasis = clauses == 1 || (clauses == 2 && has(&WORD_FOR_WORD));
    if has(&["error message", "error output", "errors seen"]) && is_only_emphasis {
        return Asks::ErrorMessages;
    }
    let is_change = has(&["configuration change", "config change", "change of configuration"])
        || (has(&["change"]) && has(&["configuration", "settings"]));
    let old_value = has(&["value before", "old value", "previous value", "value it had"]);
    match (is_change, old_value, clauses) {
        (true, true, 1 | 2) => return Asks::ChangesWithOldValues,
        (true, false, 1) => return Asks::Changes,
        _ => {}
    }
    if has(&["timeline", "what happened when"]) && (clauses == 1 || has(&["so that the timeline"])) {
        return Asks::Timeline;
    }
    Asks::Person
}

#[cfg(test)]
mod tests {
    use super::{Asks, Duty};

    #[track_caller]
    fn check(line: &str, expect: Asks) {
        assert_eq!(Duty::read(line), Duty { text: line.to_owned(), asks: expect });
    }

    #[test]
    fn the_lines_of_the_original_runbook() {
        check("Record all commands executed", Asks::Commands);
        check("Document error messages encountered", Asks::ErrorMessages);
        check("Note any configuration changes made", Asks::Changes);
        check("Update incident log with timeline", Asks::Timeline);
    }

    #[test]
    fn the_lines_of_the_shipped_runbooks() {
        check("Every command that was run by hand, and why", Asks::CommandsByHand);
        check("Error messages, word for word", Asks::ErrorMessages);
        check("Every change of configuration, with the value before it", Asks::ChangesWithOldValues);
        check("What happened when, so that the timeline is complete", Asks::Timeline);
    }

    #[test]
    fn a_line_that_asks_for_more_is_a_persons() {
        check(
            "Error messages, word for word; of keys and addresses with a password only the name",
            Asks::Person,
        );
        check("Every change of configuration, with the value before it, and whether it helped", Asks::Person);
        check("Which data were damaged, since when, and how that is known", Asks::Person);
        check("Who held which copy of the evidence, from when to when", Asks::Person);
        check("All commands executed, and what they cost", Asks::Person);
        check("", Asks::Person);
    }
}
