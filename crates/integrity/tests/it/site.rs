//! Owns a tree with its backups for one test, and what is put back of them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use integrity::backup::{Backup, Catalogue, Create, Restore, RestoreError, create, restore};
use integrity::{Patterns, TreePath};

use crate::tree::{NOW_NS, Tree};

pub(crate) const NOW_MS: i64 = NOW_NS / 1_000_000;

/// A tree and its backups.
pub(crate) struct Site {
    pub(crate) tree: Tree,
    pub(crate) catalogue: Catalogue,
    pub(crate) scratch: PathBuf,
}

impl Site {
    pub(crate) fn of(tree: Tree) -> Self {
        let above = tree.root().parent().unwrap().to_owned();
        Self { tree, catalogue: Catalogue::at(above.join("backup/notes")), scratch: above.join("scratch") }
    }

    pub(crate) fn create(&self) -> Backup {
        let may_change = Patterns::new([]).unwrap();
        let trees = [integrity::backup::Tree {
            root: &self.tree.root(),
            at: &self.tree.root(),
            may_change: &may_change,
        }];
        let what = Create {
            server: "notes",
            trees: &trees,
            databases: &[],
            scratch: &self.scratch,
            now_ms: NOW_MS,
            throttle: None,
        };
        create(&self.catalogue, &what, |_, _| Ok(None)).unwrap()
    }

    /// How a backup is put back, or these files of it alone.
    pub(crate) fn restoring<'a>(
        &'a self,
        backup: &'a Backup,
        only: Option<&'a BTreeSet<(usize, TreePath)>>,
    ) -> Restore<'a> {
        Restore { catalogue: &self.catalogue, backup, only, scratch: &self.scratch, now_ms: NOW_MS }
    }
}

/// Puts it back, and tells where what was there is kept.
pub(crate) fn put_back(what: &Restore<'_>) -> Result<PathBuf, RestoreError> {
    restore(what, |_| Ok(())).map(|mut placed| placed.remove(0).kept.unwrap())
}
