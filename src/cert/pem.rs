//! PEM armour (RFC 7468), read as tolerantly as the vendor writes it.
//!
//! The operator's own files (keys, requests, trust anchors) are decoded by the `pem` module of
//! `rustls-pki-types`. The vendor's answers are not always PEM to that reader: the vendor's pages show
//! `----- BEGIN CERTIFICATE -----` closed by `---- END CERTIFICATE -----`. And because it skips labels that it does
//! not know, only a look at the labels can say "that is an encrypted key". Only the armour is found here; what a
//! body holds, the caller decodes.

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

/// Blocks in one answer or key file. A bundle has ten certificates, and perhaps a key and its parameters.
pub(super) const MAX_BLOCKS: usize = 64;

/// Why a text's armour cannot be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum PemError {
    /// A BEGIN without its END, an END without its BEGIN, or one whose label differs.
    #[error("a PEM block is cut off")]
    CutOff,
    /// More blocks than the caller allows.
    #[error("it has too many PEM blocks")]
    TooMany,
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
}

/// Finds all blocks, whatever stands before, between and after them; more than `limit` are an error.
pub(super) fn blocks(text: &[u8], limit: usize) -> Result<Vec<Block<'_>>, PemError> {
    let mut found = Vec::new();
    let mut open: Option<Marker<'_>> = None;
    let mut at = 0;
    while let Some(marker) = next_marker(text, at) {
        at = marker.end;
        match (marker.begins, open.take()) {
            (true, None) => open = Some(marker),
            (false, Some(begin)) if begin.label == marker.label => {
                if found.len() == limit {
                    return Err(PemError::TooMany);
                }
                let (headers, body) = split_headers(&text[begin.end..marker.start]);
                let encrypted = headers.windows(9).any(|word| word == b"ENCRYPTED");
                found.push(Block { label: begin.label, body, encrypted });
            }
            _ => return Err(PemError::CutOff),
        }
    }
    if open.is_some() { Err(PemError::CutOff) } else { Ok(found) }
}

/// Without the byte order mark that some editors put in front; the strict reader finds nothing behind one.
pub(super) fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// Whether there is any armour.
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
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let mut text = String::with_capacity(body.len() + body.len() / 64 + 64);
    text += &format!("-----BEGIN {label}-----\n");
    for start in (0..body.len()).step_by(64) {
        text += &body[start..body.len().min(start + 64)];
        text.push('\n');
    }
    text += &format!("-----END {label}-----\n");
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
        let closing = run(text, label_end, |byte| byte == b'-');
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
    fn reads_headers() {
        let head =
            "-----BEGIN K-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nYQ\n-----END K-----";
        check(head, Ok(&["K!:YQ"]));
        check(&head.replace('\n', "\r\n"), Ok(&["K!:YQ"]));
        check("-----BEGIN K-----\nComment: x\n\nYQ\n-----END K-----", Ok(&["K:YQ"]));
    }

    #[test]
    fn notices_what_is_cut_off() {
        check("-----BEGIN A-----\nYQ", Err(PemError::CutOff));
        check("YQ\n-----END A-----", Err(PemError::CutOff));
        check("-----BEGIN A-----\nYQ\n-----END B-----", Err(PemError::CutOff));
        check("-----BEGIN A-----\n-----BEGIN A-----\n-----END A-----", Err(PemError::CutOff));
        check(&"-----BEGIN A-----\n-----END A-----\n".repeat(MAX_BLOCKS + 1), Err(PemError::TooMany));
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
