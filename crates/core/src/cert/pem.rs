//! PEM armour (RFC 7468), read as tolerantly as the vendor writes it.
//!
//! The vendor's answers are not always PEM to a strict reader: the vendor's pages show
//! `----- BEGIN CERTIFICATE -----` closed by `---- END CERTIFICATE -----`. The operator's own files (keys, requests,
//! trust anchors) are not always either: `cat` joins two of them on one line where the first has no line end at its
//! own end. A reader that passes over what it does not know reads such a file as far as it goes and calls it sound,
//! so [`read`] finds every block of a file, or says which line it does not understand; what is in a block is then
//! read by `rustls_pki_types::pem`, which decodes private keys in constant time.

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use memchr::memmem;
use rustls_pki_types::pem::{Error, PemObject, SectionKind};
use zeroize::Zeroizing;

/// Blocks in one answer or key file. A bundle has ten certificates, and perhaps a key and its parameters.
pub(super) const MAX_BLOCKS: usize = 64;

/// Why a text's armour cannot be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// A BEGIN without its END, an END without its BEGIN, or one whose label differs; on this line, counted from 1.
    #[error("a PEM block is cut off at line {0}")]
    CutOff(usize),
    /// The block that begins on this line is no base64.
    #[error("the PEM block that begins on line {0} is not valid base64")]
    Base64(usize),
    /// More blocks than the caller allows.
    #[error("it has more than {0} PEM blocks")]
    TooMany(usize),
}

/// What stands between a BEGIN and its END.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block<'a> {
    /// For instance `CERTIFICATE`.
    pub(super) label: &'a str,
    /// The base64 text.
    pub(super) body: &'a [u8],
    /// Whether headers say that it is encrypted (RFC 1421 section 4.6.1.1, as openssl's older key files have it).
    pub(super) encrypted: bool,
    /// On which line it begins, counted from 1.
    pub(super) line: usize,
}

/// A block of the operator's, decoded.
pub(super) struct Item<'a> {
    pub(super) label: &'a str,
    pub(super) der: Zeroizing<Vec<u8>>,
    pub(super) encrypted: bool,
    pub(super) line: usize,
}

/// Reads every block of one of the operator's files, at most `limit`: as many as there are BEGINs, or an error.
pub(super) fn read(text: &[u8], limit: usize) -> Result<Vec<Item<'_>>, PemError> {
    if let Some(at) = odd_dash(text) {
        return Err(PemError::CutOff(Lines::default().to(text, at)));
    }
    let mut items = Vec::new();
    for Block { label, body, encrypted, line } in blocks(text, limit)? {
        let der = if encrypted { decode(body) } else { octets(label, body) };
        items.push(Item { label, der: der.ok_or(PemError::Base64(line))?, encrypted, line });
    }
    Ok(items)
}

/// What a block holds; `None` if it is no base64. A label that the library does not know is decoded here, so that what is
/// of no use can be named for what it is.
fn octets(label: &str, body: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut text = Zeroizing::new(Vec::with_capacity(body.len() + 2 * label.len() + 64));
    text.extend_from_slice(format!("-----BEGIN {label}-----\n").as_bytes());
    text.extend(body.iter().filter(|byte| !byte.is_ascii_whitespace()));
    text.extend_from_slice(format!("\n-----END {label}-----\n").as_bytes());
    match <(SectionKind, Vec<u8>)>::from_pem_slice(&text) {
        Ok((_, der)) => Some(Zeroizing::new(der)),
        Err(Error::NoItemsFound) => decode(body),
        Err(_) => None,
    }
}

/// Finds all blocks, whatever stands before, between and after them; more than `limit` are an error.
pub(super) fn blocks(text: &[u8], limit: usize) -> Result<Vec<Block<'_>>, PemError> {
    let mut found = Vec::new();
    let mut open: Option<(Marker<'_>, usize)> = None;
    let mut at = 0;
    let mut lines = Lines::default();
    while let Some(marker) = next_marker(text, at) {
        let line = lines.to(text, marker.start);
        at = marker.end;
        match (marker.begins, open.take()) {
            (true, None) => open = Some((marker, line)),
            (false, Some((begin, line))) if begin.label == marker.label => {
                if found.len() == limit {
                    return Err(PemError::TooMany(limit));
                }
                let (headers, body) = split_headers(&text[begin.end..marker.start]);
                let encrypted = headers.windows(9).any(|word| word == b"ENCRYPTED");
                found.push(Block { label: begin.label, body, encrypted, line });
            }
            _ => return Err(PemError::CutOff(line)),
        }
    }
    match open {
        Some((_, line)) => Err(PemError::CutOff(line)),
        None => Ok(found),
    }
}

