//! What TLS says, in words that name the cause and what to do. Pure.

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};
use std::io;

/// Why the other end is not who it should be, or does not take this one for what it is; none if the error is another.
pub(super) fn refusal(error: &Error) -> Option<String> {
    Some(match error {
        Error::InvalidCertificate(fault) => format!("the certificate of the other end {}", certificate(fault)),
        Error::NoCertificatesPresented => "the other end presents no certificate".into(),
        Error::AlertReceived(alert) => format!("the other end refuses the certificate of this one: {}", told(*alert)?),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => "the other end does not speak TLS".into(),
        Error::PeerIncompatible(_) => format!("the other end does not speak TLS 1.3: {error}"),
        _ => return None,
    })
}

/// What is wrong with a certificate, said of it.
pub(super) fn certificate(fault: &CertificateError) -> String {
    match fault {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired".into(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet: compare the clocks of both hosts".into()
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "was not issued by the authority of this cluster".into()
        }
        CertificateError::Other(other) => format!("does not name a peer: {}", other.0),
        named @ (CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) => {
            format!("is not for this host: {named}")
        }
        other => format!("cannot be used: {other}"),
    }
}

/// The other end's reason, as far as an alert has one.
fn told(alert: AlertDescription) -> Option<String> {
    let reason = match alert {
        AlertDescription::CertificateRequired => "it asks for one, and there is none",
        AlertDescription::CertificateExpired => "it has expired, or is not valid yet",
        AlertDescription::UnknownCA | AlertDescription::DecryptError => "it is of another authority",
        AlertDescription::CertificateUnknown => "it names no role of a cluster",
        AlertDescription::BadCertificate => "it is not for the host that was dialled",
        AlertDescription::UnsupportedCertificate | AlertDescription::CertificateRevoked => "it is not for this use",
        AlertDescription::AccessDenied => "access is denied",
        AlertDescription::HandshakeFailure | AlertDescription::ProtocolVersion => "no version of TLS fits both",
        _ => return None,
    };
    Some(reason.into())
}

/// An error of a TLS stream; one about who is who is a refusal of permission, with its cause in words.
pub(super) fn worded(error: io::Error) -> io::Error {
    let of_tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match of_tls.and_then(refusal) {
        Some(cause) => io::Error::new(io::ErrorKind::PermissionDenied, cause),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_about_identities_is_a_refusal() {
        let as_io = |error: Error| worded(io::Error::new(io::ErrorKind::InvalidData, error));
        let expired = as_io(Error::InvalidCertificate(CertificateError::Expired));
        assert_eq!(expired.kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(expired.to_string(), "the certificate of the other end has expired");
        let alert = as_io(Error::AlertReceived(AlertDescription::UnknownCA));
        assert!(alert.to_string().ends_with("it is of another authority"), "{alert}");
        let other = as_io(Error::AlertReceived(AlertDescription::InternalError));
        assert_eq!(other.kind(), io::ErrorKind::InvalidData);
        assert_eq!(worded(io::ErrorKind::ConnectionReset.into()).kind(), io::ErrorKind::ConnectionReset);
    }
}
