//! Tests of silences: whom and when they silence, what is refused, and their stored form.

use expect_test::expect;
use proptest::prelude::*;

use super::*;
use crate::matcher::parse_matchers;

fn silence(matchers: &str, starts_ms: i64, ends_ms: i64) -> Silence {
    let (created_by, comment) = ("ada".to_owned(), "new disk".to_owned());
    Silence {
        number: 0,
        matchers: parse_matchers(matchers).unwrap(),
        starts_ms,
        ends_ms,
        created_by,
        comment,
    }
}

fn alert(name: &str, server: &str) -> Labels {
    Labels::from_iter([("alertname", name), ("server_name", server)])
}

#[test]
fn the_stored_form_is_frozen() {
    let mut all = Silences::default();
    all.add(silence(r#"server_name=a,alertname=~"Slow|\"x\"""#, 1_000, 2_000), Breadth::Narrow, 0).unwrap();
    let text = all.to_json().unwrap();
    expect![[r#"
        {
          "version": 1,
          "last": 1,
          "silences": [
            {
              "number": 1,
              "matchers": [
                "server_name=\"a\"",
                "alertname=~\"Slow|\\\"x\\\"\""
              ],
              "starts_ms": 1000,
              "ends_ms": 2000,
              "created_by": "ada",
              "comment": "new disk"
            }
          ]
        }
    "#]]
    .assert_eq(&text);
    assert_eq!(Silences::parse(&text).unwrap(), all);
}

#[test]
fn whom_and_when_it_silences() {
    let mut all = Silences::default();
    all.add(silence("server_name=a", 1_000, 2_000), Breadth::Narrow, 0).unwrap();
    all.add(silence("alertname=Slow,server_name!=c", 1_500, 1_800), Breadth::Narrow, 0).unwrap();
    let at = |name, server, now_ms| all.silencing(&alert(name, server), now_ms);
    assert_eq!([999, 1_000, 1_999, 2_000].map(|now_ms| at("Down", "a", now_ms).len()), [0, 1, 1, 0]);
    assert_eq!(at("Slow", "a", 1_600), [1, 2]);
    assert_eq!((at("Slow", "b", 1_600), at("Slow", "c", 1_600)), (vec![2], vec![]));
    let states: Vec<_> = [0, 1_500, 1_800]
        .map(|now_ms| all.all(now_ms).map(|one| one.state(now_ms)).collect::<Vec<_>>())
        .into_iter()
        .flatten()
        .collect();
    use SilenceState::{Active, Expired, Pending};
    assert_eq!(states, [Pending, Pending, Active, Active, Active, Expired]);
}

#[test]
fn it_is_ended_by_its_number_which_nobody_gets_again() {
    let mut all = Silences::default();
    assert_eq!(all.add(silence("a=b", 5, 10), Breadth::Narrow, 0).unwrap(), 1);
    assert_eq!(all.expire(1, 2).unwrap().ends_ms, 2);
    assert_eq!(
        all.expire(1, 3).unwrap_err().to_string(),
        "there is no silence 1 that is not over; `paramedic alert silence list` shows them"
    );
    let later = EXPIRED_RETENTION_MS + 100;
    assert_eq!((all.all(3).count(), all.all(later).count()), (1, 0));
    assert_eq!(all.add(silence("a=b", 0, later + 1), Breadth::Narrow, later).unwrap(), 2);
    assert_eq!(all.expire(2, later).unwrap().state(later), SilenceState::Expired);
    assert!(!all.to_json().unwrap().contains("\"number\": 1"));
}

#[test]
fn what_is_no_silence() {
    let mut all = Silences::default();
    let long = Silence { comment: "x".repeat(1_025), ..silence("a=b", 0, 9) };
    let nobody = Silence { created_by: " ".to_owned(), ..silence("a=b", 0, 9) };
    for (silence, now_ms, expect) in [
        (silence("a=b", 10, 10), 0, "the silence has to end after it begins, and after now"),
        (silence("a=b", 0, 10), 10, "the silence has to end after it begins, and after now"),
        (long, 0, "the comment is empty, or longer than 1024 bytes"),
        (nobody, 0, "the name is empty, or longer than 1024 bytes"),
    ] {
        assert_eq!(all.add(silence, Breadth::Any, now_ms).unwrap_err().to_string(), expect);
    }
    for broad in ["", "a!=b", "a=~.*", "a=~.+", r#"a!="""#, r#"a="""#, "a!=b,c=~.+", "a!~b"] {
        let refused = all.add(silence(broad, 0, 9), Breadth::Narrow, 0);
        assert!(matches!(refused, Err(SilenceError::Broad)), "{broad}: {refused:?}");
    }
    all.add(silence("", 0, 9), Breadth::Any, 0).unwrap();
    assert_eq!(all.silencing(&Labels::empty(), 0), [1]);
    for _ in 1..SILENCES_MAX {
        all.add(silence("a=~b|c", 0, 9), Breadth::Narrow, 0).unwrap();
    }
    assert!(matches!(all.add(silence("a=b", 0, 9), Breadth::Narrow, 0), Err(SilenceError::TooMany(_))));
}

#[test]
fn what_is_not_understood_is_no_list() {
    for text in [
        "",
        "{}",
        r#"{"version":1}"#,
        r#"{"version":2,"last":0,"silences":[]}"#,
        r#"{"version":1,"last":0,"silences":[],"more":1}"#,
        r#"{"version":1,"last":0,"silences":[{"number":1,"matchers":["a"],"starts_ms":0,"ends_ms":9,"created_by":"b","comment":"c"}]}"#,
        r#"{"version":1,"last":0,"silences":[{"number":1,"matchers":["a=~("],"starts_ms":0,"ends_ms":9,"created_by":"b","comment":"c"}]}"#,
    ] {
        assert!(Silences::parse(text).is_err(), "{text}");
    }
    let later = Silences::parse(r#"{"version":2,"things":[]}"#).unwrap_err();
    assert_eq!(later.to_string(), "it is of version 2, and this Paramedic knows version 1");
}

proptest! {
    /// Whatever is added and ended in whatever order: numbers are never given twice, nothing silences outside its time,
    /// and what is over stays over.
    #[test]
    fn a_silence_silences_in_its_time_only(steps in prop::collection::vec((0..3_u8, 0..30_i64, 1..20_i64), 1..30)) {
        let (mut all, mut given, mut now_ms) = (Silences::default(), Vec::new(), 0);
        let mut over = std::collections::BTreeSet::new();
        for (what, from, length) in steps {
            match what {
                0 => {
                    let one = silence("server_name=a", from, from + length);
                    if let Ok(number) = all.add(one, Breadth::Narrow, now_ms) {
                        prop_assert!(!given.contains(&number));
                        given.push(number);
                    }
                }
                1 => {
                    let number = u32::try_from(from).unwrap() % 8;
                    if all.expire(number, now_ms).is_ok() {
                        prop_assert!(over.insert(number));
                    }
                }
                _ => now_ms += length / 4,
            }
            let silencing = all.silencing(&alert("Down", "a"), now_ms);
            for one in all.all(now_ms) {
                let inside = one.starts_ms <= now_ms && now_ms < one.ends_ms;
                prop_assert_eq!(silencing.contains(&one.number), inside);
                prop_assert!(!over.contains(&one.number) || !inside);
                if one.state(now_ms) == SilenceState::Expired {
                    over.insert(one.number);
                }
            }
            prop_assert!(all.silencing(&alert("Down", "b"), now_ms).is_empty());
        }
    }
}
