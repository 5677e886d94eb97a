//! Tests what many lines say together.

use serde_json::{Value, json};

use super::{Analysis, Report};
use crate::entry::Entry;
use crate::stamp::Clock;

fn report(lines: impl IntoIterator<Item = Value>) -> Report {
    let clock = Clock { local: |time| time.and_utc().timestamp_millis(), written_ms: 0 };
    let mut analysis = Analysis::default();
    for line in lines {
        analysis.take(&Entry::read(line.to_string().as_bytes(), clock));
    }
    analysis.report()
}

fn line(second: u64, level: &str, message: &str) -> Value {
    json!({"ts": 1_700_000_000 + second, "level": level, "server": "x", "event": "system", "message": message})
}

fn call(second: u64, event: &str, session: &str, duration_ms: Option<f64>) -> Value {
    let mut line = line(second, "info", "tools/call");
    line["event"] = event.into();
    line["method"] = "tools/call".into();
    line["tool"] = "add".into();
    line["session"] = session.into();
    line["duration_ms"] = duration_ms.into();
    line
}

#[test]
fn messages_are_clustered_and_counted() {
    let mut lines: Vec<_> =
        (0..100).map(|second| line(second, "info", &format!("job {second} done"))).collect();
    lines.extend(
        (90..100)
            .map(|second| line(second, "error", &format!("read {second}: ECONNREFUSED 10.0.0.{second}:80"))),
    );
    let found = report(lines);
    assert_eq!((found.lines, found.undated, found.levels["info"], found.levels["error"]), (110, 0, 100, 10));
    assert!((found.error_ratio - 10.0 / 110.0).abs() < 1e-9);
    let [done, refused] = &found.messages[..] else { panic!("{:?}", found.messages) };
    assert_eq!((done.message.as_str(), done.count, done.change), ("job # done", 100, None));
    assert_eq!((refused.message.as_str(), refused.count), ("read #: ECONNREFUSED #", 10));
    assert_eq!((refused.first_ms, refused.last_ms), (Some(1_700_000_090_000), Some(1_700_000_099_000)));
    let change = refused.change.unwrap();
    assert!(change.is_rise() && change.before_per_minute < 0.1 && change.now_per_minute > 20.0, "{change:?}");
    assert_eq!((found.errors[0].kind, found.errors[0].count, found.errors.len()), ("connection", 10, 1));
}

#[test]
fn calls_and_their_answers() {
    let mut slow = call(9, "performance", "a", Some(7000.0));
    slow["trace_id"] = "4bf92f3577b34da6a3ce929d0e0e4736".into();
    let found = report([
        call(0, "request", "a", None),
        call(0, "request", "b", None),
        call(1, "response", "a", Some(10.0)),
        call(2, "request", "a", None),
        slow,
        call(9, "request", "a", None),
        call(9, "error", "a", Some(1.0)),
        // Just asked: it may still be answered.
        call(10, "request", "c", None),
    ]);
    let [calls] = &found.calls.by_name[..] else { panic!("{:?}", found.calls) };
    assert_eq!((calls.name.as_str(), calls.count, calls.errors), ("tools/call add", 3, 1));
    assert!((calls.mean_ms - 7011.0 / 3.0).abs() < 1e-6 && (calls.p95_ms - 7000.0).abs() < 1e-6);
    assert_eq!((found.calls.n_slow, found.calls.slow[0].at_ms), (1, Some(1_700_000_009_000)));
    assert_eq!(found.calls.slow[0].trace_id.as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
    let waiting: Vec<_> = found.calls.unanswered.iter().map(|request| request.whose.as_str()).collect();
    assert_eq!((found.calls.n_unanswered, waiting), (1, vec!["b"]));
}

#[test]
fn what_is_held_is_bounded() {
    // Each in another alphabet of the same letters, so that none is like another.
    let word = |number: u32| {
        number.to_string().bytes().map(|digit| char::from(digit - b'0' + b'k')).collect::<String>()
    };
    let found = report((0..3000).map(|number| line(u64::from(number), "info", &word(number))));
    assert_eq!((found.messages.len(), found.other_messages), (2000, 1000));
    let found = report(
        (0..20_000)
            .map(|number| call(0, "request", &number.to_string(), None))
            .chain([line(99, "info", "end")]),
    );
    assert_eq!((found.calls.n_unanswered, found.calls.unanswered.len()), (20_000, 20));
    let empty = report([]);
    assert_eq!((empty.lines, empty.first_ms, empty.messages.len()), (0, None, 0));
    assert!(empty.error_ratio.abs() < 1e-9);
}
