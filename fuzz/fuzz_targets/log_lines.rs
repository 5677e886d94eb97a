//! Owns throwing any bytes at the reader of logs: its lines are those of the bytes, searched or not, and what they say is
//! read, redacted and summed up without a fault.
#![no_main]

use libfuzzer_sys::fuzz_target;
use logs::{Analysis, Clock, Filter, Lines, Pattern, Search, redact};

fuzz_target!(|input: (&str, bool, &[u8])| {
    let (text, is_regex, bytes) = input;
    let pattern = || if is_regex { Pattern::regex(text).ok() } else { Some(Pattern::literal(text)) };
    let mut expect: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    if expect.last().is_some_and(|last| last.is_empty()) {
        expect.pop();
    }
    let pattern_of_lines = pattern();
    for wanted in [None, pattern_of_lines.as_ref()] {
        let mut lines = Lines::new(bytes);
        let mut found = Vec::new();
        while let Some(line) = lines.next(wanted).expect("memory can be read") {
            found.push(line.line.to_vec());
        }
        let is_wanted = |line: &&&[u8]| wanted.is_none_or(|pattern| pattern.is_in(line));
        assert!(found.iter().map(Vec::as_slice).eq(expect.iter().filter(is_wanted).copied()));
    }
    let clock = Clock { local: |time| time.and_utc().timestamp_millis(), written_ms: 1_800_000_000_000 };
    let filter = Filter { pattern: pattern(), ..Filter::default() };
    let mut analysis = Analysis::default();
    for mut entry in Search::stream(Box::new(std::io::Cursor::new(bytes.to_vec())), "x", &filter, clock.local, clock.written_ms) {
        redact::entry(&mut entry);
        analysis.take(&entry);
    }
    analysis.report();
});
