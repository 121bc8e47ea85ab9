//! A small bounded reader for BER and DER, and the few lines that write DER (ITU-T X.690).
//!
//! It exists because PKCS#7 comes with indefinite lengths (`openssl cms -stream`, several vendors' tools),
//! which DER-only crates refuse. It walks containers; certificates themselves are DER and are read by
//! `x509-parser`. Tags above 30 do not occur in what we open and are an error. Nothing here copies.

/// Bytes of input, and of everything unpacked from ZIP archives in it.
pub const MAX_INPUT: usize = 1 << 20;

pub const INTEGER: u8 = 0x02;
pub const BIT_STRING: u8 = 0x03;
/// `OCTET STRING`, primitive; streamed content has the constructed form, which is only stepped over.
pub const OCTET_STRING: u8 = 0x04;
pub const OID: u8 = 0x06;
pub const SEQUENCE: u8 = 0x30;
pub const SET: u8 = 0x31;
/// `[0]`, constructed.
pub const CONTEXT_0: u8 = 0xa0;
/// `[1]`, constructed.
pub const CONTEXT_1: u8 = 0xa1;

/// Levels of nesting. A certificate inside SignedData lies five deep.
pub const MAX_DEPTH: u8 = 12;
/// Elements directly inside one element. Streamed content is cut into pieces of a few kilobytes, so 1 MiB
/// of it stays below.
pub const MAX_CHILDREN: usize = 1024;

/// Why bytes are no BER that we read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BerError {
    /// The data ends inside an element.
    #[error("the data ends too early")]
    Truncated,
    /// A length in a form that no encoder of certificates uses, or an indefinite one on a primitive.
    #[error("a length is malformed")]
    Length,
    /// A tag in the long form.
    #[error("a tag is malformed")]
    Tag,
    /// More than [`MAX_DEPTH`] levels.
    #[error("it is nested too deeply")]
    Depth,
    /// More than [`MAX_CHILDREN`] elements in one.
    #[error("it has too many parts")]
    Children,
    /// Data after the outermost element.
    #[error("trailing data follows its end")]
    Trailing,
    /// Another element than the structure asks for.
    #[error("a part is missing or of an unexpected kind")]
    Unexpected,
}

/// One element: a tag, and the content it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element<'a> {
    /// The identifier octet: class, constructed bit and number.
    pub tag: u8,
    /// All of it: tag, length, content, and the end-of-contents octets where the length is indefinite.
    pub raw: &'a [u8],
    pub content: &'a [u8],
    depth: u8,
}

impl<'a> Element<'a> {
    /// Reads what is inside. Fails on a primitive element, and below [`MAX_DEPTH`].
    pub fn children(&self) -> Result<Reader<'a>, BerError> {
        if self.tag & CONSTRUCTED == 0 {
            return Err(BerError::Unexpected);
        }
        Ok(Reader { rest: self.content, depth: deeper(self.depth)?, read: 0 })
    }
}

/// Reads elements one after the other.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    depth: u8,
    read: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes, depth: 0, read: 0 }
    }

    /// The next element, or `None` at the end.
    pub fn element(&mut self) -> Result<Option<Element<'a>>, BerError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        if self.read == MAX_CHILDREN {
            return Err(BerError::Children);
        }
        let extent = measure(self.rest, self.depth)?;
        let (raw, rest) = self.rest.split_at(extent.total);
        let content = &raw[extent.header..extent.header + extent.content];
        self.rest = rest;
        self.read += 1;
        Ok(Some(Element { tag: raw[0], raw, content, depth: self.depth }))
    }

    /// The next element, which must have this tag.
    pub fn expect(&mut self, tag: u8) -> Result<Element<'a>, BerError> {
        match self.element()? {
            Some(element) if element.tag == tag => Ok(element),
            _ => Err(BerError::Unexpected),
        }
    }

    /// The content of the next element, a BIT STRING whose bits fill whole octets.
    pub fn bit_string(&mut self) -> Result<&'a [u8], BerError> {
        self.expect(BIT_STRING)?.content.strip_prefix(&[0]).ok_or(BerError::Unexpected)
    }
}

/// The one element that the bytes are, with nothing behind it but line ends and blanks, which editors and
/// web servers add.
pub fn whole(bytes: &[u8]) -> Result<Element<'_>, BerError> {
    let mut reader = Reader::new(bytes);
    let element = reader.element()?.ok_or(BerError::Truncated)?;
    if reader.rest.trim_ascii_start().is_empty() { Ok(element) } else { Err(BerError::Trailing) }
}

