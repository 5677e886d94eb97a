//! Owns reading the file of findings: one JSON object in a line, written by anybody.

use crate::finding::Finding;

/// A script in a loop writes without end; a thousand facts are more than anybody reads.
pub const FINDINGS_MAX: usize = 1000;
/// The longest finding that can be needed has some 2 KiB, or 12 KiB if every byte of it is escaped.
const LINE_BYTES_MAX: usize = 16 * 1024;
/// Whoever has that many has one problem, in another file.
const PROBLEMS_MAX: usize = 100;

/// What is wrong with a line. The other lines count all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What can be wrong with a finding.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The line is left out.
    #[error("{bytes} bytes are more than the {LINE_BYTES_MAX} of a finding")]
    TooLong {
        /// How many it has.
        bytes: usize,
    },
    /// The line is left out.
    #[error("not JSON, at column {column}")]
    NotJson {
        /// Where reading ended, in bytes from 1; 0 where nothing was there to read.
        column: usize,
    },
    /// The line is left out.
    #[error("not an object")]
    NotAnObject,
    /// The line is left out.
    #[error("no text under `kind`")]
    NoKind,
    /// The line is left out.
    #[error("kind `{kind}` is not a short name in lower case")]
    BadKind {
        /// The kind, cut short.
        kind: String,
    },
    /// The finding counts, without this field.
    #[error("`{field}` is neither text nor a number, and is ignored")]
    Ignored {
        /// The field.
        field: &'static str,
    },
    /// The finding counts, as information.
    #[error("`severity` is none of critical, warning and info; taken for info")]
    UnknownSeverity,
    /// This line and those after it are left out.
    #[error("more than {FINDINGS_MAX} findings; the rest is left out")]
    TooMany,
    /// Problems from this line on are not listed; the findings still count.
    #[error("more than {PROBLEMS_MAX} problems; the rest is not listed")]
    TooManyProblems,
}

/// Reads what is in a file of findings: what was understood, and what is wrong.
pub fn read(text: &str) -> (Vec<Finding>, Vec<Problem>) {
    let mut findings = Vec::new();
    let mut problems = Vec::new();
    for (line, text) in text.lines().enumerate().map(|(at, text)| (at + 1, text)) {
        if text.trim().is_empty() {
            continue;
        }
        if findings.len() == FINDINGS_MAX {
            problems.push(Problem { line, fault: Fault::TooMany });
            break;
        }
        let faults = match read_line(text) {
            Ok((finding, faults)) => {
                findings.push(finding);
                faults
            }
            Err(fault) => vec![fault],
        };
        for fault in faults {
            match problems.len() {
                ..PROBLEMS_MAX => problems.push(Problem { line, fault }),
                PROBLEMS_MAX => problems.push(Problem { line, fault: Fault::TooManyProblems }),
                _ => {}
            }
        }
    }
    (findings, problems)
}

fn read_line(text: &str) -> Result<(Finding, Vec<Fault>), Fault> {
    if text.len() > LINE_BYTES_MAX {
        return Err(Fault::TooLong { bytes: text.len() });
    }
    // The words of the parser may hold text of the line, which may be anything; the place is enough.
    let json = serde_json::from_str(text).map_err(|error| Fault::NotJson { column: error.column() })?;
    Finding::understand(json)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{FINDINGS_MAX, PROBLEMS_MAX, read};
    use crate::{Finding, Scalar, Severity, kind::KINDS};

    /// `findings` and `problems` as people see them, one a line.
    #[track_caller]
    fn check(text: &str, findings: &[&str], problems: &[&str]) {
        let (found, wrong) = read(text);
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), findings, "{text}");
        assert_eq!(wrong.iter().map(ToString::to_string).collect::<Vec<_>>(), problems, "{text}");
    }

    #[test]
    fn lines_are_findings() {
        check("", &[], &[]);
        check("\n \r\n{\"kind\":\"a\"}\r\n\n", &["a"], &[]);
        check(
            r#"{"kind":"b_1","subject":8080,"value":null,"extra":[],"message":"m"}"#,
            &["b_1 of `8080` (m)"],
            &[],
        );
        check(r#"{"kind":"b","value":"x\ny","severity":"warning"}"#, &["b is x\u{fffd}y"], &[]);
        check(r#"{"kind":"b","value":1e3}"#, &["b is 1000.0"], &[]);
    }

    #[test]
    fn what_is_wrong_is_told_and_the_rest_counts() {
        let left_out = "not JSON\n{\"kind\":\"a\"}\n[1]\n{\"kind\":7}\n{\"kind\":\"A b\"}\n{\"kind\":\"\"}\n{\"kind\":\"a\"";
        let problems = [
            "line 1: not JSON, at column 2",
            "line 3: not an object",
            "line 4: no text under `kind`",
            "line 5: kind `A b` is not a short name in lower case",
            "line 6: kind `` is not a short name in lower case",
            "line 7: not JSON, at column 11",
        ];
        check(left_out, &["a"], &problems);
        let kept = r#"{"kind":"a","value":[1],"subject":{},"severity":"fatal","message":true}"#;
        let problems = [
            "line 1: `subject` is neither text nor a number, and is ignored",
            "line 1: `message` is neither text nor a number, and is ignored",
            "line 1: `severity` is none of critical, warning and info; taken for info",
            "line 1: `value` is neither text nor a number, and is ignored",
        ];
        check(kept, &["a"], &problems);
        let long = format!("{{\"kind\":\"a\",\"x\":\"{}\"}}\n{{\"kind\":\"b\"}}", "x".repeat(16 * 1024));
        check(&long, &["b"], &["line 1: 16403 bytes are more than the 16384 of a finding"]);
        check(&"[".repeat(9999), &[], &["line 1: not JSON, at column 128"]);
    }

    #[test]
    fn there_is_an_end_to_both() {
        let (findings, problems) = read(&"{\"kind\":\"a\"}\n".repeat(FINDINGS_MAX + 5));
        assert_eq!((findings.len(), problems.len()), (FINDINGS_MAX, 1));
        assert_eq!(problems[0].to_string(), "line 1001: more than 1000 findings; the rest is left out");
        let (findings, problems) = read(&("x\n".repeat(PROBLEMS_MAX + 5) + "{\"kind\":\"a\"}"));
        assert_eq!((findings.len(), problems.len()), (1, PROBLEMS_MAX + 1));
        assert_eq!(problems[100].to_string(), "line 101: more than 100 problems; the rest is not listed");
    }

    fn scalar() -> impl Strategy<Value = Scalar> {
        prop_oneof![
            any::<bool>().prop_map(Scalar::from),
            any::<i64>().prop_map(Scalar::from),
            // Quarters: the library's quick reader of floats may miss the last bit of others.
            any::<i32>().prop_map(|quarters| Scalar::from(f64::from(quarters) / 4.0)),
            any::<String>().prop_map(|text| Scalar::from(text.as_str())),
        ]
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>(), field in any::<String>(), kind in "[a-z_]{0,3}") {
            let _either_way = read(&text);
            let object = json!({"kind": kind, "subject": field, "message": text, "value": field, "severity": field});
            let (findings, _) = read(&object.to_string());
            prop_assert!(findings.len() <= 1);
        }

        #[test]
        fn what_is_written_comes_back(
            kind in 0..KINDS.len(), subject in any::<String>(), value in scalar(), message in ".{0,2000}"
        ) {
            let finding = Finding::new(KINDS[kind], &subject).with_value(value).with_message(&message);
            let finding = finding.with_severity(Severity::Warning);
            prop_assert_eq!(read(&finding.to_line()), (vec![finding], Vec::new()));
        }
    }
}
