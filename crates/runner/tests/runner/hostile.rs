//! Tests that any value goes through the state unchanged, and that none of it is run.

use std::fmt::Write;

use proptest::prelude::*;

use crate::session::Session;

/// Bytes that mean something to a shell, among any others but NUL.
fn values() -> impl Strategy<Value = Vec<u8>> {
    let special = prop::sample::select(&b"'\"\\$`(){}[]!#&;|<>*?~=% \t\n\r\x01\x7f\x80\xff\xc3\xa9@"[..]);
    let byte = prop_oneof![3 => special, 1 => 1..=255_u8];
    prop_oneof![
        4 => prop::collection::vec(byte, 0..40),
        1 => Just(b"$(touch pwned)`touch pwned`\ndeclare -- PORT=\"1\"\n)\n# complete\n".to_vec()),
    ]
}

/// Writes bytes as bash source that means exactly them.
fn quoted(bytes: &[u8]) -> String {
    let mut out = String::from("$'");
    for byte in bytes {
        write!(out, "\\x{byte:02x}").unwrap();
    }
    out + "'"
}

proptest! {
    // Each case runs four units.
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_value_survives(
        plain in values(),
        element in values(),
        key in values(),
        member in values(),
        argument in values(),
        separators in values(),
        locale in prop::sample::select(&["", "export LC_ALL=C.UTF-8", "export LANG=C.UTF-8", "LC_ALL=C"][..]),
    ) {
        let mut session = Session::new();
        // Bash takes an empty key for an error.
        let key = [b"k", &key[..]].concat();
        let set = [
            "cd \"$TMPDIR\"".to_owned(),
            locale.to_owned(),
            format!("plain={}; export exported={}", quoted(&plain), quoted(&plain)),
            format!("list=(first {})", quoted(&element)),
            format!("declare -A map; k={}; map[$k]={}; m=", quoted(&key), quoted(&member)),
            format!("set -- {}", quoted(&argument)),
            format!("IFS={}", quoted(&separators)),
        ];
        session.run(&set.join("\n")).ok();
        session.run("f() { local IFS=x plain=local; exit 0; }; f").ok();
        session.run("").ok();
        // With some separators bash itself takes even quoted expansions apart.
        let print = "s=$IFS; unset IFS; printf '%s\\0' \
            \"$plain\" \"$exported\" \"${list[1]}\" \"${!map[@]}\" \"${map[@]}\" \"$1\" \"$s\"";
        let done = session.run(print).ok();
        let expect = [&plain, &plain, &element, &key, &member, &argument, &separators];
        let expect: Vec<u8> = expect.into_iter().flat_map(|value| [value, &b"\0"[..]].concat()).collect();
        prop_assert_eq!(done.stdout, expect);
        prop_assert!(!session.path().join("pwned").exists());
    }
}
