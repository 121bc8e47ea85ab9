//! Writes PKCS#7: the `.p7b` that Windows, Java and mail tools import.

use super::Certificate;
use super::ber::encode;
use super::ber::{CONTEXT_0, INTEGER, OID, SEQUENCE, SET};

/// SignedData without content and signers, DER (RFC 5652 section 5.1, RFC 2315 section 9.1): what
/// `openssl crl2pkcs7 -nocrl -outform DER` writes, octet for octet.
///
/// The certificates keep their order instead of being sorted as DER asks of a SET: importers read the first one as
/// the leaf, and openssl does the same.
pub fn certs_only(certificates: &[Certificate]) -> Vec<u8> {
    let certificates: Vec<&[u8]> = certificates.iter().map(Certificate::der).collect();
    let signed_data = encode(
        SEQUENCE,
        &[
            &encode(INTEGER, &[&[1]]),
            &encode(SET, &[]),
            &encode(SEQUENCE, &[&encode(OID, &[DATA])]),
            &encode(CONTEXT_0, &certificates),
            &encode(SET, &[]),
        ],
    );
    encode(SEQUENCE, &[&encode(OID, &[SIGNED_DATA]), &encode(CONTEXT_0, &[&signed_data])])
}

/// 1.2.840.113549.1.7.1
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
/// 1.2.840.113549.1.7.2
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];

#[cfg(test)]
mod tests {
    use super::super::fixtures::{certificate, file};
    use super::*;

    #[test]
    fn writes_what_openssl_writes() {
        let chain = ["leaf", "inter", "root"].map(certificate);
        assert_eq!(certs_only(&chain), file("certs-only.p7b"));
    }

    #[test]
    fn reads_back_in_the_same_order() {
        let chain = ["root", "leaf", "mark", "p521", "cross"].map(certificate);
        assert_eq!(super::super::unpack(&certs_only(&chain)).as_deref(), Ok(&chain[..]));
    }
}
