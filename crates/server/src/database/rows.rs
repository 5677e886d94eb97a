//! Owns which rows of a PostgreSQL a backup of it does not have: both are read, each row becomes a digest, and the digests are
//! compared. Nothing is written to the database that is asked; of a damaged table each page is read by itself.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

use integrity::TableLoss;

use super::{Postgres, TABLES, TABLES_MAX, text};

/// So many rows of one table are compared, 16 bytes each in memory and twice.
const ROWS_MAX: usize = 4_000_000;
/// So many pages of a damaged table are read one by one: 400 MB.
const PAGES_MAX: u64 = 50_000;

impl Postgres<'_> {
    /// What each table has that the same table of another database of this server does not have.
    ///
    /// # Errors
    /// A sentence, if one of them cannot be asked.
    pub(crate) fn losses(&self, before: &str) -> Result<Vec<TableLoss>, String> {
        let (here, there) = (self.config.postgres.clone(), self.url_of(before));
        let of_here: BTreeSet<String> = self.tables()?.into_iter().collect();
        let of_there: BTreeSet<String> = match self.config.tables.is_empty() {
            true => self.ask(&there, TABLES)?.lines().take(TABLES_MAX).map(str::to_owned).collect(),
            false => of_here.clone(),
        };
        let mut losses = Vec::new();
        for name in of_here.union(&of_there) {
            let rows = |is_there: bool, url: &str| if is_there { self.rows(url, name) } else { Ok(None) };
            let (now, old) = (rows(of_here.contains(name), &here)?, rows(of_there.contains(name), &there)?);
            losses.push(TableLoss {
                name: name.clone(),
                rows_now: now.as_ref().map(|rows| rows.len() as u64),
                rows_before: old.as_ref().map(|rows| rows.len() as u64),
                rows_only_now: match (&now, &old) {
                    (Some(now), Some(old)) => Some(only_in(now, old)),
                    (Some(now), None) if !of_there.contains(name) => Some(now.len() as u64),
                    (None, _) if !of_here.contains(name) => Some(0),
                    _ => None,
                },
            });
        }
        Ok(losses)
    }

    /// The digests of the rows that can be read, in order; nothing where they are too many.
    fn rows(&self, url: &str, table: &str) -> Result<Option<Vec<u128>>, String> {
        let all = format!("COPY (SELECT md5(paramedic_row::text) FROM {table} AS paramedic_row) TO STDOUT");
        let path = self.scratch.join("rows.out");
        let open = || File::create(&path).map_err(|error| error.to_string());
        let ran = self.sql(url, &[&all], Stdio::from(open()?))?;
        if ran.is_damage() {
            let Some(script) = self.page_by_page(url, table)? else { return Ok(None) };
            let mut command = self.program("psql");
            command.args(["--no-psqlrc", "--no-password", "--quiet"]).arg(format!("--dbname={url}"));
            command.arg("--file").arg(&script);
            let read = self.run(command, Stdio::from(open()?));
            let _ = fs::remove_file(&script);
            // A page that cannot be read is one that has no rows.
            read?.done("psql")?;
        } else {
            ran.done("psql")?;
        }
        let rows = read(&path);
        let _ = fs::remove_file(&path);
        rows
    }

    /// A script that reads a table page by page.
    fn page_by_page(&self, url: &str, table: &str) -> Result<Option<std::path::PathBuf>, String> {
        let question =
            format!("SELECT pg_relation_size({}) / current_setting('block_size')::bigint", text(table));
        let pages: u64 = self.ask(url, &question)?.parse().map_err(|_| "a table has no size".to_owned())?;
        if pages > PAGES_MAX {
            return Ok(None);
        }
        let path = self.scratch.join("pages.sql");
        let written = File::create(&path).and_then(|file| {
            let mut script = std::io::BufWriter::new(file);
            for page in 0..pages {
                writeln!(
                    script,
                    "COPY (SELECT md5(paramedic_row::text) FROM {table} AS paramedic_row WHERE ctid >= '({page},0)' \
                     AND ctid < '({},0)') TO STDOUT;",
                    page + 1
                )?;
            }
            script.flush()
        });
        written.map_err(|error| error.to_string())?;
        Ok(Some(path))
    }
}

fn read(path: &std::path::Path) -> Result<Option<Vec<u128>>, String> {
    let mut rows = Vec::new();
    for line in BufReader::new(File::open(path).map_err(|error| error.to_string())?).lines() {
        let line = line.map_err(|error| error.to_string())?;
        rows.push(u128::from_str_radix(&line, 16).map_err(|_| "psql prints no digests".to_owned())?);
        if rows.len() > ROWS_MAX {
            return Ok(None);
        }
    }
    rows.sort_unstable();
    Ok(Some(rows))
}

/// How many of these, which are in order, are not among those; each counts as often as it is there.
fn only_in(these: &[u128], those: &[u128]) -> u64 {
    let (mut only, mut others) = (0, those.iter().peekable());
    for one in these {
        while others.next_if(|other| *other < one).is_some() {}
        if others.next_if(|other| *other == one).is_none() {
            only += 1;
        }
    }
    only
}

#[cfg(test)]
mod tests {
    use super::only_in;

    #[test]
    fn rows_count_as_often_as_they_are_there() {
        for (these, those, expected) in [
            (&[][..], &[1][..], 0),
            (&[1, 2, 3], &[], 3),
            (&[1, 2, 2, 3], &[2, 3, 4], 2),
            (&[5, 5], &[1, 5, 5, 5], 0),
        ] {
            assert_eq!(only_in(these, those), expected, "{these:?} {those:?}");
        }
    }
}
