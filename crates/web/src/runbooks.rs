//! Owns the pages of the runbooks: which there are, and each with its statements' effects and the linter's words beside the
//! lines that they are about.

use incident::plain;
use maud::{Markup, html};
use runbook::lint::Finding;
use runbook::{Fence, Level, Procedure, Runbook};

use crate::markdown::{Beside, Block, Kind, markdown};
use crate::moment::moment;
use crate::part::Part;

/// A runbook in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunbookRow {
    /// The name under which it is shown.
    pub name: String,
    /// Where it was read.
    pub path: String,
    /// Its procedures: title and alert.
    pub procedures: Vec<(String, Option<String>)>,
    /// How many errors, warnings and notes the linter has.
    pub counts: [usize; 3],
    /// The last incident that followed it, and when that was opened.
    pub last_used: Option<(String, i64)>,
}

/// The list of the runbooks; `unused` says which files are not used, and why.
pub fn runbooks(rows: &[RunbookRow], unused: &[String]) -> Vec<Part> {
    let page = html! {
        section #runbooks aria-labelledby="title" {
            h1 #title { "Runbooks" }
            @for why in unused { p.alert { "Not used: " (plain(why)) } }
            div.wide tabindex="0" role="region" aria-labelledby="title" { table {
                thead { tr {
                    th scope="col" { "Runbook" } th scope="col" { "Procedures and their alerts" }
                    th scope="col" { "Linter" } th scope="col" { "Last used" }
                } }
                tbody { @for row in rows { tr {
                    th scope="row" { a href={ "/runbooks/" (crate::encoded(&row.name)) } { (plain(&row.name)) } }
                    td { ul.plain { @for (title, alert) in &row.procedures { li {
                        (plain(title)) @if let Some(alert) = alert { " " code { (plain(alert)) } }
                    } } } }
                    td { (counts(row.counts)) }
                    td { @if let Some((id, at_ms)) = &row.last_used { a href={ "/incidents/" (id) } { (moment(*at_ms)) } } @else { "never" } }
                } } }
            } }
        }
    };
    vec![Part::new("runbooks", page)]
}

fn counts([errors, warnings, notes]: [usize; 3]) -> Markup {
    let all = [(errors, "bad", "errors"), (warnings, "warn", "warnings"), (notes, "soft", "notes")];
    html! {
        @if errors + warnings + notes == 0 { span.good { "nothing" } }
        @for (count, class, name) in all.into_iter().filter(|(count, ..)| *count > 0) {
            span class=(class) { (count) " " (name) } " "
        }
    }
}

/// A runbook whole.
#[derive(Debug, Clone, Copy)]
pub struct RunbookPage<'p> {
    /// The name under which it is shown.
    pub name: &'p str,
    /// The document as it is used.
    pub text: &'p str,
    /// What was understood of it.
    pub runbook: &'p Runbook,
    /// What the linter has to say, in the order of the lines.
    pub findings: &'p [Finding],
    /// The last incidents that followed it, the newest first, and when they were opened.
    pub used: &'p [(String, i64)],
}

/// The page of one runbook.
pub fn runbook(page: &RunbookPage<'_>) -> Vec<Part> {
    let mut beside = Remarks { runbook: page.runbook, left: page.findings.iter().collect() };
    let document = markdown(page.text, &mut beside);
    let elsewhere = beside.left;
    let of = |level| page.findings.iter().filter(|one| one.level == level).count();
    let head = html! {
        section #head aria-labelledby="title" {
            h1 #title { (plain(page.name)) }
            dl.facts {
                div { dt { "File" } dd { code { (plain(&page.runbook.name)) } } }
                div { dt { "SHA-256" } dd { code { (page.runbook.sha256.get(..16).unwrap_or_default()) "…" } } }
                @if let Some(owner) = &page.runbook.front.owner { div { dt { "Owner" } dd { (plain(owner)) } } }
                @if let Some(reviewed) = &page.runbook.front.reviewed { div { dt { "Reviewed" } dd { (plain(reviewed)) } } }
                div { dt { "Linter" } dd { (counts([of(Level::Error), of(Level::Warning), of(Level::Info)])) } }
            }
            @if !page.used.is_empty() {
                p { "Followed by " @for (id, at_ms) in page.used { a href={ "/incidents/" (id) } { (moment(*at_ms)) } " " } }
            }
            @if !page.findings.is_empty() {
                details #findings {
                    summary { "All that the linter says" }
                    ul.plain { @for one in page.findings { li {
                        a href={ "#line-" (one.line) } { "line " (one.line) } " " (remark(one))
                    } } }
                }
            }
            @for one in &elsewhere { (remark(one)) }
        }
    };
    let document = html! { article #document.doc { (document) } };
    vec![Part::new("head", head), Part::new("document", document)]
}

