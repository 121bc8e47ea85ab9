//! Whether a signature was made with a key.
//!
//! The algorithms are those of webpki's table with aws-lc-rs: RSA of 2048 to 8192 bits, RSA-PSS in the three
//! forms of RFC 8446, ECDSA on P-256, P-384 and P-521, Ed25519. webpki's own path check is too strict for this
//! job (it refuses unknown critical extensions, and a mark certificate's logotype can be critical), so only the
//! table is used. What is not in it, SHA-1 above all, is neither good nor bad but unsupported.

use super::Certificate;
use super::ber::{self, BerError, Reader};
use super::key::Spki;

/// What became of a signature check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureCheck {
    /// Made with this key over these bytes.
    Good,
    /// Made with another key, or over other bytes.
    Bad,
    /// Cannot be told: the algorithm or the kind of key, by name or dotted identifier.
    Unsupported(String),
}

/// A signed structure of X.509: certificate or request (RFC 5280 section 4.1.1, RFC 2986 section 4.2).
pub(super) struct Signed<'a> {
    /// What was signed, with tag and length.
    pub(super) message: &'a [u8],
    /// Content of the AlgorithmIdentifier.
    algorithm: &'a [u8],
    pub(super) signature: &'a [u8],
}

impl<'a> Signed<'a> {
    /// Takes the outer structure apart: three elements and no more.
    pub(super) fn read(der: &'a [u8]) -> Result<Signed<'a>, BerError> {
        let mut fields = Reader::new(der).expect(ber::SEQUENCE)?.children()?;
        let message = fields.expect(ber::SEQUENCE)?.raw;
        let algorithm = fields.expect(ber::SEQUENCE)?.content;
        let signature = fields.bit_string()?;
        match fields.element()? {
            None => Ok(Signed { message, algorithm, signature }),
            Some(_) => Err(BerError::Unexpected),
        }
    }

    /// Checks the signature against a SubjectPublicKeyInfo.
    pub(super) fn check(&self, spki: &[u8]) -> SignatureCheck {
        self.try_check(spki).unwrap_or(SignatureCheck::Bad)
    }

    fn try_check(&self, spki: &[u8]) -> Result<SignatureCheck, BerError> {
        let spki = Spki::read(spki)?;
        let mut known_signature = false;
        let mut known_key = false;
        let mut fitting = Vec::new();
        for algorithm in webpki::ALL_VERIFICATION_ALGS {
            let signs = algorithm.signature_alg_id().as_ref() == self.algorithm;
            let key_fits = algorithm.public_key_alg_id().as_ref() == spki.algorithm;
            known_signature |= signs;
            known_key |= key_fits;
            if signs && key_fits {
                fitting.push(algorithm);
            }
        }
        if !known_signature {
            return Ok(SignatureCheck::Unsupported(name(self.algorithm)));
        }
        if !known_key {
            return Ok(SignatureCheck::Unsupported(format!("{} key", name(spki.algorithm))));
        }
        // The library calls a signature by a key of another size wrong; it is only not looked at.
        let bits = spki.rsa().and_then(Result::ok).map(|rsa| rsa.bits());
        if let Some(bits) = bits.filter(|bits| !(2048..=8192).contains(bits)) {
            return Ok(SignatureCheck::Unsupported(format!("RSA key of {bits} bits")));
        }
        let good = fitting
            .iter()
            .any(|algorithm| algorithm.verify_signature(spki.key, self.message, self.signature).is_ok());
        Ok(if good { SignatureCheck::Good } else { SignatureCheck::Bad })
    }
}

/// Whether `issuer`'s key made `child`'s signature. Names, dates and permissions are not looked at.
pub fn check(child: &Certificate, issuer: &Certificate) -> SignatureCheck {
    match Signed::read(child.der()) {
        // RFC 5280 section 4.1.1.2: the identifier outside the signature must equal the one inside.
        Ok(signed) if inner_algorithm(child.tbs()) == Ok(signed.algorithm) => signed.check(issuer.spki()),
        _ => SignatureCheck::Bad,
    }
}

/// Content of the field `signature` in TBSCertificate: version, if any, serial number, then this.
fn inner_algorithm(tbs: &[u8]) -> Result<&[u8], BerError> {
    let mut fields = Reader::new(tbs).expect(ber::SEQUENCE)?.children()?;
    let first = fields.element()?.ok_or(BerError::Unexpected)?;
    if first.tag == ber::CONTEXT_0 {
        fields.expect(ber::INTEGER)?;
    }
    Ok(fields.expect(ber::SEQUENCE)?.content)
}

/// The algorithm's name, or its dotted identifier. Parameters outside the table make RSASSA-PSS and elliptic
/// curves unsupported too, so the names say so.
fn name(algorithm: &[u8]) -> String {
    let Ok(oid) = Reader::new(algorithm).expect(ber::OID) else { return "unreadable algorithm".to_owned() };
    let oid = ber::dotted(oid.content);
    NAMES.iter().find(|(known, _)| *known == oid).map_or(oid, |(_, name)| (*name).to_owned())
}

const NAMES: [(&str, &str); 12] = [
    ("1.2.840.113549.1.1.1", "rsaEncryption"),
    ("1.2.840.113549.1.1.2", "md2WithRSAEncryption"),
    ("1.2.840.113549.1.1.4", "md5WithRSAEncryption"),
    ("1.2.840.113549.1.1.5", "sha1WithRSAEncryption"),
    ("1.2.840.113549.1.1.10", "RSASSA-PSS with unusual parameters"),
    ("1.2.840.113549.1.1.14", "sha224WithRSAEncryption"),
    ("1.2.840.10040.4.1", "DSA"),
    ("1.2.840.10040.4.3", "dsa-with-sha1"),
    ("1.2.840.10045.2.1", "elliptic curve outside P-256, P-384 and P-521"),
    ("1.2.840.10045.4.1", "ecdsa-with-SHA1"),
    ("1.2.840.10045.4.3.1", "ecdsa-with-SHA224"),
    ("1.3.101.113", "Ed448"),
];

#[cfg(test)]
mod tests {
    use rcgen::KeyPair;

