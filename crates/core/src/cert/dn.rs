//! A distinguished name for people, after RFC 4514, in ASCII that a terminal and a log survive.
//!
//! It is for reading only: names are compared by their DER.

use super::ber::{self, BerError, Element, Reader};

/// Characters of a name that are shown.
pub(super) const MAX_TEXT: usize = 200;

/// The name, most specific part first (RFC 4514 section 2.1), at most [`MAX_TEXT`] characters.
pub(super) fn text(der: &[u8]) -> String {
    let Ok(mut text) = parts(der).map(|parts| parts.join(",")) else { return "(unreadable name)".to_owned() };
    if text.len() > MAX_TEXT {
        text.truncate(MAX_TEXT - 3);
        text += "...";
    }
    text
}

fn parts(der: &[u8]) -> Result<Vec<String>, BerError> {
    let mut sets = Reader::new(der).expect(ber::SEQUENCE)?.children()?;
    let mut parts = Vec::new();
    while let Some(set) = sets.element()? {
        let mut attributes = set.children()?;
        let mut joined = String::new();
        while let Some(attribute) = attributes.element()? {
            if !joined.is_empty() {
                joined.push('+');
            }
            joined += &attribute_text(&attribute)?;
        }
        parts.push(joined);
    }
    parts.reverse();
    Ok(parts)
}

fn attribute_text(attribute: &Element<'_>) -> Result<String, BerError> {
    let mut fields = attribute.children()?;
    let oid = ber::dotted(fields.expect(ber::OID)?.content);
    let value = fields.element()?.ok_or(BerError::Unexpected)?;
    let key = KEYWORDS.iter().find(|(known, _)| *known == oid).map_or(&*oid, |(_, word)| *word);
    Ok(format!("{key}={}", value_text(&value)))
}

/// The string types of X.520 that names are made of; anything else as `#` and hex (RFC 4514 section 2.4).
fn value_text(value: &Element<'_>) -> String {
    let octets = &value.content[..value.content.len().min(MAX_TEXT * 4)];
    match value.tag {
        // UTF8String, NumericString, PrintableString, IA5String: all of them read as UTF-8.
        0x0c | 0x12 | 0x13 | 0x16 => escape(String::from_utf8_lossy(octets).chars()),
        // TeletexString, as everybody reads it: ISO 8859-1.
        0x14 => escape(octets.iter().map(|octet| char::from(*octet))),
        // BMPString.
        0x1e => {
            let units = octets.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            escape(char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)))
        }
        _ => format!("#{}", super::hex(octets)),
    }
}

/// RFC 4514 section 2.4; beyond ASCII, and for control characters, each octet of the UTF-8 form as `\hh`.
fn escape(characters: impl Iterator<Item = char>) -> String {
    let mut text = String::new();
    for character in characters.take(MAX_TEXT) {
        match character {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=' => text.extend(['\\', character]),
            '#' | ' ' if text.is_empty() => text.extend(['\\', character]),
            ' '..='~' => text.push(character),
            _ => {
                for octet in character.encode_utf8(&mut [0; 4]).bytes() {
                    text += &format!("\\{octet:02X}");
                }
            }
        }
    }
    if text.len() > 1 && text.ends_with(' ') {
        text.insert(text.len() - 1, '\\');
    }
    text
}

/// RFC 4514 section 3, and what certificates of public CAs have besides.
const KEYWORDS: [(&str, &str); 13] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.15", "businessCategory"),
    ("2.5.4.97", "organizationIdentifier"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use ber::{OID, SEQUENCE, SET, encode};

    const CN: &[u8] = &[0x55, 4, 3];
    const O: &[u8] = &[0x55, 4, 10];

    /// Identifier, tag and content of a value.
    type Attribute<'a> = (&'a [u8], u8, &'a [u8]);

    fn rdn(attributes: &[Attribute<'_>]) -> Vec<u8> {
        let attributes: Vec<_> = attributes
            .iter()
            .map(|(oid, tag, value)| encode(SEQUENCE, &[&encode(OID, &[oid]), &encode(*tag, &[value])]))
            .collect();
        encode(SET, &attributes.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    fn check(rdns: &[&[Attribute<'_>]], expected: &str) {
        let rdns: Vec<_> = rdns.iter().map(|attributes| rdn(attributes)).collect();
        let name = encode(SEQUENCE, &rdns.iter().map(Vec::as_slice).collect::<Vec<_>>());
        assert_eq!(text(&name), expected);
    }

    #[test]
    fn most_specific_part_comes_first() {
        check(&[], "");
        check(&[&[(CN, 0x0c, b"www.example.com")]], "CN=www.example.com");
        check(&[&[(O, 0x13, b"Example Inc")], &[(CN, 0x0c, b"x")]], "CN=x,O=Example Inc");
        check(&[&[(O, 0x13, b"a"), (CN, 0x0c, b"b")]], "O=a+CN=b");
        check(&[&[(&[0x2a, 3], 0x0c, b"x")]], "1.2.3=x");
    }

    #[test]
    fn nothing_but_printable_ascii_comes_out() {
        check(&[&[(CN, 0x0c, "Ö\n\u{1b}[31m".as_bytes())]], "CN=\\C3\\96\\0A\\1B[31m");
        check(&[&[(CN, 0x14, b"\xd6")]], "CN=\\C3\\96");
        check(&[&[(CN, 0x1e, b"\0A\x20\xac")]], "CN=A\\E2\\82\\AC");
        check(&[&[(CN, 0x0c, b"\xff")]], "CN=\\EF\\BF\\BD");
        check(&[&[(CN, 0x02, &[1, 2])]], "CN=#0102");
        check(&[&[(CN, 0x0c, b" a, b=\"c\" ")]], "CN=\\ a\\, b\\=\\\"c\\\"\\ ");
        check(&[&[(CN, 0x0c, b"#1")]], "CN=\\#1");
        check(&[&[(CN, 0x0c, &[b'a'; 5000])]], &format!("CN={}...", "a".repeat(MAX_TEXT - 6)));
    }

    #[test]
    fn an_unreadable_name_is_said_to_be_one() {
        assert_eq!(text(&[]), "(unreadable name)");
        assert_eq!(text(&[0x30, 3, 0x31, 1, 0x30]), "(unreadable name)");
    }
}
