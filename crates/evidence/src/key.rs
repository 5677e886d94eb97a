//! Owns the key of a host that seals evidence: Ed25519, in the files that other programs read as well.
//!
//! `evidence-key.pem` is PKCS #8 (RFC 8410), mode 0600; `evidence-key.pub.pem` beside it is the public key, for whoever checks.
//! The key is made when it is first needed. Who has it can seal; so it proves that a bundle is as this host left it, and
//! nothing about a host that lied. The public key belongs on another machine before it is needed.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use crate::Digest;
use crate::error::Error;

/// Of the private key, in the folder.
const PRIVATE: &str = "evidence-key.pem";
/// Of the public key.
const PUBLIC: &str = "evidence-key.pub.pem";
/// RFC 8410: what stands before the 32 bytes of a private key, and of a public one.
const PRIVATE_HEAD: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
const PUBLIC_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];
/// A PEM file of a key has about 120 bytes.
const FILE_BYTES_MAX: u64 = 4096;

/// A key that seals.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

/// A key that checks seals.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

// === impl SigningKey ===

impl SigningKey {
    /// The key in `folder`, made there if there is none. Two who make it at once get the same.
    ///
    /// # Errors
    /// When it can be read by others, is no key, or cannot be read or made.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(PRIVATE);
        match Self::read(&path) {
            Err(Error::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                make(folder, &path)?;
                Self::read(&path)
            }
            read => read,
        }
        .and_then(|key| {
            let public = folder.join(PUBLIC);
            if PublicKey::read(&public).ok() != Some(key.public) {
                put(folder, &public, 0o644, key.public.to_pem().as_bytes()).map_err(Error::write(&public))?;
            }
            Ok(key)
        })
    }

    /// A key of 32 bytes that the caller has.
    pub fn of_seed(seed: &[u8; 32]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("32 bytes are a seed");
        let mut public = [0; 32];
        public.copy_from_slice(pair.public_key().as_ref());
        Self { pair, public: PublicKey(public) }
    }

    /// The key that checks what this one seals.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    pub(crate) fn sign(&self, text: &[u8]) -> String {
        STANDARD.encode(self.pair.sign(text).as_ref())
    }

    fn read(path: &Path) -> Result<Self, Error> {
        let mut file = File::open(path).map_err(Error::read(path))?;
        if file.metadata().map_err(Error::read(path))?.mode() & 0o077 != 0 {
            return Err(Error::ExposedKey { path: path.to_owned() });
        }
        Ok(Self::of_seed(&pem(path, &mut file, "PRIVATE KEY", "private key of Ed25519", &PRIVATE_HEAD)?))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?})", self.public)
    }
}

// === impl PublicKey ===

impl PublicKey {
    /// The public key of a folder with a key, without the private one.
    ///
    /// # Errors
    /// As [`PublicKey::read`].
    pub fn of_folder(folder: &Path) -> Result<Self, Error> {
        Self::read(&folder.join(PUBLIC))
    }

    /// Reads a PEM file, as this host or `openssl` writes it.
    ///
    /// # Errors
    /// When it cannot be read or is no public key of Ed25519.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let mut file = File::open(path).map_err(Error::read(path))?;
        Ok(Self(pem(path, &mut file, "PUBLIC KEY", "public key of Ed25519", &PUBLIC_HEAD)?))
    }

    /// As a PEM file (RFC 8410).
    pub fn to_pem(self) -> String {
        to_pem("PUBLIC KEY", &PUBLIC_HEAD, &self.0)
    }

    /// By which people tell keys apart: the first 16 digits of its SHA-256.
    pub fn fingerprint(self) -> String {
        Digest::of(&self.0).short()
    }

    /// Whether `signature` is one of `text` by this key.
    pub(crate) fn has_signed(self, text: &[u8], signature: &str) -> bool {
        STANDARD
            .decode(signature)
            .is_ok_and(|signature| UnparsedPublicKey::new(&ED25519, self.0).verify(text, &signature).is_ok())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fingerprint())
    }
}

/// Makes a key, unless somebody else was faster.
fn make(folder: &Path, path: &Path) -> Result<(), Error> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| Error::Random(io::Error::other(error.to_string())))?;
    let text = to_pem("PRIVATE KEY", &PRIVATE_HEAD, &seed);
    fs::create_dir_all(folder).map_err(Error::write(folder))?;
    let new = new_name(path).map_err(Error::Random)?;
    let write = || -> io::Result<()> {
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        // A link is made only where there is nothing of that name: the first one wins.
        match fs::hard_link(&new, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        }
    };
    let written = write();
    let _ = fs::remove_file(&new);
    written.map_err(Error::write(path))
}

/// A name beside a file that nobody else uses, for what takes its place when it is whole.
fn new_name(path: &Path) -> io::Result<PathBuf> {
    let mut number = [0; 8];
    getrandom::fill(&mut number).map_err(|error| io::Error::other(error.to_string()))?;
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{:016x}", u64::from_ne_bytes(number)));
    Ok(name.into())
}

/// Writes a file as a whole, in the place of another.
fn put(folder: &Path, path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let new = new_name(path)?;
    let mut file = File::options().write(true).create_new(true).mode(mode).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(folder)?.sync_all()
}

fn to_pem(label: &str, head: &[u8], key: &[u8; 32]) -> String {
    let body = STANDARD.encode([head, key].concat());
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

fn pem(
    path: &Path,
    file: &mut File,
    label: &str,
    what: &'static str,
    head: &[u8],
) -> Result<[u8; 32], Error> {
    let wrong = |reason: &str| Error::Malformed { path: path.to_owned(), what, reason: reason.to_owned() };
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(Error::read(path))?;
    let body = text
        .split_once(&format!("-----BEGIN {label}-----"))
        .and_then(|(_, rest)| rest.split_once(&format!("-----END {label}-----")))
        .ok_or_else(|| wrong("it has no such part of PEM"))?;
    let body: String = body.0.split_ascii_whitespace().collect();
    let der = STANDARD.decode(body).map_err(|_| wrong("its part of PEM is no Base64"))?;
    let key = der.strip_prefix(head).ok_or_else(|| wrong("it is of another kind"))?;
    key.try_into().map_err(|_| wrong("it does not have 32 bytes"))
}

#[cfg(test)]
mod tests;