    use super::super::fixtures::{certificate, entity, entity_with_key, file};
    use super::SignatureCheck::{Bad, Good};
    use super::*;

    fn check(child: &str, issuer: &str, expected: SignatureCheck) {
        assert_eq!(super::check(&certificate(child), &certificate(issuer)), expected, "{child} by {issuer}");
    }

    fn unsupported(what: &str) -> SignatureCheck {
        SignatureCheck::Unsupported(what.to_owned())
    }

    #[test]
    fn knows_good_from_bad_from_unsupported() {
        check("leaf", "inter", Good);
        check("inter", "root", Good);
        check("root", "root", Good);
        check("leaf", "root", Bad);
        check("inter", "cross", Good);
        check("cross", "oldroot", Good);
        check("cross", "root", Bad);
        check("by-p521", "p521", Good);
        check("p521", "p521", Good);
        check("by-p521", "root", Bad);
        check("by-pss", "rsaroot", Good);
        check("by-pss", "rsa", Bad);
        check("rsa", "inter", Good);
        check("mark", "inter", Good);
        check("serial21", "inter", Good);
        check("by-v1", "v1", Good);
        check("v1", "v1", Good);
        check("by-sha1", "rsaroot", unsupported("sha1WithRSAEncryption"));
        check("by-rsa1024", "rsa1024root", unsupported("RSA key of 1024 bits"));
        check("by-psskey", "pssroot", unsupported("RSASSA-PSS with unusual parameters key"));
        // Signature and key of different kinds: not unsupported, just not by this key.
        check("leaf", "rsaroot", Bad);
        check("by-pss", "leaf", Bad);
    }

    #[test]
    fn a_changed_octet_is_bad() {
        let der = certificate("leaf").der().to_vec();
        let at = der.windows(15).position(|bytes| bytes == b"www.example.com").unwrap();
        let mut changed = der.clone();
        changed[at] = b'v';
        let changed = Certificate::from_der(&changed).unwrap();
        assert_eq!(super::check(&changed, &certificate("inter")), Bad);
    }

    #[test]
    fn the_two_algorithm_identifiers_must_agree() {
        // sha256WithRSAEncryption may come with NULL parameters or, wrongly, without: webpki's table has both.
        // Here the two places differ, and nothing else is changed.
        let key = str::from_utf8(file("rsa.pkcs8.key")).unwrap();
        let rsa = entity_with_key("rsa", KeyPair::from_pem(key).unwrap());
        let child = rsa.leaf(&entity("child"), &[]);
        let issuer = rsa.root();
        assert_eq!(super::check(&child, &issuer), Good);

        let signed = Signed::read(child.der()).unwrap();
        let bare = signed.algorithm.strip_suffix(&[5, 0]).unwrap();
        let signature = ber::encode(ber::BIT_STRING, &[&[0], signed.signature]);
        let der =
            ber::encode(ber::SEQUENCE, &[signed.message, &ber::encode(ber::SEQUENCE, &[bare]), &signature]);
        assert_eq!(Signed::read(&der).unwrap().check(issuer.spki()), Good);
        assert_eq!(super::check(&Certificate::from_der(&der).unwrap(), &issuer), Bad);
    }
}
