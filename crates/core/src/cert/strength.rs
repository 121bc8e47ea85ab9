//! Public keys that protect nothing, no matter who signed them.
//!
//! What is only unusual (Ed448, secp256k1, brainpool, post-quantum) is no weakness: it is for the operator's servers to
//! take it or not.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, EcdsaVerificationAlgorithm,
    ParsedPublicKey,
};

use super::ber::{self, BerError};
use super::key::{Rsa, Spki};

/// RSA below this is refused by every public CA (CA/Browser Forum Baseline Requirements, section 6.1.5).
const MIN_RSA_BITS: usize = 2048;
/// Curves over smaller fields give less than RSA with 2048 bits (NIST SP 800-57 part 1, table 2).
const MIN_FIELD_OCTETS: usize = 28;

/// What is wrong with the key of a SubjectPublicKeyInfo, said so that "its" can stand in front of it.
pub(super) fn weakness(spki: &[u8]) -> Option<String> {
    look(spki).unwrap_or_else(|_| Some("public key cannot be read".to_owned()))
}

/// What public authorities make of a key.
pub(super) enum Kind {
    /// Certified by all of them (CA/Browser Forum Baseline Requirements, section 6.1.1.1 and 6.1.5; few take P-521).
    Fit,
    /// Of such a kind, but what is said here is wrong with it.
    Weak(String),
    Other,
}

pub(super) fn kind(spki: &[u8]) -> Result<Kind, BerError> {
    let read = Spki::read(spki)?;
    let curve = read.parameters.filter(|parameters| parameters.tag == ber::OID);
    let is_fit = match ber::dotted(read.kind).as_str() {
        "1.2.840.113549.1.1.1" => true,
        "1.2.840.10045.2.1" => curve.is_some_and(|curve| {
            matches!(ber::dotted(curve.content).as_str(), "1.2.840.10045.3.1.7" | "1.3.132.0.34")
        }),
        _ => false,
    };
    Ok(match look(spki)? {
        Some(why) => Kind::Weak(why),
        None if is_fit => Kind::Fit,
        None => Kind::Other,
    })
}

fn look(spki: &[u8]) -> Result<Option<String>, BerError> {
    let spki = Spki::read(spki)?;
    if let Some(rsa) = spki.rsa() {
        return Ok(rsa_weakness(&rsa?));
    }
    Ok(match ber::dotted(spki.kind).as_str() {
        "1.2.840.10040.4.1" => Some("key is a DSA key, which no client accepts any more".to_owned()),
        "1.2.840.10045.2.1" => match spki.parameters.filter(|parameters| parameters.tag == ber::OID) {
            Some(curve) => point_weakness(&ber::dotted(curve.content), spki.key),
            // RFC 5480 section 2.1.1: "specifiedCurve [...] MUST NOT be used in PKIX". Whoever writes the curve's numbers
            // chooses how much they protect.
            None => {
                Some("elliptic curve is not a named curve, and clients refuse explicit parameters".to_owned())
            }
        },
        "1.3.101.112" if spki.key.len() != 32 => {
            Some("public key has the wrong length for Ed25519".to_owned())
        }
        "1.3.101.113" if spki.key.len() != 57 => Some("public key has the wrong length for Ed448".to_owned()),
        _ => None,
    })
}

fn rsa_weakness(rsa: &Rsa<'_>) -> Option<String> {
    let odd = |number: &[u8]| number.last().is_some_and(|octet| octet & 1 == 1);
    if rsa.bits() < MIN_RSA_BITS {
        Some(format!("RSA key has only {} bits", rsa.bits()))
    } else if rsa.exponent == [1] || !odd(rsa.exponent) {
        Some("RSA key has an insecure exponent (1 or even)".to_owned())
    } else if !odd(rsa.modulus) {
        Some("RSA key has an even modulus".to_owned())
    } else {
        None
    }
}

