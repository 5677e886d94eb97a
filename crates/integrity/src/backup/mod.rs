//! Owns backups of trees: made while people work, found again with what is known of each, proven, and put back.
//!
//! A backup is three kinds of files in one folder: `ID.tar.zst`, a manifest for each tree (`ID.0.jsonl`), and `ID.json`,
//! which says what the others have to be. That one comes last: what has none is half a backup, and nobody's. `ID.proof.json`
//! says what came of reading the whole of it again. The archive has its manifests and what it is once more as its last
//! members, so it is enough alone.

mod catalogue;
mod create;
mod foreign;
mod inside;
mod loose;
mod lost;
mod member;
mod mend;
mod pack;
mod prove;
mod restore;
mod stream;
mod unpack;

pub use catalogue::{Backup, Catalogue, LooseArchive, Proof, Record, Sum, TreeRecord, is_archive, is_id};
pub use create::{Create, Tree, create};
pub use foreign::{Foreign, Listed, open_foreign};
pub use loose::{Told, told};
pub use lost::{DatabaseLoss, Lost, LostError, lost};
pub use mend::MendError;
pub use pack::PackError;
pub use prove::{ProveError, free_bytes, prove, remove_tree, take_out};
pub use restore::{Placed, Restore, RestoreError, restore};
pub use unpack::UnpackError;
