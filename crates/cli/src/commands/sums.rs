//! Owns `paramedic integrity sums` and `filesystem`: lists of sums for exchange, and file systems asked by their own programs.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use integrity::{Algorithm, Patterns, SumChange, SumDiffers, check_file_system, check_sums, write_sums};
use server::data::Subject;

use crate::arguments::{Output, SumFormat, SumsArguments};
use crate::fail::{Code, Failure};
use crate::show;

pub(super) fn run(arguments: &SumsArguments, subject: &Subject, output: Output) -> Result<Code, Failure> {
    let [tree] = subject.trees.as_slice() else {
        let message = "sums are those of one folder, and this server has several or none: name the folder";
        return Err(Failure::usage(anyhow::anyhow!(message)));
    };
    let may_change = Patterns::new(tree.may_change.iter().map(String::as_str)).map_err(Failure::usage)?;
    if let Some(list) = &arguments.check {
        let (n, differs) = check_sums(&tree.path, &may_change, list).map_err(Failure::usage)?;
        show::rows(output, &differs, &["what", "path"], |one: &SumDiffers| {
            vec![word(one.how).to_owned(), show::harmless(&one.path.as_path().display().to_string())]
        });
        if output == Output::Table {
            show::line(&format!("{n} file(s) compared, {} differ(s)", differs.len()));
        }
        return Ok(if differs.is_empty() { Code::Done } else { Code::No });
    }
    let algorithm = match arguments.format {
        SumFormat::Md5 => Algorithm::Md5,
        SumFormat::Sha256 => Algorithm::Sha256,
    };
    match &arguments.to {
        None => {
            let mut out = BufWriter::new(io::stdout().lock());
            write_sums(&tree.path, &may_change, algorithm, &mut out).map_err(Failure::no)?;
            out.flush().map_err(Failure::no)?;
        }
        Some(to) => {
            // A list that is cut is worse than the one from before.
            let beside = to.with_added_extension("new");
            let mut out = BufWriter::new(File::create(&beside).map_err(Failure::no)?);
            let n = write_sums(&tree.path, &may_change, algorithm, &mut out).map_err(Failure::no)?;
            let file = out.into_inner().map_err(|error| Failure::no(error.into_error()))?;
            file.sync_all().and_then(|()| std::fs::rename(&beside, to)).map_err(Failure::no)?;
            show::line(&format!("{}: the sums of {n} file(s)", to.display()));
        }
    }
    Ok(Code::Done)
}

fn word(how: SumChange) -> &'static str {
    match how {
        SumChange::Written => "written",
        SumChange::Missing => "missing",
        SumChange::Added => "added",
        SumChange::Unreadable => "unreadable",
    }
}

pub(super) fn file_system(device: &Path, output: Output) -> Result<Code, Failure> {
    let report = check_file_system(device).map_err(Failure::usage)?;
    match output {
        Output::Table => {
            let answer = if report.is_whole { "whole" } else { "DAMAGED" };
            show::line(&format!("{}: {answer}, says `{}`", device.display(), report.command));
            if !report.is_whole {
                report.said.lines().for_each(|line| show::line(&show::harmless(line)));
            }
        }
        _ => show::json_line(&report),
    }
    Ok(if report.is_whole { Code::Done } else { Code::No })
}
