//! Owns evidence: what is kept of a machine and of one MCP server before anybody changes something, sealed so that anybody
//! can check it later with nothing but the bundle and a public key.
//!
//! A bundle is a folder:
//!
//! | file | what it is |
//! |---|---|
//! | `items.tar.zst` | the items, in the order in which they were collected; each is a zstd frame of its own ([`archive`]) |
//! | `manifest.jsonl` | a line for each item, and for each that is missing ([`manifest`]); its SHA-256 is the bundle's hash |
//! | `steps.jsonl` | when each step of the collection ran and how long it took: not part of the bundle's hash |
//! | `seal.json` | what was sealed, signed with Ed25519; written anew after every step, so that what is cut short is sealed too |
//! | `custody.jsonl`, `custody.json` | who did what with the bundle, chained and signed; and how long that list is, signed ([`custody`]) |
//! | `analysis/` | what people and programs made of it: outside of what is sealed |
//!
//! The same items, with the same arguments, give the same bytes of `items.tar.zst` and `manifest.jsonl`.

pub mod archive;
mod bundle;
mod collect;
mod core_file;
pub mod custody;
mod error;
mod export;
mod extent;
mod key;
pub mod manifest;
mod seal;
mod signed;
pub mod stream;
mod times;
mod verify;

pub use checksum::Digest;

pub use bundle::{End, Gathered, MANIFEST, Sealed, Writer};
pub use collect::{
    Budget, Deep, Filter, Out, PACKETS_MAX, Progress, Run, Scene, Step, Subject, Tier, collect, hide_text,
    steps,
};
pub use error::Error;
pub use export::{ExportError, export};
pub use extent::Extent;
pub use key::{PublicKey, SigningKey};
pub use seal::{Seal, State};
pub use signed::Signed;
pub use times::Times;
pub use verify::{Problem, Verdict, verify};
