//! Private keys, signing requests and trust anchors of the operator's, read from their files. Those that
//! orders name are tried at the start and at each reload: what would delay a certificate later is reported
//! now.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::effects::access::{self, Reason, Wish};
use crate::effects::files::read_file;
use certcollectd_core::cert::{self, Anchors, KeyCandidate, KeyError, PublicKeys};
use certcollectd_core::config::{Config, KeySource};
use certcollectd_core::engine::install::InstallError;

/// A private key file larger than this is not one.
const MAX_KEY: usize = 64 * 1024;

/// A private key file, as it is.
pub(super) fn read_key(path: &Path) -> Result<Zeroizing<Vec<u8>>, InstallError> {
    read_whole("read the key", path)
}

/// A key file or a signing request, as it is; `step` says which.
fn read_whole(step: &'static str, path: &Path) -> Result<Zeroizing<Vec<u8>>, InstallError> {
    read_file(path, MAX_KEY).map_err(|why| {
        let Reason { cause, remedy } = access::reason(path, Wish::Read, &why);
        InstallError { advice: remedy, ..InstallError::new(step, path, cause) }
    })
}

/// A key file's public key, or why there is none.
pub fn candidate(path: &Path) -> KeyCandidate {
    candidate_of(path, key(path))
}

pub(super) fn candidate_of(path: &Path, key: Result<PublicKeys, InstallError>) -> KeyCandidate {
    KeyCandidate { label: path.display().to_string(), key: key.map_err(|error| error.cause) }
}

/// The public keys of a key file. One that holds none that can be used is as good as one that cannot be read: half
/// written, encrypted, of another form. Both say nothing about a certificate.
pub(super) fn key(path: &Path) -> Result<PublicKeys, InstallError> {
    let pem = read_key(path)?;
    cert::key::from_private_key_pem(&pem).map_err(|why| unusable("use the key", path, why))
}

/// A signing request, or why there is none.
pub fn request(path: &Path) -> Result<cert::Csr, String> {
    request_of(path, read_request(path))
}

pub(super) fn request_of(path: &Path, read: Result<cert::Csr, InstallError>) -> Result<cert::Csr, String> {
    read.map_err(|error| format!("{}: {}", path.display(), error.cause))
}

/// As [`key`], of a signing request.
pub(super) fn read_request(path: &Path) -> Result<cert::Csr, InstallError> {
    let text = read_whole("read the request", path)?;
    cert::csr::read(&text).map_err(|why| unusable("use the request", path, why))
}

fn unusable(step: &'static str, path: &Path, why: KeyError) -> InstallError {
    InstallError::new(step, path, why.to_string())
}

/// A signing request in base64 without armour.
pub fn sent_request(text: &str) -> Result<cert::Csr, String> {
    let der = STANDARD.decode(text).map_err(|error| format!("the request that was sent: {error}"))?;
    cert::csr::read(&der).map_err(|error| format!("the request that was sent: {error}"))
}

/// The trust anchors of a file, or of the platform's store.
pub fn anchors(file: Option<&Path>) -> Result<Anchors, String> {
    let Some(path) = file else {
        let native = rustls_native_certs::load_native_certs();
        if native.certs.is_empty() {
            return Err(
                "the platform's trust store is empty; install ca-certificates or set trust_anchors".into()
            );
        }
        return Ok(Anchors::from_ders(native.certs));
    };
    let shown = path.display();
    let pem = read_file(path, cert::MAX_ANCHORS_INPUT)
        .map_err(|error| format!("trust_anchors {shown}: {}", access::reason(path, Wish::Read, &error)))?;
    Anchors::from_pem(&pem).map_err(|error| format!("trust_anchors {shown}: {error}"))
}

/// Maximum number reported one by one.
const TOLD: usize = 10;

/// Each file that cannot be read, or that holds nothing to use, once, with the first order that names it.
pub fn unreadable(config: &Config) -> Vec<(Arc<str>, InstallError)> {
    let mut seen: BTreeSet<&Path> = BTreeSet::new();
    let mut found = Vec::new();
    for order in &config.orders {
        let errors: Vec<InstallError> = match &order.key {
            KeySource::Keys(paths) => {
                let new = paths.iter().filter(|path| seen.insert(path.as_path()));
                new.filter_map(|path| key(path).err()).collect()
            }
            KeySource::Csr(path) if seen.insert(path) => read_request(path).err().into_iter().collect(),
            KeySource::Csr(_) | KeySource::None | KeySource::Request(_) => Vec::new(),
        };
        found.extend(errors.into_iter().map(|error| (order.name.clone(), error)));
    }
    found
}

/// Says which cannot be read, on a thread of its own: nothing waits for a hung mount.
pub fn tell_of_unreadable(config: Arc<Config>) {
    let look = move || {
        let found = unreadable(&config);
        for (order, error) in found.iter().take(TOLD) {
            tracing::warn!(
                order = &**order,
                "order {order}: {error}; a certificate that needs it will wait until it can be read"
            );
        }
        if found.len() > TOLD {
            tracing::warn!(
                "{} more keys cannot be read; `certcollectd check` lists them",
                found.len() - TOLD
            );
        }
    };
    if let Err(error) = std::thread::Builder::new().name("keys".into()).spawn(look) {
        tracing::debug!("keys are not tried: {error}");
    }
}
