//! webpki's table of algorithms, without checking once more what the search for the chain has checked.

use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};

use super::super::key::Spki;
use super::super::signature::Signed;
use super::super::{Certificate, Chain};
use super::Completeness;

/// A signature that was found good.
#[derive(Debug)]
pub(super) struct Link<'a> {
    message: &'a [u8],
    signature: &'a [u8],
    key: &'a [u8],
}

/// The links of a chain that is sound: each of them was checked when it was built.
pub(super) fn links<'a>(leaf: &'a Certificate, chain: &'a Chain) -> Vec<Link<'a>> {
    if !chain.complete.is_sound() {
        return Vec::new();
    }
    let children = std::iter::once(leaf).chain(&chain.intermediates);
    // The root beside a chain that is open has signed none of it.
    let root = chain.root.iter().filter(|_| chain.complete == Completeness::Rooted);
    children
        .zip(chain.intermediates.iter().chain(root))
        .filter_map(|(child, issuer)| link(child, issuer))
        .collect()
}

fn link<'a>(child: &'a Certificate, issuer: &'a Certificate) -> Option<Link<'a>> {
    let signed = Signed::read(child.der()).ok()?;
    let key = Spki::read(issuer.spki()).ok()?.key;
    Some(Link { message: signed.message, signature: signed.signature, key })
}

/// One algorithm of the table.
#[derive(Debug)]
pub(super) struct Algorithm<'a> {
    pub(super) inner: &'a dyn SignatureVerificationAlgorithm,
    pub(super) links: &'a [Link<'a>],
}

impl SignatureVerificationAlgorithm for Algorithm<'_> {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let is_this = |link: &Link<'_>| {
            link.key == public_key && link.message == message && link.signature == signature
        };
        match self.links.iter().any(is_this) {
            true => Ok(()),
            false => self.inner.verify_signature(public_key, message, signature),
        }
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.inner.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.inner.signature_alg_id()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cert::chain;
    use crate::cert::fixtures::{NOW, certificate};

    /// Finds every signature wrong.
    #[derive(Debug)]
    struct Refusal;

    impl SignatureVerificationAlgorithm for Refusal {
        fn verify_signature(&self, _: &[u8], _: &[u8], _: &[u8]) -> Result<(), InvalidSignature> {
            Err(InvalidSignature)
        }

        fn public_key_alg_id(&self) -> AlgorithmIdentifier {
            AlgorithmIdentifier::from_slice(&[])
        }

        fn signature_alg_id(&self) -> AlgorithmIdentifier {
            AlgorithmIdentifier::from_slice(&[])
        }
    }

    #[test]
    fn only_the_very_signatures_of_the_chain_are_taken_as_good() {
        let [leaf, inter, root] = ["leaf", "inter", "root"].map(certificate);
        let chain = chain::build(&leaf, &[inter.clone(), root.clone()], NOW);
        let links = links(&leaf, &chain);
        assert_eq!(links.len(), 2, "{:?}", chain.complete);
        let table = Algorithm { inner: &Refusal, links: &links };
        let asked = |child: &Certificate, issuer: &Certificate| {
            let asked = link(child, issuer).unwrap();
            table.verify_signature(asked.key, asked.message, asked.signature).is_ok()
        };
        assert!(asked(&leaf, &inter) && asked(&inter, &root));
        assert!(!asked(&leaf, &root) && !asked(&root, &root), "another key, another certificate");
        let known = &links[0];
        assert!(table.verify_signature(known.key, known.message, &[]).is_err(), "another signature");
        let unsound = chain::build(&certificate("leaf"), &[root], NOW);
        assert!(super::links(&leaf, &unsound).is_empty());
    }
}
