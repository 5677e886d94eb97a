//! Tests that the stored forms stay what they were: a newer engine reads what an older runner wrote.

use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use runner::{Background, BackgroundEnd, End, Intent, Outcome, Shell, StateFile};
use serde::Serialize;
use serde::de::DeserializeOwned;

#[track_caller]
fn check<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T, expect: &Expect) {
    let json = serde_json::to_string(value).unwrap();
    expect.assert_eq(&json);
    assert_eq!(serde_json::from_str::<T>(&json).unwrap(), *value);
}

#[test]
fn an_intent_is_frozen() {
    let mut intent = Intent {
        key: "incident-1/6.1".to_owned(),
        attempt: 2,
        statement: "echo \"$PORT\"".to_owned(),
        shell: Shell::Bash,
        environment: BTreeMap::from([("PORT".to_owned(), "8080".to_owned())]),
        directory: "/".into(),
        timeout_ms: 60_000,
        output_bytes_max: 1024,
        background_ms: None,
        writable: None,
        state_before: None,
        state_after: "/run/state".into(),
    };
    check(
        &intent,
        &expect![[
            r#"{"key":"incident-1/6.1","attempt":2,"statement":"echo \"$PORT\"","shell":"bash","environment":{"PORT":"8080"},"directory":"/","timeout_ms":60000,"output_bytes_max":1024,"state_before":null,"state_after":"/run/state"}"#
        ]],
    );
    intent.shell = Shell::Sh;
    intent.state_before = Some("/run/state-1".into());
    check(
        &intent,
        &expect![[
            r#"{"key":"incident-1/6.1","attempt":2,"statement":"echo \"$PORT\"","shell":"sh","environment":{"PORT":"8080"},"directory":"/","timeout_ms":60000,"output_bytes_max":1024,"state_before":"/run/state-1","state_after":"/run/state"}"#
        ]],
    );
    intent.background_ms = Some(3_600_000);
    check(
        &intent,
        &expect![[
            r#"{"key":"incident-1/6.1","attempt":2,"statement":"echo \"$PORT\"","shell":"sh","environment":{"PORT":"8080"},"directory":"/","timeout_ms":60000,"output_bytes_max":1024,"background_ms":3600000,"state_before":"/run/state-1","state_after":"/run/state"}"#
        ]],
    );
}

#[test]
fn an_outcome_is_frozen() {
    let outcome = |end, state| Outcome {
        started_ms: 1_767_225_600_123,
        finished_ms: 1_767_225_600_456,
        end,
        stdout_bytes: 12,
        stderr_bytes: 0,
        truncated: false,
        state,
        background_ms: None,
    };
    check(
        &outcome(End::Exited(3), StateFile::Saved),
        &expect![[
            r#"{"started_ms":1767225600123,"finished_ms":1767225600456,"end":{"exited":3},"stdout_bytes":12,"stderr_bytes":0,"truncated":false,"state":"saved"}"#
        ]],
    );
    check(
        &outcome(End::Signaled(9), StateFile::Missing),
        &expect![[
            r#"{"started_ms":1767225600123,"finished_ms":1767225600456,"end":{"signaled":9},"stdout_bytes":12,"stderr_bytes":0,"truncated":false,"state":"missing"}"#
        ]],
    );
    check(
        &outcome(End::TimedOut, StateFile::Saved),
        &expect![[
            r#"{"started_ms":1767225600123,"finished_ms":1767225600456,"end":"timed_out","stdout_bytes":12,"stderr_bytes":0,"truncated":false,"state":"saved"}"#
        ]],
    );
    check(
        &outcome(End::NotStarted("no bash".to_owned()), StateFile::Missing),
        &expect![[
            r#"{"started_ms":1767225600123,"finished_ms":1767225600456,"end":{"not_started":"no bash"},"stdout_bytes":12,"stderr_bytes":0,"truncated":false,"state":"missing"}"#
        ]],
    );
    check(
        &Outcome { background_ms: Some(3_600_000), ..outcome(End::Exited(0), StateFile::Saved) },
        &expect![[
            r#"{"started_ms":1767225600123,"finished_ms":1767225600456,"end":{"exited":0},"stdout_bytes":12,"stderr_bytes":0,"truncated":false,"state":"saved","background_ms":3600000}"#
        ]],
    );
}

#[test]
fn the_end_of_background_jobs_is_frozen() {
    let background = |end| Background { ended_ms: 1_767_225_600_456, end, truncated: true };
    check(
        &background(BackgroundEnd::ByItself),
        &expect![[r#"{"ended_ms":1767225600456,"end":"by_itself","truncated":true}"#]],
    );
    check(
        &[BackgroundEnd::Told, BackgroundEnd::Limit, BackgroundEnd::Lost],
        &expect![[r#"["told","limit","lost"]"#]],
    );
}
