//! Tests of ranking: what findings come to, why, and that their order tells nothing.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::kind::KINDS;
use crate::{Scalar, Severity, explain, read};

/// Findings in short: `KIND@SUBJECT=VALUE`, with `!` in front where it is critical; the subject is the server `mem`
/// where none is given, and `+` stands for a space.
fn findings(short: &str) -> Vec<Finding> {
    let finding = |word: &str| {
        let (severity, rest) = match word.strip_prefix('!') {
            Some(rest) => (Severity::Critical, rest),
            None => (Severity::Info, word),
        };
        let (head, value) = rest.split_once('=').map_or((rest, None), |(head, value)| (head, Some(value)));
        let (kind, subject) = head.split_once('@').unwrap_or((head, "mem"));
        let kind = *crate::Kind::of_name(kind).unwrap_or_else(|| panic!("`{kind}` is no kind"));
        let finding = Finding::new(kind, subject).with_severity(severity);
        value.map_or(finding.clone(), |value| finding.with_value(value.replace('+', " ").as_str()))
    };
    short.split_whitespace().map(finding).collect()
}

/// The best causes, as far as they have points.
fn scores(findings: &[Finding]) -> Vec<(&'static str, u32)> {
    let ranked = rank(findings);
    ranked
        .iter()
        .filter(|ranked| ranked.score > 0)
        .map(|ranked| (ranked.cause.name(), ranked.score))
        .collect()
}

/// The cause that these findings name, or `none`.
#[track_caller]
fn check(short: &str, expect: &str) {
    let findings = findings(short);
    let ranked = rank(&findings);
    let name = named(&ranked).map_or("none", |best| best.cause.name());
    assert_eq!(name, expect, "{short}: {:?}", scores(&findings));
}

#[track_caller]
fn check_why(short: &str, expect: &Expect) {
    expect.assert_eq(&(explain(&rank(&findings(short))).join("\n") + "\n"));
}

#[test]
fn nothing_is_known() {
    check("", "none");
    check("liveness=timeout readiness=no p95_seconds=60", "none");
    check("disk_used_percent@/=40 memory_available_percent@m=60 restarts=1", "none");
    check("dependency@db=ok dependency_kind@db=postgres network_route@m=present resolver@m=ok", "none");
}

#[test]
fn disks() {
    check("disk_used_percent@/srv=100 server_mount@/srv=data", "disk_full");
    check(
        "inodes_used_percent@/srv=100 server_mount@/srv=log liveness=timeout process_state=running",
        "disk_full",
    );
    check("disk_used_percent@/srv=98 server_mount@/srv=data", "none");
    check("log_error=no_space process_exit=code+1 exit_soon=1", "disk_full");
    // Whose disk it is, nobody knows.
    check("disk_used_percent@/=100", "none");
    check("disk_used_percent@/=100 log_error=no_space", "disk_full");
    // It is another one's, whatever its severity says.
    check("!disk_used_percent@/mnt=100 server_mount@/srv=data", "none");
    check("!disk_used_percent@/mnt=100 server_mount@/srv oom_kill process_exit=SIGKILL", "out_of_memory");
    check(
        "disk_used_percent@/srv=100 server_mount@/srv process_exit=code+1 exit_soon=1 restarts=9",
        "disk_full",
    );
}

