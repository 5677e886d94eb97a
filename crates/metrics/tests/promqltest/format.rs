//! Owns the reading of test files: `load`, `clear`, `eval`, and the lines under an `eval`.

use metrics::{Labels, Sample, Steps};

const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;

pub(crate) enum Command {
    Load(Vec<Sample>),
    Clear,
    Eval(Eval),
}

pub(crate) struct Eval {
    pub(crate) line: usize,
    pub(crate) moment: Moment,
    pub(crate) query: String,
    pub(crate) expected: Expected,
}

#[derive(Clone, Copy)]
pub(crate) enum Moment {
    Instant(i64),
    Range(Steps),
}

#[derive(Debug, Clone)]
pub(crate) enum Expected {
    Scalar(f64),
    Text(String),
    /// The time of a sample counts only where the result is a range.
    Vector(Vec<(Labels, Vec<(i64, f64)>)>, Order),
    /// The error contains this text.
    Failure(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Any,
    AsGiven,
}

/// Reads a file of cases; panics on what it does not understand, being a test.
pub(crate) fn read(text: &str) -> Vec<Command> {
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
        let under: Vec<&str> = lines[start..index].iter().map(|(_, line)| *line).collect();
        commands.push(match line.split_once(char::is_whitespace) {
            None if line == "clear" => Command::Clear,
            Some(("load", interval)) => Command::Load(load(duration_ms(interval), &under)),
            Some((eval, rest)) if eval.starts_with("eval") => {
                Command::Eval(read_eval(number, eval, rest, &under))
            }
            _ => panic!("line {number}: `{line}` is no command"),
        });
    }
    commands
}

fn is_command(line: &str) -> bool {
    line == "clear" || line.starts_with("load ") || line.starts_with("eval")
}

fn load(interval_ms: i64, lines: &[&str]) -> Vec<Sample> {
    let mut samples = Vec::new();
    for line in lines {
        let (labels, rest) = series(line);
        for (index, value) in values(rest).into_iter().enumerate() {
            let at_ms = i64::try_from(index).expect("files are short") * interval_ms;
            samples.extend(value.map(|value| Sample { labels: labels.clone(), at_ms, value }));
        }
    }
    samples
}

fn read_eval(line: usize, command: &str, rest: &str, under: &[&str]) -> Eval {
    let mut words = rest.splitn(4, char::is_whitespace);
    let mut word = || words.next().expect("an eval has a kind, a moment and a query");
    let (kind, _, first) = (word(), word(), word());
    let rest = words.next().unwrap_or_default();
    let (moment, query) = match kind {
        "instant" => (Moment::Instant(duration_ms(first)), rest),
        "range" => {
            let parts: Vec<&str> = rest.splitn(5, char::is_whitespace).collect();
            let steps = Steps {
                start_ms: duration_ms(first),
                end_ms: duration_ms(parts[1]),
                step_ms: duration_ms(parts[3]),
            };
            (Moment::Range(steps), parts[4])
        }
        _ => panic!("line {line}: `{kind}` is no kind of eval"),
    };
    Eval { line, moment, query: query.to_owned(), expected: expected(command, moment, under) }
}

fn expected(command: &str, moment: Moment, under: &[&str]) -> Expected {
    let mut order = if command == "eval_ordered" { Order::AsGiven } else { Order::Any };
    let mut failure = (command == "eval_fail").then(String::new);
    let mut steps = match moment {
        Moment::Instant(_) => Steps { start_ms: 0, end_ms: 0, step_ms: 1 },
        Moment::Range(steps) => steps,
    };
    let mut all = Vec::new();
    for line in under {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["expect", "fail", ..] => {
                let message = line.split_once("msg:").map(|(_, message)| message.trim());
                failure = Some(message.unwrap_or_default().to_owned());
            }
            ["expect", "ordered"] => order = Order::AsGiven,
            ["expect", "string", ..] => {
                let text = line.split_once("string").map_or("", |(_, text)| text.trim());
                return Expected::Text(text.trim_matches(['"', '`']).to_owned());
            }
            ["expect", "range", "vector", "from", from, "to", to, "step", step] => {
                steps = Steps {
                    start_ms: duration_ms(from),
                    end_ms: duration_ms(to),
                    step_ms: duration_ms(step),
                };
            }
            // Annotations are not implemented, so neither their presence nor their absence is checked.
            ["expect", ..] => {}
            [number] if number.parse::<f64>().is_ok() => {
                return Expected::Scalar(number.parse().expect("it was parsed a moment ago"));
            }
            _ => {
                let (labels, rest) = series(line);
                let timed = steps.moments().zip(values(rest));
                all.push((labels, timed.filter_map(|(at_ms, value)| Some((at_ms, value?))).collect()));
            }
        }
    }
    match failure {
        Some(message) => Expected::Failure(message),
        None => Expected::Vector(all, order),
    }
}

/// Reads a series; returns its labels and what follows it.
fn series(line: &str) -> (Labels, &str) {
    let end = line.find(|c: char| c == '{' || c.is_whitespace()).unwrap_or(line.len());
    let mut pairs = Vec::new();
    if end > 0 {
        pairs.push((metrics::METRIC_NAME.to_owned(), line[..end].to_owned()));
    }
    let Some(mut rest) = line[end..].strip_prefix('{') else {
        return (pairs.into_iter().collect(), &line[end..]);
    };
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        if let Some(after) = rest.strip_prefix('}') {
            return (pairs.into_iter().collect(), after);
        }
        let (name, value) = rest.split_once('=').expect("a label has a value");
        let quote = value.chars().next().expect("a value is quoted");
        let (value, after) = value[1..].split_once(quote).expect("a quote is closed");
        pairs.push((name.trim().to_owned(), value.to_owned()));
        rest = after;
    }
}

/// Reads values; nothing stands for a gap.
fn values(text: &str) -> Vec<Option<f64>> {
    let mut all = Vec::new();
    for word in text.split_whitespace() {
        let (item, times) = match word.rsplit_once('x') {
            Some((item, times)) => (item, times.parse::<usize>().expect("a number of repetitions")),
            None => (word, 0),
        };
        if item == "_" {
            all.extend(std::iter::repeat_n(None, times.max(1)));
        } else if item == "stale" {
            all.push(Some(f64::from_bits(STALE_BITS)));
        } else if let Ok(value) = item.parse::<f64>() {
            all.extend(std::iter::repeat_n(Some(value), times + 1));
        } else {
            let sign = item.rfind(['+', '-']).expect("a value and its growth");
            let start: f64 = item[..sign].parse().expect("a first value");
            let growth: f64 = item[sign..].parse().expect("a growth");
            all.extend((0..=times).map(|index| Some(start + growth * index as f64)));
        }
    }
    all
}

/// Reads `1h30m`, `10s53ms`, or a number of seconds.
fn duration_ms(text: &str) -> i64 {
    if let Ok(seconds) = text.parse::<f64>() {
        return (seconds * 1000.0).round() as i64;
    }
    let mut total = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).expect("a number has a unit");
        let unit = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |end| digits + end);
        let factor = match &rest[digits..unit] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            other => panic!("`{other}` is no unit of time"),
        };
        total += factor * rest[..digits].parse::<i64>().expect("digits are a number");
        rest = &rest[unit..];
    }
    total
}
