//! Owns what is wrong with a certificate.

use std::io;

use rustls::CertificateError;

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateFault {
    /// It is over.
    Expired,
    /// It does not count yet.
    NotYetValid,
    /// It is for another name.
    WrongName,
    /// Nobody who is trusted has signed it.
    UnknownIssuer,
    /// Something else.
    Invalid,
}

// === impl CertificateFault ===

impl CertificateFault {
    /// The word of the catalogue.
    pub fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::WrongName => "wrong_name",
            Self::UnknownIssuer => "unknown_issuer",
            Self::Invalid => "invalid",
        }
    }

    pub(super) fn means(self) -> &'static str {
        match self {
            Self::Expired => "its certificate is over",
            Self::NotYetValid => "its certificate does not count yet",
            Self::WrongName => "its certificate is for another name",
            Self::UnknownIssuer => "its certificate comes from nobody whom this machine trusts",
            Self::Invalid => "its certificate is no good",
        }
    }

    /// What failed a handshake; none where it was not the certificate.
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        let rustls::Error::InvalidCertificate(fault) = error.get_ref()?.downcast_ref::<rustls::Error>()?
        else {
            return None;
        };
        Some(match fault {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::WrongName
            }
            CertificateError::UnknownIssuer => Self::UnknownIssuer,
            _ => Self::Invalid,
        })
    }
}