#[test]
fn memory() {
    check("oom_kill=1 process_exit=SIGKILL", "out_of_memory");
    check("oom_kill process_exit=code+137 restarts=4 exit_soon=2", "out_of_memory");
    check("!oom_kill=1 liveness=ok", "out_of_memory");
    check("process_exit=SIGKILL", "none");
    check("process_exit=SIGKILL memory_available_percent@m=4", "out_of_memory");
    check("process_exit=SIGKILL memory_pressure_avg60@m=40", "out_of_memory");
    check("process_exit=SIGKILL memory_available_percent@m=4 signal=SIGKILL", "memory_pressure");
    check("oom_kill=0 process_exit=SIGKILL", "none");
    // Whoever waits for memory of a machine that has plenty waits at a limit of his own.
    check("memory_pressure_avg60@m=9 memory_available_percent@m=93", "none");
    check("process_exit=SIGKILL memory_pressure_avg60@m=40 memory_available_percent@m=93", "none");
    check("unit_result=oom-kill", "out_of_memory");
    check("unit_result=start-limit-hit", "crash_loop");
    check("tasks_used_percent=100 liveness=timeout process_state=running", "tasks_exhausted");
    check("unread_writes=1 liveness=timeout process_state=running", "frozen");
    check("unread_writes=1 liveness=ok", "none");
    check("cpu_throttled_percent=90 liveness=ok", "overload");
    check("tool_call=timeout liveness=ok", "none");
    check("memory_limit_used_percent=99", "memory_pressure");
    check("address_space_used_percent=99", "memory_pressure");
    check("address_space_used_percent=60", "none");
    check("address_space_used_percent=99 rss_growth_bytes_per_hour=1e9", "none");
    check("memory_limit_used_percent=99 process_exit=SIGKILL", "out_of_memory");
    // Somebody else, at a limit of his own: the machine has enough.
    check("oom_kill_at_limit@/x.slice=1", "none");
    // The kernel ended somebody else.
    check("oom_kill@chrome=1 process_exit=code+1", "memory_pressure");
    check("memory_available_percent@m=3 memory_pressure_avg60@m=30 p95_seconds=9", "memory_pressure");
    check("rss_growth_bytes_per_hour=1073741824", "memory_leak");
    check(
        "rss_growth_bytes_per_hour=1e9 memory_available_percent@m=5 memory_pressure_avg60@m=9",
        "memory_leak",
    );
    check("rss_growth_bytes_per_hour=1e9 rss_bytes=3e9 oom_kill process_exit=SIGKILL", "out_of_memory");
    check("rss_growth_bytes_per_hour=1e9 cache_bytes_growth=9e8", "cache_growth");
    check("rss_growth_bytes_per_hour=1e9 concurrent_operations=200", "overload");
    check("process_exit=SIGABRT log_error=out_of_memory", "memory_leak");
}

#[test]
fn work() {
    check("oldest_operation_seconds=900 liveness=ok concurrent_operations=4", "stuck_requests");
    check("oldest_operation_seconds=900 !dependency@db=timeout", "dependency_down");
    check("oldest_operation_seconds=900 concurrent_operations=80", "overload");
    check("concurrent_operations=80 p95_seconds=12 cpu_pressure_avg60@m=55", "overload");
    check("concurrent_operations=50", "none");
    check("concurrent_operations=80 !dependency@api=timeout", "dependency_down");
    check("cpu_pressure_avg60@m=55 p95_seconds=12", "overload");
    check("io_pressure_avg60@m=55 p95_seconds=12 memory_pressure_avg60@m=20", "memory_pressure");
    check("liveness=timeout process_state=running", "frozen");
    check("liveness=timeout process_state=running oldest_operation_seconds=900", "frozen");
    check("liveness=timeout process_state=stopped", "frozen");
    check("liveness=timeout process_state=running blocked_tasks=2", "blocked_in_kernel");
    check("liveness=timeout process_state=running blocked_tasks=0 accept_queue=0", "frozen");
    check("liveness=timeout process_state=running descriptors_used_percent=100", "descriptors_exhausted");
    check("descriptors_used_percent=89 zombie_children=2", "none");
    check("descriptors_growth_per_hour=900 liveness=ok", "descriptors_exhausted");
    check("zombie_children=3", "unreaped_children");
    check("zombie_children=400 memory_available_percent@m=60", "unreaped_children");
    // What is only untidy does not hide what hurts.
    check("zombie_children=3 liveness=timeout process_state=running", "frozen");
    check("process_state=traced liveness=timeout", "frozen");
    // Busy is not dead.
    check("liveness=timeout process_state=running concurrent_operations=80", "overload");
    check("liveness=timeout process_state=running !dependency@db=timeout", "dependency_down");
}

