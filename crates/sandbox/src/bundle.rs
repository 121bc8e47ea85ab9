//! Structures that hold several certificates: PKCS#7, the Netscape certificate sequence, CMMF.
//!
//! The form of the vendor's PKCS#7 is read off the success sample of the CollectMC page: version 1,
//! digestAlgorithms {sha256} without parameters, an encapsulated content that is present and empty, and
//! some 680 bytes of signerInfos behind the certificates. It is not certs-only, which a reader that
//! expects `openssl crl2pkcs7` output notices too late.

use aws_lc_rs::digest;
use rcgen::{KeyPair, SigningKey as _};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::der::{SHA256, context, indefinite, indefinite_sequence, number, octets, oid, sequence, set};

const DATA: [u64; 7] = [1, 2, 840, 113549, 1, 7, 1];
const SIGNED_DATA: [u64; 7] = [1, 2, 840, 113549, 1, 7, 2];
const CONTENT_TYPE: [u64; 7] = [1, 2, 840, 113549, 1, 9, 3];
const MESSAGE_DIGEST: [u64; 7] = [1, 2, 840, 113549, 1, 9, 4];
const ECDSA_WITH_SHA256: [u64; 7] = [1, 2, 840, 10045, 4, 3, 2];

/// netscape-cert-sequence, the type that `openssl nseq` reads.
const NETSCAPE_SEQUENCE: [u64; 7] = [2, 16, 840, 1, 113730, 2, 5];

/// `[0]`, constructed: certificates in SignedData, the content in ContentInfo.
const CONTEXT_0: u8 = 0xa0;

/// `[0]`, constructed OCTET STRING: the only place where BER splits a primitive value here.
const CONSTRUCTED_OCTETS: u8 = 0x24;

/// Which kind of PKCS#7 is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pkcs7Form {
    /// No digest algorithm, no content, no signer: what most tools write.
    CertsOnly,
    /// The form of the vendor's sample, signed by a certificate that is not in it.
    Signed,
    /// The same, with the signer's own certificate, which belongs to no chain, among the others.
    Unrelated,
    /// As [`Pkcs7Form::Signed`], in BER with indefinite lengths, as streaming encoders write it.
    Ber,
}

/// Who signs the PKCS#7. It vouches for the delivery and belongs to no certificate's chain.
pub(super) struct Signer {
    pub(super) key: KeyPair,
    pub(super) certificate: Vec<u8>,
}

/// The certificates in a PKCS#7 SignedData (RFC 2315, section 9.1), in the order given.
pub(super) fn pkcs7(certificates: &[&[u8]], form: Pkcs7Form, signer: &Signer) -> Vec<u8> {
    let mut certificates = certificates.to_vec();
    let signed = [oid(&SIGNED_DATA)].concat();
    match form {
        Pkcs7Form::CertsOnly => {
            let content = sequence(&[&oid(&DATA)]);
            let body = sequence(&[&number(1), &set(&[]), &content, &context(0, &certificates), &set(&[])]);
            return sequence(&[&signed, &context(0, &[&body])]);
        }
        Pkcs7Form::Unrelated => certificates.insert(certificates.len() / 2, &signer.certificate),
        Pkcs7Form::Signed | Pkcs7Form::Ber => {}
    }
    let algorithms = set(&[&sequence(&[&oid(&SHA256)])]);
    let infos = set(&[&signer_info(signer)]);
    if form == Pkcs7Form::Ber {
        let empty = indefinite(CONSTRUCTED_OCTETS, &[&octets(&[])]);
        let content = indefinite_sequence(&[&oid(&DATA), &indefinite(CONTEXT_0, &[&empty])]);
        let list = indefinite(CONTEXT_0, &certificates);
        let body = indefinite_sequence(&[&number(1), &algorithms, &content, &list, &infos]);
        return indefinite_sequence(&[&signed, &indefinite(CONTEXT_0, &[&body])]);
    }
    let content = sequence(&[&oid(&DATA), &context(0, &[&octets(&[])])]);
    let body = sequence(&[&number(1), &algorithms, &content, &context(0, &certificates), &infos]);
    sequence(&[&signed, &context(0, &[&body])])
}

/// A SignerInfo over the empty content (RFC 2315, section 9.2), with the two attributes that the
/// section demands.
fn signer_info(signer: &Signer) -> Vec<u8> {
    let empty = digest::digest(&digest::SHA256, &[]);
    let content_type = sequence(&[&oid(&CONTENT_TYPE), &set(&[&oid(&DATA)])]);
    let message_digest = sequence(&[&oid(&MESSAGE_DIGEST), &set(&[&octets(empty.as_ref())])]);
    // DER sorts a SET OF by its encodings; the shorter of the two starts with the smaller length.
    let attributes: [&[u8]; 2] = [&content_type, &message_digest];
    // The signature covers the attributes with the tag SET, the structure holds them under [0].
    let signature = signer.key.sign(&set(&attributes)).expect("a key made at the start can sign");
    let (_, certificate) =
        X509Certificate::from_der(&signer.certificate).expect("the certificate was made at the start");
    let serial = super::der::tlv(0x02, certificate.raw_serial());
    sequence(&[
        &number(1),
        &sequence(&[certificate.issuer().as_raw(), &serial]),
        &sequence(&[&oid(&SHA256)]),
        &context(0, &attributes),
        &sequence(&[&oid(&ECDSA_WITH_SHA256)]),
        &octets(&signature),
    ])
}

/// A Netscape certificate sequence: the object identifier and the certificates under `[0]`.
pub(super) fn netscape(certificates: &[&[u8]]) -> Vec<u8> {
    sequence(&[&oid(&NETSCAPE_SEQUENCE), &context(0, &[&sequence(certificates)])])
}

/// A CMMF answer, responseType 4 of the CollectSMIME page: a CertRepContent (RFC 2510, section 3.3.4,
/// which took it over from CMMF) with the leaf in its one response and the others as `caPubs`.
pub(super) fn cmmf(leaf: &[u8], authorities: &[&[u8]]) -> Vec<u8> {
    let certified = sequence(&[&context(0, &[leaf])]);
    let response = sequence(&[&number(0), &sequence(&[&number(0)]), &certified]);
    sequence(&[&context(1, &[&sequence(authorities)]), &sequence(&[&response])])
}
