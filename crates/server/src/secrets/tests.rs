//! Owns the tests of reading secrets from files.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn place(text: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    (folder, path)
}

fn read_now(credentials: Option<&Path>, secret: &Secret) -> Result<Revealed, String> {
    let secrets = Secrets { exe: PathBuf::from("/no"), credentials: credentials.map(Path::to_owned) };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(secrets.read(secret)).map_err(|error| incident::error_chain(&error))
}

#[track_caller]
fn refused(text: &[u8], mode: u32, words: &str) {
    let (_folder, file) = place(text, mode);
    let error = read_now(None, &Secret::File { file }).unwrap_err();
    assert!(error.contains(words) && !error.contains("hunter2"), "{error}");
}

#[test]
fn a_file_is_read_without_the_end_of_its_line() {
    let (_folder, file) = place(b"hunter2 \r\n", 0o640);
    let revealed = read_now(None, &Secret::File { file }).unwrap();
    assert_eq!(revealed.reveal(), "hunter2 ");
    assert_eq!(format!("{revealed:?}"), "[REDACTED]");
}

#[test]
fn what_others_can_read_or_write_is_no_secret() {
    refused(b"hunter2", 0o644, "is not secret");
    refused(b"hunter2", 0o604, "mode 0604");
    refused(b"hunter2", 0o620, "is not secret");
    refused(b"", 0o600, "is empty");
    refused(b"\n", 0o600, "is empty");
    refused(b"hunter2\0", 0o600, "NUL");
    refused(b"hunter2\xff", 0o600, "is no text");
    refused(&[b'x'; BYTES_MAX + 1], 0o600, "is too long");
    let folder = tempfile::tempdir().unwrap();
    let error = read_now(None, &Secret::File { file: folder.path().to_owned() }).unwrap_err();
    assert!(error.contains("it is no file"), "{error}");
    let error = read_now(None, &Secret::File { file: folder.path().join("gone") }).unwrap_err();
    assert!(error.contains("No such file"), "{error}");
}

#[test]
fn a_line_of_a_file_of_variables() {
    let text = b"# A=no\nA = first\nB=\"two words\"\nA='hunter2'\nC=\n";
    let (_folder, env_file) = place(text, 0o600);
    let read =
        |key: &str| read_now(None, &Secret::EnvFile { env_file: env_file.clone(), key: key.to_owned() });
    assert_eq!(read("A").unwrap().reveal(), "hunter2");
    assert_eq!(read("B").unwrap().reveal(), "two words");
    assert!(read("C").unwrap_err().contains("is empty"));
    assert!(read("D").unwrap_err().contains("has no line `D=…`"));
}

#[test]
fn a_credential_is_only_there_where_systemd_gives_it() {
    let (folder, _) = place(b"hunter2\n", 0o440);
    let secret = Secret::Credential { credential: "secret".to_owned() };
    assert_eq!(read_now(Some(folder.path()), &secret).unwrap().reveal(), "hunter2");
    let error = read_now(None, &secret).unwrap_err();
    assert!(error.contains("`LoadCredential=secret:PATH`"), "{error}");
}