/// The content of a DER INTEGER as an unsigned number: without the leading zero octets.
pub fn unsigned(content: &[u8]) -> &[u8] {
    let zeros = content.iter().take_while(|octet| **octet == 0).count();
    &content[zeros..]
}

/// An object identifier in dotted form (X.690 section 8.19). Arcs too large for 128 bits end the text with
/// `.?`: UUID-based ones have just 128.
pub fn dotted(content: &[u8]) -> String {
    let mut text = String::new();
    let mut arc: u128 = 0;
    for octet in content.iter().take(MAX_OID) {
        if arc > u128::MAX >> 7 {
            return text + ".?";
        }
        arc = arc << 7 | u128::from(octet & 0x7f);
        if octet & 0x80 == 0 {
            if text.is_empty() {
                let first = (arc / 40).min(2);
                text = format!("{first}.{}", arc - first * 40);
            } else {
                text += &format!(".{arc}");
            }
            arc = 0;
        }
    }
    text
}

/// Writes one DER element whose content is the given parts, one after the other.
pub fn encode(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(length + 6);
    out.push(tag);
    if length < 0x80 {
        out.push(length as u8);
    } else {
        let octets = length.to_be_bytes();
        let octets = unsigned(&octets);
        out.push(0x80 | octets.len() as u8);
        out.extend_from_slice(octets);
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// Lengths of one element's parts, in bytes.
struct Extent {
    header: usize,
    content: usize,
    total: usize,
}

/// Finds the end of the element that begins `bytes`. With an indefinite length that means to step over all
/// it holds, up to the end-of-contents octets (X.690 section 8.1.5).
fn measure(bytes: &[u8], depth: u8) -> Result<Extent, BerError> {
    let [tag, length, after @ ..] = bytes else { return Err(BerError::Truncated) };
    if tag & 0x1f == 0x1f {
        return Err(BerError::Tag);
    }
    let (header, content) = match length {
        0..=0x7f => (2, usize::from(*length)),
        0x80 => {
            if tag & CONSTRUCTED == 0 {
                return Err(BerError::Length);
            }
            let content = measure_indefinite(after, deeper(depth)?)?;
            return Ok(Extent { header: 2, content, total: 2 + content + END_OF_CONTENTS.len() });
        }
        0x81..=0x84 => {
            let count = usize::from(length & 0x7f);
            let octets = after.get(..count).ok_or(BerError::Truncated)?;
            let content = octets.iter().fold(0_u64, |sum, octet| sum << 8 | u64::from(*octet));
            (2 + count, usize::try_from(content).map_err(|_| BerError::Length)?)
        }
        _ => return Err(BerError::Length),
    };
    let total = header.checked_add(content).ok_or(BerError::Length)?;
    if total > bytes.len() { Err(BerError::Truncated) } else { Ok(Extent { header, content, total }) }
}

fn measure_indefinite(bytes: &[u8], depth: u8) -> Result<usize, BerError> {
    let mut at = 0;
    for _ in 0..=MAX_CHILDREN {
        if bytes[at..].starts_with(&END_OF_CONTENTS) {
            return Ok(at);
        }
        at += measure(&bytes[at..], depth)?.total;
    }
    Err(BerError::Children)
}

fn deeper(depth: u8) -> Result<u8, BerError> {
    if depth == MAX_DEPTH { Err(BerError::Depth) } else { Ok(depth + 1) }
}

/// Bit of the identifier octet that says: elements inside.
const CONSTRUCTED: u8 = 0x20;
const END_OF_CONTENTS: [u8; 2] = [0, 0];
/// Octets of an object identifier that are put into words.
const MAX_OID: usize = 64;

/// Whether bytes begin like a DER or BER SEQUENCE of more than 127 bytes. 0x30 is also the digit 0, but in text
/// no octet from 0x80 to 0x84 follows it; and every certificate is longer.
pub(super) fn is_der(bytes: &[u8]) -> bool {
    matches!(bytes, [SEQUENCE, 0x80..=0x84, ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree as text: tag and hex content of primitives, braces around what a constructed one holds.
    fn tree(mut reader: Reader<'_>) -> Result<String, BerError> {
        let mut text = String::new();
        while let Some(element) = reader.element()? {
            text += &format!("{:02x}", element.tag);
            if element.tag & CONSTRUCTED == 0 {
                text +=
                    &format!(":{}", element.content.iter().map(|o| format!("{o:02x}")).collect::<String>());
            } else {
                text += &format!("{{{}}}", tree(element.children()?)?);
            }
            text.push(' ');
        }
        Ok(text.trim_end().to_owned())
    }

    fn check(bytes: &[u8], expected: Result<&str, BerError>) {
        assert_eq!(tree(Reader::new(bytes)), expected.map(str::to_owned), "{bytes:02x?}");
    }

    #[test]
    fn reads_definite_and_indefinite_lengths() {
        check(&[], Ok(""));
        check(&[2, 1, 5], Ok("02:05"));
        check(&[0x30, 3, 2, 1, 5], Ok("30{02:05}"));
        check(&[0x30, 0x81, 3, 2, 1, 5], Ok("30{02:05}"));
        check(&[0x30, 0x84, 0, 0, 0, 3, 2, 1, 5], Ok("30{02:05}"));
        check(&[0x30, 0x80, 2, 1, 5, 0, 0], Ok("30{02:05}"));
        check(&[0x30, 0x80, 0xa0, 0x80, 2, 1, 5, 0, 0, 0, 0, 2, 1, 6], Ok("30{a0{02:05}} 02:06"));
        check(&[0x30, 0x80, 0, 0], Ok("30{}"));
        // A constructed OCTET STRING, as streamed content has it.
        check(&[0x24, 0x80, 4, 2, 1, 2, 4, 1, 3, 0, 0], Ok("24{04:0102 04:03}"));
    }

    #[test]
    fn names_what_is_wrong() {
        check(&[2], Err(BerError::Truncated));
        check(&[2, 2, 5], Err(BerError::Truncated));
        check(&[2, 0x82, 1], Err(BerError::Truncated));
        check(&[0x30, 0x80, 2, 1, 5], Err(BerError::Truncated));
        check(&[0x30, 0x80, 2, 1, 5, 0], Err(BerError::Truncated));
        check(&[2, 0x80, 0, 0], Err(BerError::Length));
        check(&[2, 0x85, 0, 0, 0, 0, 1, 5], Err(BerError::Length));
        check(&[2, 0x84, 0xff, 0xff, 0xff, 0xff], Err(BerError::Truncated));
        check(&[0x1f, 0x81, 1, 0], Err(BerError::Tag));
        check(&[0x30, 0x80].repeat(200), Err(BerError::Depth));
        check(&[0x30, 0x80, 5, 0].repeat(2), Err(BerError::Truncated));
        check(&[5, 0].repeat(MAX_CHILDREN + 1), Err(BerError::Children));
        check(&[&[0x30, 0x80][..], &[5, 0].repeat(MAX_CHILDREN + 1)].concat(), Err(BerError::Children));
    }

    #[test]
    fn only_blanks_may_follow() {
        assert_eq!(whole(&[2, 1, 10]).unwrap().raw, [2, 1, 10]);
        assert_eq!(whole(&[2, 1, 10, b'\r', b'\n', b' ']).unwrap().raw, [2, 1, 10]);
        assert_eq!(whole(&[2, 1, 10, 0]), Err(BerError::Trailing));
        assert_eq!(whole(&[]), Err(BerError::Truncated));
    }

    #[test]
    fn writes_what_it_reads() {
        for length in [0, 1, 127, 128, 255, 256, 70_000] {
            let inner = encode(OCTET_STRING, &[&vec![7; length]]);
            let outer = encode(SEQUENCE, &[&inner, &encode(INTEGER, &[&[1]])]);
            let mut reader = Reader::new(&outer).expect(SEQUENCE).unwrap().children().unwrap();
            assert_eq!(reader.expect(OCTET_STRING).unwrap().content.len(), length);
            assert_eq!(reader.expect(INTEGER).unwrap().content, [1]);
            assert_eq!(reader.element(), Ok(None));
        }
    }

    #[test]
    fn spells_object_identifiers() {
        let check = |content: &[u8], expected: &str| assert_eq!(dotted(content), expected);
        check(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2], "1.2.840.113549.1.7.2");
        check(&[0x55, 0x1d, 0x25, 0], "2.5.29.37.0");
        check(&[0x88, 0x37, 3], "2.999.3");
        check(&[], "");
        check(&[&[0x2b][..], &[0xff; 40]].concat(), "1.3.?");
    }
}
