//! Owns the front matter of a runbook: flat `key: value` lines between two `---`, and one map called `contacts`.
//!
//! This is the small part of YAML that a runbook needs. What is not understood is named, never guessed.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::diagnostic::Remarks;

/// What a runbook says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FrontMatter {
    /// The team or person who answers for the text.
    pub owner: Option<String>,
    /// The version of the text.
    pub version: Option<String>,
    /// How often it is to be reviewed, as written (`30 days`).
    pub review: Option<String>,
    /// The date of the last review, as written (`2026-07-01`).
    pub reviewed: Option<String>,
    /// Names of people or teams, and the route that reaches each.
    pub contacts: BTreeMap<String, String>,
}

/// Lines of front matter that are read; what is longer is no front matter.
const FRONT_LINES_MAX: usize = 500;

/// Reads the front matter at the beginning of `text`; returns it with the byte offset where the body begins.
pub(crate) fn read(text: &str, remarks: &mut Remarks) -> (FrontMatter, usize) {
    let mut front = FrontMatter::default();
    let mut lines = text.split_inclusive('\n');
    let start = match lines.next() {
        Some(first) if first.trim_end() == "---" => first.len(),
        _ => return (front, 0),
    };
    let mut fields = Vec::new();
    let mut offset = start;
    for line in lines.take(FRONT_LINES_MAX) {
        if matches!(line.trim_end(), "---" | "...") {
            let mut in_contacts = false;
            for (at, line) in fields {
                field(at, line, &mut front, &mut in_contacts, remarks);
            }
            return (front, offset + line.len());
        }
        fields.push((offset, line));
        offset += line.len();
    }
    remarks.warning(0, "front matter opens with `---` and is never closed");
    (front, 0)
}

fn field(offset: usize, line: &str, front: &mut FrontMatter, in_contacts: &mut bool, remarks: &mut Remarks) {
    let content = line.trim();
    if content.is_empty() || content.starts_with('#') {
        return;
    }
    let Some((key, value)) = content.split_once(':') else {
        remarks.warning(offset, "front matter line is not `key: value`");
        return;
    };
    let (key, value) = (scalar(key), value.trim());
    let indented = line.starts_with([' ', '\t']);
    if indented && !*in_contacts {
        remarks.warning(offset, format!("nested front matter under `{key}` is not understood"));
        return;
    }
    if !indented {
        *in_contacts = key == "contacts";
        if *in_contacts && !value.is_empty() {
            remarks.warning(offset, "`contacts` wants one indented `name: route` line each");
        }
        if *in_contacts {
            return;
        }
    }
    if value.starts_with(['[', '{', '|', '>', '&', '*', '!']) {
        remarks.warning(offset, format!("value of `{key}` is not a plain text"));
        return;
    }
    let value = scalar(value);
    if indented {
        front.contacts.insert(key, value);
        return;
    }
    let place = match key.as_str() {
        "owner" => &mut front.owner,
        "version" => &mut front.version,
        "review" => &mut front.review,
        "reviewed" => &mut front.reviewed,
        _ => {
            remarks.info(offset, format!("front matter key `{key}` means nothing here"));
            return;
        }
    };
    if place.replace(value).is_some() {
        remarks.warning(offset, format!("front matter key `{key}` stands twice; the last one holds"));
    }
}

/// Returns a plain or quoted scalar without its quotes and without a trailing comment.
fn scalar(text: &str) -> String {
    let text = text.trim();
    for quote in ['"', '\''] {
        if let Some((inner, _)) = text.strip_prefix(quote).and_then(|rest| rest.split_once(quote)) {
            return inner.to_owned();
        }
    }
    text.split_once(" #").map_or(text, |(value, _)| value.trim_end()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Lines;

    #[track_caller]
    fn check(text: &str, expect: &expect_test::Expect) {
        let mut remarks = Remarks::default();
        let (front, body) = read(text, &mut remarks);
        let said: Vec<_> =
            remarks.finish(&Lines::new(text)).iter().map(|d| format!("{}: {}", d.line, d.message)).collect();
        expect.assert_eq(&format!("{front:?}\nbody {:?}\n{said:#?}", &text[body..]));
    }

    #[test]
    fn reads_scalars_and_contacts() {
        check(
            "---\nowner: DevOps Team # who\nversion: \"1.0\"\nreview: 30 days\nreviewed: 2026-07-01\ncontacts:\n  primary: pager:oncall\n  'security': mailto:sec@example.org\n---\n# Title\n",
            &expect_test::expect![[r##"
                FrontMatter { owner: Some("DevOps Team"), version: Some("1.0"), review: Some("30 days"), reviewed: Some("2026-07-01"), contacts: {"primary": "pager:oncall", "security": "mailto:sec@example.org"} }
                body "# Title\n"
                []"##]],
        );
    }

    #[test]
    fn names_what_it_does_not_understand() {
        check(
            "---\nowner: [a, b]\ntags:\n  - x\nnonsense\nowner: a\nowner: b\ncolour: red\n---\n",
            &expect_test::expect![[r#"
                FrontMatter { owner: Some("b"), version: None, review: None, reviewed: None, contacts: {} }
                body ""
                [
                    "2: value of `owner` is not a plain text",
                    "3: front matter key `tags` means nothing here",
                    "4: front matter line is not `key: value`",
                    "5: front matter line is not `key: value`",
                    "7: front matter key `owner` stands twice; the last one holds",
                    "8: front matter key `colour` means nothing here",
                ]"#]],
        );
    }

    #[test]
    fn is_optional() {
        let mut remarks = Remarks::default();
        assert_eq!(read("# Title\n", &mut remarks), (FrontMatter::default(), 0));
        assert_eq!(read("---\nowner: a\n", &mut remarks).1, 0, "never closed");
        assert_eq!(read("", &mut remarks).1, 0);
    }
}
