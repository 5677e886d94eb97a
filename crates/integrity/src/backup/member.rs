//! Owns the members of an archive: their names, what they link to and their attributes, as GNU tar hands them on.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use tar::EntryType;

use crate::attributes::Attributes;

/// The longest path.
const NAME_BYTES_MAX: u64 = 8192;
/// What may stand before one member; all attributes of a file.
const EXTENSION_BYTES_MAX: u64 = 1 << 20;
/// How attributes are named in an archive.
pub(super) const ATTRIBUTE: &str = "SCHILY.xattr.";

/// What records before a member say of it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Records {
    attributes: Attributes,
    name: Option<PathBuf>,
    link: Option<PathBuf>,
    size: Option<u64>,
}

/// The next member of an archive.
pub(super) struct Member<'a, R: Read> {
    pub(super) name: PathBuf,
    pub(super) link: Option<PathBuf>,
    pub(super) attributes: Attributes,
    pub(super) content: tar::Entry<'a, R>,
}

/// The name of a thing in an archive.
pub(super) fn name(tree: usize, path: &Path) -> PathBuf {
    Path::new(&tree.to_string()).join(path)
}

/// The next member, with what stands before it.
pub(super) fn next<'a, R: Read>(members: &mut tar::Entries<'a, R>) -> io::Result<Option<Member<'a, R>>> {
    let (mut name, mut link, mut records) = (None, None, None);
    loop {
        let Some(member) = members.next() else {
            return if name.is_none() && link.is_none() && records.is_none() {
                Ok(None)
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        };
        let mut member = member?;
        let path = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
        match member.header().entry_type() {
            EntryType::GNULongName => put(&mut name, long_name(&mut member)?)?,
            EntryType::GNULongLink => put(&mut link, long_name(&mut member)?)?,
            EntryType::XHeader => put(&mut records, extensions(&mut member)?)?,
            _ => {
                let said: Records = records.unwrap_or_default();
                // Where they differ the content would be read from somewhere else than others read it.
                if said.size.is_some_and(|size| size != member.size()) {
                    return Err(io::Error::other("a member of the archive has two sizes"));
                }
                let name = said.name.or(name).unwrap_or_else(|| path(&member.header().path_bytes()));
                let header_link = || member.header().link_name_bytes().map(|bytes| path(&bytes));
                let link = said.link.or(link).or_else(header_link);
                return Ok(Some(Member { name, link, attributes: said.attributes, content: member }));
            }
        }
    }
}

fn put<T>(place: &mut Option<T>, value: T) -> io::Result<()> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(io::Error::other("the same is said twice of one member")),
    }
}

fn long_name(member: &mut tar::Entry<'_, impl Read>) -> io::Result<PathBuf> {
    let mut bytes = bounded(member, NAME_BYTES_MAX)?;
    bytes.pop_if(|last| *last == 0);
    Ok(PathBuf::from(OsStr::from_bytes(&bytes)))
}

fn extensions(member: &mut tar::Entry<'_, impl Read>) -> io::Result<Records> {
    let bytes = bounded(member, EXTENSION_BYTES_MAX)?;
    records(&bytes)
        .ok_or_else(|| io::Error::other("what stands before a member of the archive is not understood"))
}

/// Records of the form `LENGTH KEY=VALUE\n`; a value may hold any bytes, also the end of a line. What is not attributes,
/// names or a size is of no use.
fn records(mut bytes: &[u8]) -> Option<Records> {
    let (mut said, mut all) = (Records::default(), Vec::new());
    let path = |value: &[u8]| Some(PathBuf::from(OsStr::from_bytes(value)));
    while !bytes.is_empty() {
        let space = bytes.iter().position(|byte| *byte == b' ')?;
        let length: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
        let record = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|byte| *byte == b'=')?;
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        match key {
            b"path" => said.name = path(value),
            b"linkpath" => said.link = path(value),
            b"size" => said.size = Some(std::str::from_utf8(value).ok()?.parse().ok()?),
            _ => {
                if let Some(name) = key.strip_prefix(ATTRIBUTE.as_bytes()) {
                    all.push((name.to_vec(), value.to_vec()));
                }
            }
        }
        bytes = &bytes[length..];
    }
    said.attributes = all.into_iter().collect();
    Some(said)
}

fn bounded(member: &mut tar::Entry<'_, impl Read>, most: u64) -> io::Result<Vec<u8>> {
    if member.size() > most {
        return Err(io::Error::other("what stands before a member of the archive is too long"));
    }
    let mut bytes = Vec::new();
    member.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_by_their_length() {
        let check = |text: &[u8], expected: Option<&[(&[u8], &[u8])]>| {
            let found = records(text);
            let found = found.as_ref().map(|all| all.attributes.iter().collect::<Vec<_>>());
            assert_eq!(found.as_deref(), expected, "{:?}", String::from_utf8_lossy(text));
        };
        check(b"", Some(&[]));
        check(b"11 size=77\n", Some(&[]));
        check(b"27 SCHILY.xattr.user.a=b\nc\n", Some(&[(b"user.a", b"b\nc")]));
        check(
            b"24 SCHILY.xattr.user.a=\n24 SCHILY.xattr.user.b=\n",
            Some(&[(b"user.a", b""), (b"user.b", b"")]),
        );
        for bad in [
            &b"27 SCHILY.xattr.user.a=b\n"[..],
            b"3 a",
            b"2 a=b\n",
            b"0 a=b\n",
            b"99999999999999999999999 a=b\n",
            b"x a=b\n",
            b"7 abcd\n",
            b"10 size=x\n",
            b"\n",
        ] {
            check(bad, None);
        }
        let said = records(b"12 path=a/b\n13 linkpath=\n10 size=7\n").unwrap();
        let expected = (Some("a/b".into()), Some(PathBuf::new()), Some(7));
        assert_eq!((said.name, said.link, said.size), expected);
    }
}
