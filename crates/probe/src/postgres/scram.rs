//! Owns proving to a database that a password is known, without telling it: SCRAM-SHA-256 (RFC 5802, 7677), without binding to
//! a channel.
//!
//! `client-first` (a nonce) → `server-first` (the nonce made longer, salt, count) → `client-final` (proof) → `server-final`
//! (the proof of the server, which is checked too: whoever does not know the password is not told anything more).

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::{digest, hmac, pbkdf2};

/// The name of the mechanism.
pub(super) const MECHANISM: &str = "SCRAM-SHA-256";
/// No binding to a channel: there is none that could be bound to.
const HEADER: &str = "n,,";
/// RFC 7677 wants no fewer: whoever asks for one wants to guess the password.
const ROUNDS_MIN: u32 = 4096;
/// More only costs us time: about 50 ms.
const ROUNDS_MAX: u32 = 100_000;
const NONCE_BYTES: usize = 18;

/// One conversation.
pub(super) struct Scram<'p> {
    password: &'p str,
    /// `client-first-message-bare`.
    first: String,
    nonce: String,
    /// What the server has to show.
    expected: Vec<u8>,
}

// === impl Scram ===

impl<'p> Scram<'p> {
    /// With a nonce of this moment; nothing where the machine has no random numbers.
    pub(super) fn begin(user: &str, password: &'p str) -> Option<Self> {
        let mut bytes = [0; NONCE_BYTES];
        SystemRandom::new().fill(&mut bytes).ok()?;
        Some(Self::with(user, password, STANDARD.encode(bytes)))
    }

    fn with(user: &str, password: &'p str, nonce: String) -> Self {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        Self { password, first: format!("n={user},r={nonce}"), nonce, expected: Vec::new() }
    }

    /// The first word.
    pub(super) fn first(&self) -> String {
        format!("{HEADER}{}", self.first)
    }

    /// The proof, for what the server has said to the first word; nothing where that is not as it has to be.
    pub(super) fn proof(&mut self, server_first: &str) -> Option<String> {
        let (nonce, rest) = server_first.strip_prefix("r=")?.split_once(",s=")?;
        let (salt, rounds) = rest.split_once(",i=")?;
        let rounds: u32 = rounds.parse().ok()?;
        let is_ours = nonce.len() > self.nonce.len() && nonce.starts_with(&self.nonce);
        if !is_ours || !(ROUNDS_MIN..=ROUNDS_MAX).contains(&rounds) {
            return None;
        }
        let mut salted = [0; digest::SHA256_OUTPUT_LEN];
        let (salt, password) = (STANDARD.decode(salt).ok()?, self.password.as_bytes());
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, NonZeroU32::new(rounds)?, &salt, password, &mut salted);
        let without_proof = format!("c={},r={nonce}", STANDARD.encode(HEADER));
        let all = format!("{},{server_first},{without_proof}", self.first);
        let key = mac(&salted, b"Client Key");
        let signature = mac(digest::digest(&digest::SHA256, &key).as_ref(), all.as_bytes());
        let proof: Vec<u8> = key.iter().zip(&signature).map(|(one, other)| one ^ other).collect();
        self.expected = mac(&mac(&salted, b"Server Key"), all.as_bytes());
        Some(format!("{without_proof},p={}", STANDARD.encode(proof)))
    }

    /// Whether the server knows the password too.
    pub(super) fn is_proven(&self, server_final: &str) -> bool {
        let shown = server_final.strip_prefix("v=").and_then(|text| STANDARD.decode(text).ok());
        shown.is_some_and(|shown| !self.expected.is_empty() && shown == self.expected)
    }
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677.
    #[test]
    fn the_example_of_the_standard() {
        let mut scram = Scram::with("user", "pencil", "rOprNGfwEbeRWgbNEkqO".to_owned());
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let said = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        assert_eq!(
            scram.proof(said).unwrap(),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert!(scram.is_proven("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        for odd in ["v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=", "v=", "", "e=other-error"] {
            assert!(!scram.is_proven(odd), "{odd}");
        }
    }

    #[test]
    fn who_wants_to_guess_the_password_is_told_nothing() {
        let of = |said: &str| Scram::with("a=b,c", "pencil", "abc".to_owned()).proof(said);
        assert_eq!(Scram::with("a=b,c", "", "x".to_owned()).first(), "n,,n=a=3Db=2Cc,r=x");
        assert!(of("r=abcd,s=W22Z,i=4096").is_some());
        for odd in [
            "r=abcd,s=W22Z,i=1",
            "r=abcd,s=W22Z,i=4294967295",
            "r=abc,s=W22Z,i=4096",
            "r=xabcd,s=W22Z,i=4096",
            "r=abcd,s=!,i=4096",
            "r=abcd",
            "",
            "m=x,r=abcd,s=W22Z,i=4096",
        ] {
            assert_eq!(of(odd), None, "{odd}");
        }
        assert!(!Scram::with("a", "b", "c".to_owned()).is_proven("v="), "nothing was proven yet");
    }
}
