//! Tests keys and their files.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::thread;

use super::*;

#[test]
fn a_key_is_made_once_and_is_only_ours() {
    let folder = tempfile::tempdir().unwrap();
    let keys = thread::scope(|scope| {
        let open = || scope.spawn(|| SigningKey::open(folder.path()).unwrap().public());
        let all: Vec<_> = (0..8).map(|_| open()).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    assert_eq!(fs::metadata(folder.path().join(PRIVATE)).unwrap().mode() & 0o777, 0o600);
    assert_eq!(PublicKey::of_folder(folder.path()).unwrap(), keys[0]);
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn a_key_that_others_may_read_seals_nothing() {
    let folder = tempfile::tempdir().unwrap();
    SigningKey::open(folder.path()).unwrap();
    fs::set_permissions(folder.path().join(PRIVATE), Permissions::from_mode(0o640)).unwrap();
    let error = SigningKey::open(folder.path()).unwrap_err();
    assert!(matches!(error, Error::ExposedKey { .. }), "{error}");
}

#[test]
fn what_is_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(PUBLIC);
    let rsa = to_pem("PUBLIC KEY", &[0x30, 0x2a, 0x30], &[1; 32]);
    for text in ["", "-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----\n", &rsa] {
        fs::write(&path, text).unwrap();
        assert!(matches!(PublicKey::read(&path), Err(Error::Malformed { .. })), "{text}");
    }
}

/// The first test of RFC 8032, section 7.1.
#[test]
fn signatures_are_those_of_the_standard() {
    let seed = [
        0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44,
        0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
    ];
    let key = SigningKey::of_seed(&seed);
    assert_eq!(
        key.sign(b""),
        "5VZDAMNgrHKQhuLMgG6CioSHfx645dl02HPgZSJJAVVfuIIVkKM7rMYeOXAc+bRr0lv18FlbviRlUUFDjnoQCw=="
    );
    assert!(key.public().has_signed(b"", &key.sign(b"")) && !key.public().has_signed(b"x", &key.sign(b"")));
}
