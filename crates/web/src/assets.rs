//! Owns what pages load beside themselves: one style sheet and one script, both our own, both in the program.

use std::sync::LazyLock;

/// A file that pages load.
#[derive(Debug, Clone, Copy)]
pub struct Asset {
    /// Where it is served: the path has a mark of its content, so that it can be kept forever.
    pub path: &'static str,
    /// Its media type.
    pub kind: &'static str,
    /// Its content.
    pub text: &'static str,
}

const STYLE: &str = include_str!("../assets/style.css");
const SCRIPT: &str = include_str!("../assets/paramedic.js");

/// A mark of a content: FNV-1a. It only has to be another when the content is.
const fn mark(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
}

/// All of them.
pub fn assets() -> &'static [Asset; 2] {
    static ASSETS: LazyLock<[Asset; 2]> = LazyLock::new(|| {
        let asset = |name: &str, kind, text: &'static str| Asset {
            path: String::leak(format!("/assets/{:016x}/{name}", mark(text))),
            kind,
            text,
        };
        [
            asset("style.css", "text/css; charset=utf-8", STYLE),
            asset("paramedic.js", "text/javascript; charset=utf-8", SCRIPT),
        ]
    });
    &ASSETS
}
