//! What the client's errors do not say, found out on a second connection without any secret: the status of a
//! proxy's refusal, and the issuer of an untrusted certificate. If that fails, the cause stays unchanged.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{Cause, Route, name_of, with_port};
use certcollectd_core::api::Untrusted;
use certcollectd_core::cert::Certificate;

/// The whole inquiry takes no longer, and no longer than `connect_timeout`.
const LIMIT: Duration = Duration::from_secs(10);
/// Maximum number of bytes read of a proxy's answer, for its first line.
const MAX_ANSWER: usize = 8192;

/// The cause with what could be found out about it.
pub(super) async fn ask(route: &Route, cause: Cause) -> Cause {
    let limit = route.connect_timeout.min(LIMIT);
    match cause {
        // Without its login a proxy says something else than with it.
        Cause::NoTunnel(None) if route.proxy_login.is_none() => {
            let answer = timeout(limit, connect(route)).await;
            Cause::NoTunnel(match answer {
                Ok(Some(Reached::Refused(status))) => Some(status),
                _ => None,
            })
        }
        Cause::UnknownIssuer(None) => {
            Cause::UnknownIssuer(timeout(limit, issuer(route)).await.ok().flatten())
        }
        other => other,
    }
}

enum Reached {
    /// A connection that ends at the vendor.
    Vendor(TcpStream),
    /// The proxy's HTTP status, which is no 200.
    Refused(u16),
}

/// As the client does it, without a login.
async fn connect(route: &Route) -> Option<Reached> {
    let Some(proxy) = &route.proxy else {
        return Some(Reached::Vendor(TcpStream::connect(&*route.host).await.ok()?));
    };
    let address = with_port(proxy.strip_prefix("http://")?, 80);
    let mut stream = TcpStream::connect(address).await.ok()?;
    let host = &route.host;
    stream.write_all(format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") && answer.len() < MAX_ANSWER {
        // Byte by byte: what follows the headers of a tunnel is the vendor's.
        let Ok(byte) = stream.read_u8().await else { break };
        answer.push(byte);
    }
    match status(&answer)? {
        200 => Some(Reached::Vendor(stream)),
        status => Some(Reached::Refused(status)),
    }
}

/// The status in the first line of an answer.
fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\r' || *byte == b'\n').next()?;
    let words = std::str::from_utf8(line).ok()?.strip_prefix("HTTP/1.")?;
    words.split(' ').nth(1)?.parse().ok()
}

/// The issuer of the highest certificate that is sent.
async fn issuer(route: &Route) -> Option<Untrusted> {
    let Reached::Vendor(stream) = connect(route).await? else { return None };
    let witness = Arc::new(Witness::default());
    let config = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .ok()?
        .dangerous()
        .with_custom_certificate_verifier(witness.clone())
        .with_no_client_auth();
    let name = name_of(&route.host).trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(name).ok()?;
    // It never succeeds: the witness accepts no certificate.
    let _ = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    witness.0.lock().ok()?.take()
}

/// Looks at a chain and refuses it, whatever it is.
#[derive(Debug, Default)]
struct Witness(Mutex<Option<Untrusted>>);

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let highest = intermediates.last().unwrap_or(end_entity);
        if let (Ok(certificate), Ok(mut seen)) = (Certificate::from_der(highest), self.0.lock()) {
            *seen = Some(Untrusted::new(&certificate.issuer_text()));
        }
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_of_an_answer() {
        assert_eq!(status(b"HTTP/1.1 403 Forbidden\r\nx: y\r\n\r\n"), Some(403));
        assert_eq!(status(b"HTTP/1.0 502\r\n"), Some(502));
        for no in ["", "HTTP/1.1", "SSH-2.0-x", "HTTP/1.1 x", "HTTP/1.1 99999 y"] {
            assert_eq!(status(no.as_bytes()), None, "{no}");
        }
    }
}
