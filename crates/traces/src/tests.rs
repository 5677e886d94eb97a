//! Tests of the whole crate: round trips, what is malformed, what goes first, what is found and how it is shown.

use std::sync::Arc;
use std::time::Duration;

use expect_test::expect;
use proptest::prelude::*;

use crate::*;

const SECOND: u64 = 1_000_000_000;

fn trace(number: u64) -> TraceId {
    TraceId::of(&(u128::from(number) << 64 | 1).to_be_bytes()).unwrap()
}

fn id(number: u64) -> SpanId {
    SpanId::of(&number.to_be_bytes()).unwrap()
}

/// A span of the server `notes`, with its beginning and end in milliseconds after the 1000th second.
fn span(of: u64, own: u64, parent: Option<u64>, name: &str, from_ms: u64, to_ms: u64) -> Span {
    let resource = Resource { attributes: vec![attribute("service.name", "notes")] };
    Span {
        trace: trace(of),
        id: id(own),
        parent: parent.map(id),
        state: String::new(),
        name: name.to_owned(),
        kind: Kind::Server,
        start_ns: 1000 * SECOND + from_ms * 1_000_000,
        end_ns: 1000 * SECOND + to_ms * 1_000_000,
        status: Status::Unset,
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        scope: "".into(),
        resource: Arc::new(resource),
    }
}

fn failed(span: Span, reason: &str) -> Span {
    Span { status: Status::Error(reason.to_owned()), ..span }
}

fn store(bytes: usize, spans: usize) -> Store {
    Store::new(Limits { bytes, spans, keep: Duration::from_secs(3600) })
}

fn values() -> impl Strategy<Value = Value> {
    let plain = prop_oneof![
        ".{0,20}".prop_map(Value::Text),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        // Of longer ones the reader of JSON may have the last bit otherwise.
        prop_oneof![any::<i32>().prop_map(|number| f64::from(number) / 8.0), Just(f64::INFINITY)]
            .prop_map(Value::Double),
        proptest::collection::vec(any::<u8>(), 0..9).prop_map(Value::Bytes),
    ];
    plain.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            proptest::collection::vec((".{0,8}", inner), 0..4).prop_map(Value::Map),
        ]
    })
}