/// Where an editor has put the dashes before a BEGIN or END together to longer ones (U+2010 to U+2015, U+2212): no reader
/// takes them for armour, so such a block would be passed over beside others.
fn odd_dash(text: &[u8]) -> Option<usize> {
    /// Five dashes as long ones.
    const LOOK_BACK: usize = 15;
    let is_odd = |dash: &[u8]| matches!(dash, [0xe2, 0x80, 0x90..=0x95] | [0xe2, 0x88, 0x92]);
    [&b"BEGIN "[..], b"END "].into_iter().flat_map(|word| memmem::find_iter(text, word)).find(|at| {
        let before = text[at.saturating_sub(LOOK_BACK)..*at].trim_ascii_end();
        let dashes = before.iter().rposition(|byte| byte.is_ascii() && *byte != b'-').map_or(0, |at| at + 1);
        before[dashes..].windows(3).any(is_odd)
    })
}

/// Counts the lines of a text on the way through it, so that each byte is looked at once.
#[derive(Default)]
struct Lines {
    at: usize,
    feeds: usize,
    returns: usize,
}

impl Lines {
    /// The line of an offset, counted from 1, which is not before the last one asked for; lines end as on Unix, as on
    /// Windows or as on old Macs.
    fn to(&mut self, text: &[u8], offset: usize) -> usize {
        let between = &text[self.at..offset];
        self.at = offset;
        self.feeds += between.iter().filter(|byte| **byte == b'\n').count();
        self.returns += between.iter().filter(|byte| **byte == b'\r').count();
        1 + self.feeds.max(self.returns)
    }
}

pub(super) fn is_armoured(text: &[u8]) -> bool {
    next_marker(text, 0).is_some()
}

/// Decodes base64 in which blanks and line ends do not count. `None` if anything else is in it.
///
/// The result and the copy without blanks are wiped when dropped, because bodies of private keys come this way.
pub(super) fn decode(body: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut dense = Zeroizing::new(Vec::with_capacity(body.len()));
    dense.extend(body.iter().filter(|byte| !byte.is_ascii_whitespace()));
    // Sized once: a buffer that grows would leave pieces of a key behind.
    let mut octets = Zeroizing::new(vec![0; base64::decoded_len_estimate(dense.len())]);
    let length = BASE64.decode_slice(&*dense, &mut octets).ok()?;
    octets.truncate(length);
    Some(octets)
}

/// Writes one block: 64 columns, line feeds (RFC 7468 section 2).
pub(super) fn encode(label: &str, der: &[u8]) -> String {
    String::from_utf8_lossy(&encode_secret(label, der)).into_owned()
}

/// As [`encode`], for a private key: no copy of it is left behind.
pub(super) fn encode_secret(label: &str, der: &[u8]) -> Zeroizing<Vec<u8>> {
    let engine = base64::engine::general_purpose::STANDARD;
    let mut body = Zeroizing::new(vec![0; der.len().div_ceil(3) * 4]);
    let length = engine.encode_slice(der, &mut body).expect("it is as long as base64 is");
    let mut text = Zeroizing::new(Vec::with_capacity(length + length / 64 + 2 * label.len() + 64));
    text.extend_from_slice(format!("-----BEGIN {label}-----\n").as_bytes());
    for line in body[..length].chunks(64) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text.extend_from_slice(format!("-----END {label}-----\n").as_bytes());
    text
}

/// Padding may be missing and left-over bits may be set: neither changes what was meant.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A BEGIN or END line, or what stands for one.
struct Marker<'a> {
    begins: bool,
    label: &'a str,
    start: usize,
    end: usize,
}

