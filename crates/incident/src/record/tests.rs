//! Owns the frozen form of records: a journal written today is read for ever.

use expect_test::{Expect, expect};

use super::*;

#[track_caller]
fn check(record: &Record, expect: &Expect) {
    let text = serde_json::to_string(record).unwrap();
    expect.assert_eq(&text);
    assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), *record);
    let kind = serde_json::to_value(record).unwrap()["kind"].as_str().unwrap().to_owned();
    assert_eq!(kind, record.kind());
}

fn unit() -> UnitRef {
    UnitRef { run: 1, unit: "6.1".to_owned() }
}

fn step() -> Step {
    Step { run: 1, number: 6, title: "Attempt Service Recovery".to_owned(), phase: "Recovery".to_owned() }
}

#[test]
fn opened() {
    let exit = ExitFacts {
        uptime_ms: None,
        pid: Some(7),
        reason: "killed by SIGKILL".to_owned(),
        at_ms: 1,
        stderr: vec!["bye".to_owned()],
        out_of_memory: None,
    };
    let alert = AlertFacts {
        name: "MCPServerDown".to_owned(),
        severity: "critical".to_owned(),
        labels: BTreeMap::from([("server_name".to_owned(), "time".to_owned())]),
        fingerprint: "00112233aabbccdd".to_owned(),
        started_ms: 2,
    };
    let alarm =
        Alarm { source: Source::Exit, summary: "gone".to_owned(), alert: Some(alert), exit: Some(exit) };
    let runbook = RunbookPin { name: "server-down.md".to_owned(), sha256: "ab".to_owned() };
    check(
        &Record::Opened {
            server: "time".to_owned(),
            procedure: "server-down".to_owned(),
            title: "Server Down".to_owned(),
            alarm: alarm.clone(),
            runbook: runbook.clone(),
            response_time_ms: Some(300_000),
            dependency: None,
            earlier: None,
        },
        &expect![[
            r#"{"kind":"opened","server":"time","procedure":"server-down","title":"Server Down","alarm":{"source":"exit","summary":"gone","alert":{"name":"MCPServerDown","severity":"critical","labels":{"server_name":"time"},"fingerprint":"00112233aabbccdd","started_ms":2},"exit":{"pid":7,"reason":"killed by SIGKILL","at_ms":1,"stderr":["bye"]}},"runbook":{"name":"server-down.md","sha256":"ab"},"response_time_ms":300000}"#
        ]],
    );
    check(
        &Record::Opened {
            server: String::new(),
            procedure: String::new(),
            title: String::new(),
            alarm: Alarm { alert: None, exit: None, ..alarm.clone() },
            runbook,
            response_time_ms: None,
            dependency: Some("db (tcp a:1)".to_owned()),
            earlier: Some("i".to_owned()),
        },
        &expect![[
            r#"{"kind":"opened","server":"","procedure":"","title":"","alarm":{"source":"exit","summary":"gone","alert":null,"exit":null},"runbook":{"name":"server-down.md","sha256":"ab"},"response_time_ms":null,"dependency":"db (tcp a:1)","earlier":"i"}"#
        ]],
    );
    check(
        &Record::SeenAgain { alarm: Alarm { alert: None, exit: None, ..alarm } },
        &expect![[
            r#"{"kind":"seen_again","alarm":{"source":"exit","summary":"gone","alert":null,"exit":null}}"#
        ]],
    );
}

