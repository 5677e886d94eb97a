//! Owns what is shown of the runbooks that `serve` uses: their names, and what the linter has to say.

use incident::{Book, Shelf};
use runbook::lint::{Config, Finding, lint};

/// The books by the names under which they are shown: that of the file, without its end; a second one of the same name
/// is `NAME-2`.
pub(crate) fn named(shelf: &Shelf) -> Vec<(String, &Book)> {
    let mut all: Vec<(String, &Book)> = Vec::new();
    for book in shelf.books() {
        let file = book.runbook.name.rsplit('/').next().unwrap_or_default();
        let stem = file.strip_suffix(".md").unwrap_or(file);
        let is_free = |name: &String| all.iter().all(|(known, _)| known != name);
        let names = std::iter::once(stem.to_owned()).chain((2..).map(|number| format!("{stem}-{number}")));
        let name = names.into_iter().find(is_free).unwrap_or_default();
        all.push((name, book));
    }
    all
}

/// The book of a name.
pub(crate) fn find<'a>(shelf: &'a Shelf, name: &str) -> Option<&'a Book> {
    named(shelf).into_iter().find(|(known, _)| known == name).map(|(_, book)| book)
}

/// What the linter has to say about a book; `today` is a date such as `2026-11-27`.
pub(crate) fn findings(book: &Book, today: &str) -> Vec<Finding> {
    lint(&book.runbook.name, &book.bytes, &Config::default(), Some(today))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_book_has_a_name_of_its_own() {
        let paths = ["/etc/a/run.md", "/etc/b/run.md", "run-2.md", "other"];
        let shelf = Shelf::new(paths.iter().map(|path| Book::parse(path, b"# Runbook\n").0).collect());
        let names: Vec<String> = named(&shelf).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["run", "run-2", "run-2-2", "other"]);
        assert_eq!(find(&shelf, "run-2").unwrap().runbook.name, "/etc/b/run.md");
        assert!(find(&shelf, "../run").is_none());
    }
}
