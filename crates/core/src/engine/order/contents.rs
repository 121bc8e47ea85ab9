//! The bytes of a generation's files, from verified certificates. Always re-encoded, never copied text.

use zeroize::Zeroizing;

use crate::cert;
use crate::cert::{Certificate, Fingerprint};
use crate::config::{FileKind, Files};
use crate::engine::install::Material;

/// The content of one file, or `None` where it needs the private key, or where the material has nothing for
/// it (a root that the vendor did not send).
pub fn without_key(kind: FileKind, material: &Material) -> Option<Vec<u8>> {
    let Material { leaf, chain, root, .. } = material;
    let pem = |certificates: &mut dyn Iterator<Item = &Certificate>| {
        certificates.map(Certificate::to_pem).collect::<String>().into_bytes()
    };
    match kind {
        FileKind::Cert => Some(pem(&mut std::iter::once(leaf))),
        FileKind::Chain => Some(pem(&mut chain.iter())),
        FileKind::Fullchain => Some(pem(&mut std::iter::once(leaf).chain(chain))),
        FileKind::Root => root.as_ref().map(|root| pem(&mut std::iter::once(root))),
        FileKind::Pkcs7 => {
            let all: Vec<Certificate> = std::iter::once(leaf).chain(chain).cloned().collect();
            Some(cert::certs_only(&all))
        }
        FileKind::Der => Some(leaf.der().to_vec()),
        FileKind::Key | FileKind::Combined => None,
    }
}

/// The content of one file that holds the private key; the key text ends in a line end of its own.
pub fn with_key(kind: FileKind, material: &Material, key_pem: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let fullchain = match kind {
        FileKind::Key => Vec::new(),
        FileKind::Combined => without_key(FileKind::Fullchain, material)?,
        FileKind::Cert
        | FileKind::Chain
        | FileKind::Fullchain
        | FileKind::Root
        | FileKind::Pkcs7
        | FileKind::Der => return None,
    };
    let mut content = Zeroizing::new(Vec::with_capacity(key_pem.len() + 1 + fullchain.len()));
    content.extend_from_slice(key_pem);
    if !key_pem.ends_with(b"\n") {
        content.push(b'\n');
    }
    content.extend_from_slice(&fullchain);
    Some(content)
}

/// What is wrong with the content of a file, judged as a server would read it and not by how it was made.
pub fn flaw(kind: FileKind, content: &[u8], material: &Material) -> Option<&'static str> {
    let Material { leaf, chain, root, .. } = material;
    let all = || std::iter::once(leaf).chain(chain);
    let blocks = || cert::pem_blocks(content).unwrap_or_default();
    let are = |blocks: &[(String, Zeroizing<Vec<u8>>)], wanted: &mut dyn Iterator<Item = &Certificate>| {
        let mut wanted = wanted.map(|certificate| ("CERTIFICATE", certificate.der()));
        let mut found = blocks.iter().map(|(label, der)| (&**label, &***der));
        found.by_ref().all(|block| wanted.next() == Some(block)) && wanted.next().is_none()
    };
    let one_key = |blocks: &[(String, Zeroizing<Vec<u8>>)]| {
        blocks.first().is_some_and(|(label, _)| label.ends_with("PRIVATE KEY"))
            && cert::key::private_keys(content)
                .is_ok_and(|keys| matches!(&keys[..], [key] if key.public().matches(leaf)))
    };
    let certificates = "its certificates are not those that were collected";
    let right = match kind {
        FileKind::Cert => are(&blocks(), &mut std::iter::once(leaf)),
        FileKind::Chain => are(&blocks(), &mut chain.iter()),
        FileKind::Fullchain => are(&blocks(), &mut all()),
        FileKind::Root => are(&blocks(), &mut root.iter()),
        FileKind::Der => content == leaf.der(),
        FileKind::Pkcs7 => cert::unpack(content).is_ok_and(|found| {
            all().all(|wanted| found.contains(wanted))
                && found.iter().all(|one| all().any(|wanted| wanted == one))
        }),
        FileKind::Key => {
            let blocks = blocks();
            let right = blocks.len() == 1 && one_key(&blocks);
            return (!right).then_some("it is not the matching private key alone");
        }
        FileKind::Combined => {
            let blocks = blocks();
            let right = one_key(&blocks) && are(&blocks[1..], &mut all());
            return (!right).then_some("it is not the matching private key, then the certificates");
        }
    };
    (!right).then_some(certificates)
}

/// Whether a changed file is unusable: empty, truncated, or something else altogether. A usable one is assumed to
/// be the operator's.
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

/// Whether a file of this kind may belong to the certificate; for some kinds that is unknowable.
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
    let mut kinds = FileKind::ALL;
    kinds.sort_by_key(|kind| kind.holds_key());
    kinds.into_iter().filter_map(|kind| Some((kind, files.name(kind)?, files.mode_of(kind)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_with_the_key_are_written_last() {
        // An installed order's layout is recognized by this order.
        let all = FileKind::ALL
            .into_iter()
            .fold(Files::default(), |files, kind| files.with(kind, Some(kind.as_str())));
        let written: Vec<_> = wanted(&all).into_iter().map(|(_, name, mode)| (name, mode)).collect();
        let plain = ["cert", "chain", "fullchain", "root", "pkcs7", "der"].map(|name| (name, 0o644));
        assert_eq!(written, [&plain[..], &[("key", 0o600), ("combined", 0o640)]].concat());
    }
}
