//! The bytes of a generation's files, from verified certificates. Always encoded anew, never copied text.

use crate::cert::{self, Fingerprint};
use crate::config::{FileKind, Files};

use super::event::Material;

/// The content of one file, or `None` where it needs the private key, or where the material has nothing for
/// it (a root that the vendor did not send).
pub fn without_key(kind: FileKind, material: &Material) -> Option<Vec<u8>> {
    let Material { leaf, chain, root, .. } = material;
    let pem = |certificates: &mut dyn Iterator<Item = &cert::Certificate>| {
        certificates.map(cert::Certificate::to_pem).collect::<String>().into_bytes()
    };
    match kind {
        FileKind::Cert => Some(pem(&mut std::iter::once(leaf))),
        FileKind::Chain => Some(pem(&mut chain.iter())),
        FileKind::Fullchain => Some(pem(&mut std::iter::once(leaf).chain(chain))),
        FileKind::Root => root.as_ref().map(|root| pem(&mut std::iter::once(root))),
        FileKind::Pkcs7 => {
            let all: Vec<cert::Certificate> = std::iter::once(leaf).chain(chain).cloned().collect();
            Some(cert::certs_only(&all))
        }
        FileKind::Der => Some(leaf.der().to_vec()),
        FileKind::Key | FileKind::Combined => None,
    }
}

/// The content of one file that holds the private key; the key text ends in a line end of its own.
pub fn with_key(kind: FileKind, material: &Material, key_pem: &[u8]) -> Option<zeroize::Zeroizing<Vec<u8>>> {
    let fullchain = match kind {
        FileKind::Key => Vec::new(),
        FileKind::Combined => without_key(FileKind::Fullchain, material)?,
        _ => return None,
    };
    let mut content = zeroize::Zeroizing::new(Vec::with_capacity(key_pem.len() + 1 + fullchain.len()));
    content.extend_from_slice(key_pem);
    if !key_pem.ends_with(b"\n") {
        content.push(b'\n');
    }
    content.extend_from_slice(&fullchain);
    Some(content)
}

/// Whether a file that is not what was written is of no use to anybody: empty, cut off, or something else altogether. What
/// is of use is a person's doing.
pub fn is_ruined(kind: FileKind, content: &[u8]) -> bool {
    let certificates = || cert::unpack(content).is_ok();
    let key = || cert::key::from_private_key_pem(content).is_ok();
    match kind {
        FileKind::Key => !key(),
        FileKind::Combined => !key() || !certificates(),
        FileKind::Cert
        | FileKind::Chain
        | FileKind::Fullchain
        | FileKind::Root
        | FileKind::Pkcs7
        | FileKind::Der => !certificates(),
    }
}

/// Whether a file of this kind may belong to the certificate; of some kinds that cannot be told.
pub fn may_show(kind: FileKind, content: &[u8], leaf: Fingerprint) -> bool {
    let found = cert::unpack(content).unwrap_or_default();
    match kind {
        FileKind::Cert | FileKind::Fullchain | FileKind::Combined | FileKind::Der => {
            found.first().is_some_and(|first| first.fingerprint() == leaf)
        }
        FileKind::Pkcs7 => found.iter().any(|certificate| certificate.fingerprint() == leaf),
        FileKind::Chain | FileKind::Root | FileKind::Key => true,
    }
}

/// Kind, file name and permission bits of every file that is wanted, in the order in which they are written.
pub fn wanted(files: &Files) -> Vec<(FileKind, &str, u32)> {
    let Files { cert, chain, fullchain, key, combined, root, pkcs7, der, mode, .. } = files;
    let all = [
        (FileKind::Cert, cert, *mode),
        (FileKind::Chain, chain, *mode),
        (FileKind::Fullchain, fullchain, *mode),
        (FileKind::Root, root, *mode),
        (FileKind::Pkcs7, pkcs7, *mode),
        (FileKind::Der, der, *mode),
        (FileKind::Key, key, Files::KEY_MODE),
        (FileKind::Combined, combined, *mode & Files::COMBINED_MODE),
    ];
    all.into_iter().filter_map(|(kind, name, mode)| Some((kind, name.as_deref()?, mode))).collect()
}