prop_compose! {
    fn any_span()(
        (of, own, parent) in (1..4_u64, 1..u64::MAX, proptest::option::of(1..u64::MAX)),
        (name, state, scope) in (".{0,30}", "[a-z=]{0,9}", "[a-z.]{0,9}"),
        (kind, start, took) in (0..6_u64, 1..u64::MAX / 2, 0..u64::MAX / 2),
        (code, reason) in (0..3_u64, ".{0,20}"),
        attributes in proptest::collection::vec((".{1,12}", values()), 0..5),
        who in proptest::collection::vec((".{1,12}", values()), 0..3),
        linked in proptest::collection::vec(1..u64::MAX, 0..3),
    ) -> Span {
        Span {
            state,
            kind: Kind::of(kind),
            start_ns: start,
            end_ns: start + took,
            status: Status::of(code, reason),
            events: vec![Event { at_ns: start, name: "e".to_owned(), attributes: attributes.clone() }],
            attributes,
            links: linked.into_iter().map(|one| Link { trace: trace(one), span: id(one) }).collect(),
            scope: scope.into(),
            resource: Arc::new(Resource { attributes: who }),
            ..span(of, own, parent, &name, 0, 0)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_written_is_read_again(spans in proptest::collection::vec(any_span(), 0..6)) {
        let expect = Decoded { spans, ..Decoded::default() };
        let message = to_protobuf(&expect.spans);
        prop_assert_eq!(&decode(Encoding::Protobuf, &message).unwrap(), &expect);
        let message = to_json(&expect.spans).to_string();
        prop_assert_eq!(&decode(Encoding::Json, message.as_bytes()).unwrap(), &expect);
    }

    #[test]
    fn nothing_breaks_the_reader(spans in proptest::collection::vec(any_span(), 1..4), at: usize, by: u8, cut: usize) {
        for (encoding, mut message) in [
            (Encoding::Protobuf, to_protobuf(&spans)),
            (Encoding::Json, to_json(&spans).to_string().into_bytes()),
        ] {
            let (at, cut) = (at % message.len(), cut % message.len());
            let _ = decode(encoding, &message[..cut]);
            message[at] ^= by;
            if let Ok(decoded) = decode(encoding, &message) {
                let mut store = store(1 << 20, 100);
                let spans: Vec<_> = store.add(decoded.spans, 0);
                prop_assert!(waterfall(&spans, 80).lines().count() <= 2 * spans.len() + 1);
            }
        }
    }

    #[test]
    fn a_store_is_never_beyond_its_bounds(
        spans in proptest::collection::vec(any_span(), 0..40),
        bytes in 0..20_000_usize,
        most in 0..30_usize,
    ) {
        let mut store = store(bytes, most);
        let n = spans.len() as u64;
        let new = store.add(spans, 5).len() as u64;
        let counts = store.counts();
        prop_assert!(counts.bytes <= bytes && counts.spans <= most);
        prop_assert_eq!(store.spans().len(), counts.spans);
        prop_assert!(counts.spans as u64 + counts.displaced == new && new <= n);
        store.expire(i64::MAX);
        prop_assert_eq!((store.counts().spans, store.counts().bytes), (0, 0));
        prop_assert_eq!(store.newest_first().count(), 0);
    }
}

#[test]
fn the_json_of_the_specification_is_read() {
    // The example of opentelemetry-proto, with what other senders write: names of kinds, numbers, members unknown here.
    let message = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"my.service"}}]},
        "scopeSpans":[{"scope":{"name":"my.library","version":"1.0.0","attributes":[]},"spans":[
        {"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174","parentSpanId":"EEE19B7EC3C1B173",
         "name":"I'm a server span","startTimeUnixNano":"1544712660000000000","endTimeUnixNano":1544712661000000000,"kind":2,
         "attributes":[{"key":"my.span.attr","value":{"stringValue":"some value"}},{"key":"n","value":{"intValue":"7"}}]},
        {"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B175","name":"b","kind":"SPAN_KIND_CLIENT",
         "startTimeUnixNano":5,"status":{"code":"STATUS_CODE_ERROR","message":"no"},"new":[1,{"a":null}]},
        {"traceId":"","spanId":"EEE19B7EC3C1B176","startTimeUnixNano":5},
        {"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B177"}]}]}]}"#;
    let decoded = decode(Encoding::Json, message.as_bytes()).unwrap();
    assert_eq!((decoded.rejected, decoded.reason), (2, decode::NO_ID));
    let [first, second] = &decoded.spans[..] else { panic!("{decoded:?}") };
    assert_eq!((first.server(), &*first.scope, first.kind), (Some("my.service"), "my.library", Kind::Server));
    assert_eq!(first.took(), Duration::from_secs(1));
    assert_eq!(first.attributes[1], attribute("n", 7));
    assert_eq!((second.kind, &second.status), (Kind::Client, &Status::Error("no".to_owned())));
    assert_eq!(second.end_ns, 5, "a span that has not ended ends when it began");
}

#[test]
fn what_is_no_message_is_refused() {
    for wrong in [
        "",
        "[]x",
        "{\"resourceSpans\":7}",
        "nonsense",
        "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[7]}]}]}",
    ] {
        assert!(decode(Encoding::Json, wrong.as_bytes()).is_err(), "{wrong}");
    }
    let value = format!("{}{}", "{\"arrayValue\":{\"values\":[".repeat(500), "]}}".repeat(500));
    let deep = format!(
        "{{\"resourceSpans\":[{{\"resource\":{{\"attributes\":[{{\"key\":\"a\",\"value\":{value}}}]}}}}]}}"
    );
    assert!(decode(Encoding::Json, deep.as_bytes()).is_err());
    for wrong in [&b"nonsense"[..], &[0x0a, 0x05, 0x01], &[0x0a, 0x02, 0x12, 0x09], &[0x08]] {
        assert!(decode(Encoding::Protobuf, wrong).is_err(), "{wrong:?}");
    }
    // A field that is not known, and one of our number that is something else.
    assert!(decode(Encoding::Protobuf, &[0x50, 0x01]).unwrap().spans.is_empty());
    assert!(decode(Encoding::Protobuf, &[0x08, 0x01]).is_err());
    assert_eq!(Encoding::of("Application/JSON; charset=utf-8"), Some(Encoding::Json));
    assert_eq!(Encoding::of("text/plain"), None);
}