#[test]
fn one_thread_that_has_no_time() {
    // Busy alone is no trouble, and late alone has many causes.
    check("event_loop_busy_percent=100 liveness=ok first_byte_seconds=0.02", "none");
    check("event_loop_busy_percent=60 liveness=ok first_byte_seconds=2", "none");
    check("liveness=ok first_byte_seconds=2 tool_call=ok tool_call_seconds=2", "none");
    check("event_loop_busy_percent=97 liveness=ok first_byte_seconds=2", "event_loop_saturated");
    check("event_loop_busy_percent=97 liveness=ok tool_call=ok tool_call_seconds=3", "event_loop_saturated");
    check("event_loop_busy_percent=97 liveness=ok tool_call=timeout", "event_loop_saturated");
    check("event_loop_busy_percent=97 concurrent_operations=80 p95_seconds=12", "event_loop_saturated");
    check(
        "event_loop_busy_percent=97 cpu_pressure_avg60@m=55 p95_seconds=12 liveness=ok",
        "event_loop_saturated",
    );
    check("event_loop_busy_percent=97 liveness=timeout process_state=running", "event_loop_saturated");
    // It is late because a dependency is: that of the dependency counts for the dependency.
    check("event_loop_busy_percent=97 liveness=ok first_byte_seconds@api=4", "none");
    // One request that never ends, and garbage that is collected all the time, are something else.
    check(
        "event_loop_busy_percent=97 liveness=ok first_byte_seconds=2 oldest_operation_seconds=900",
        "stuck_requests",
    );
    check(
        "event_loop_busy_percent=97 liveness=timeout process_state=running oldest_operation_seconds=900",
        "frozen",
    );
    check(
        "event_loop_busy_percent=99 p95_seconds=9 rss_growth_bytes_per_hour=1e9 rss_bytes=3e9",
        "memory_leak",
    );
}

#[test]
fn dependencies() {
    check("!dependency@api=refused dependency_kind@api=http", "dependency_down");
    check("!dependency@api=rate_limited", "rate_limited");
    check("!dependency@api=rate_limited retry_after_seconds@api=30 restarts=4", "rate_limited");
    check("dependency@api=rate_limited", "none");
    check(
        "!dependency@api=certificate certificate@api=expired dependency_kind@api=http",
        "certificate_invalid",
    );
    // Of two clocks that differ nobody knows which is wrong; two others that agree are right.
    let expired = "!dependency@api=certificate certificate@api=expired clock_offset_seconds@b=-900";
    check(expired, "certificate_invalid");
    check(&format!("{expired} clock_offset_seconds@c=-901"), "clock_wrong");
    check("clock_offset_seconds@b=900", "clock_wrong");
    check("clock_offset_seconds@b=900 !dependency@c=refused", "none");
    check("!dependency@db=no_connections dependency_kind@db=postgres", "database_full");
    check("!dependency@db=locked dependency_kind@db=postgres p95_seconds=40", "database_locked");
    // Another process of theirs has that word, but is no database.
    check("!dependency@api=locked dependency_kind@api=http", "dependency_down");
    check("name_family@api=ipv6 dependency@api=ok", "name_service");
    check("name_family@api=false dependency@api=ok", "none");
    check("address_family@api=ipv6 dependency@api=ok p95_seconds=9", "address_family");
    check("clock_offset_seconds@api=3", "none");
    check("!dependency@share=missing dependency_kind@share=file", "dependency_down");
    check("!dependency@db=refused dependency_kind@db=postgres", "database_down");
    check("!dependency@db=timeout dependency_kind@db=postgres", "database_down");
    check("!dependency@db=timeout dependency_kind@db=postgres log_error=connection", "database_down");
    // Of a name nothing follows, and the kind of another says nothing.
    check("!dependency@postgres=refused dependency_kind@db=postgres", "dependency_down");
    check(
        "!dependency@key=missing dependency_kind@key=env process_exit=code+1 exit_soon=1",
        "bad_configuration",
    );
    check("!dependency@api=unauthorized dependency_kind@api=http", "bad_configuration");
    // One that the server can do without.
    check("dependency@cache=refused dependency_kind@cache=tcp", "none");
    check("dependency@cache=refused oom_kill process_exit=SIGKILL", "out_of_memory");
    check("errors_after_recovery@db=12 dependency@db=ok", "stale_connections");
    check("errors_after_recovery@db=12 !dependency@api=refused", "dependency_down");
    // A storm of restarts because of a dependency.
    check("restarts=12 exit_soon=1 process_exit=code+1 !dependency@api=refused", "dependency_down");
    check("restarts=12 exit_soon=1 process_exit=code+1 dependency@api=refused", "bad_configuration");
}

