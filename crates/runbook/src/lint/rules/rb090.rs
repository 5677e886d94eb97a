//! Owns RB090: comments that silence a rule where it finds nothing.

use crate::Level;
use crate::lint::Rule;

pub(in crate::lint) static RULE: Rule = Rule {
    code: "RB090",
    name: "unused-allow",
    level: Level::Info,
    why: "An allowance that hits nothing hides what comes later.",
    bad: "uptime # lint: allow RB030 it is only a look",
    good: "uptime",
    blocks: false,
    // What is unused is known only when all rules have spoken.
    check: |_, _| {},
};