#[test]
fn values_are_cut_where_they_are_too_long_many_or_deep() {
    let mut deep = Value::Int(1);
    for _ in 0..50 {
        deep = Value::List(vec![deep]);
    }
    let long = Value::Text("ä".repeat(5000));
    let mut attributes = vec![("deep".to_owned(), deep), ("long".to_owned(), long)];
    attributes.extend((0..500).map(|n| attribute(&format!("a{n}"), n)));
    let span = Span { attributes, name: "n".repeat(5000), ..span(1, 1, None, "", 0, 1) };
    for (encoding, message) in [
        (Encoding::Protobuf, to_protobuf([&span])),
        (Encoding::Json, to_json([&span]).to_string().into_bytes()),
    ] {
        let decoded = decode(encoding, &message);
        // JSON of this depth is refused by its reader.
        let Ok(decoded) = decoded else {
            assert_eq!(encoding, Encoding::Json);
            continue;
        };
        let read = &decoded.spans[0];
        assert_eq!((read.name.len(), read.attributes.len()), (NAME_BYTES_MAX, ITEMS_MAX));
        assert_eq!(read.text("long").unwrap().len(), VALUE_BYTES_MAX);
        assert!(format!("{:?}", read.attributes[0]).matches("List").count() <= DEPTH_MAX);
    }
}

#[test]
fn a_message_of_a_million_spans_is_cut_and_said_so() {
    let one = to_protobuf([&span(1, 1, None, "a", 0, 1)]);
    let message = one.repeat(SPANS_MAX + 1000);
    let decoded = decode(Encoding::Protobuf, &message).unwrap();
    assert_eq!((decoded.spans.len(), decoded.rejected), (SPANS_MAX, 1000));
    // Empty spans, of which four mebibytes of JSON hold a million and more.
    let message = format!(
        "{{\"resourceSpans\":[{{\"scopeSpans\":[{{\"spans\":[{}{{}}]}}]}}]}}",
        "{},".repeat(1_000_000)
    );
    let decoded = decode(Encoding::Json, message.as_bytes()).unwrap();
    assert_eq!((decoded.spans.capacity(), decoded.rejected), (0, 1_000_001));
}

#[test]
fn what_is_packed_is_unpacked_so_far_and_no_further() {
    use std::io::Write as _;
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(&vec![0; 1 << 20]).unwrap();
    let packed = packer.finish().unwrap();
    assert_eq!(gunzip(&packed, 1 << 20).unwrap().len(), 1 << 20);
    assert!(matches!(gunzip(&packed, (1 << 20) - 1), Err(Malformed::TooLarge(_))));
    assert!(matches!(gunzip(&packed[..50], 1 << 20), Err(Malformed::Gzip(_))));
    assert!(matches!(gunzip(b"nonsense", 1 << 20), Err(Malformed::Gzip(_))));
}

#[test]
fn what_nobody_looks_for_goes_first() {
    let mut store = store(1 << 20, 6);
    store.add(vec![failed(span(1, 1, None, "a", 0, 1), "no"), span(2, 1, None, "a", 0, 6000)], 0);
    for number in 3..20 {
        store.add(vec![span(number, 1, None, "a", 0, 1)], 0);
    }
    let held =
        |store: &Store| (1..40).filter(|number| store.trace(trace(*number)).is_some()).collect::<Vec<_>>();
    assert_eq!(held(&store), [1, 2, 16, 17, 18, 19]);
    // One bad hour does not take all of the room.
    for number in 20..30 {
        store.add(vec![failed(span(number, 1, None, "a", 0, 1), "no")], 0);
    }
    assert_eq!(held(&store), [17, 18, 19, 27, 28, 29]);
    assert_eq!(store.counts().displaced, 23);
    // A trace that goes on is young again.
    store.add(vec![span(17, 2, Some(1), "b", 1, 2)], 0);
    assert_eq!(held(&store), [17, 19, 27, 28, 29]);
    // The same span again is nothing new.
    assert!(store.add(vec![span(17, 2, Some(1), "b", 1, 2)], 0).is_empty());
    store.add(vec![span(30, 1, None, "a", 0, 1)], 4_000_000);
    assert_eq!(held(&store), [30]);
    assert_eq!(store.counts().expired, 6);
}

#[test]
fn a_trace_that_never_ends_has_a_bound() {
    let mut store = store(1 << 30, 1 << 20);
    store.add((1..=10_500).map(|number| span(1, number, None, "a", 0, 1)).collect(), 0);
    assert_eq!((store.counts().spans, store.counts().refused), (10_000, 500));
}

