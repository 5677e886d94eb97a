//! Owns throwing any bytes at the reader of bundles: the archive, the manifest, and where frames should begin.
#![no_main]

use std::io::Cursor;

use evidence::archive::{Content, frames, item};
use evidence::manifest::Line;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&[u8], &str, Vec<u64>)| {
    let (archive, manifest, mut places) = input;
    places.sort_unstable();
    let found = frames(Cursor::new(archive), archive.len() as u64, &places);
    assert!(found.windows(2).all(|pair| pair[0].at < pair[1].at));
    for frame in &found {
        if let Ok(Content::Item { bytes, .. }) = &frame.content {
            assert_eq!(item(Cursor::new(archive), frame.at).unwrap().len() as u64, *bytes);
        }
    }
    let (lines, odd) = Line::read_all(manifest);
    assert_eq!(lines.len() + odd.len(), manifest.lines().count());
});
