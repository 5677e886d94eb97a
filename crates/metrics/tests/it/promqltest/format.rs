//! Owns the reading of test files: `load`, `clear`, `eval`, and the lines under an `eval`.

use metrics::notation::{quoted, series, values};
use metrics::{Labels, Sample, Steps};
use regex::Regex;

use super::durations::duration_ms;

pub(super) enum Command {
    Load {
        line: usize,
        samples: Vec<Sample>,
        /// Native histograms were left out.
        has_native: bool,
    },
    Clear,
    Eval(Eval),
}

pub(super) struct Eval {
    pub(super) line: usize,
    pub(super) moment: Moment,
    pub(super) query: String,
    pub(super) expected: Expected,
    /// The order of the elements counts.
    pub(super) is_ordered: bool,
    pub(super) warnings: Remarks,
    pub(super) infos: Remarks,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Moment {
    Instant(i64),
    Range(Steps),
}

/// Labels, and samples with their times.
pub(super) type Rows = Vec<(Labels, Vec<(i64, f64)>)>;

#[derive(Debug)]
pub(super) enum Expected {
    Scalar(f64),
    Text(String),
    /// The time of a sample counts only where the result is a range.
    Rows(Rows),
    /// A value is a native histogram.
    Native,
    Failure(Wording),
}

/// What an error or a remark says.
#[derive(Debug)]
pub(super) enum Wording {
    Any,
    Contains(String),
    Matches(Regex),
}

/// Which remarks there are.
#[derive(Debug, Default)]
pub(super) enum Remarks {
    #[default]
    Whatever,
    None,
    /// One for each of these.
    Some(Vec<Wording>),
}

/// The number of a line, and what is wrong with it.
pub(super) type Fault = (usize, String);

/// Reads a file of cases.
pub(super) fn read(text: &str) -> Result<Vec<Command>, Fault> {
    let lines: Vec<(usize, &str)> = text
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()))
        .filter(|(_, line)| !line.starts_with('#'))
        .collect();
    // A block is a command and the lines under it up to an empty one or the next command.
    let mut commands = Vec::new();
    let mut index = 0;
    while index < lines.len() {
        let (number, line) = lines[index];
        index += 1;
        if line.is_empty() {
            continue;
        }
        let start = index;
        while index < lines.len() && !lines[index].1.is_empty() && !is_command(lines[index].1) {
            index += 1;
        }
        let under = &lines[start..index];
        commands.push(match line.split_once(char::is_whitespace) {
            None if line == "clear" => Command::Clear,
            Some(("load" | "load_with_nhcb", interval)) => load(number, interval.trim(), under)?,
            Some((eval @ ("eval" | "eval_fail" | "eval_warn" | "eval_info" | "eval_ordered"), rest)) => {
                Command::Eval(read_eval(number, eval, rest, under)?)
            }
            _ => return Err((number, format!("`{line}` is no command"))),
        });
    }
    Ok(commands)
}

fn is_command(line: &str) -> bool {
    let word = line.split(char::is_whitespace).next().unwrap_or_default();
    word == "clear" || word == "load" || word == "load_with_nhcb" || word.starts_with("eval")
}

fn load(line: usize, interval: &str, under: &[(usize, &str)]) -> Result<Command, Fault> {
    let interval_ms = duration_ms(interval).map_err(|reason| (line, reason))?;
    let (mut samples, mut has_native) = (Vec::new(), false);
    for (number, text) in under {
        let fault = |reason| (*number, reason);
        let (labels, rest) = series(text).map_err(|error| fault(error.to_string()))?;
        let values = values(rest).map_err(|error| fault(error.to_string()))?;
        has_native |= values.has_native;
        let mut at_ms = 0;
        for value in values.floats {
            samples.extend(value.map(|value| Sample { labels: labels.clone(), at_ms, value }));
            at_ms += interval_ms;
        }
    }
    Ok(Command::Load { line, samples, has_native })
}

fn read_eval(line: usize, command: &str, rest: &str, under: &[(usize, &str)]) -> Result<Eval, Fault> {
    let fault = |reason: &str| (line, reason.to_owned());
    let word = |rest: &mut &str| {
        let text = rest.trim_start();
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        *rest = &text[end..];
        text[..end].to_owned()
    };
    let mut rest = rest;
    let kind = word(&mut rest);
    let mut after = |keyword: &str| {
        let before = rest;
        if word(&mut rest) == keyword {
            return duration_ms(&word(&mut rest)).map_err(|reason| (line, reason));
        }
        rest = before;
        if keyword == "at" { Ok(0) } else { Err((line, format!("`{keyword}` is missing"))) }
    };
    let moment = match kind.as_str() {
        "instant" => Moment::Instant(after("at")?),
        "range" => {
            let (start_ms, end_ms, step_ms) = (after("from")?, after("to")?, after("step")?);
            Moment::Range(Steps { start_ms, end_ms, step_ms })
        }
        _ => return Err((line, format!("`{kind}` is no kind of eval"))),
    };
    let query = rest.trim().to_owned();
    if query.is_empty() {
        return Err(fault("an eval needs a query"));
    }
    let mut reader = Reader::new(moment);
    match command {
        "eval_fail" => reader.failure = Some(Wording::Any),
        "eval_warn" => reader.warnings.push(Wording::Any),
        "eval_info" => reader.infos.push(Wording::Any),
        "eval_ordered" => reader.is_ordered = true,
        _ => {}
    }
    for (number, text) in under {
        reader.line(text).map_err(|reason| (*number, reason))?;
    }
    Ok(reader.into_eval(line, query, moment))
}