/// `curve` is a dotted identifier; `point` as in SEC 1, section 2.3.3.
fn point_weakness(curve: &str, point: &[u8]) -> Option<String> {
    const NO_POINT: &str = "public key is not a point on its curve";
    let field = match point {
        [0] => return Some("public key is the point at infinity".to_owned()),
        [2 | 3, x @ ..] => x.len(),
        [4 | 6 | 7, both @ ..] => both.len() / 2,
        _ => return Some(NO_POINT.to_owned()),
    };
    let algorithm: &'static EcdsaVerificationAlgorithm = match curve {
        "1.2.840.10045.3.1.7" => &ECDSA_P256_SHA256_ASN1,
        "1.3.132.0.34" => &ECDSA_P384_SHA384_ASN1,
        "1.3.132.0.35" => &ECDSA_P521_SHA512_ASN1,
        _ if field < MIN_FIELD_OCTETS => {
            return Some(format!("elliptic curve has only {} bits", field * 8));
        }
        _ => return None,
    };
    ParsedPublicKey::new(algorithm, point).is_err().then(|| NO_POINT.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{ALL, certificate};
    use super::*;

    fn spki(kind: &[u8], parameters: &[u8], key: &[u8]) -> Vec<u8> {
        let algorithm = ber::encode(ber::SEQUENCE, &[&ber::encode(ber::OID, &[kind]), parameters]);
        ber::encode(ber::SEQUENCE, &[&algorithm, &ber::encode(ber::BIT_STRING, &[&[0], key])])
    }

    fn rsa(bits: usize, exponent: &[u8], last: u8) -> Option<String> {
        let mut modulus = vec![0xa5; bits / 8];
        *modulus.last_mut().unwrap() = last;
        let number = |octets: &[u8]| ber::encode(ber::INTEGER, &[&[0], octets]);
        let key = ber::encode(ber::SEQUENCE, &[&number(&modulus), &number(exponent)]);
        weakness(&spki(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1], &[5, 0], &key))
    }

    const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
    const P256: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    const P192: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 1];
    const SECP256K1: &[u8] = &[6, 5, 0x2b, 0x81, 4, 0, 10];

    #[test]
    fn ordinary_keys_are_not_weak() {
        let ders = ALL.iter().filter_map(|(name, _)| name.strip_suffix(".der"));
        let weak: Vec<_> = ders
            .filter(|name| !name.contains("csr") && *name != "nseq")
            .filter_map(|name| Some(format!("{name}: {}", weakness(certificate(name).spki())?)))
            .collect();
        assert_eq!(weak, ["rsa1024: RSA key has only 1024 bits", "rsa1024root: RSA key has only 1024 bits"]);
        assert_eq!(rsa(2048, &[1, 0, 1], 0xa5), None);
        assert_eq!(rsa(3072, &[3], 1), None);
        // Whatever servers make of it: a key like another.
        assert_eq!(weakness(&spki(EC, SECP256K1, &[&[4][..], &[9; 64]].concat())), None);
        assert_eq!(weakness(&spki(&[0x2b, 0x65, 113], &[], &[1; 57])), None);
        assert_eq!(weakness(&spki(&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 18], &[], &[1; 1952])), None);
    }

    #[test]
    fn keys_that_protect_nothing_are() {
        let check = |found: Option<String>, text: &str| assert_eq!(found.as_deref(), Some(text));
        check(rsa(512, &[1, 0, 1], 1), "RSA key has only 512 bits");
        check(rsa(2040, &[1, 0, 1], 1), "RSA key has only 2040 bits");
        // A curve that is written out, the parameters left out, and those of the issuer.
        let unnamed = "elliptic curve is not a named curve, and clients refuse explicit parameters";
        for parameters in [&[0x30, 3, 2, 1, 1][..], &[], &[5, 0]] {
            check(weakness(&spki(EC, parameters, &[&[4][..], &[9; 64]].concat())), unnamed);
        }
        let exponent = "RSA key has an insecure exponent (1 or even)";
        check(rsa(2048, &[1], 1), exponent);
        check(rsa(2048, &[1, 0, 0], 1), exponent);
        check(rsa(2048, &[2], 1), exponent);
        check(rsa(2048, &[1, 0, 1], 2), "RSA key has an even modulus");
        let dsa = spki(&[0x2a, 0x86, 0x48, 0xce, 0x38, 4, 1], &[], &[2, 1, 5]);
        check(weakness(&dsa), "key is a DSA key, which no client accepts any more");
        check(weakness(&spki(EC, P192, &[&[4][..], &[9; 48]].concat())), "elliptic curve has only 192 bits");
        check(weakness(&spki(EC, P192, &[&[2][..], &[9; 24]].concat())), "elliptic curve has only 192 bits");
        for curve in [P256, SECP256K1] {
            check(weakness(&spki(EC, curve, &[0])), "public key is the point at infinity");
        }
        for point in [&[][..], &[4], &[&[4][..], &[9; 64]].concat(), &[&[4][..], &[9; 63]].concat(), &[1; 65]]
        {
            check(weakness(&spki(EC, P256, point)), "public key is not a point on its curve");
        }
        check(
            weakness(&spki(&[0x2b, 0x65, 112], &[], &[1; 31])),
            "public key has the wrong length for Ed25519",
        );
        check(weakness(&[0x30, 0]), "public key cannot be read");
        check(
            weakness(&spki(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1], &[5, 0], &[1, 2])),
            "public key cannot be read",
        );
    }
}
