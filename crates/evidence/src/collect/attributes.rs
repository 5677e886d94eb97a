//! Owns the extended attributes of a file as evidence: capabilities and labels (`security.*`), access lists (`system.*`), and what
//! programs have put there.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::File;

use rustix::fs::{fgetxattr, flistxattr};

/// More than any file has.
const ATTRIBUTES_MAX: usize = 64;
const NAMES_BYTES_MAX: usize = 64 << 10;
/// An access list of a hundred users; what is longer is told by its length.
const VALUE_BYTES_MAX: usize = 4 << 10;

/// By name: a text as it is, and other bytes as `0x` and their digits, as `getfattr` writes them.
pub(crate) type Attributes = BTreeMap<String, String>;

/// Those that a file has and we may see; none where its file system knows of none.
pub(crate) fn of(file: &File) -> Attributes {
    let mut names = vec![0; NAMES_BYTES_MAX];
    let Ok(length) = flistxattr(file, &mut names) else { return Attributes::new() };
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names.take(ATTRIBUTES_MAX).filter_map(|name| Some((text(name), value(file, name)?))).collect()
}

fn value(file: &File, name: &[u8]) -> Option<String> {
    let name = CString::new(name).ok()?;
    let mut value = vec![0; VALUE_BYTES_MAX];
    match fgetxattr(file, &name, &mut value) {
        Ok(length) => Some(text(&value[..length])),
        Err(rustix::io::Errno::RANGE) => Some(format!("more than {VALUE_BYTES_MAX} bytes")),
        Err(_) => None,
    }
}

fn text(bytes: &[u8]) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    match std::str::from_utf8(bytes).ok().filter(|text| text.bytes().all(|byte| is_plain(&byte))) {
        Some(text) if !text.starts_with("0x") => text.to_owned(),
        _ => format!("0x{}", checksum::hex::write(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use rustix::fs::{XattrFlags, fsetxattr};

    use super::{of, text};

    #[test]
    fn values_are_texts_or_digits() {
        for (bytes, expect) in [
            (&b"label one"[..], "label one"),
            (b"", ""),
            (b"a\0", "0x6100"),
            (b"0x61", "0x30783631"),
            (b"\xff", "0xff"),
        ] {
            assert_eq!(text(bytes), expect);
        }
    }

    #[test]
    fn a_file_with_some() {
        let mut file = tempfile::tempfile_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        file.write_all(b"x").unwrap();
        assert_eq!(of(&file).get("user.origin"), None);
        if let Err(error) = fsetxattr(&file, "user.origin", b"https://evil.example", XattrFlags::empty()) {
            println!("SKIPPED: this file system has no attributes: {error}");
            return;
        }
        fsetxattr(&file, "user.long", &[7; 4096], XattrFlags::empty()).ok();
        assert_eq!(of(&file)["user.origin"], "https://evil.example");
    }
}
