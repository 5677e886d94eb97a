//! Owns `print` and `printf`: Go's verbs with their flags, widths and precisions.

use super::format::{fixed, general, scientific};
use super::value::Value;

/// Widths and precisions up to here: what is wider is a slip of the pen.
const WIDTH_MAX: usize = 1_000;
/// A text cannot grow beyond this within one call.
const BYTES_MAX: usize = 64 << 10;

/// Writes values one after another, with a blank between two that are no texts.
pub(super) fn print(arguments: &[Value]) -> String {
    let mut written = String::new();
    let mut was_text = true;
    for (idx, value) in arguments.iter().enumerate() {
        let is_text = matches!(value, Value::Text(_));
        if idx > 0 && !is_text && !was_text {
            written.push(' ');
        }
        written.push_str(&value.written());
        was_text = is_text;
    }
    written
}

/// A verb and what stands before it.
#[derive(Debug, Default)]
struct Verb {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
    letter: char,
}

pub(super) fn printf(format: &str, arguments: &[Value]) -> Result<String, String> {
    let mut written = String::new();
    let (mut rest, mut used) = (format, 0);
    while let Some((before, after)) = rest.split_once('%') {
        written.push_str(before);
        let (verb, left) = Verb::read(after)?;
        rest = left;
        match verb.letter {
            '\0' => written.push_str("%!(NOVERB)"),
            '%' => written.push('%'),
            letter => match arguments.get(used) {
                None => written.push_str(&format!("%!{letter}(MISSING)")),
                Some(value) => {
                    used += 1;
                    written.push_str(&verb.padded(verb.shown(value)));
                }
            },
        }
        if written.len() > BYTES_MAX {
            return Err(format!("text has more than {BYTES_MAX} bytes"));
        }
    }
    written.push_str(rest);
    if used < arguments.len() {
        let extra: Vec<String> = arguments[used..]
            .iter()
            .map(|value| format!("{}={}", value.type_name(), value.written()))
            .collect();
        written.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    Ok(written)
}

// === impl Verb ===

impl Verb {
    /// Takes a verb off the front, whose `%` is taken already.
    fn read(text: &str) -> Result<(Self, &str), String> {
        let mut verb = Self::default();
        let flags = text.len() - text.trim_start_matches(['-', '+', '#', ' ', '0']).len();
        for flag in text[..flags].chars() {
            match flag {
                '-' => verb.minus = true,
                '+' => verb.plus = true,
                '#' => verb.sharp = true,
                ' ' => verb.space = true,
                _ => verb.zero = true,
            }
        }
        let (width, mut rest) = length(&text[flags..])?;
        verb.width = width.unwrap_or_default();
        if let Some(after) = rest.strip_prefix('.') {
            let (precision, after) = length(after)?;
            verb.precision = Some(precision.unwrap_or_default());
            rest = after;
        }
        let mut letters = rest.chars();
        verb.letter = letters.next().unwrap_or('\0');
        Ok((verb, letters.as_str()))
    }

    fn shown(&self, value: &Value) -> String {
        let wrong = || format!("%!{}({}={})", self.letter, value.type_name(), value.written());
        match (self.letter, value) {
            ('v', Value::Text(text)) => self.cut(text),
            ('v', Value::Float(number)) => self.signed(general(*number, self.precision)),
            ('v', Value::Int(number)) => self.signed(number.to_string()),
            ('v', other) => other.written(),
            ('T', value) => value.type_name().to_owned(),
            ('s', Value::Text(text)) => self.cut(text),
            ('s', Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Nil) => wrong(),
            ('s', other) => other.written(),
            ('q', Value::Text(text)) if self.sharp && !text.contains(['`', '\n']) => format!("`{text}`"),
            ('q', Value::Text(text)) => format!("{:?}", self.cut(text)),
            ('q', Value::Int(number)) => {
                u32::try_from(*number).ok().and_then(char::from_u32).map_or_else(wrong, |c| format!("{c:?}"))
            }
            ('t', Value::Bool(truth)) => truth.to_string(),
            ('d', Value::Int(number)) => self.signed(number.to_string()),
            ('b', Value::Int(number)) => self.radix(*number, |magnitude| format!("{magnitude:b}"), "0b"),
            ('o', Value::Int(number)) => self.radix(*number, |magnitude| format!("{magnitude:o}"), "0"),
            ('x', Value::Int(number)) => self.radix(*number, |magnitude| format!("{magnitude:x}"), "0x"),
            ('X', Value::Int(number)) => self.radix(*number, |magnitude| format!("{magnitude:X}"), "0X"),
            ('x', Value::Text(text)) => text.bytes().map(|byte| format!("{byte:02x}")).collect(),
            ('X', Value::Text(text)) => text.bytes().map(|byte| format!("{byte:02X}")).collect(),
            ('c', Value::Int(number)) => u32::try_from(*number)
                .ok()
                .and_then(char::from_u32)
                .map_or_else(|| char::REPLACEMENT_CHARACTER.to_string(), String::from),
            ('U', Value::Int(number)) => format!("U+{number:04X}"),
            ('f' | 'F', Value::Float(number)) => self.signed(fixed(*number, self.precision.unwrap_or(6))),
            ('e', Value::Float(number)) => self.signed(scientific(*number, self.precision.unwrap_or(6))),
            ('E', Value::Float(number)) => {
                self.signed(scientific(*number, self.precision.unwrap_or(6))).to_uppercase()
            }
            ('g', Value::Float(number)) => self.signed(general(*number, self.precision)),
            ('G', Value::Float(number)) => self.signed(general(*number, self.precision)).to_uppercase(),
            _ => wrong(),
        }
    }

    fn radix(&self, number: i64, write: fn(u64) -> String, prefix: &str) -> String {
        let sign = if number < 0 { "-" } else { "" };
        let prefix = if self.sharp { prefix } else { "" };
        self.signed(format!("{sign}{prefix}{}", write(number.unsigned_abs())))
    }

    /// A text, cut after as many characters as the precision says.
    fn cut(&self, text: &str) -> String {
        self.precision.map_or_else(|| text.to_owned(), |count| text.chars().take(count).collect())
    }

    fn signed(&self, number: String) -> String {
        // Infinities have their sign already, and a plus is not asked for.
        if number == "+Inf" {
            return if self.plus { number } else { "+Inf".to_owned() };
        }
        match number.starts_with('-') {
            true => number,
            false if self.plus => format!("+{number}"),
            false if self.space => format!(" {number}"),
            false => number,
        }
    }

    fn padded(&self, text: String) -> String {
        let missing = self.width.saturating_sub(text.chars().count());
        if missing == 0 {
            return text;
        }
        if self.minus {
            return text + &" ".repeat(missing);
        }
        let is_number =
            matches!(self.letter, 'd' | 'f' | 'F' | 'e' | 'E' | 'g' | 'G' | 'x' | 'X' | 'b' | 'o' | 'v');
        if self.zero && is_number && text.ends_with(|c: char| c.is_ascii_hexdigit()) {
            let (sign, digits) = text.split_at(usize::from(text.starts_with(['-', '+', ' '])));
            return format!("{sign}{}{digits}", "0".repeat(missing));
        }
        " ".repeat(missing) + &text
    }
}

/// Takes a number off the front, if there is one.
fn length(text: &str) -> Result<(Option<usize>, &str), String> {
    if text.starts_with('*') {
        return Err("a width or precision by `*` is not supported".to_owned());
    }
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    if end == 0 {
        return Ok((None, text));
    }
    let number = text[..end].parse().ok().filter(|number| *number <= WIDTH_MAX);
    let number =
        number.ok_or_else(|| format!("width or precision `{}` is above {WIDTH_MAX}", &text[..end]))?;
    Ok((Some(number), &text[end..]))
}
