//! Owns `paramedic runbook show`: a table of the statements, the tree of the document, or all of it as JSON.

use runbook::{Procedure, Runbook, Step};

use crate::arguments::Output;
use crate::show;

/// A row of the table: a statement, or the step of a manual task.
type Row = [String; 6];

const HEADER: [&str; 6] = ["line", "procedure", "step", "unit", "effect", "statement"];

pub(super) fn show(runbook: &Runbook, tree: bool, output: Output) {
    match output {
        Output::Table if tree => show::line(runbook.outline().trim_end()),
        Output::Table => {
            let rows: Vec<Row> = runbook.procedures.iter().flat_map(of_procedure).collect();
            show::rows(output, &rows, &HEADER, |row| row.to_vec());
        }
        Output::Json | Output::Jsonl => show::json(runbook),
    }
}

fn of_procedure(procedure: &Procedure) -> impl Iterator<Item = Row> {
    procedure.steps().flat_map(|step| of_step(procedure, step))
}

fn of_step(procedure: &Procedure, step: &Step) -> Vec<Row> {
    let row = |line: usize, unit: &str, effect: &str, statement: String| -> Row {
        let step = format!("{}. {}", step.number, step.title);
        [line.to_string(), procedure.id.clone(), step, unit.to_owned(), effect.to_owned(), statement]
    };
    if step.is_manual() {
        return vec![row(step.line, "", "", "a person does it and says so".to_owned())];
    }
    step.units().map(|unit| row(unit.line, &unit.id, unit.effect.name(), unit.summary())).collect()
}
