//! Tests that a journal with damaged pages is opened and read as far as it is whole, with a typed answer.

use std::fs;
use std::path::Path;

use journal::{Entry, Error, Journal, Reason};
use proptest::prelude::*;
use tokio::sync::OnceCell;

use crate::concurrency::append_at_once;
use crate::open;

/// SQLite's default.
const PAGE_BYTES: usize = 4096;

/// Enough for some dozen pages of the table and several of its index.
const ENTRIES: i64 = 300;

/// The bytes of a journal without a log, and its entries.
static WHOLE: OnceCell<(Vec<u8>, Vec<Entry>)> = OnceCell::const_new();

async fn whole() -> (Vec<u8>, &'static [Entry]) {
    let make = async || {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(&folder.path().join("journal.db")).await;
        append_at_once(&journal, ENTRIES).await;
        journal.backup(&folder.path().join("copy.db")).await.unwrap();
        let bytes = fs::read(folder.path().join("copy.db")).unwrap();
        (bytes, journal.entries_after(0, 1000).await.unwrap())
    };
    let (bytes, entries) = WHOLE.get_or_init(make).await;
    (bytes.clone(), entries)
}

/// Opens a damaged journal and reads it; returns the reason that the check gave, if it could be opened and
/// is not taken for whole.
async fn look(path: &Path, entries: &[Entry]) -> Option<Reason> {
    let journal = match Journal::open(path, "host-a").await {
        Ok(journal) => journal,
        Err(Error::Open { .. } | Error::NotAJournal { .. } | Error::NewerSchema { .. }) => return None,
        Err(error) => panic!("{error:?}"),
    };
    let found = match journal.verify().await {
        Ok(found) => found,
        Err(Error::Read { .. }) => return None,
        Err(error) => panic!("{error:?}"),
    };
    let healthy = found.entries as usize;
    assert_eq!(journal.entries_after(0, healthy as u32).await.unwrap(), entries[..healthy]);
    // All that may be wrong with the rest.
    for read in [journal.entries_after(0, 1000).await, journal.of_incident("incident-3").await] {
        assert!(matches!(
            read,
            Ok(_) | Err(Error::Corrupt { .. } | Error::Damaged { .. } | Error::Read { .. })
        ));
    }
    if let Some(broken) = found.broken {
        assert_eq!(broken.seq, healthy as i64 + 1);
    }
    found.broken.map(|broken| broken.reason)
}

#[tokio::test]
async fn every_page_may_be_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let (bytes, entries) = whole().await;
    let mut reasons = Vec::new();
    for page in 0..bytes.len() / PAGE_BYTES {
        for filler in [0x00, 0xa5, 0xff] {
            let path = folder.path().join(format!("{page}-{filler}.db"));
            let mut damaged = bytes.clone();
            damaged[page * PAGE_BYTES..(page + 1) * PAGE_BYTES].fill(filler);
            fs::write(&path, damaged).unwrap();
            reasons.extend(look(&path, entries).await);
        }
    }
    let unreadable = reasons.iter().filter(|reason| **reason == Reason::Unreadable).count();
    println!("{unreadable} of {} damages are pages that cannot be read", reasons.len());
    assert!(unreadable > 20, "{reasons:?}");
}

#[tokio::test]
async fn a_damaged_page_is_named_by_its_first_entry() {
    let folder = tempfile::tempdir().unwrap();
    let (mut bytes, entries) = whole().await;
    // The page with the body of entry 150, wherever SQLite has put it.
    let body = format!("{{\"number\":{}}}", entries[149].body["number"]);
    let at = bytes.windows(body.len()).position(|window| window == body.as_bytes()).unwrap();
    let page = at / PAGE_BYTES * PAGE_BYTES;
    bytes[page..page + 8].fill(0xff);
    let path = folder.path().join("damaged.db");
    fs::write(&path, bytes).unwrap();

    let journal = open(&path).await;
    let found = journal.verify().await.unwrap();
    let broken = found.broken.unwrap();
    assert_eq!((broken.reason, broken.seq), (Reason::Unreadable, found.entries as i64 + 1));
    assert!((100..=150).contains(&broken.seq), "{broken:?}");
    assert_eq!(broken.to_string(), format!("entry {} cannot be read: the file is damaged", broken.seq));
    let error = journal.entries_after(0, 300).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
    assert_eq!(error.to_string(), format!("the journal `{}` is damaged", path.display()));
    let copy = folder.path().join("copy of it.db");
    assert!(matches!(journal.backup(&copy).await, Err(Error::Backup { .. })));
    assert!(!copy.exists());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_may_be_damaged(
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        length in any::<prop::sample::Index>(),
        cut in prop::bool::weighted(0.2),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let (mut bytes, entries) = whole().await;
            for (place, byte) in places {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            if cut {
                bytes.truncate(length.index(bytes.len()));
            }
            let path = folder.path().join("damaged.db");
            fs::write(&path, bytes).unwrap();
            look(&path, entries).await;
        });
    }
}
