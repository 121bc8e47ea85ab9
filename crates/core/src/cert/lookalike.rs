//! What a file is that should be a private key in PEM form, and the line that makes one of it.

use super::ber::{self, Reader};

words! {
    /// Forms in which keys come along and are not read, with the way out.
    pub enum Lookalike {
        Der = "it is a private key in DER form; convert it to PEM: openssl pkey -inform DER -in FILE -out KEY.pem",
        EncryptedDer = "it is an encrypted private key in DER form; convert it to plain PEM: openssl pkcs8 -inform DER -in \
                        FILE -out KEY.pem",
        Pfx = "it is a PKCS#12 file (PFX); extract the key: openssl pkcs12 -in FILE -nocerts -nodes -out KEY.pem",
        /// A certificate, a request or another structure.
        OtherDer = "it is DER but not a private key; a private key in PEM form is needed",
        /// PEM as Windows saves "Unicode".
        Utf16 = "it is UTF-16 text; convert it to ASCII: iconv -f UTF-16 -t ASCII FILE | openssl pkey -out KEY.pem",
        OpenSsh = "it is in OpenSSH's own format; convert it in place: ssh-keygen -p -m PKCS8 -N '' -f FILE",
        Putty = "it is in PuTTY's own format; convert it to PEM: puttygen FILE -O private-openssh -o KEY, then ssh-keygen -p \
                 -m PKCS8 -N '' -f KEY",
        Jks = "it is a Java keystore; convert it to PKCS#12 with keytool -importkeystore -deststoretype PKCS12, then take \
               the key out: openssl pkcs12 -in FILE -nocerts -nodes -out KEY.pem",
    }
}

/// What a file without a key that could be read is, if it is known.
pub(super) fn of(content: &[u8]) -> Option<Lookalike> {
    let utf16 = [&b"\xff\xfe"[..], b"\xfe\xff", b"-\0-\0", b"\0-\0-"];
    if utf16.iter().any(|mark| content.starts_with(mark)) {
        return Some(Lookalike::Utf16);
    }
    if content.starts_with(b"\xfe\xed\xfe\xed") || content.starts_with(b"\xce\xce\xce\xce") {
        return Some(Lookalike::Jks);
    }
    if content.starts_with(b"PuTTY-User-Key-File-") {
        return Some(Lookalike::Putty);
    }
    let mut lines = content.split(|byte| matches!(byte, b'\n' | b'\r'));
    if lines.any(|line| line.starts_with(b"-----BEGIN OPENSSH PRIVATE KEY-----")) {
        return Some(Lookalike::OpenSsh);
    }
    der(content)
}

/// By the first fields of the outer sequence (RFC 5958, 8017, 5915, 7292).
fn der(content: &[u8]) -> Option<Lookalike> {
    let outer = Reader::new(content).expect(ber::SEQUENCE).ok()?;
    let mut fields = outer.children().ok()?;
    let first = fields.element().ok()??;
    let second = fields.element().ok()??;
    Some(match (first.tag, first.content, second.tag) {
        (ber::INTEGER, [3], ber::SEQUENCE) => Lookalike::Pfx,
        (ber::INTEGER, [0 | 1], ber::SEQUENCE | ber::INTEGER | ber::OCTET_STRING) => Lookalike::Der,
        (ber::SEQUENCE, _, ber::OCTET_STRING) => Lookalike::EncryptedDer,
        _ => Lookalike::OtherDer,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cert::key::{KeyError, private_keys};
    use crate::cert::{fixtures, pem};

    fn key(name: &str) -> Vec<u8> {
        fixtures::file(&format!("{name}.key")).to_vec()
    }

    fn check(content: &[u8], expected: Lookalike) {
        assert_eq!(private_keys(content).err(), Some(KeyError::Instead(expected)));
    }

    #[test]
    fn what_it_is_instead_is_named() {
        let text = String::from_utf8(key("leaf.pkcs8")).unwrap();
        for name in ["leaf.pkcs8", "leaf.sec1", "rsa.pkcs1"] {
            let text = key(name);
            let der = pem::read(&text, pem::MAX_BLOCKS).unwrap().pop().unwrap().der;
            check(&der, Lookalike::Der);
        }
        let wide = |order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
        check(&wide(u16::to_le_bytes), Lookalike::Utf16);
        check(&[&b"\xfe\xff"[..], &wide(u16::to_be_bytes)].concat(), Lookalike::Utf16);
        check(&[0x30, 8, 2, 1, 3, 0x30, 3, 6, 1, 42], Lookalike::Pfx);
        check(&[0x30, 6, 0x30, 2, 6, 0, 4, 0], Lookalike::EncryptedDer);
        check(fixtures::certificate("leaf").der(), Lookalike::OtherDer);
        check(fixtures::file("leaf.csr.der"), Lookalike::OtherDer);
        check(b"\xfe\xed\xfe\xed\0\0\0\x02", Lookalike::Jks);
        check(b"PuTTY-User-Key-File-3: ssh-rsa\n", Lookalike::Putty);
    }
}
