//! One TLS handshake, for the sake of what the server presents in it.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use super::starttls;
use certcollectd_core::api::Untrusted;
use certcollectd_core::cert::{Certificate, Fingerprint};
use certcollectd_core::config::StartTls;
use certcollectd_core::engine::probe::Presented;

/// Certificates of one handshake that are looked at.
const MOST_CERTIFICATES: usize = 20;

/// Which kinds of key the server may choose from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer {
    Everything,
    Rsa,
    Ecdsa,
}

/// Shakes hands on a connection, after the words that it needs before.
pub(super) async fn with(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    how: Option<StartTls>,
    name: &str,
    offer: Offer,
) -> Result<Presented, String> {
    if let Some(how) = how {
        starttls::ask(&mut stream, how).await?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let seen =
        Arc::new(Look { seen: Mutex::new(None), offer, known: provider.signature_verification_algorithms });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("cannot be asked: {error}"))?
        .dangerous()
        .with_custom_certificate_verifier(seen.clone())
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).map_err(|_| {
        format!("cannot be asked for \"{}\": it is no name of a server", Untrusted::new(name))
    })?;
    let ended = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    // What was presented counts even if the handshake fails later, because a client's certificate is wanted.
    let presented = seen.seen.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (presented, ended) {
        (Some(presented), _) => presented,
        (None, Ok(_)) => Err("presents no certificate".into()),
        (None, Err(error)) => Err(failed(&error)),
    }
}

fn failed(error: &std::io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidMessage(_)) => "does not speak TLS there".into(),
        Some(Error::AlertReceived(alert)) => format!("refuses the handshake: {alert:?}"),
        Some(error) => format!("does not shake hands: {}", Untrusted::new(&error.to_string())),
        None if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            "closes the connection during the handshake".into()
        }
        None => format!("breaks off during the handshake: {}", crate::effects::errno::cause(error)),
    }
}

/// Sees what a server presents, and accepts it: it is compared, not trusted.
#[derive(Debug)]
struct Look {
    seen: Mutex<Option<Result<Presented, String>>>,
    offer: Offer,
    known: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Look {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(presented(leaf, chain));
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, leaf, signed, &self.known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, leaf, signed, &self.known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let all = self.known.supported_schemes();
        let is_ecdsa = |scheme: &SignatureScheme| {
            use SignatureScheme::{
                ECDSA_NISTP256_SHA256, ECDSA_NISTP384_SHA384, ECDSA_NISTP521_SHA512, ED25519,
            };
            [ECDSA_NISTP256_SHA256, ECDSA_NISTP384_SHA384, ECDSA_NISTP521_SHA512, ED25519].contains(scheme)
        };
        all.into_iter()
            .filter(|scheme| match self.offer {
                Offer::Everything => true,
                Offer::Rsa => !is_ecdsa(scheme),
                Offer::Ecdsa => is_ecdsa(scheme),
            })
            .collect()
    }
}

fn presented(leaf: &CertificateDer<'_>, chain: &[CertificateDer<'_>]) -> Result<Presented, String> {
    let read = Certificate::from_der(leaf)
        .map_err(|error| format!("presents a certificate that cannot be read: {error}"))?;
    Ok(Presented {
        leaf: read.fingerprint(),
        not_before: read.not_before(),
        not_after: read.not_after(),
        chain: chain.iter().take(MOST_CERTIFICATES).map(|der| Fingerprint::of(der)).collect(),
    })
}
