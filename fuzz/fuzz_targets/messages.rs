//! Owns throwing any bytes at the reader of JSON-RPC, as lines of a server and as messages of a client: what is read goes on
//! as the same message, under other ids, on one line.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (buffer_bytes, bytes_max, text) = input;
    guard::fuzz::lines(text, buffer_bytes.into(), bytes_max.into());
    guard::fuzz::message(text);
    text.split(|byte| *byte == b'\n').for_each(guard::fuzz::message);
});
