//! Owns the users of this machine: the number of one by its name.

use crate::roots::{FILE_BYTES_MAX, Roots, read};

/// The number of a user of `/etc/passwd`; none where nobody there has this name.
pub fn user_number(roots: &Roots, name: &str) -> Option<u32> {
    let passwd = read(&roots.etc.join("passwd"), FILE_BYTES_MAX)?;
    String::from_utf8_lossy(&passwd).lines().find_map(|line| {
        let mut fields = line.split(':');
        let number = (fields.next() == Some(name)).then(|| fields.nth(1))??;
        number.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_exact() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("etc")).unwrap();
        let passwd = "root:x:0:0::/root:/bin/sh\nann:x:1001:1001::/:/bin/sh\nanna:x:1002:1::/:\nbroken:x\n";
        std::fs::write(root.path().join("etc/passwd"), passwd).unwrap();
        let roots = Roots::below(root.path());
        for (name, expect) in [
            ("root", Some(0)),
            ("ann", Some(1001)),
            ("an", None),
            ("", None),
            ("broken", None),
            ("1001", None),
        ] {
            assert_eq!(user_number(&roots, name), expect, "{name}");
        }
        assert_eq!(user_number(&Roots::below(&root.path().join("etc")), "root"), None);
    }
}