#[test]
fn words_of_people() {
    let expires_ms = 9;
    check(
        &Record::Acknowledged { by: "ann".to_owned() },
        &expect![[r#"{"kind":"acknowledged","by":"ann"}"#]],
    );
    check(
        &Record::ApprovalAsked {
            unit: unit(),
            statement: "rm x".to_owned(),
            effect: "unknown".to_owned(),
            reason: "why".to_owned(),
            binding: "b".to_owned(),
            missing: vec!["PORT".to_owned()],
            expires_ms,
            people: None,
        },
        &expect![[
            r#"{"kind":"approval_asked","unit":{"run":1,"unit":"6.1"},"statement":"rm x","effect":"unknown","reason":"why","binding":"b","missing":["PORT"],"expires_ms":9}"#
        ]],
    );
    check(
        &Record::ApprovalAsked {
            unit: unit(),
            statement: "rm x".to_owned(),
            effect: "unknown".to_owned(),
            reason: "why".to_owned(),
            binding: "b".to_owned(),
            missing: vec!["PORT".to_owned()],
            expires_ms,
            people: Some(2),
        },
        &expect![[
            r#"{"kind":"approval_asked","unit":{"run":1,"unit":"6.1"},"statement":"rm x","effect":"unknown","reason":"why","binding":"b","missing":["PORT"],"expires_ms":9,"people":2}"#
        ]],
    );
    check(
        &Record::Approved {
            unit: unit(),
            by: "ann".to_owned(),
            binding: "b".to_owned(),
            values: BTreeMap::from([("PORT".to_owned(), "80".to_owned())]),
        },
        &expect![[
            r#"{"kind":"approved","unit":{"run":1,"unit":"6.1"},"by":"ann","binding":"b","values":{"PORT":"80"}}"#
        ]],
    );
    check(
        &Record::ApprovalEnded {
            unit: unit(),
            end: ApprovalEnd::Void,
            by: None,
            reason: "changed".to_owned(),
        },
        &expect![[
            r#"{"kind":"approval_ended","unit":{"run":1,"unit":"6.1"},"end":"void","by":null,"reason":"changed"}"#
        ]],
    );
    check(
        &Record::PersonNeeded { reason: "stuck".to_owned() },
        &expect![[r#"{"kind":"person_needed","reason":"stuck"}"#]],
    );
    check(
        &Record::Closed { by: "ann".to_owned(), reason: "done".to_owned() },
        &expect![[r#"{"kind":"closed","by":"ann","reason":"done"}"#]],
    );
}

#[test]
fn who_leads_and_what_is_left() {
    let (by, reason) = ("ann".to_owned(), "mine".to_owned());
    check(
        &Record::Held { by: by.clone(), reason: reason.clone() },
        &expect![[r#"{"kind":"held","by":"ann","reason":"mine"}"#]],
    );
    check(&Record::HandedBack { by: by.clone() }, &expect![[r#"{"kind":"handed_back","by":"ann"}"#]]);
    check(
        &Record::Aborted { by: by.clone(), reason: reason.clone() },
        &expect![[r#"{"kind":"aborted","by":"ann","reason":"mine"}"#]],
    );
    check(
        &Record::Stopped { server: "time".to_owned(), by: by.clone() },
        &expect![[r#"{"kind":"stopped","server":"time","by":"ann"}"#]],
    );
    check(
        &Record::Noted { by: by.clone(), text: "odd".to_owned() },
        &expect![[r#"{"kind":"noted","by":"ann","text":"odd"}"#]],
    );
    check(
        &Record::Escalated { by: by.clone(), to: "database".to_owned(), reason },
        &expect![[r#"{"kind":"escalated","by":"ann","to":"database","reason":"mine"}"#]],
    );
    check(
        &Record::FollowUp { number: 1, text: "disk".to_owned(), by: by.clone() },
        &expect![[r#"{"kind":"follow_up","number":1,"text":"disk","by":"ann"}"#]],
    );
    check(
        &Record::FollowUpDone { number: 1, by, note: "new".to_owned() },
        &expect![[r#"{"kind":"follow_up_done","number":1,"by":"ann","note":"new"}"#]],
    );
    let finding = Finding::new(diagnosis::kind::PROCESS_EXIT, "time").with_value("SIGKILL");
    check(
        &Record::Found { unit: Some(unit()), findings: vec![finding] },
        &expect![[
            r#"{"kind":"found","unit":{"run":1,"unit":"6.1"},"findings":[{"kind":"process_exit","subject":"time","value":"SIGKILL","severity":"info","message":""}]}"#
        ]],
    );
    check(
        &Record::CauseNamed { cause: Some("disk_full".to_owned()), why: vec!["full".to_owned()] },
        &expect![[r#"{"kind":"cause_named","cause":"disk_full","why":["full"]}"#]],
    );
    check(
        &Record::DutyMet { duty: 2, by: "ann".to_owned(), note: "none".to_owned(), follow_up: None },
        &expect![[r#"{"kind":"duty_met","duty":2,"by":"ann","note":"none"}"#]],
    );
    check(
        &Record::DutyMet { duty: 2, by: "ann".to_owned(), note: "later".to_owned(), follow_up: Some(1) },
        &expect![[r#"{"kind":"duty_met","duty":2,"by":"ann","note":"later","follow_up":1}"#]],
    );
    let opened_by_hand = serde_json::to_string(&Source::Operator).unwrap();
    assert_eq!(opened_by_hand, r#""operator""#);
}

#[test]
fn who_is_called_and_told() {
    let passed = |deadline| {
        let (to, reason) = (vec!["ann".to_owned()], "late".to_owned());
        Record::DeadlinePassed { deadline, due_ms: 5, to, reason }
    };
    check(
        &passed(Deadline::Level { call: 3, level: 1, round: 2 }),
        &expect![[
            r#"{"kind":"deadline_passed","deadline":{"which":"level","call":3,"level":1,"round":2},"due_ms":5,"to":["ann"],"reason":"late"}"#
        ]],
    );
    check(
        &passed(Deadline::NobodyAnswered {}),
        &expect![[
            r#"{"kind":"deadline_passed","deadline":{"which":"nobody_answered"},"due_ms":5,"to":["ann"],"reason":"late"}"#
        ]],
    );
    check(
        &passed(Deadline::Phase { phase: "Recovery".to_owned() }),
        &expect![[
            r#"{"kind":"deadline_passed","deadline":{"which":"phase","phase":"Recovery"},"due_ms":5,"to":["ann"],"reason":"late"}"#
        ]],
    );
    check(
        &passed(Deadline::AckTimeout { by: "ann".to_owned() }),
        &expect![[
            r#"{"kind":"deadline_passed","deadline":{"which":"ack_timeout","by":"ann"},"due_ms":5,"to":["ann"],"reason":"late"}"#
        ]],
    );
    check(
        &passed(Deadline::AckReminder { by: "ann".to_owned(), number: 1 }),
        &expect![[
            r#"{"kind":"deadline_passed","deadline":{"which":"ack_reminder","by":"ann","number":1},"due_ms":5,"to":["ann"],"reason":"late"}"#
        ]],
    );
}

#[test]
fn what_people_are_told() {
    let (criterion, to) = ("Data may be damaged".to_owned(), vec!["ann".to_owned()]);
    check(
        &Record::CriterionMet { criterion, to, reason: "found".to_owned() },
        &expect![[
            r#"{"kind":"criterion_met","criterion":"Data may be damaged","to":["ann"],"reason":"found"}"#
        ]],
    );
    let asked = |note: Option<&str>| Record::NotificationAsked {
        about: 0,
        news: News::Opened,
        to: vec!["ann".to_owned()],
        note: note.map(str::to_owned),
    };
    check(
        &asked(None),
        &expect![[r#"{"kind":"notification_asked","about":0,"news":"opened","to":["ann"]}"#]],
    );
    check(
        &asked(Some("nobody was called")),
        &expect![[
            r#"{"kind":"notification_asked","about":0,"news":"opened","to":["ann"],"note":"nobody was called"}"#
        ]],
    );
    let ended = |problem: Option<&str>, instead: Option<&str>| Record::NotificationEnded {
        about: 0,
        contact: "ann".to_owned(),
        attempts: 2,
        problem: problem.map(str::to_owned),
        instead: instead.map(str::to_owned),
    };
    check(
        &ended(None, None),
        &expect![[r#"{"kind":"notification_ended","about":0,"contact":"ann","attempts":2,"problem":null}"#]],
    );
    check(
        &ended(Some("refused"), Some("log")),
        &expect![[
            r#"{"kind":"notification_ended","about":0,"contact":"ann","attempts":2,"problem":"refused","instead":"log"}"#
        ]],
    );
}

fn output() -> Output {
    Output { sha256: "ab".to_owned(), bytes: 2, excerpt: "hi".to_owned(), truncated: false }
}

#[test]
fn background_jobs() {
    check(
        &Record::Outcome {
            unit: unit(),
            attempt: 1,
            end: UnitEnd::Exited { code: 0 },
            meaning: String::new(),
            started_ms: None,
            finished_ms: None,
            stdout: None,
            stderr: None,
            background_ms: Some(3_600_000),
        },
        &expect![[
            r#"{"kind":"outcome","unit":{"run":1,"unit":"6.1"},"attempt":1,"end":{"end":"exited","code":0},"meaning":"","started_ms":null,"finished_ms":null,"stdout":null,"stderr":null,"background_ms":3600000}"#
        ]],
    );
    check(
        &Record::BackgroundEnded {
            unit: unit(),
            attempt: 1,
            reason: "recovery is verified".to_owned(),
            took_ms: 5,
            stdout: Some(output()),
            stderr: None,
        },
        &expect![[
            r#"{"kind":"background_ended","unit":{"run":1,"unit":"6.1"},"attempt":1,"reason":"recovery is verified","took_ms":5,"stdout":{"sha256":"ab","bytes":2,"excerpt":"hi","truncated":false},"stderr":null}"#
        ]],
    );
}

#[test]
fn steps_and_units() {
    check(&Record::RunStarted { run: 1 }, &expect![[r#"{"kind":"run_started","run":1}"#]]);
    check(
        &Record::StepStarted { step: step() },
        &expect![[
            r#"{"kind":"step_started","step":{"run":1,"number":6,"title":"Attempt Service Recovery","phase":"Recovery"}}"#
        ]],
    );
    check(
        &Record::StepEnded { step: step(), end: StepEnd::Succeeded, reason: String::new() },
        &expect![[
            r#"{"kind":"step_ended","step":{"run":1,"number":6,"title":"Attempt Service Recovery","phase":"Recovery"},"end":"succeeded","reason":""}"#
        ]],
    );
    check(
        &Record::UnitSkipped {
            unit: unit(),
            statement: "x".to_owned(),
            reason: "no".to_owned(),
            withheld: None,
        },
        &expect![[r#"{"kind":"unit_skipped","unit":{"run":1,"unit":"6.1"},"statement":"x","reason":"no"}"#]],
    );
    check(
        &Record::Intent {
            unit: unit(),
            attempt: 1,
            statement: "x".to_owned(),
            effect: "disrupt".to_owned(),
            key: "k".to_owned(),
            folder: "/f".to_owned(),
            values: BTreeMap::new(),
        },
        &expect![[
            r#"{"kind":"intent","unit":{"run":1,"unit":"6.1"},"attempt":1,"statement":"x","effect":"disrupt","key":"k","folder":"/f","values":{}}"#
        ]],
    );
    check(
        &Record::Outcome {
            unit: unit(),
            attempt: 1,
            end: UnitEnd::Exited { code: 0 },
            meaning: String::new(),
            started_ms: Some(1),
            finished_ms: Some(2),
            stdout: Some(output()),
            stderr: None,
            background_ms: None,
        },
        &expect![[
            r#"{"kind":"outcome","unit":{"run":1,"unit":"6.1"},"attempt":1,"end":{"end":"exited","code":0},"meaning":"","started_ms":1,"finished_ms":2,"stdout":{"sha256":"ab","bytes":2,"excerpt":"hi","truncated":false},"stderr":null}"#
        ]],
    );
    check(
        &Record::UnitVerified { unit: unit(), condition: "ready".to_owned(), problem: None },
        &expect![[
            r#"{"kind":"unit_verified","unit":{"run":1,"unit":"6.1"},"condition":"ready","problem":null}"#
        ]],
    );
}

#[test]
fn ends_of_units() {
    for (end, expect) in [
        (UnitEnd::Signaled { signal: 9 }, expect![[r#"{"end":"signaled","signal":9}"#]]),
        (UnitEnd::TimedOut {}, expect![[r#"{"end":"timed_out"}"#]]),
        (
            UnitEnd::NotStarted { reason: "no bash".to_owned() },
            expect![[r#"{"end":"not_started","reason":"no bash"}"#]],
        ),
        (UnitEnd::Interrupted {}, expect![[r#"{"end":"interrupted"}"#]]),
        (
            UnitEnd::DoneByEvidence { condition: "ready".to_owned() },
            expect![[r#"{"end":"done_by_evidence","condition":"ready"}"#]],
        ),
    ] {
        expect.assert_eq(&serde_json::to_string(&end).unwrap());
    }
}

#[test]
fn recovery() {
    let captured = Captured {
        what: "host snapshot".to_owned(),
        summary: "3 processes".to_owned(),
        sha256: Some("ab".to_owned()),
        bytes: 5,
        took_ms: 6,
        problem: None,
    };
    check(
        &Record::Captured(captured),
        &expect![[
            r#"{"kind":"captured","what":"host snapshot","summary":"3 processes","sha256":"ab","bytes":5,"took_ms":6,"problem":null}"#
        ]],
    );
    check(
        &Record::Restarted {
            server: "time".to_owned(),
            by: "the runbook (unit 6.1)".to_owned(),
            key: "k".to_owned(),
            pid: Some(8),
            start_ms: Some(90),
            problem: None,
        },
        &expect![[
            r#"{"kind":"restarted","server":"time","by":"the runbook (unit 6.1)","key":"k","pid":8,"start_ms":90,"problem":null}"#
        ]],
    );
    check(
        &Record::Verified { probes: 3, period_ms: 2000, incarnation: Some(4) },
        &expect![[r#"{"kind":"verified","probes":3,"period_ms":2000,"incarnation":4}"#]],
    );
    check(
        &Record::NotVerified { reason: "refused".to_owned() },
        &expect![[r#"{"kind":"not_verified","reason":"refused"}"#]],
    );
    check(&Record::AlertResolved {}, &expect![[r#"{"kind":"alert_resolved"}"#]]);
    check(&Record::Mitigated {}, &expect![[r#"{"kind":"mitigated"}"#]]);
    check(&Record::Resolved {}, &expect![[r#"{"kind":"resolved"}"#]]);
    check(
        &Record::Reported { path: "/r.md".to_owned() },
        &expect![[r#"{"kind":"reported","path":"/r.md"}"#]],
    );
}

#[test]
fn what_policy_kept() {
    let withheld = Withheld {
        keeper: Keeper::Observe,
        effect: "disrupt".to_owned(),
        effect_reason: "it restarts".to_owned(),
        values: BTreeMap::from([("PORT".to_owned(), "80".to_owned())]),
        asks: None,
        allow: "mode".to_owned(),
    };
    check(
        &Record::UnitSkipped {
            unit: unit(),
            statement: "x".to_owned(),
            reason: "no".to_owned(),
            withheld: Some(withheld),
        },
        &expect![[
            r#"{"kind":"unit_skipped","unit":{"run":1,"unit":"6.1"},"statement":"x","reason":"no","withheld":{"keeper":"observe","effect":"disrupt","effect_reason":"it restarts","values":{"PORT":"80"},"allow":"mode"}}"#
        ]],
    );
}

#[test]
fn watches_and_changes() {
    let unit = UnitRef { run: 1, unit: "4.1".to_owned() };
    check(
        &Record::WatchStarted {
            unit: unit.clone(),
            until: Some("ready".to_owned()),
            every_ms: 10_000,
            limit_ms: 60_000,
        },
        &expect![[
            r#"{"kind":"watch_started","unit":{"run":1,"unit":"4.1"},"until":"ready","every_ms":10000,"limit_ms":60000}"#
        ]],
    );
    check(
        &Record::WatchChanged {
            unit: unit.clone(),
            round: 2,
            end: UnitEnd::Exited { code: 1 },
            meaning: "not healthy".to_owned(),
            stdout: None,
        },
        &expect![[
            r#"{"kind":"watch_changed","unit":{"run":1,"unit":"4.1"},"round":2,"end":{"end":"exited","code":1},"meaning":"not healthy","stdout":null}"#
        ]],
    );
    for end in [WatchEnd::Held, WatchEnd::Over, WatchEnd::Unexpected, WatchEnd::NotWithin, WatchEnd::CutShort]
    {
        let text = serde_json::to_string(&end).unwrap();
        assert_eq!(serde_json::from_str::<WatchEnd>(&text).unwrap(), end);
    }
    check(
        &Record::WatchEnded {
            unit: unit.clone(),
            end: WatchEnd::NotWithin,
            rounds: 7,
            took_ms: 60_000,
            reason: "why".to_owned(),
        },
        &expect![[
            r#"{"kind":"watch_ended","unit":{"run":1,"unit":"4.1"},"end":"not_within","rounds":7,"took_ms":60000,"reason":"why"}"#
        ]],
    );
    check(
        &Record::UndoKept { unit: unit.clone(), statement: "rm /run/x".to_owned() },
        &expect![[r#"{"kind":"undo_kept","unit":{"run":1,"unit":"4.1"},"statement":"rm /run/x"}"#]],
    );
    let place = crate::change::Place { path: "/x".into(), old: None, new: Some("a\n".to_owned()) };
    let change = Change {
        what: crate::change::What::ServerTuning,
        target: "time".to_owned(),
        places: vec![place],
        diff: "+a\n".to_owned(),
        undoes: None,
    };
    check(
        &Record::Changed { number: 1, unit: Some(unit), by: "ann".to_owned(), change: change.clone() },
        &expect![[
            r#"{"kind":"changed","number":1,"unit":{"run":1,"unit":"4.1"},"by":"ann","change":{"what":"server_tuning","target":"time","places":[{"path":"/x","old":null,"new":"a\n"}],"diff":"+a\n"}}"#
        ]],
    );
    let change = Change { what: crate::change::What::KernelParameter, undoes: Some(1), ..change };
    check(
        &Record::Changed { number: 0, unit: None, by: "ann".to_owned(), change },
        &expect![[
            r#"{"kind":"changed","number":0,"unit":null,"by":"ann","change":{"what":"kernel_parameter","target":"time","places":[{"path":"/x","old":null,"new":"a\n"}],"diff":"+a\n","undoes":1}}"#
        ]],
    );
}

fn alert() -> AlertFacts {
    AlertFacts {
        name: "Down".to_owned(),
        severity: "info".to_owned(),
        labels: BTreeMap::new(),
        fingerprint: "ab".to_owned(),
        started_ms: 2,
    }
}

#[test]
fn what_comes_back_or_has_company() {
    let alarm = Alarm { source: Source::Rule, summary: "gone".to_owned(), alert: None, exit: None };
    let (server, reason) = ("a".to_owned(), "why".to_owned());
    check(
        &Record::Joined { server: server.clone(), alarm: alarm.clone(), reason: reason.clone() },
        &expect![[
            r#"{"kind":"joined","server":"a","alarm":{"source":"rule","summary":"gone","alert":null,"exit":null},"reason":"why"}"#
        ]],
    );
    check(
        &Record::AlertOver { server, alert: "Down".to_owned(), fingerprint: "ab".to_owned() },
        &expect![[r#"{"kind":"alert_over","server":"a","alert":"Down","fingerprint":"ab"}"#]],
    );
    check(
        &Record::Reopened { alarm: alarm.clone(), flapping: None },
        &expect![[
            r#"{"kind":"reopened","alarm":{"source":"rule","summary":"gone","alert":null,"exit":null}}"#
        ]],
    );
    check(
        &Record::Reopened { alarm, flapping: Some(reason.clone()) },
        &expect![[
            r#"{"kind":"reopened","alarm":{"source":"rule","summary":"gone","alert":null,"exit":null},"flapping":"why"}"#
        ]],
    );
    check(&Record::FlappingEnded { reason }, &expect![[r#"{"kind":"flapping_ended","reason":"why"}"#]]);
}

#[test]
fn what_is_merged_or_kept_quiet() {
    let (by, reason) = ("ann".to_owned(), "why".to_owned());
    check(
        &Record::Merged { into: "i".to_owned(), reason: reason.clone() },
        &expect![[r#"{"kind":"merged","into":"i","reason":"why"}"#]],
    );
    let (from, procedure) = ("i".to_owned(), "p".to_owned());
    check(
        &Record::Absorbed { from, procedure, dependency: None, alerts: vec![alert()], reason },
        &expect![[
            r#"{"kind":"absorbed","from":"i","procedure":"p","alerts":[{"name":"Down","severity":"info","labels":{},"fingerprint":"ab","started_ms":2}],"reason":"why"}"#
        ]],
    );
    check(
        &Record::Inhibited { alert: alert(), by: "Up".to_owned() },
        &expect![[
            r#"{"kind":"inhibited","alert":{"name":"Down","severity":"info","labels":{},"fingerprint":"ab","started_ms":2},"by":"Up"}"#
        ]],
    );
    let (matchers, comment) = (vec!["a=\"b\"".to_owned()], "disk".to_owned());
    check(
        &Record::Silenced { number: 1, matchers, starts_ms: 1, ends_ms: 2, by: by.clone(), comment },
        &expect![[
            r#"{"kind":"silenced","number":1,"matchers":["a=\"b\""],"starts_ms":1,"ends_ms":2,"by":"ann","comment":"disk"}"#
        ]],
    );
    let heard = Heard {
        name: "Down".to_owned(),
        server: "time".to_owned(),
        fingerprint: "ab".to_owned(),
        state: HeardState::Firing,
        started_ms: 1,
        start_guessed: false,
        ended_ms: None,
        labels: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
        annotations: BTreeMap::new(),
    };
    let over =
        Heard { server: String::new(), state: HeardState::Resolved, ended_ms: Some(2), ..heard.clone() };
    check(
        &Record::AlertsHeard { from: "alertmanager".to_owned(), alerts: vec![heard, over] },
        &expect![[
            r#"{"kind":"alerts_heard","from":"alertmanager","alerts":[{"name":"Down","server":"time","fingerprint":"ab","state":"firing","started_ms":1,"labels":{"a":"b"}},{"name":"Down","fingerprint":"ab","state":"resolved","started_ms":1,"ended_ms":2,"labels":{"a":"b"}}]}"#
        ]],
    );
    check(
        &Record::AlertsForgotten { before_ms: 3 },
        &expect![[r#"{"kind":"alerts_forgotten","before_ms":3}"#]],
    );
    assert_eq!(serde_json::to_string(&Source::Inbound).unwrap(), r#""inbound""#);
    check(
        &Record::SilenceExpired { number: 1, by },
        &expect![[r#"{"kind":"silence_expired","number":1,"by":"ann"}"#]],
    );
}
