//! Fuzzes what reads messages of OTLP: whatever comes, it ends, its memory is bounded, and what it took is written and
//! read again as it is.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use traces::{Encoding, Limits, Store, decode, gunzip, rejected, to_protobuf, waterfall};

fuzz_target!(|message: &[u8]| {
    let _ = gunzip(message, 1 << 16);
    let _ = rejected(message);
    for encoding in [Encoding::Protobuf, Encoding::Json] {
        let Ok(decoded) = decode(encoding, message) else { continue };
        let again = decode(Encoding::Protobuf, &to_protobuf(&decoded.spans)).expect("it was written by us");
        // Debug and not equality, because a number may be none.
        assert_eq!(format!("{:?}", again.spans), format!("{:?}", decoded.spans));
        let mut store = Store::new(Limits { bytes: 1 << 16, spans: 100, keep: Duration::from_secs(60) });
        let spans = store.add(decoded.spans, 0);
        assert!(store.counts().bytes <= 1 << 16 && store.counts().spans <= 100);
        assert!(waterfall(&spans, 80).lines().count() <= spans.len().min(500) + 2);
    }
});
