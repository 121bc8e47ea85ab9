//! TLS with the server: by the roots of `ca_file` alone if there is one, else by the system's.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_rustls::{TlsConnector, client};

use crate::effects::access::{self, Wish};
use crate::effects::call::{self, transport};
use crate::effects::files::read_file;
use crate::effects::shared::{StoreSettings, Trouble};
use certcollectd_core::api;
use certcollectd_core::config::fleet::ClientCert;

/// A certificate with its chain, or a key.
const MAX_PEM: usize = 1 << 20;

/// Reads the files.
pub(super) fn client(settings: &StoreSettings) -> Result<Arc<ClientConfig>, Trouble> {
    let mut roots = RootCertStore::empty();
    match &settings.ca_file {
        Some(path) => {
            let anchors = call::anchors(path).map_err(|failure| match failure {
                api::Failure::Setup(why) => Trouble::Other(why),
                other => Trouble::Other(other.to_string()),
            })?;
            for root in anchors {
                let wrong = |error| Trouble::Other(format!("ca_file {}: {error}", path.display()));
                roots.add(root).map_err(wrong)?;
            }
        }
        None => {
            if let Some(why) = transport::rootless() {
                return Err(Trouble::Other(why.into()));
            }
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Trouble::Other(format!("TLS with the store: {error}")))?
        .with_root_certificates(roots);
    let config = match &settings.client_cert {
        None => builder.with_no_client_auth(),
        Some(files) => {
            let (chain, key) = pair(files)?;
            builder.with_client_auth_cert(chain, key).map_err(|error| unusable(files, &error.to_string()))?
        }
    };
    Ok(Arc::new(config))
}

fn pair(files: &ClientCert) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Trouble> {
    let read = |name: &str, path: &Path| {
        read_file(path, MAX_PEM).map_err(|error| {
            Trouble::Other(format!("{name} {}: {}", path.display(), access::reason(path, Wish::Read, &error)))
        })
    };
    let (cert, key) = (read("cert_file", &files.cert_file)?, read("key_file", &files.key_file)?);
    let chain = CertificateDer::pem_slice_iter(&cert).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| unusable(files, &error.to_string()))?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| unusable(files, &error.to_string()))?;
    Ok((chain, key))
}

fn unusable(files: &ClientCert, why: &str) -> Trouble {
    let (cert, key) = (files.cert_file.display(), files.key_file.display());
    Trouble::Other(format!("cert_file {cert} and key_file {key}: {why}"))
}

/// For one connection.
pub(super) struct Handshake {
    pub(super) config: Arc<ClientConfig>,
    pub(super) host: String,
}

impl TlsConnect<TcpStream> for Handshake {
    type Stream = Encrypted;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Encrypted>> + Send>>;

    fn connect(self, stream: TcpStream) -> Self::Future {
        Box::pin(async move {
            let name = ServerName::try_from(self.host).map_err(io::Error::other)?;
            TlsConnector::from(self.config).connect(name, stream).await.map(Encrypted)
        })
    }
}

pub(super) struct Encrypted(client::TlsStream<TcpStream>);

impl TlsStream for Encrypted {
    /// The certificate is verified: nothing more is won by it.
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
