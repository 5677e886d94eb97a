//! Owns the tests of chunks: whatever goes in comes out, bit for bit.

use proptest::prelude::*;

use super::*;

fn filled(samples: &[(i64, f64)]) -> Head {
    let mut head = Head::default();
    for (at_ms, value) in samples {
        head.push(*at_ms, *value);
    }
    head
}

#[track_caller]
fn check(samples: &[(i64, f64)]) -> Chunk {
    let chunk = filled(samples).chunk();
    let bits = |(at_ms, value): (i64, f64)| (at_ms, value.to_bits());
    let read: Vec<_> = chunk.samples().map(bits).collect();
    assert_eq!(read, samples.iter().copied().map(bits).collect::<Vec<_>>());
    chunk
}

fn every_ms(step_ms: i64, values: impl Iterator<Item = f64>) -> Vec<(i64, f64)> {
    values.enumerate().map(|(index, value)| (1_700_000_000_000 + index as i64 * step_ms, value)).collect()
}

#[test]
fn special_values_are_exact() {
    let nan = f64::from_bits(0x7ff8_0000_dead_beef);
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    let values = [
        0.0,
        -0.0,
        nan,
        -nan,
        stale,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MIN_POSITIVE,
        f64::from_bits(1),
        f64::MAX,
        f64::MIN,
        9_007_199_254_740_991.0,
        -9_007_199_254_740_991.0,
        9_007_199_254_740_992.0,
        1.5,
        1.0,
        -1.0,
    ];
    let all: Vec<f64> = values.iter().flat_map(|one| values.map(|other| [*one, other])).flatten().collect();
    check(&every_ms(5_000, all.into_iter()));
    check(&[(i64::MIN, 1.0), (-1, 1.0), (0, 2.0), (i64::MAX, 2.0)]);
}

#[test]
fn a_sample_like_the_one_before_costs_two_bits() {
    let constant = check(&every_ms(5_000, std::iter::repeat_n(7.0, 121)));
    assert!(constant.bytes.len() <= 8 + 3 + 30, "{}", constant.bytes.len());
    let counter = check(&every_ms(5_000, (0..121).map(|index| f64::from(index * 3))));
    assert!(counter.bytes.len() <= 8 + 3 + 120 * 9 / 8 + 1, "{}", counter.bytes.len());
}

#[test]
fn only_what_lies_in_the_window_is_read() {
    let samples = every_ms(5_000, (0..50).map(f64::from));
    let chunk = check(&samples);
    let start_ms = samples[0].0;
    for (from, to) in [(-1, 250_000), (0, 5_000), (1, 4_999), (7_000, 100_000), (240_000, 300_000), (-9, -1)]
    {
        let (from_ms, to_ms) = (start_ms + from, start_ms + to);
        let mut read = vec![(0, 0.0)];
        chunk.samples().read(from_ms, to_ms, &mut read);
        let within = samples.iter().filter(|(at_ms, _)| (from_ms + 1..=to_ms).contains(at_ms)).copied();
        assert_eq!(read, std::iter::once((0, 0.0)).chain(within).collect::<Vec<_>>(), "{from} to {to}");
    }
}

#[test]
fn a_stream_that_is_cut_yields_what_came_before() {
    let values = [1.0, 1.0, 2.0, 200.0, 70_000.0, 3e9, 0.1, 0.2, f64::NAN, -0.0, f64::MAX];
    let mut at_ms = 0;
    let steps = [1, 1, 20, 500, 20_000, 1 << 40, 1, 1];
    let samples: Vec<(i64, f64)> = (0..88)
        .map(|index| {
            at_ms += steps[index % steps.len()];
            (at_ms, values[index % values.len()])
        })
        .collect();
    let ends: Vec<usize> = (1..=samples.len()).map(|count| filled(&samples[..count]).bytes()).collect();
    let chunk = check(&samples);
    for length in 0..chunk.bytes.len() {
        let cut = Chunk { bytes: chunk.bytes[..length].into(), ..chunk.clone() };
        let complete = ends.iter().filter(|end| **end <= length).count();
        let bits = |(at_ms, value): (i64, f64)| (at_ms, value.to_bits());
        let read: Vec<_> = cut.samples().map(bits).collect();
        assert_eq!(read, samples[..complete].iter().copied().map(bits).collect::<Vec<_>>(), "{length}");
    }
}

#[test]
fn what_is_cut_or_lies_is_not_whole() {
    let chunk = check(&every_ms(5_000, (0..50).map(f64::from)));
    let is_whole = |chunk: Chunk| chunk.is_whole(|_, _| {});
    assert!(is_whole(chunk.clone()));
    for length in 0..chunk.bytes.len() - 1 {
        assert!(!is_whole(Chunk { bytes: chunk.bytes[..length].into(), ..chunk.clone() }), "{length}");
    }
    assert!(!is_whole(Chunk { n_samples: 51, ..chunk.clone() }));
    assert!(!is_whole(Chunk { last_ms: 0, ..chunk.clone() }));
    assert!(!is_whole(Chunk { n_samples: 0, ..chunk }));
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        (-100i64..100).prop_map(|number| number as f64),
        any::<i64>().prop_map(|number| number as f64),
        Just(0.25),
    ]
}

fn step() -> impl Strategy<Value = u64> {
    prop_oneof![Just(5_000u64), 4_990u64..5_010, 1u64..100_000, 1u64..1 << 40]
}

proptest! {
    #[test]
    fn any_sequence_comes_back(
        start in any::<i64>(),
        samples in prop::collection::vec((step(), value()), 1..150),
    ) {
        let mut at_ms = start;
        let samples: Vec<(i64, f64)> = samples
            .into_iter()
            .map(|(step, value)| {
                at_ms = at_ms.saturating_add_unsigned(step);
                (at_ms, value)
            })
            .collect();
        check(&samples);
    }

    #[test]
    fn any_bytes_are_read_without_panic(
        first_ms in any::<i64>(),
        n_samples in any::<u16>(),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let chunk = Chunk { first_ms, last_ms: 0, n_samples, bytes: bytes.into() };
        prop_assert!(chunk.samples().count() <= usize::from(n_samples));
        let _ = chunk.is_whole(|_, _| {});
    }
}
