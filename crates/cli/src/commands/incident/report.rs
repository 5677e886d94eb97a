//! Owns `paramedic incident report`: the report in its forms, whether its duties are met, and what would have been done.

use incident::{Report, Shadow, Withheld, Withholding};
use serde::Serialize;

use super::desk::Desk;
use crate::arguments::{Format, Output, ReportArguments};
use crate::fail::{Code, Failure};
use crate::show;

/// The shadows of all incidents, and their sum.
#[derive(Serialize)]
struct Shadows<'a> {
    incidents: usize,
    would_run: usize,
    would_ask: usize,
    shadows: &'a [&'a Shadow],
}

pub(super) async fn run(desk: &Desk, arguments: &ReportArguments, output: Output) -> Result<Code, Failure> {
    match (&arguments.id, arguments.would) {
        (Some(id), true) => {
            let shadow = desk.detail(id).await?.fold().as_ref().map(Shadow::of);
            one_shadow(&shadow.map(|shadow| shadow.would).unwrap_or_default(), output);
            Ok(Code::Done)
        }
        (None, _) => {
            all_shadows(&desk.shadows().await?, output);
            Ok(Code::Done)
        }
        (Some(id), false) => {
            let report = desk.report(id).await?;
            if arguments.check {
                return Ok(check(&report, output));
            }
            print(&report, arguments.format, output);
            Ok(Code::Done)
        }
    }
}

fn print(report: &Report, format: Option<Format>, output: Output) {
    match (format, output) {
        (Some(Format::Html), _) => show::line(report.html().trim_end()),
        (Some(Format::Markdown), _) | (None, Output::Table) => show::line(report.markdown().trim_end()),
        (_, Output::Jsonl) => show::json_line(report),
        (Some(Format::Json) | None, _) => show::json(report),
    }
}

/// Says how each duty stands; the answer is no where one is not met, or they are not known.
fn check(report: &Report, output: Output) -> Code {
    let Some(duties) = &report.duties else {
        anstream::eprintln!("the runbook cannot be read back: its documentation duties are not known");
        return Code::No;
    };
    if duties.is_empty() && output == Output::Table {
        anstream::eprintln!("the procedure has no documentation duties");
    } else {
        show::rows(output, duties, &["", "met", "duty", "how it stands"], |duty| {
            let met = if duty.met { "yes" } else { "NO" };
            vec![duty.number.to_string(), met.to_owned(), duty.text.clone(), duty.why.clone()]
        });
    }
    if duties.iter().all(|duty| duty.met) { Code::Done } else { Code::No }
}

fn one_shadow(would: &[Withholding], output: Output) {
    if would.is_empty() && output == Output::Table {
        anstream::eprintln!("nothing was only looked on at: what policy allows was done");
        return;
    }
    show::rows(output, would, &["unit", "effect", "would", "statement", "values", "what allows it"], |one| {
        let run = if one.run > 1 { format!(" (run {})", one.run) } else { String::new() };
        let withheld = &one.withheld;
        vec![
            format!("{}{run}", one.unit),
            format!("{}: {}", withheld.effect, withheld.effect_reason),
            would_do(withheld),
            incident::plain(&one.statement),
            withheld
                .values
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect::<Vec<_>>()
                .join(" "),
            withheld.allow.clone(),
        ]
    });
}

fn would_do(withheld: &Withheld) -> String {
    match &withheld.asks {
        None => "run".to_owned(),
        Some(reason) => format!("ask: {reason}"),
    }
}

fn all_shadows(shadows: &[Shadow], output: Output) {
    let with: Vec<&Shadow> = shadows.iter().filter(|shadow| !shadow.would.is_empty()).collect();
    let count = |is: fn(&Withheld) -> bool| {
        with.iter().flat_map(|shadow| &shadow.would).filter(|one| is(&one.withheld)).count()
    };
    let would_run = count(|one| one.asks.is_none());
    let would_ask = count(|one| one.asks.is_some());
    match output {
        Output::Json => {
            return show::json(&Shadows { incidents: shadows.len(), would_run, would_ask, shadows: &with });
        }
        Output::Jsonl => return with.iter().for_each(show::json_line),
        Output::Table => {}
    }
    if !with.is_empty() {
        let header = ["incident", "state", "server", "what", "would run", "would ask"];
        show::rows(output, &with, &header, |shadow| {
            let (mut runs, mut asks) = (Vec::new(), Vec::new());
            for (effect, (run, ask)) in shadow.counts() {
                runs.extend((run > 0).then(|| format!("{run} {effect}")));
                asks.extend((ask > 0).then(|| format!("{ask} {effect}")));
            }
            let (id, state) = (shadow.id.to_string(), shadow.state.to_string());
            vec![id, state, shadow.server.clone(), shadow.title.clone(), runs.join(", "), asks.join(", ")]
        });
    }
    show::line(&format!(
        "{} incidents; in {} the machine only looked on: it would have run {would_run} statements, and asked about {would_ask}",
        shadows.len(),
        with.len()
    ));
}
