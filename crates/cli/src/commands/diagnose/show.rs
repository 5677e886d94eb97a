//! Owns how a diagnosis is shown: what it comes to, what was found, and why.

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use diagnosis::{Severity, explain};

use super::Diagnosis;
use crate::arguments::Output;
use crate::show;

pub(super) fn print(diagnoses: &[Diagnosis], all: bool, output: Output) {
    match output {
        Output::Json => show::json(&diagnoses),
        Output::Jsonl => diagnoses.iter().for_each(show::json_line),
        Output::Table => {
            for (nth, diagnosis) in diagnoses.iter().enumerate() {
                if nth > 0 {
                    show::line("");
                }
                for_people(diagnosis, all);
            }
        }
    }
}

fn for_people(diagnosis: &Diagnosis, all: bool) {
    let mut why = explain(&diagnosis.causes).into_iter();
    let process = diagnosis.pid.map(|pid| format!(" (process {pid})")).unwrap_or_default();
    show::line(&format!("{}{process}: {}", diagnosis.server, why.next().unwrap_or_default()));
    if let (Some(means), Some(helps)) = (diagnosis.means, diagnosis.helps) {
        show::line(&format!("  {means}\n  What usually helps: {helps}"));
    }
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["SEVERITY", "KIND", "SUBJECT", "VALUE", "MESSAGE"]);
    let shown = diagnosis.findings.iter().filter(|finding| all || finding.severity() > Severity::Info);
    for finding in shown {
        let severity = match finding.severity() {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        };
        let value = finding.value().map(ToString::to_string).unwrap_or_default();
        table.add_row([severity, finding.kind(), finding.subject(), &value, finding.message()]);
    }
    if table.row_count() > 0 {
        show::line(&format!("\n{}", table.trim_fmt()));
    }
    let rest = diagnosis.findings.len() - table.row_count();
    let hint = if rest > 0 { format!(", {rest} more with --all") } else { String::new() };
    show::line(&format!("\n{} finding(s){hint}; looked for {} ms", table.row_count(), diagnosis.took_ms));
    let why: Vec<String> = why.collect();
    if !why.is_empty() {
        show::line(&format!("\n{}", why.join("\n")));
    }
}