#[test]
fn networks() {
    let several =
        "!dependency@a=timeout dependency_kind@a=http !dependency@b=unreachable dependency_kind@b=tcp";
    check(several, "network_down");
    check(&format!("{several} !dependency@db=timeout dependency_kind@db=postgres"), "network_down");
    check(&several.replace('!', ""), "none");
    check("network_route@m=missing !dependency@db=unreachable dependency_kind@db=postgres", "network_down");
    check("resolver@m=failing !dependency@api=dns dependency_kind@api=http", "network_down");
    check("!dependency@api=dns dependency_kind@api=http", "dependency_down");
    check("network_route@m=missing", "none");
    // Who refuses was reached: it is on this machine.
    check("network_route@m=missing !dependency@db=refused dependency_kind@db=postgres", "database_down");
    // Two troubles at once are for a person.
    check(&format!("{several} !dependency@db=refused dependency_kind@db=postgres"), "none");
}

#[test]
fn starts_and_ends() {
    check("restarts=3", "crash_loop");
    check("restarts=3 exit_soon=40 process_exit=SIGTERM", "crash_loop");
    check("process_exit=code+1 exit_soon=0.4", "bad_configuration");
    check("process_exit=code+1 exit_soon=0.4 restarts=5 log_error=configuration", "bad_configuration");
    check("process_exit=code+1 exit_soon=600", "none");
    check("process_exit=code+1 exit_soon=600 log_error=unhandled", "program_fault");
    // Half of the signs say one thing, half the other.
    check("process_exit=code+1 exit_soon=1 log_error=unhandled", "none");
    check("process_exit=code+1 exit_soon=1 log_error=missing_module restarts=4", "broken_installation");
    check("process_exit=code+127 exit_soon=0 log_error=missing_module", "broken_installation");
    check("process_exit=code+1 exit_soon=1 !file_permission@/srv/x=read", "permission_missing");
    check(
        "process_exit=code+1 exit_soon=1 !file_permission@/srv/x=write log_error=permission",
        "permission_missing",
    );
    check("file_permission@/srv/x=false", "none");
    check("start_failed=permission", "bad_configuration");
    check("start_failed=address_in_use port_owner@8080=nginx", "port_taken");
    check("process_exit=code+1 exit_soon=1 log_error=address_in_use", "port_taken");
    check("process_exit=code+1 exit_soon=1 port_owner@8080=nginx", "port_taken");
    check("port_owner@8080=nginx liveness=refused", "port_taken");
    check("port_owner@8080=false process_exit=code+1 exit_soon=1", "bad_configuration");
    // Whoever that is, the server answers.
    check("port_owner@8080=proxy liveness=ok", "none");
    check("start_failed=not_found restarts=3", "missing_program");
    check("process_exit=code+127 exit_soon=0", "missing_program");
    check("process_exit=SIGSEGV restarts=4 exit_soon=1", "program_fault");
    check("process_exit=SIGSEGV !dependency@api=timeout", "program_fault");
}