#[test]
fn traces_are_found_by_what_is_in_them() {
    let mut store = store(1 << 20, 100);
    let call = |of, tool: &str, to_ms| Span {
        attributes: vec![attribute("gen_ai.tool.name", tool)],
        ..span(of, 1, None, &format!("tools/call {tool}"), 0, to_ms)
    };
    store.add(vec![call(1, "search", 7000), span(1, 2, Some(1), "query", 10, 6900)], 0);
    store.add(vec![call(2, "search", 20)], 0);
    store.add(
        vec![failed(call(3, "write", 30), ""), failed(span(3, 2, Some(1), "insert", 1, 2), "disk full")],
        0,
    );
    let find = |filter: Filter| {
        let found = store.find(&Filter { limit: 10, ..filter });
        found
            .iter()
            .map(|one| u64::from_be_bytes(one.trace.bytes()[..8].try_into().unwrap()))
            .collect::<Vec<_>>()
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(find(Filter::default()), [3, 2, 1]);
    assert_eq!(find(Filter { server: text("notes"), ..Filter::default() }), [3, 2, 1]);
    assert_eq!(find(Filter { server: text("note"), ..Filter::default() }), [0; 0]);
    assert_eq!(find(Filter { tool: text("search"), ..Filter::default() }), [2, 1]);
    assert_eq!(find(Filter { slow: Some(Duration::from_secs(7)), ..Filter::default() }), [1]);
    assert_eq!(find(Filter { errors: true, ..Filter::default() }), [3]);
    let since_ns = Some(1000 * SECOND + 25_000_000);
    assert_eq!(find(Filter { since_ns, ..Filter::default() }), [3, 1]);
    let found = store.find(&Filter { errors: true, limit: 1, ..Filter::default() });
    assert_eq!(
        (found[0].name.as_str(), found[0].n_errors, found[0].error.as_str()),
        ("tools/call write", 2, "disk full")
    );
    assert_eq!(store.beginning_with(&trace(2).to_string()[..16], 9), [trace(2)]);
}

#[test]
fn a_trace_is_shown_as_a_waterfall() {
    let spans: Vec<_> = [
        span(1, 1, None, "tools/call search", 0, 1250),
        Span { kind: Kind::Client, ..failed(span(1, 3, Some(1), "GET\u{1b}[2J /", 600, 1000), "timed\nout") },
        span(1, 2, Some(1), "query", 0, 500),
        Span { kind: Kind::Internal, ..span(1, 4, Some(2), "parse", 0, 0) },
        span(1, 5, Some(99), "late", 1240, 1250),
        span(1, 6, Some(7), "one", 10, 20),
        span(1, 7, Some(6), "other", 10, 20),
    ]
    .into_iter()
    .map(Arc::new)
    .collect();
    expect![[r#"
                                              took  0                        1.25 s
        notes server: tools/call search     1.25 s  ███████████████████████████████
          notes server: query               500 ms  ████████████
            notes: parse                      0 ns  |
          notes client: GET·[2J /           400 ms                ██████████
                                                    ! timed·out
        … notes server: late               10.0 ms                                █
        … notes server: one                10.0 ms  █
          notes server: other              10.0 ms  █
    "#]]
    .assert_eq(&waterfall(&spans, 75));
    assert_eq!(waterfall(&[], 80), "");
    for width in 0..60 {
        let text = waterfall(&spans, width);
        assert_eq!(text.lines().count(), 9, "{width}");
        assert!(text.lines().all(|line| line.chars().count() <= width.max(43)), "{width}: {text}");
    }
}

#[test]
fn a_store_outlives_its_process() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let mut store = store(1 << 20, 100);
        let disk = Disk::open(&folder.path().join("traces"), &mut store, 2_000_000).unwrap();
        (store, disk)
    };
    let (mut first, mut disk) = open();
    let new = first.add(vec![span(1, 1, None, "a", 0, 1), span(2, 1, None, "b", 0, 1)], 1_000_000);
    assert!(!disk.add(&new).unwrap());
    let (mut second, mut disk) = open();
    assert_eq!(second.spans(), first.spans());
    // What was written in part is left out, and does not spoil what follows.
    let path = folder.path().join("traces/spans.otlp");
    let mut bytes = std::fs::read(&path).unwrap();
    let whole = bytes.len();
    bytes.extend_from_slice(&to_protobuf([&span(3, 1, None, "c", 0, 1)])[..20]);
    std::fs::write(&path, &bytes).unwrap();
    let (third, _) = open();
    assert_eq!((third.counts().spans, std::fs::metadata(&path).unwrap().len()), (2, whole as u64));
    disk.rewrite(&second.spans()).unwrap();
    disk.add(&second.add(vec![span(4, 1, None, "d", 0, 1)], 1_000_000)).unwrap();
    let (fourth, _) = open();
    assert_eq!(fourth.counts().spans, 3);
    // What is too old is not taken in, and a folder that is no file of spans is said so.
    let mut late = store(1 << 20, 100);
    Disk::read(&folder.path().join("traces"), &mut late, 9_000_000).unwrap();
    assert_eq!(late.counts().spans, 0);
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(Disk::read(&folder.path().join("traces"), &mut late, 0).is_err());
}
