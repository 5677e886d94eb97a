//! Owns which test shows that the guard meets a fault of availability, by the names that faults have in the field's
//! catalogue. Beside each stands what others do there.

use super::tests_main::Test;

pub(crate) const TESTS: &[Test] = &[("every_fault_of_availability_has_its_tests", every_fault_has_its_tests)];

const FAULTS: [(&str, &[&str]); 11] = [
    // A crash at the start. supergateway: 200 with -32603, a hang of 60 s in some versions; mcp-proxy: ends itself.
    ("A1", &["a_server_that_cannot_start_says_why", "stdio_a_crash_loop_says_so"]),
    // A crash in a call. mcp-proxy: every later call is empty, for ever; supergateway: its session is dead.
    (
        "A2",
        &[
            "a_killed_server_is_reported_at_once",
            "a_server_that_exits_leaves_its_last_words",
            "a_child_of_its_own_ends_alone",
        ],
    ),
    // `initialize` hangs. supergateway: no time-out; mcp-proxy: never opens its port, and leaves an orphan.
    ("A3", &["a_server_that_does_not_start_in_time_is_ended", "installing_is_not_hanging"]),
    // A call hangs, or the whole server. Both: until the client gives up.
    (
        "A4",
        &[
            "a_request_that_takes_too_long_is_cancelled",
            "a_frozen_server_is_unhealthy_at_once",
            "a_busy_server_is_not_dead",
        ],
    ),
    // It ignores the end of its input and SIGTERM; grandchildren. mcp-proxy: an orphan; supergateway: kills only `sh`.
    (
        "A5",
        &[
            "a_stubborn_server_is_killed_step_by_step",
            "a_killed_guard_leaves_nothing",
            "stdio_grandchildren_end_too",
            "no_child_outlives_its_guard",
        ],
    ),
    // Noise on its standard output. Both: tolerated, and told to nobody.
    ("A6", &["garbage_is_dropped_and_counted"]),
    // Malformed and oversize lines, ids twice. An SDK under several bridges crosses the answers of equal ids.
    (
        "A7",
        &[
            "garbage_is_dropped_and_counted",
            "a_hundred_megabytes_of_a_server_are_dropped_and_not_kept",
            "one_id_twice_in_a_session_has_two_answers",
            "colliding_ids_come_back_to_their_own_clients",
        ],
    ),
    // An upstream has forgotten its sessions. agentgateway: half-alive, no 404.
    ("A8", &["a_session_that_the_upstream_forgot_is_over"]),
    // Half-open connections, abandoned sessions. supergateway: a process each, for ever, while a stream is open.
    (
        "A9",
        &[
            "clients_that_dawdle_hold_up_nobody_else",
            "abandoned_sessions_are_reclaimed_with_their_children",
            "thousands_of_sessions_are_kept_in_little",
        ],
    ),
    // Streams: idle, broken off, empty events. Envoy's gateway: 500 at an empty event, a loop of retries at 405.
    (
        "A10",
        &[
            "an_answer_is_fetched_after_its_connection_broke_off",
            "what_an_upstream_says_goes_through",
            "older_revisions_get_no_event_without_data",
            "an_empty_event_and_a_missing_stream_are_no_trouble",
        ],
    ),
    // Ports, disks, descriptors. supergateway: EAGAIN and 502.
    (
        "A11",
        &[
            "a_port_in_use_is_named",
            "without_descriptors_it_goes_on_when_there_are_some",
            "a_full_disk_keeps_nobody_from_the_server",
            "without_processes_a_start_fails_and_the_guard_goes_on",
        ],
    ),
];

fn every_fault_has_its_tests() {
    let all = super::all();
    for (fault, tests) in FAULTS {
        assert!(!tests.is_empty(), "{fault}");
        for test in tests {
            assert!(all.iter().any(|(name, _)| name == test), "{fault}: there is no test `{test}`");
        }
    }
}
