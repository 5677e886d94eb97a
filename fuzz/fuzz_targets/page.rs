//! Owns throwing any bytes at the reader of metrics pages: whole and in pieces they have to mean the same, twice in a row.
#![no_main]

use libfuzzer_sys::fuzz_target;
use metrics::{Format, Labels, Limits, PageLimits, Store};

const LIMITS: Limits = Limits { retention_ms: 1_000_000, series_max: 50, samples_per_series_max: 100 };

fuzz_target!(|input: (bool, u8, &[u8])| {
    let (is_openmetrics, piece_bytes, page) = input;
    let format = if is_openmetrics { Format::OpenMetrics } else { Format::Text };
    let limits = PageLimits { bytes_max: 4_096, line_bytes_max: 100, samples_max: 20, ..PageLimits::default() };
    let target = Labels::from_iter([("server_name", "fuzz")]);
    let mut stores = [Store::new(LIMITS), Store::new(LIMITS)].map(|store| store.with_page_limits(limits));
    // The second time lines are recognised, and not read.
    for now_ms in [1_000, 2_000] {
        let summaries = stores.each_mut().map(|store| store.begin_scrape(&target, format, now_ms));
        let [mut whole, mut pieces] = summaries;
        let [one, other] = &mut stores;
        whole.feed(one, page);
        page.chunks(usize::from(piece_bytes).max(1)).for_each(|piece| pieces.feed(other, piece));
        assert_eq!(whole.close(one), pieces.close(other));
        assert_eq!(one.size(), other.size());
    }
    if let Ok(text) = std::str::from_utf8(page) {
        let lines = text.lines().count().max(1);
        for diagnostic in metrics::exposition::parse(text, 0).1 {
            assert!((1..=lines).contains(&diagnostic.line), "{diagnostic:?}");
        }
    }
});
