//! Owns the reading of mappings with known keys: what is unknown, missing or of the wrong kind is a problem with a place.

use super::duration::parse_duration;
use super::problem::RuleProblem;
use super::yaml::{Content, Node};

/// A mapping, and what is wrong in it.
pub(crate) struct Fields<'f, 'p> {
    pairs: &'f [(Node, Node)],
    /// Where it begins.
    pub(crate) place: (usize, usize),
    problems: &'p mut Vec<RuleProblem>,
}

/// The place of a node.
pub(crate) fn place(node: &Node) -> (usize, usize) {
    (node.line, node.column)
}

// === impl Fields ===

impl<'f, 'p> Fields<'f, 'p> {
    /// Takes a node for a mapping with some of these keys; none if it is something else, which is a problem.
    pub(crate) fn of(
        node: &'f Node,
        what: &str,
        known: &[&str],
        problems: &'p mut Vec<RuleProblem>,
    ) -> Option<Self> {
        let Content::Map(pairs) = &node.content else {
            problems.push(RuleProblem::error(
                place(node),
                format!("{what} has to be a mapping of names to values, and is {}", node.kind()),
            ));
            return None;
        };
        for (key, _) in pairs {
            let Content::Scalar(name, _) = &key.content else { continue };
            if known.contains(&name.as_str()) {
                continue;
            }
            let problem = RuleProblem::error(place(key), format!("{what} has no field `{name}`"));
            problems.push(problem.help(match nearest(name, known) {
                Some(nearest) => format!("`{nearest}` is meant?"),
                None => format!("there are {}", known.join(", ")),
            }));
        }
        Some(Self { pairs, place: place(node), problems })
    }

    pub(crate) fn problem(&mut self, problem: RuleProblem) {
        self.problems.push(problem);
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'f Node> {
        let is_it = |key: &Node| matches!(&key.content, Content::Scalar(found, _) if found == name);
        self.pairs.iter().find(|(key, _)| is_it(key)).map(|(_, value)| value)
    }

    /// A text; empty if it is missing.
    pub(crate) fn text(&mut self, name: &str) -> String {
        let Some(node) = self.get(name) else { return String::new() };
        match &node.content {
            Content::Scalar(..) if node.is_null() => String::new(),
            Content::Scalar(text, _) => text.clone(),
            _ => {
                let message = format!("`{name}` has to be a text, and is {}", node.kind());
                self.problem(RuleProblem::error(place(node), message));
                String::new()
            }
        }
    }

    /// A length of time in milliseconds, if it is there.
    pub(crate) fn duration(&mut self, name: &str) -> Option<i64> {
        let node = self.get(name).filter(|node| !node.is_null())?;
        let text = self.text(name);
        let length_ms = parse_duration(&text);
        if length_ms.is_none() && matches!(node.content, Content::Scalar(..)) {
            let problem = RuleProblem::error(place(node), format!("`{name}`: `{text}` is not a duration"));
            self.problem(
                problem.help("write whole numbers with units, the largest first, such as `90s` or `1h30m`"),
            );
        }
        length_ms
    }

    /// A whole number, if it is there.
    pub(crate) fn number(&mut self, name: &str) -> Option<i64> {
        let node = self.get(name).filter(|node| !node.is_null())?;
        let text = self.text(name);
        let number = text.parse().ok();
        if number.is_none() && matches!(node.content, Content::Scalar(..)) {
            self.problem(RuleProblem::error(
                place(node),
                format!("`{name}`: `{text}` is not a whole number"),
            ));
        }
        number
    }

    /// `true` or `false`; false if it is missing.
    pub(crate) fn truth(&mut self, name: &str) -> bool {
        let Some(node) = self.get(name).filter(|node| !node.is_null()) else { return false };
        match self.text(name).to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => true,
            "false" | "no" | "off" => false,
            text => {
                let message = format!("`{name}`: `{text}` is neither `true` nor `false`");
                self.problem(RuleProblem::error(place(node), message));
                false
            }
        }
    }

    /// The elements of a list; none if it is missing.
    pub(crate) fn list(&mut self, name: &str) -> &'f [Node] {
        let Some(node) = self.get(name).filter(|node| !node.is_null()) else { return &[] };
        match &node.content {
            Content::List(list) => list,
            _ => {
                let problem = RuleProblem::error(
                    place(node),
                    format!("`{name}` has to be a list, and is {}", node.kind()),
                );
                self.problem(problem.help("begin each element with `- `"));
                &[]
            }
        }
    }

    /// The texts of a list.
    pub(crate) fn words(&mut self, name: &str) -> Vec<String> {
        let mut words = Vec::new();
        for node in self.list(name) {
            match &node.content {
                Content::Scalar(text, _) => words.push(text.clone()),
                _ => {
                    let message = format!("an element of `{name}` has to be a text, and is {}", node.kind());
                    self.problem(RuleProblem::error(place(node), message));
                }
            }
        }
        words
    }

    /// A mapping of texts to texts, each with the place of its name.
    pub(crate) fn texts(&mut self, name: &str) -> Vec<(String, String, (usize, usize))> {
        let Some(node) = self.get(name).filter(|node| !node.is_null()) else { return Vec::new() };
        let Content::Map(pairs) = &node.content else {
            let message = format!("`{name}` has to be a mapping of names to texts, and is {}", node.kind());
            self.problem(RuleProblem::error(place(node), message));
            return Vec::new();
        };
        let mut texts = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            let (Content::Scalar(key_text, _), Content::Scalar(text, _)) = (&key.content, &value.content)
            else {
                let message = format!("a value under `{name}` has to be a text, and is {}", value.kind());
                self.problem(RuleProblem::error(place(value), message));
                continue;
            };
            let text = if value.is_null() { String::new() } else { text.clone() };
            texts.push((key_text.clone(), text, place(key)));
        }
        texts
    }
}

/// The known name that a wrong one is most like: at most two letters apart.
fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    const FAR: usize = 2;
    let lower = name.to_lowercase();
    let distances = known.iter().map(|known| (distance(&lower, known), *known));
    distances.filter(|(distance, _)| *distance <= FAR).min().map(|(_, known)| known)
}

/// How many letters have to be put in, taken out or changed.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    // A key of any length may be in a file; a known one is short.
    if one.chars().count() > other.len() + 8 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (idx, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = idx + 1;
        for column in 0..other.len() {
            let changed = diagonal + usize::from(letter != other[column]);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}
