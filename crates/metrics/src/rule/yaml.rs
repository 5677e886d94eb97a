//! Owns the reading of YAML: a tree whose every piece knows its place. Bounded: neither aliases nor nesting can blow it up.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::problem::RuleProblem;

/// The largest file that is read; one with a thousand rules has some hundred kilobytes.
const BYTES_MAX: usize = 8 << 20;
/// How many pieces a file may have, those that aliases repeat included.
const NODES_MAX: usize = 500_000;
/// How deep they may be nested; a rule file needs six.
const DEPTH_MAX: usize = 32;

/// A piece of a file.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) content: Content,
    pub(crate) line: usize,
    /// In characters, counted from 1.
    pub(crate) column: usize,
    /// Pieces in it, itself included.
    size: usize,
}

#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// A text, and whether it was written without quotes.
    Scalar(String, bool),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

// === impl Node ===

impl Node {
    /// Whether it is nothing: an empty value, `~` or `null`.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.content, Content::Scalar(text, true) if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// What messages call it.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.content {
            Content::Scalar(..) if self.is_null() => "nothing",
            Content::Scalar(..) => "a text",
            Content::List(_) => "a list",
            Content::Map(_) => "a mapping",
        }
    }
}

/// Reads the one document of a file; nothing if it is empty.
pub(crate) fn read(text: &str) -> Result<Option<Node>, RuleProblem> {
    if text.len() > BYTES_MAX {
        return Err(RuleProblem::error((1, 1), format!("file has more than {BYTES_MAX} bytes")));
    }
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text)) {
        let (event, span) = event.map_err(|error| {
            let marker = error.marker();
            RuleProblem::error(
                (marker.line(), marker.col() + 1),
                format!("file is no YAML: {}", error.info()),
            )
        })?;
        builder.take(event, &span)?;
    }
    Ok(builder.document.filter(|node| !node.is_null()))
}

/// A list or mapping that is not complete.
struct Open {
    anchor: usize,
    line: usize,
    column: usize,
    is_map: bool,
    nodes: Vec<Node>,
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    n_nodes: usize,
    n_documents: usize,
    document: Option<Node>,
}

// === impl Builder ===

impl Builder {
    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), RuleProblem> {
        let (line, column) = (span.start.line(), span.start.col() + 1);
        let place = (line, column);
        match event {
            Event::DocumentStart(_) => {
                self.n_documents += 1;
                if self.n_documents > 1 {
                    let problem = RuleProblem::error(place, "a second document begins here".to_owned());
                    return Err(
                        problem.help("only the first would be read: put all groups under one `groups:`")
                    );
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, _) => {
                let content = Content::Scalar(text.into_owned(), style == ScalarStyle::Plain);
                self.add(Node { content, line, column, size: 1 }, anchor)
            }
            Event::SequenceStart(anchor, _) => self.begin(anchor, place, false),
            Event::MappingStart(anchor, _) => self.begin(anchor, place, true),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => {
                let fault =
                    || RuleProblem::error(place, "an alias names nothing that is complete".to_owned());
                // What an alias repeats counts before it is repeated.
                let size = self.anchors.get(&anchor).ok_or_else(fault)?.size;
                self.count(size, place)?;
                let node = self.anchors.get(&anchor).cloned().ok_or_else(fault)?;
                self.put(node)
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn count(&mut self, n_nodes: usize, place: (usize, usize)) -> Result<(), RuleProblem> {
        self.n_nodes = self.n_nodes.saturating_add(n_nodes);
        if self.n_nodes > NODES_MAX {
            let message =
                format!("file has more than {NODES_MAX} pieces, those that aliases repeat included");
            return Err(RuleProblem::error(place, message));
        }
        Ok(())
    }

    fn begin(&mut self, anchor: usize, place: (usize, usize), is_map: bool) -> Result<(), RuleProblem> {
        if self.open.len() >= DEPTH_MAX {
            return Err(RuleProblem::error(place, format!("nested deeper than {DEPTH_MAX}")));
        }
        self.open.push(Open { anchor, line: place.0, column: place.1, is_map, nodes: Vec::new() });
        Ok(())
    }

    fn end(&mut self) -> Result<(), RuleProblem> {
        let Some(Open { anchor, line, column, is_map, nodes }) = self.open.pop() else { return Ok(()) };
        let size = 1 + nodes.iter().map(|node| node.size).sum::<usize>();
        let content = if is_map { Content::Map(pairs(nodes)?) } else { Content::List(nodes) };
        self.add(Node { content, line, column, size }, anchor)
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), RuleProblem> {
        self.count(1, (node.line, node.column))?;
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
            self.count(node.size, (node.line, node.column))?;
        }
        self.put(node)
    }

    fn put(&mut self, node: Node) -> Result<(), RuleProblem> {
        match self.open.last_mut() {
            Some(open) => open.nodes.push(node),
            None => self.document = Some(node),
        }
        Ok(())
    }
}

/// Makes pairs of keys and values that follow one another; `<<` takes over the pairs of other mappings.
fn pairs(nodes: Vec<Node>) -> Result<Vec<(Node, Node)>, RuleProblem> {
    let mut pairs: Vec<(Node, Node)> = Vec::with_capacity(nodes.len() / 2);
    let mut merged = Vec::new();
    let mut nodes = nodes.into_iter();
    let mut known: HashMap<String, usize> = HashMap::new();
    while let (Some(key), Some(value)) = (nodes.next(), nodes.next()) {
        let Content::Scalar(name, is_plain) = &key.content else {
            let problem = RuleProblem::error((key.line, key.column), format!("a key is {}", key.kind()));
            return Err(problem.help("write a name before the colon"));
        };
        if *is_plain && name == "<<" {
            merged.extend(mappings(value)?);
            continue;
        }
        if let Some(line) = known.insert(name.clone(), key.line) {
            let message = format!("`{name}` is there already, in line {line}");
            return Err(RuleProblem::error((key.line, key.column), message).help("leave one of the two"));
        }
        pairs.push((key, value));
    }
    for (key, value) in merged {
        let Content::Scalar(name, _) = &key.content else { continue };
        if !known.contains_key(name) {
            known.insert(name.clone(), key.line);
            pairs.push((key, value));
        }
    }
    Ok(pairs)
}

/// The pairs of what follows `<<`: a mapping, or a list of some.
fn mappings(value: Node) -> Result<Vec<(Node, Node)>, RuleProblem> {
    let place = (value.line, value.column);
    match value.content {
        Content::Map(pairs) => Ok(pairs),
        Content::List(list) => {
            let all: Result<Vec<_>, _> = list.into_iter().map(mappings).collect();
            Ok(all?.into_iter().flatten().collect())
        }
        Content::Scalar(..) => Err(RuleProblem::error(place, "`<<` takes over mappings only".to_owned())),
    }
}