#[test]
fn people() {
    check(
        "operator_stop=ann process_exit=SIGKILL restarts=5 memory_available_percent@m=3",
        "stopped_by_operator",
    );
    check("operator_stop=ann !dependency@db=refused dependency_kind@db=postgres", "stopped_by_operator");
    check("operator_stop=false process_exit=SIGSEGV", "program_fault");
    check("integrity@data=failed read_only_mount@/srv server_mount@/srv", "data_damaged");
    check("read_only_mount@/srv server_mount@/srv", "data_damaged");
    check("read_only_mount@/mnt server_mount@/srv", "none");
    check("security_event=blocked", "blocked_attempt");
    check("security_event=blocked security_event=confirmed", "intrusion");
    check("security_event=confirmed operator_stop=ann integrity@data=failed", "intrusion");
    check("security_event=confirmed oom_kill process_exit=SIGKILL", "intrusion");
    // Who tried, and whose data are not what they were: nobody calls that blocked.
    check("security_event=blocked integrity@data=failed", "data_damaged");
}

#[test]
fn why_a_cause_is_named() {
    check_why(
        "!dependency@db=refused dependency_kind@db=postgres restarts=5 log_error=connection",
        &expect![[r#"
            the cause is database_down, with 85 of 100 points
            database_down: 85 of 100 points
              80 points: the database is reached and takes no connections
                dependency of `db` is refused
                dependency_kind of `db` is postgres
              5 more: the log says that connections fail
                log_error of `mem` is connection
            dependency_down: 60 of 100 points
              55 points: a dependency that the server can not do without is down
                dependency of `db` is refused
              5 more: the log says that connections fail
                log_error of `mem` is connection
              or 25 points: a dependency is down
                dependency of `db` is refused
              5 more: the log says that connections fail
                log_error of `mem` is connection
            crash_loop: 40 of 100 points
              40 points: it was started again three times or more within the hour
                restarts of `mem` is 5
        "#]],
    );
    check_why(
        "!disk_used_percent@/mnt=100 server_mount@/srv=data oom_kill process_exit=SIGKILL",
        &expect![[r#"
            the cause is out_of_memory, with 85 of 100 points
            out_of_memory: 85 of 100 points
              80 points: the kernel ended a process of the server for want of memory
                oom_kill of `mem`
                process_exit of `mem` is SIGKILL
              5 more: the server was killed
                process_exit of `mem` is SIGKILL
              or 35 points: the server was killed
                process_exit of `mem` is SIGKILL
            memory_pressure: 45 of 100 points
              45 points: the kernel ended a process for want of memory
                oom_kill of `mem`
            disk_full: 0 of 100 points
              30 points: some file system is full
                disk_used_percent of `/mnt` is 100
              ruled out: it is known which file systems the server writes to
                server_mount of `/srv` is data
        "#]],
    );
}

#[test]
fn why_none_is_named() {
    check_why(
        "",
        &expect![[r#"
        no cause is named: no rule speaks
    "#]],
    );
    check_why(
        "process_exit=SIGKILL",
        &expect![[r#"
        no cause is named: the best, out_of_memory, has 35 points, and 40 are needed
        out_of_memory: 35 of 100 points
          35 points: the server was killed
            process_exit of `mem` is SIGKILL
    "#]],
    );
    check_why(
        "process_exit=SIGKILL signal=SIGKILL",
        &expect![[r#"
        no cause is named: all that speaks is ruled out
        out_of_memory: 0 of 100 points
          35 points: the server was killed
            process_exit of `mem` is SIGKILL
          ruled out: somebody sent that signal
            signal of `mem` is SIGKILL
    "#]],
    );
    check_why(
        "process_exit=code+1 exit_soon=1 log_error=unhandled",
        &expect![[r#"
        no cause is named: bad_configuration with 55 points and program_fault with 55 are less than 10 apart
        bad_configuration: 55 of 100 points
          55 points: it exited by itself
            process_exit of `mem` is code 1
          and: it ended within seconds of its start
            exit_soon of `mem` is 1
        program_fault: 55 of 100 points
          55 points: it exited by itself
            process_exit of `mem` is code 1
          and: the log ends in an error that nobody caught
            log_error of `mem` is unhandled
    "#]],
    );
}

#[test]
fn ranks_are_written() {
    let ranked = rank(&findings("start_failed=not_found"));
    let expect = expect![[
        r#"[{"cause":"missing_program","score":85,"rules":[{"weight":85,"score":85,"reasons":[{"role":"needed","says":"its program was not found","findings":[{"kind":"start_failed","subject":"mem","value":"not_found","severity":"info","message":""}],"more":0}]}]}]"#
    ]];
    expect.assert_eq(&serde_json::to_string(&ranked).unwrap());
}

#[test]
fn a_file_of_findings_names_a_cause() {
    let text = "{\"kind\":\"disk_used_percent\",\"subject\":\"/srv\",\"value\":\"100\"}\n# no JSON\n\
                {\"kind\":\"weather\",\"value\":\"rain\"}\n{\"kind\":\"server_mount\",\"subject\":\"/srv\"}\n";
    let (findings, problems) = read(text);
    assert_eq!((scores(&findings), problems.len()), (vec![("disk_full", 70)], 1));
}

#[test]
fn a_thousand_findings_are_a_short_answer() {
    let many: Vec<_> = (0..1000).map(|n| Finding::new(crate::kind::OPERATOR_STOP, &n.to_string())).collect();
    let ranked = rank(&many);
    let reason = &ranked[0].rules[0].reasons[0];
    assert_eq!((reason.findings.len(), reason.more), (8, 992));
    assert!(explain(&ranked).iter().any(|line| line == "    and 992 more"));
}

/// Words that rules look for, and some that none does.
const WORDS: [&str; 12] = [
    "refused",
    "timeout",
    "postgres",
    "http",
    "SIGKILL",
    "SIGSEGV",
    "code 1",
    "no_space",
    "confirmed",
    "failed",
    "running",
    "x",
];

fn any_finding() -> impl Strategy<Value = Finding> {
    let value = prop_oneof![
        prop::sample::select(&WORDS[..]).prop_map(Scalar::from),
        prop::sample::select(vec![0.0, 2.0, 100.0, 1e9]).prop_map(Scalar::from),
        Just(Scalar::from(true)),
    ];
    let severity = prop::sample::select(vec![Severity::Info, Severity::Critical]);
    (prop::sample::select(KINDS), "[ab]", value, severity).prop_map(|(kind, subject, value, severity)| {
        Finding::new(kind, &subject).with_value(value).with_severity(severity)
    })
}

proptest! {
    #[test]
    fn order_and_repetition_tell_nothing(
        (one, other) in prop::collection::vec(any_finding(), 0..40)
            .prop_flat_map(|findings| (Just(findings.clone()), Just(findings).prop_shuffle()))
    ) {
        let ranked = rank(&one);
        prop_assert_eq!(&ranked, &rank(&other));
        prop_assert_eq!(&ranked, &rank(&[one, other].concat()));
        prop_assert!(ranked.iter().all(|ranked| ranked.score <= 100 && !ranked.rules.is_empty()));
        prop_assert!(ranked.windows(2).all(|pair| pair[0].score >= pair[1].score));
        if let Some(best) = named(&ranked) {
            let ahead = |second: &Ranked| second.score + MARGIN <= best.score;
            prop_assert!(best.score >= SCORE_MIN && ranked.get(1).is_none_or(ahead));
        }
        prop_assert!(!explain(&ranked).is_empty());
    }
}