/// What stands beside the blocks of a runbook.
struct Remarks<'p> {
    runbook: &'p Runbook,
    /// What has found no place yet.
    left: Vec<&'p Finding>,
}

// === impl Remarks ===

impl Beside for Remarks<'_> {
    fn after(&mut self, block: &Block) -> Markup {
        let fence = self.fence(block);
        let (here, left) = self.left.drain(..).partition(|one| block.lines.contains(&one.line));
        self.left = left;
        let here: Vec<&Finding> = here;
        html! {
            @if let Some(fence) = fence { (effects(fence)) }
            @for one in here { (remark(one)) }
        }
    }
}

impl<'p> Remarks<'p> {
    fn fence(&self, block: &Block) -> Option<&'p Fence> {
        let steps = self.runbook.procedures.iter().flat_map(Procedure::steps);
        let mut fences = steps.flat_map(|step| &step.fences);
        fences.find(|fence| block.kind == Kind::Code && fence.line == block.lines.start)
    }
}

/// What the statements of a fence do to the world.
fn effects(fence: &Fence) -> Markup {
    html! {
        @if !fence.units.is_empty() {
            ul.plain.effects { @for unit in &fence.units { li {
                code { (unit.id) } " " span.effect.(unit.effect) { (unit.effect) } " " span.soft { (plain(&unit.reason)) }
            } } }
        }
    }
}

fn remark(finding: &Finding) -> Markup {
    let (class, word) = match finding.level {
        Level::Error => ("bad", "error"),
        Level::Warning => ("warn", "warning"),
        Level::Info => ("soft", "note"),
    };
    html! {
        p class={ "remark " (class) } {
            strong { (finding.code) " " (word) } ": " (plain(&finding.message))
            @if !finding.hint.is_empty() { span.soft { " – " (plain(&finding.hint)) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use runbook::lint::{Config, lint};

    use super::*;

    const TEXT: &str = "\
# Runbook

## Down <script>alert(1)</script>

### Alert: MCPServerDown

**Severity**: Critical
**Alert Query**: `mcp_server_up == 0`

### Immediate Response (0-5 minutes)

1. **Restart** it:

   ```bash
   rm -rf /tmp/$NAME/
   systemctl restart x
   ```
";

    #[test]
    fn effects_and_findings_stand_beside_their_lines() {
        let (runbook, _) = runbook::parse("down.md", TEXT.as_bytes());
        let findings = lint("down.md", TEXT.as_bytes(), &Config::default(), None);
        assert!(!findings.is_empty(), "the linter has nothing to say about `rm -rf`");
        let used = [("INC-1".to_owned(), 0)];
        let page =
            RunbookPage { name: "down", text: TEXT, runbook: &runbook, findings: &findings, used: &used };
        let parts = super::runbook(&page);
        let document = &parts[1].html;
        let code = document.find("rm -rf /tmp").unwrap();
        let effects = document.find("<ul class=\"plain effects\">").unwrap();
        assert!(code < effects && document[effects..].contains("<code>1.1</code>"), "{document}");
        // Each finding stands once in the document, or on top where it is about no line of it.
        let all = format!("{}{document}", parts[0].html.split("</details>").last().unwrap());
        assert_eq!(all.matches("<p class=\"remark ").count(), findings.len(), "{all}");
        assert!(
            !document.contains("<script") && parts[0].html.contains("href=\"/incidents/INC-1\""),
            "{document}"
        );
    }

    #[test]
    fn the_list_says_what_is_wrong_and_what_is_not_used() {
        let row = RunbookRow {
            name: "a b/..".to_owned(),
            path: "/etc/a.md".to_owned(),
            procedures: vec![("Down".to_owned(), Some("MCPServerDown".to_owned()))],
            counts: [1, 0, 2],
            last_used: None,
        };
        let text = &runbooks(&[row], &["`/etc/<b>.md` is not trusted".to_owned()])[0].html;
        for words in [
            "href=\"/runbooks/a%20b%2F..\"",
            "1 errors",
            "2 notes",
            "never",
            "&lt;b&gt;",
            "<code>MCPServerDown</code>",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
    }
}