/// What the lines under an `eval` said so far.
struct Reader {
    steps: Steps,
    is_ordered: bool,
    failure: Option<Wording>,
    warnings: Remarks,
    infos: Remarks,
    scalar: Option<f64>,
    text: Option<String>,
    rows: Rows,
    has_native: bool,
}

// === impl Reader ===

impl Reader {
    fn new(moment: Moment) -> Self {
        let steps = match moment {
            Moment::Instant(_) => Steps { start_ms: 0, end_ms: 0, step_ms: 1 },
            Moment::Range(steps) => steps,
        };
        Self {
            steps,
            is_ordered: false,
            failure: None,
            warnings: Remarks::Whatever,
            infos: Remarks::Whatever,
            scalar: None,
            text: None,
            rows: Vec::new(),
            has_native: false,
        }
    }

    fn line(&mut self, text: &str) -> Result<(), String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words[..] {
            ["expected_fail_message", ..] => {
                let message = text.trim_start_matches("expected_fail_message").trim();
                self.failure = Some(Wording::Contains(message.to_owned()));
            }
            ["expected_fail_regexp", ..] => {
                let pattern = text.trim_start_matches("expected_fail_regexp").trim();
                self.failure = Some(Wording::regex(pattern)?);
            }
            ["expect", "range", "vector", "from", from, "to", to, "step", step] => {
                self.steps = Steps {
                    start_ms: duration_ms(from)?,
                    end_ms: duration_ms(to)?,
                    step_ms: duration_ms(step)?,
                };
            }
            ["expect", "string", ..] => {
                let quote = text.trim_start_matches("expect").trim_start().trim_start_matches("string");
                self.text = Some(quoted(quote.trim_start()).map_err(|error| error.to_string())?.0);
            }
            ["expect", kind, ..] => {
                let rest = text.trim_start_matches("expect").trim_start().trim_start_matches(kind).trim();
                self.expect(kind, rest).ok_or_else(|| format!("`{text}` is no expectation"))??;
            }
            [number] if number.parse::<f64>().is_ok() => self.scalar = number.parse().ok(),
            _ => {
                let (labels, rest) = series(text).map_err(|error| error.to_string())?;
                let values = values(rest).map_err(|error| error.to_string())?;
                self.has_native |= values.has_native;
                let timed = self.steps.moments().zip(values.floats);
                let samples = timed.filter_map(|(at_ms, value)| Some((at_ms, value?))).collect();
                self.rows.push((labels, samples));
            }
        }
        Ok(())
    }

    fn expect(&mut self, kind: &str, rest: &str) -> Option<Result<(), String>> {
        let wording = match Wording::read(rest) {
            Ok(wording) => wording,
            Err(reason) => return Some(Err(reason)),
        };
        match (kind, wording) {
            ("fail", wording) => self.failure = Some(wording),
            ("warn", wording) => self.warnings.push(wording),
            ("info", wording) => self.infos.push(wording),
            ("no_warn", Wording::Any) => self.warnings = Remarks::None,
            ("no_info", Wording::Any) => self.infos = Remarks::None,
            ("ordered", Wording::Any) => self.is_ordered = true,
            _ => return None,
        }
        Some(Ok(()))
    }

    fn into_eval(self, line: usize, query: String, moment: Moment) -> Eval {
        let expected = match (self.failure, self.text, self.scalar) {
            (Some(wording), _, _) => Expected::Failure(wording),
            (None, Some(text), _) => Expected::Text(text),
            (None, None, Some(scalar)) => Expected::Scalar(scalar),
            (None, None, None) if self.has_native => Expected::Native,
            (None, None, None) => Expected::Rows(self.rows),
        };
        let (is_ordered, warnings, infos) = (self.is_ordered, self.warnings, self.infos);
        Eval { line, moment, query, expected, is_ordered, warnings, infos }
    }
}

// === impl Wording ===

impl Wording {
    /// Reads `msg: TEXT`, `regex: PATTERN`, or nothing.
    fn read(text: &str) -> Result<Self, String> {
        match text.split_once(':').map(|(kind, rest)| (kind, rest.trim())) {
            Some(("msg", message)) => Ok(Self::Contains(message.to_owned())),
            Some(("regex", pattern)) => Self::regex(pattern),
            _ => Ok(Self::Any),
        }
    }

    fn regex(pattern: &str) -> Result<Self, String> {
        Regex::new(pattern).map(Self::Matches).map_err(|_| format!("`{pattern}` is no regular expression"))
    }

    pub(super) fn fits(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Contains(part) => text.contains(part),
            Self::Matches(regex) => regex.is_match(text),
        }
    }
}

// === impl Remarks ===

impl Remarks {
    fn push(&mut self, wording: Wording) {
        match self {
            Self::Some(all) => all.push(wording),
            _ => *self = Self::Some(vec![wording]),
        }
    }
}
