//! Owns RB000: what the parser has to say.

use crate::Level;
use crate::lint::Rule;
use crate::lint::document::Document;
use crate::lint::report::Report;

pub(super) static RULE: Rule = Rule {
    code: "RB000",
    name: "unreadable",
    level: Level::Warning,
    why: "What can not be read as it is written is not done as it is written.",
    bad: "# X\n\n## P\n\n### Alert: A\n\n1. **One**\n\n   ```bash {timeut=5s}\n   uptime\n   ```\n",
    good: "uptime",
    blocks: false,
    check,
};

fn check(document: &Document<'_>, report: &mut Report<'_>) {
    for diagnostic in document.diagnostics {
        let start = document.line(diagnostic.line);
        report.diagnostic(diagnostic, &start);
    }
}
