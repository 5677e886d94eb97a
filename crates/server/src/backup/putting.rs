//! Owns putting a backup back, whole or only what of it is damaged, with all that has to be so before and after.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use host::{Roots, writers_below};
use incident::error_chain;
use integrity::backup::{Backup, Lost, LostError, Placed, Restore, TreeRecord};
use integrity::{Change, Keep, Patterns, TreePath};

use super::{BackupError, Backups, dumped, patterns};
use crate::data::{DataError, Manner, PATIENCE};

impl Backups {
    /// Puts a backup in the place of the data. Who may write there must have stopped; afterwards what was put back is
    /// what later checks compare with.
    ///
    /// # Errors
    /// If somebody would write, or the backup is not good, or it cannot be exchanged: then the data are as before.
    pub fn restore(&self, backup: &Backup, now_ms: i64, roots: &Roots) -> Result<Vec<Placed>, BackupError> {
        self.restore_some(backup, None, now_ms, roots)
    }

    /// Puts only the damaged files of a backup back; all else stays as it is now. Otherwise as [`Backups::restore`].
    ///
    /// # Errors
    /// As [`Backups::restore`] has them, and if something is damaged that is no file of the backup.
    pub fn restore_damaged(
        &self,
        backup: &Backup,
        now_ms: i64,
        roots: &Roots,
    ) -> Result<(Vec<Placed>, Vec<PathBuf>), BackupError> {
        let only = self.damaged(backup, now_ms)?;
        let named = only.iter().map(|(n, path)| backup.record.trees[*n].root.join(path.as_path())).collect();
        Ok((self.restore_some(backup, Some(&only), now_ms, roots)?, named))
    }

    /// The damaged files, each with the number of its tree in the backup.
    fn damaged(&self, backup: &Backup, now_ms: i64) -> Result<BTreeSet<(usize, TreePath)>, BackupError> {
        let not = |reason: String| Err(BackupError::NotByFile { reason });
        let manner =
            Manner { reads_all: true, keep: Keep::Look, rate: None, threads: None, patience: PATIENCE };
        let mut only = BTreeSet::new();
        for (root, answer) in self.subject.check(manner, now_ms)? {
            let report = match answer {
                Ok(report) if report.is_whole => continue,
                Ok(report) => report,
                Err(error) => {
                    return not(format!("{} cannot be looked at: {}", root.display(), error_chain(&error)));
                }
            };
            let Some(tree) = backup.record.trees.iter().position(|tree| tree.root == root) else {
                return not(format!("{} is no folder of the backup", root.display()));
            };
            let damaged: Vec<_> = report.differences.into_iter().filter(|one| one.is_damage).collect();
            if report.is_empty || damaged.len() as u64 != report.damaged {
                return not(format!("{} of {} are damaged", report.damaged, root.display()));
            }
            for one in damaged {
                if matches!(one.change, Change::Added | Change::Permissions | Change::Replaced) {
                    return not(format!(
                        "{} is {}",
                        root.join(one.path.as_path()).display(),
                        one.change.word()
                    ));
                }
                only.insert((tree, one.path));
            }
        }
        if only.is_empty() { Err(BackupError::Whole { server: self.server.clone() }) } else { Ok(only) }
    }

    /// What is there now and not in a backup.
    ///
    /// # Errors
    /// If the data or the backup cannot be read.
    pub fn lost(&self, backup: &Backup, now_ms: i64) -> Result<Vec<Lost>, BackupError> {
        let (_lock, scratch) = self.begin()?;
        let may_change = |tree: &TreeRecord| {
            let known = self.subject.trees.iter().find(|one| one.path == tree.root);
            known.map_or_else(|| Ok(Patterns::new([]).map_err(DataError::from)?), patterns)
        };
        // The last is that of the dumps, where there are any, and only on the way.
        let trees = backup.record.trees.len() - usize::from(!backup.record.databases.is_empty());
        let may_change =
            backup.record.trees[..trees].iter().map(may_change).collect::<Result<Vec<_>, BackupError>>()?;
        let mut lost = integrity::backup::lost(&self.catalogue, backup, &may_change, &scratch)?;
        let of_databases = dumped::lost(&self.subject.databases, &self.catalogue, backup, &scratch, now_ms);
        lost.extend(of_databases.map_err(LostError::from)?);
        Ok(lost)
    }

    fn restore_some(
        &self,
        backup: &Backup,
        only: Option<&BTreeSet<(usize, TreePath)>>,
        now_ms: i64,
        roots: &Roots,
    ) -> Result<Vec<Placed>, BackupError> {
        let (_lock, scratch) = self.begin()?;
        self.check_seal(&backup.id)?;
        for tree in &backup.record.trees {
            if let Some(writer) = writers_below(roots, &tree.root).into_iter().next() {
                return Err(BackupError::Writers(writer));
            }
        }
        let what = Restore { catalogue: &self.catalogue, backup, only, scratch: &scratch, now_ms };
        let databases = if only.is_some() { &[][..] } else { &self.subject.databases };
        dumped::nobody_connected(databases, &scratch)?;
        let mut exchanged = Vec::new();
        let passes = |_: &[Placed]| {
            exchanged = dumped::restore(databases, backup, &scratch, now_ms)?;
            let keep = Keep::Baseline { accepts_damage: false };
            let manner = Manner { reads_all: true, keep, rate: None, threads: None, patience: PATIENCE };
            let answers = self.subject.check(manner, now_ms).map_err(|error| error_chain(&error))?;
            let bad = answers.into_iter().find_map(|(root, answer)| match answer {
                Ok(report) if report.is_kept => None,
                Ok(_) => Some(format!("{} is damaged", root.display())),
                Err(error) => Some(error_chain(&error)),
            });
            match bad {
                None => Ok(()),
                Some(reason) => Err(dumped::take_back(&exchanged, &scratch, now_ms, reason)),
            }
        };
        let mut placed = integrity::backup::restore(&what, passes)?;
        if !backup.record.databases.is_empty() {
            // The folder of the dumps was only on the way.
            if let Some(kept) = placed.pop().and_then(|dumps| dumps.kept) {
                fs::remove_dir_all(&kept).map_err(|source| BackupError::Folder { path: kept, source })?;
            }
            self.forget_dumps()?;
        }
        placed.extend(exchanged.into_iter().map(|(database, kept)| Placed {
            root: PathBuf::from(&database.postgres),
            kept: Some(PathBuf::from(kept)),
        }));
        Ok(placed)
    }
}
