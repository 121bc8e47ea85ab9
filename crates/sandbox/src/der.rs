//! DER and PEM, written by hand: just the pieces that the containers and the logotype need.
//!
//! It only writes. Nothing here reads or checks a structure; the tests let `openssl` do that.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OCTET_STRING: u8 = 0x04;

/// id-sha256.
pub(super) const SHA256: [u64; 9] = [2, 16, 840, 1, 101, 3, 4, 2, 1];

/// Ends a value of indefinite length (X.690, 8.1.5).
const END_OF_CONTENTS: [u8; 2] = [0, 0];

/// Characters of base64 in one line of PEM (RFC 7468, section 2).
const PEM_LINE: usize = 64;

/// A tag with a definite length and its content.
pub(super) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 6);
    out.push(tag);
    if content.len() < 0x80 {
        out.push(content.len() as u8);
    } else {
        let bytes = content.len().to_be_bytes();
        let used = bytes.iter().skip_while(|byte| **byte == 0).count();
        out.push(0x80 | used as u8);
        out.extend_from_slice(&bytes[bytes.len() - used..]);
    }
    out.extend_from_slice(content);
    out
}

/// The same with an indefinite length: BER, not DER. `tag` must be a constructed one.
pub(super) fn indefinite(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut out = vec![tag, 0x80];
    out.extend(parts.concat());
    out.extend_from_slice(&END_OF_CONTENTS);
    out
}

pub(super) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(SEQUENCE, &parts.concat())
}

pub(super) fn indefinite_sequence(parts: &[&[u8]]) -> Vec<u8> {
    indefinite(SEQUENCE, parts)
}

/// A set in the order given. The caller sorts where DER asks for it.
pub(super) fn set(parts: &[&[u8]]) -> Vec<u8> {
    tlv(SET, &parts.concat())
}

pub(super) fn octets(content: &[u8]) -> Vec<u8> {
    tlv(OCTET_STRING, content)
}

pub(super) fn ia5(text: &str) -> Vec<u8> {
    tlv(0x16, text.as_bytes())
}

/// A small number that is not negative.
pub(super) fn number(value: u8) -> Vec<u8> {
    if value < 0x80 { tlv(0x02, &[value]) } else { tlv(0x02, &[0, value]) }
}

/// `[n]` around whole values: an explicit tag, or the implicit tag of a constructed type.
pub(super) fn context(n: u8, parts: &[&[u8]]) -> Vec<u8> {
    tlv(0xa0 | n, &parts.concat())
}

/// An object identifier of at least two arcs.
pub(super) fn oid(arcs: &[u64]) -> Vec<u8> {
    let mut content = Vec::new();
    base128(arcs[0] * 40 + arcs[1], &mut content);
    for arc in &arcs[2..] {
        base128(*arc, &mut content);
    }
    tlv(0x06, &content)
}

fn base128(value: u64, out: &mut Vec<u8>) {
    let groups = (64 - value.leading_zeros()).div_ceil(7).max(1);
    for group in (0..groups).rev() {
        let bits = (value >> (7 * group)) as u8 & 0x7f;
        out.push(if group == 0 { bits } else { bits | 0x80 });
    }
}

/// Base64 in lines of 64 characters, each ended with `eol`.
pub(super) fn base64_lines(bytes: &[u8], eol: &str) -> String {
    let text = STANDARD.encode(bytes);
    let mut out = String::with_capacity(text.len() + text.len() / PEM_LINE * eol.len() + eol.len());
    for line in text.as_bytes().chunks(PEM_LINE) {
        out.extend(line.iter().map(|byte| char::from(*byte)));
        out.push_str(eol);
    }
    out
}

/// PEM text; every line, the last one too, is ended with `eol`.
pub(super) fn pem(label: &str, der: &[u8], eol: &str) -> String {
    format!("-----BEGIN {label}-----{eol}{}-----END {label}-----{eol}", base64_lines(der, eol))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_object_identifiers_are_der() {
        assert_eq!(tlv(4, &[7; 3]), [4, 3, 7, 7, 7]);
        assert_eq!(tlv(4, &[7; 200])[..3], [4, 0x81, 200]);
        assert_eq!(tlv(4, &[7; 70_000])[..5], [4, 0x83, 1, 0x11, 0x70]);
        // rsaEncryption, the usual example.
        assert_eq!(
            oid(&[1, 2, 840, 113549, 1, 1, 1]),
            [0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1]
        );
        assert_eq!(number(200), [2, 2, 0, 200]);
        assert_eq!(indefinite_sequence(&[&[5, 0]]), [0x30, 0x80, 5, 0, 0, 0]);
    }

    #[test]
    fn pem_breaks_after_64_characters() {
        let text = pem("PKCS7", &[0; 60], "\r\n");
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert_eq!(lines[0], "-----BEGIN PKCS7-----");
        assert_eq!(lines[1].len(), 64);
        assert_eq!(lines[2].len(), 16);
        assert_eq!(lines[3..], ["-----END PKCS7-----", ""]);
    }
}
