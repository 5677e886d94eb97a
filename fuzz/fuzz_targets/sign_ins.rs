//! Owns throwing any text at the reader of lines about sign-ins: it breaks nothing, and what it says of people is in the line.
#![no_main]

use intrusion::classify;
use libfuzzer_sys::fuzz_target;

const PROGRAMS: [&str; 6] = ["sshd", "sudo", "su", "useradd", "passwd", "login"];

fuzz_target!(|line: &str| {
    for program in PROGRAMS {
        let Some(event) = classify(1, "journal", program, line) else { continue };
        for said in [&event.user, &event.key].into_iter().flatten() {
            assert!(line.contains(said.as_str()), "{said:?} is not in it");
        }
    }
});
