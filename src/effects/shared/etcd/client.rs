//! HTTP with one endpoint: bounded in time and size, without a redirect or a proxy, sorted by what may have
//! been done.

use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::HeaderValue;
use reqwest::{Client, Identity, redirect, retry};
use zeroize::Zeroizing;

use super::wire::{self, Complaint};
use crate::effects::access::{self, Wish};
use crate::effects::call::{self, transport};
use crate::effects::files::read_file;
use crate::effects::shared::{StoreSettings, Trouble};
use certcollectd_core::api;
use certcollectd_core::config::fleet::ClientCert;

/// Bytes of an answer, at most.
pub(super) const MOST: usize = 16 << 20;
/// An endpoint that is there accepts sooner.
const CONNECT: Duration = Duration::from_secs(2);
/// An unused connection is closed. A store that is asked at all is asked more often.
const IDLE: Duration = Duration::from_secs(60);
/// Has a member without a leader say so. Otherwise it keeps a watch open, and silent, and lets a request wait for
/// longer than anybody here waits for an answer.
const LEADER: &str = "Grpc-Metadata-hasleader";
/// A certificate with its chain, or a key.
const MAX_PEM: usize = 1 << 20;

/// Why a request has no answer.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// Nothing of it was sent.
    Unsent(String),
    /// No answer in time; it may have been carried out, or may still be.
    TimedOut(String),
    /// The connection broke; it may have been carried out, or may still be.
    Broken(String),
    /// The answer is no answer of etcd's.
    Foreign,
    /// The answer is larger than [`MOST`].
    TooLarge,
    /// The store says no.
    Said(Complaint),
    /// What no endpoint can help: a file, or the log-in itself.
    Here(Trouble),
}

/// A client for all endpoints.
pub(super) fn build(settings: &StoreSettings) -> Result<Client, Trouble> {
    let mut builder = Client::builder()
        .user_agent(concat!("certcollectd/", env!("CARGO_PKG_VERSION")))
        .http1_only()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .referer(false)
        .connect_timeout(CONNECT.min(settings.timeout / 2))
        // What was written does not arrive long after it was given up.
        .tcp_user_timeout(settings.timeout)
        .pool_idle_timeout(IDLE)
        .dns_resolver(transport::Names)
        .tcp_nodelay(true);
    if let Some(path) = &settings.ca_file {
        let roots = call::roots(path).map_err(|failure| match failure {
            api::Failure::Setup(why) => Trouble::Other(why),
            other => Trouble::Other(other.to_string()),
        })?;
        builder = builder.tls_certs_only(roots);
    }
    if let Some(files) = &settings.client_cert {
        builder = builder.identity(identity(files)?);
    }
    builder.build().map_err(|error| match (&settings.client_cert, transport::rootless()) {
        (None, Some(why)) if settings.ca_file.is_none() => Trouble::Other(why.into()),
        (None, _) => Trouble::Other(transport::chain(&error)),
        (Some(files), _) => unusable(files, &error),
    })
}

fn identity(files: &ClientCert) -> Result<Identity, Trouble> {
    let read = |name: &str, path: &Path| {
        read_file(path, MAX_PEM).map_err(|error| {
            Trouble::Other(format!("{name} {}: {}", path.display(), access::reason(path, Wish::Read, &error)))
        })
    };
    let (cert, key) = (read("cert_file", &files.cert_file)?, read("key_file", &files.key_file)?);
    let mut pem = Zeroizing::new(Vec::with_capacity(cert.len() + 1 + key.len()));
    pem.extend_from_slice(&cert);
    pem.push(b'\n');
    pem.extend_from_slice(&key);
    Identity::from_pem(&pem).map_err(|error| unusable(files, &error))
}

fn unusable(files: &ClientCert, error: &reqwest::Error) -> Trouble {
    let (cert, key) = (files.cert_file.display(), files.key_file.display());
    Trouble::Other(format!("cert_file {cert} and key_file {key}: {}", transport::chain(error)))
}

/// One request, and the whole answer to it. Without a body it is a GET.
pub(super) async fn ask(
    client: &Client,
    url: &str,
    token: Option<HeaderValue>,
    body: Option<Bytes>,
    timeout: Duration,
) -> Result<Bytes, Failure> {
    let request = match body {
        Some(body) => client.post(url).body(body),
        None => client.get(url),
    };
    let request = request.header("Content-Type", "application/json").header(LEADER, "true").timeout(timeout);
    let request = match token {
        Some(token) => request.header("Authorization", token),
        None => request,
    };
    let response = request.send().await.map_err(|error| failure(error, timeout))?;
    whole(response, timeout).await
}

/// Opens a stream, whose begin has come within the timeout.
pub(super) async fn open(
    client: &Client,
    url: &str,
    token: Option<HeaderValue>,
    body: Bytes,
    timeout: Duration,
) -> Result<reqwest::Response, Failure> {
    let mut request =
        client.post(url).body(body).header("Content-Type", "application/json").header(LEADER, "true");
    if let Some(token) = token {
        request = request.header("Authorization", token);
    }
    let response = match tokio::time::timeout(timeout, request.send()).await {
        Ok(response) => response.map_err(|error| failure(error, timeout))?,
        Err(_) => return Err(Failure::TimedOut(silence(timeout))),
    };
    if response.status().as_u16() == 200 {
        return Ok(response);
    }
    match tokio::time::timeout(timeout, whole(response, timeout)).await {
        Ok(Err(failure)) => Err(failure),
        Ok(Ok(_)) | Err(_) => Err(Failure::TimedOut(silence(timeout))),
    }
}

async fn whole(mut response: reqwest::Response, timeout: Duration) -> Result<Bytes, Failure> {
    let status = response.status().as_u16();
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failure(error, timeout))? {
        if body.len() + chunk.len() > MOST {
            return Err(Failure::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    if status == 200 { Ok(body.freeze()) } else { Err(Failure::Said(wire::complaint(status, &body))) }
}

/// Sorts the client's errors by what the store can have seen.
pub(super) fn failure(error: reqwest::Error, timeout: Duration) -> Failure {
    // Who it was with is said by the caller.
    let error = error.without_url();
    let why = if is_unknown_issuer(&error) {
        "no trusted root has issued its certificate; is `ca_file` in [fleet] the file of its CA?".into()
    } else if error.is_timeout() {
        silence(timeout)
    } else {
        transport::chain(&error)
    };
    if error.is_connect() || error.is_builder() {
        Failure::Unsent(why)
    } else if error.is_timeout() {
        Failure::TimedOut(why)
    } else {
        Failure::Broken(why)
    }
}

fn is_unknown_issuer(error: &reqwest::Error) -> bool {
    let unknown = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
    transport::causes(error).any(|cause| cause.downcast_ref() == Some(&unknown))
}

fn silence(timeout: Duration) -> String {
    format!("no answer within {}", humantime::format_duration(timeout))
}