/// Two dashes or more, `BEGIN` or `END`, a label, two dashes or more; blanks between them do not matter.
fn next_marker(text: &[u8], from: usize) -> Option<Marker<'_>> {
    let mut at = from;
    while let Some(offset) = text[at..].iter().position(|byte| *byte == b'-') {
        let start = at + offset;
        let dashes = run(text, start, |byte| byte == b'-');
        at = start + dashes;
        let word = at + run(text, at, is_blank);
        let begins = text[word..].starts_with(b"BEGIN");
        if dashes < 2 || !(begins || text[word..].starts_with(b"END")) {
            continue;
        }
        let label_start = word + if begins { 5 } else { 3 };
        let label_end = label_start + run(text, label_start, is_label).min(MAX_LABEL);
        let mut closing = run(text, label_end, |byte| byte == b'-');
        let next = label_end + closing;
        let next = next + run(text, next, is_blank);
        if closing >= 4 && (text[next..].starts_with(b"BEGIN") || text[next..].starts_with(b"END")) {
            // Two lines that were joined: half of the dashes belong to each.
            closing /= 2;
        }
        let label = str::from_utf8(&text[label_start..label_end]).unwrap_or_default().trim();
        if closing >= 2 && !label.is_empty() {
            return Some(Marker { begins, label, start, end: label_end + closing });
        }
    }
    None
}

/// Longest label that is followed; the longest in use has 26 characters.
const MAX_LABEL: usize = 64;

fn run(text: &[u8], from: usize, belongs: impl Fn(u8) -> bool) -> usize {
    text[from..].iter().take_while(|byte| belongs(**byte)).count()
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn is_label(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b' ' | b'#' | b'/' | b'.')
}

