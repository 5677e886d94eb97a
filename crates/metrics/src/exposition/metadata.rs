//! Owns what a page tells people about its families: their kind, their unit, and what they mean.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Format;

/// More families than that has no page that anybody reads.
const FAMILIES_MAX: usize = 10_000;
/// A text that is longer is cut: it is a hint beside a query.
const TEXT_CHARACTERS_MAX: usize = 1_000;

/// What is known of one family.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// `counter`, `gauge`, `histogram`, `summary` or another word of the page; empty where it says none.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it means.
    pub help: String,
    /// Its unit, where the page names one.
    pub unit: String,
}

/// Reads what a page tells of its families, by the name under which their series are asked for: in OpenMetrics a counter
/// `x` has the series `x_total`.
pub fn metadata(page: &str) -> BTreeMap<String, Metadata> {
    let format = Format::of_page(page);
    let mut families: BTreeMap<String, Metadata> = BTreeMap::new();
    for line in page.lines() {
        let Some((keyword, rest)) = line.strip_prefix("# ").and_then(|line| line.split_once(' ')) else {
            continue;
        };
        let (name, text) = rest.trim_start().split_once([' ', '\t']).unwrap_or((rest, ""));
        let name = name.trim_matches('"');
        if !["TYPE", "HELP", "UNIT"].contains(&keyword)
            || (families.len() >= FAMILIES_MAX && !families.contains_key(name))
        {
            continue;
        }
        let family = families.entry(name.to_owned()).or_default();
        let text = text.trim();
        match keyword {
            "TYPE" => text.clone_into(&mut family.kind),
            "UNIT" => text.clone_into(&mut family.unit),
            _ => family.help = unescaped(text),
        }
    }
    let asked_for = |(name, family): (String, Metadata)| match format {
        Format::OpenMetrics if family.kind == "counter" && !name.ends_with("_total") => {
            (format!("{name}_total"), family)
        }
        _ => (name, family),
    };
    families.into_iter().map(asked_for).collect()
}

/// `\n`, `\\` and `\"` stand for themselves in a page.
fn unescaped(text: &str) -> String {
    let mut letters = text.chars();
    let mut plain = String::new();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('n') => plain.push('\n'),
                Some(other) => plain.push(other),
                None => plain.push('\\'),
            },
            other => plain.push(other),
        }
        if plain.len() >= TEXT_CHARACTERS_MAX {
            break;
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(page: &str, expect: &[(&str, &str, &str, &str)]) {
        let found = metadata(page);
        let found: Vec<_> = found
            .iter()
            .map(|(name, one)| (name.as_str(), one.kind.as_str(), one.help.as_str(), one.unit.as_str()))
            .collect();
        assert_eq!(found, expect, "{page}");
    }

    #[test]
    fn both_formats() {
        check(
            "# HELP a_total What \\\\ is\\ncounted\n# TYPE a_total counter\na_total 1\n",
            &[("a_total", "counter", "What \\ is\ncounted", "")],
        );
        check(
            "# TYPE a_seconds counter\n# UNIT a_seconds seconds\n# HELP a_seconds Time\na_seconds_total 1\n# EOF\n",
            &[("a_seconds_total", "counter", "Time", "seconds")],
        );
        check("# TYPE \"a.b\" gauge\n{\"a.b\"} 1\n", &[("a.b", "gauge", "", "")]);
        check("# a comment\n#\n# TYPE\n# HELP x\nx 1\n", &[("x", "", "", "")]);
    }
}