/// Headers end at the first empty line; a body without a colon has none.
fn split_headers(block: &[u8]) -> (&[u8], &[u8]) {
    if !block.contains(&b':') {
        return (&[], block);
    }
    let mut after_line_end = true;
    let text = block.trim_ascii_start();
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'\n' if after_line_end => return text.split_at(at),
            b'\n' => after_line_end = true,
            b'\r' => {}
            _ => after_line_end = false,
        }
    }
    (text, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each block as `LABEL:body`, with blanks removed and `!` where it is encrypted.
    fn check(text: &str, expected: Result<&[&str], PemError>) {
        let found = blocks(text.as_bytes(), MAX_BLOCKS).map(|blocks| {
            let show = |block: &Block<'_>| {
                let body: String = str::from_utf8(block.body).unwrap().split_ascii_whitespace().collect();
                format!("{}{}:{body}", block.label, if block.encrypted { "!" } else { "" })
            };
            blocks.iter().map(show).collect::<Vec<_>>()
        });
        assert_eq!(
            found,
            expected.map(|blocks| blocks.iter().map(|&block| block.to_owned()).collect()),
            "{text}"
        );
    }

    #[test]
    fn finds_blocks_in_every_armour() {
        check("", Ok(&[]));
        check("no armour - none -- at all", Ok(&[]));
        check("-BEGIN A- YQ -END A-", Ok(&[]));
        check("--BEGIN A- YQ --END A-", Ok(&[]));
        check("-BEGIN A-- YQ -END A--", Ok(&[]));
        check("--BEGIN A-- YQ --END A--", Ok(&["A:YQ"]));
        check("-----BEGIN A-----\nYQ==\n-----END A-----\n", Ok(&["A:YQ=="]));
        check("-----BEGIN A-----\r\nYQ\r\nYQ\r\n-----END A-----\r\n", Ok(&["A:YQYQ"]));
        check("-----BEGIN A-----YQ-----END A-----", Ok(&["A:YQ"]));
        check("----- BEGIN A B -----\nYQ\n---- END A B -----", Ok(&["A B:YQ"]));
        check(
            "2\nx\n-----BEGIN A-----\nYQ\n-----END A-----\ny\n-----BEGIN B-----\nYg\n-----END B-----\nz",
            Ok(&["A:YQ", "B:Yg"]),
        );
        check("-----BEGIN A-----\n-----END A-----", Ok(&["A:"]));
        check("subject=-- BEGIN here\n-----BEGIN A-----\nYQ\n-----END A-----", Ok(&["A:YQ"]));
    }

    #[test]
    fn joined_lines_are_two() {
        for joined in ["----------", "---- -----", "-----\t-----", "-----", "----"] {
            let text =
                format!("-----BEGIN A-----\nYQ\n-----END A{joined}BEGIN B-----\nYg\n-----END B-----\n");
            check(&text, Ok(&["A:YQ", "B:Yg"]));
        }
        let one = "-----BEGIN A-----YQ-----END A-----";
        check(&format!("{one}{one}{one}"), Ok(&["A:YQ", "A:YQ", "A:YQ"]));
        check("-----BEGIN A----------END A-----", Ok(&["A:"]));
    }

    #[test]
    fn a_file_is_read_whole_or_not_at_all() {
        let read = |text: &str| {
            read(text.as_bytes(), 3).map(|items| items.iter().map(|item| item.line).collect::<Vec<_>>())
        };
        let one = "-----BEGIN A-----\nYQ\n-----END A-----\n";
        assert_eq!(read(&format!("{one}text\n{one}")), Ok(vec![1, 5]));
        assert_eq!(read(&format!("{one}{}", one.replace("YQ", "Y*"))), Err(PemError::Base64(4)));
        assert_eq!(read(&format!("{one}{}", &one[..20])), Err(PemError::CutOff(4)));
        assert_eq!(read(&one.repeat(4)), Err(PemError::TooMany(3)));
        assert_eq!(read(&one.repeat(2).replace('\n', "\r")), Ok(vec![1, 4]));
    }

    #[test]
    fn reads_headers() {
        let head =
            "-----BEGIN K-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nYQ\n-----END K-----";
        check(head, Ok(&["K!:YQ"]));
        check(&head.replace('\n', "\r\n"), Ok(&["K!:YQ"]));
        check("-----BEGIN K-----\nComment: x\n\nYQ\n-----END K-----", Ok(&["K:YQ"]));
    }

    #[test]
    fn notices_what_is_cut_off() {
        check("-----BEGIN A-----\nYQ", Err(PemError::CutOff(1)));
        check("YQ\n-----END A-----", Err(PemError::CutOff(2)));
        check("-----BEGIN A-----\nYQ\n-----END B-----", Err(PemError::CutOff(3)));
        check("-----BEGIN A-----\r\n-----BEGIN A-----\r\n-----END A-----", Err(PemError::CutOff(2)));
        check(
            &"-----BEGIN A-----\n-----END A-----\n".repeat(MAX_BLOCKS + 1),
            Err(PemError::TooMany(MAX_BLOCKS)),
        );
    }

    #[test]
    fn dashes_that_an_editor_has_changed_are_noticed() {
        let sound = "-----BEGIN A-----\nYQ==\n-----END A-----\n";
        assert_eq!(read(sound.as_bytes(), 9).unwrap().len(), 1);
        for dashes in [
            "\u{2014}\u{2014}-",
            "\u{2013}\u{2013}",
            "\u{2212}\u{2212}\u{2212}\u{2212}\u{2212} ",
            "--\u{2014}",
        ] {
            let odd = sound.replace("-----", dashes);
            let found = read(format!("{sound}{odd}").as_bytes(), 9).map(|items| items.len());
            assert_eq!(found, Err(PemError::CutOff(4)), "{odd}");
        }
        let told = format!("# the text \u{2014} it is old\n{sound}");
        assert_eq!(read(told.as_bytes(), 9).unwrap().len(), 1);
    }

    #[test]
    fn a_secret_is_written_like_anything_else() {
        for length in [0, 1, 2, 3, 47, 48, 49, 1000] {
            let der = vec![0xa5; length];
            assert_eq!(*encode_secret("A KEY", &der), encode("A KEY", &der).into_bytes(), "{length}");
        }
    }

    #[test]
    fn decodes_without_padding_and_writes_64_columns() {
        for body in ["aGVsbG8=", "aGVsbG8", " aGV\r\nsbG8 "] {
            assert_eq!(decode(body.as_bytes()).as_deref().map(Vec::as_slice), Some(&b"hello"[..]), "{body}");
        }
        for body in ["a", "aGV*", "aG=8", "-"] {
            assert_eq!(decode(body.as_bytes()), None, "{body}");
        }
        let text = encode("A", &[0; 60]);
        let widths: Vec<_> = text.lines().map(str::len).collect();
        assert_eq!(widths, [17, 64, 16, 15]);
        assert_eq!(decode(blocks(text.as_bytes(), MAX_BLOCKS).unwrap()[0].body).unwrap().len(), 60);
    }
}
