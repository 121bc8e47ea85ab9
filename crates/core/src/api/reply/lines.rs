//! Answers made of lines: the code first, then what the call asked for.
//!
//! The documents do not pin down the order of the optional lines, and their positions move with every
//! option, so each line is recognized by its form: a certificate, a pair of dates, a pair of timestamps, a
//! known status word, a list of domains, or else a name.

use bytes::Bytes;

use super::{MAX_ITEMS, Reply, STATUSES, Unreadable, code};
use crate::api::{Endpoint, Untrusted};

/// Values of "certificate status" [seed: CollectSSL].
const CERTIFICATE_STATES: [&str; 4] = ["Awaiting Validation", "Issued", "Revoked", "NO STATUS"];
/// Values of "validation status" [seed: CollectSSL].
const VALIDATION_STATES: [&str; 5] = [
    "Complete",
    "Awaiting Legal Documents",
    "Awaiting Document Translation",
    "Awaiting private WHOIS entry release",
    "Awaiting Brand Validation",
];

/// Whether a body begins with PEM armour; the vendor's page writes it with odd numbers of dashes.
pub(super) fn is_armour(body: &[u8]) -> bool {
    let line = body.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let text = line.trim_ascii();
    let dashes = text.iter().take_while(|byte| **byte == b'-').count();
    (4..=6).contains(&dashes) && text[dashes..].trim_ascii_start().starts_with(b"BEGIN")
}

/// The newline-delimited form.
pub(super) fn lines(endpoint: Endpoint, body: &Bytes) -> Result<Reply, Unreadable> {
    let end_of_first = body.iter().position(|byte| *byte == b'\n' || *byte == b'\r').unwrap_or(body.len());
    let first = std::str::from_utf8(&body[..end_of_first]).unwrap_or("?");
    let code = code(first).map_err(|_| Unreadable::Form(Untrusted::from_bytes(body)))?;
    let mut reply = Reply { code, ..Reply::default() };
    let rest = body.slice(end_of_first..);
    if code < 0 {
        let text = String::from_utf8_lossy(&rest);
        // The code may be followed by its message on one line or several; a page of text is no message.
        let message: Vec<&str> =
            text.lines().map(str::trim).filter(|line| !line.is_empty()).take(4).collect();
        reply.message = Untrusted::some(&message.join(" "));
        return Ok(reply);
    }
    if endpoint == Endpoint::ReplaceSmime {
        // "The second line contains a new order number, which is returned if the replacement order has been created."
        let number = String::from_utf8_lossy(&rest).trim().to_owned();
        reply.order_number = Some(number).filter(|number| super::is_number(number));
        return Ok(reply);
    }
    if endpoint == Endpoint::ReplaceSsl {
        // Which line is which is not known; the code is what counts.
        return Ok(reply);
    }
    // Binary structures after a status line have no lines to look at.
    let data = trim_start(&rest);
    if data.starts_with(b"PK\x03\x04") || super::is_der(&data) {
        reply.parts.push(data);
        return Ok(reply);
    }
    let (said, certificates) = split_certificates(&rest)?;
    reply.parts.extend(certificates);
    for line in said {
        take_line(&mut reply, &line);
    }
    Ok(reply)
}

fn trim_start(bytes: &Bytes) -> Bytes {
    bytes.slice(bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count()..)
}

/// Separates the lines that say something from the stretch that carries certificates: from the first
/// armour, or first line of plain base64, to the last one.
fn split_certificates(rest: &Bytes) -> Result<(Vec<String>, Option<Bytes>), Unreadable> {
    let mut said = Vec::new();
    let mut stretch: Option<std::ops::Range<usize>> = None;
    let mut in_armour = false;
    let mut in_base64 = false;
    let mut at = 0;
    for (number, line) in rest.split_inclusive(|byte| *byte == b'\n' || *byte == b'\r').enumerate() {
        let range = at..at + line.len();
        at = range.end;
        if line == b"\n" && range.start > 0 && rest[range.start - 1] == b'\r' {
            // The second half of a line end is no empty line.
            continue;
        }
        let text = line.trim_ascii();
        let begins = is_armour(text);
        let ends = text.starts_with(b"----") && text.trim_ascii_start().windows(3).any(|word| word == b"END");
        // Only the first line of unarmoured base64 must be long; the last one can be a few characters. What is
        // between CR and LF, or a blank line, says nothing either way.
        in_base64 =
            if text.is_empty() { in_base64 } else { is_base64(text) && (in_base64 || text.len() >= 40) };
        if in_armour || begins || ends || (in_base64 && !text.is_empty()) {
            in_armour = (in_armour || begins) && !ends;
            stretch = Some(stretch.map_or(range.start, |known| known.start)..range.end);
        } else if !text.is_empty() {
            // Only lines that speak count against the bound: certificates have hundreds.
            if said.len() >= MAX_ITEMS || number > 100 * MAX_ITEMS {
                return Err(Unreadable::TooMany(MAX_ITEMS));
            }
            said.push(String::from_utf8_lossy(text).into_owned());
        }
    }
    Ok((said, stretch.map(|range| rest.slice(range))))
}

/// Whether a line could be part of unarmoured base64; a name with a dot, a line with a space and the
/// one-word statuses are not.
fn is_base64(text: &[u8]) -> bool {
    let is_status = |known: &&str| known.as_bytes().eq_ignore_ascii_case(text);
    !text.is_empty()
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte))
        && !CERTIFICATE_STATES.iter().chain(&VALIDATION_STATES).any(is_status)
}

/// Whether a body is nothing but base64 of a structure, an archive or PEM: DER and BER begin 0x30 0x80 to 0x84, ZIP with
/// `PK` 3 4.
pub(super) fn is_bare(body: &[u8]) -> bool {
    const BEGINNINGS: [&[u8]; 7] = [b"MIA", b"MIE", b"MII", b"MIM", b"MIQ", b"UEsDB", b"LS0tLS"];
    let is_whole =
        |byte: &u8| byte.is_ascii_alphanumeric() || byte.is_ascii_whitespace() || b"+/=".contains(byte);
    BEGINNINGS.iter().any(|beginning| body.starts_with(beginning))
        && body.iter().filter(|byte| !byte.is_ascii_whitespace()).count() >= 40
        && body.iter().all(is_whole)
}

fn take_line(reply: &mut Reply, line: &str) {
    let details = &mut reply.details;
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_date = |word: &str| {
        word.len() == 10
            && word
                .bytes()
                .enumerate()
                .all(|(at, byte)| if at == 2 || at == 5 { byte == b'/' } else { byte.is_ascii_digit() })
    };
    if let [first, second] = words[..] {
        if is_date(first) && is_date(second) {
            // Validity is read from the certificate itself.
            return;
        }
        if let (Some(start), Some(end)) = (super::moment(first), super::moment(second)) {
            // "1761696000 1793232000": the product term.
            details.term_start = Some(start);
            details.term_end = Some(end);
            return;
        }
    }
    if let Some(known) = CERTIFICATE_STATES.iter().find(|known| known.eq_ignore_ascii_case(line)) {
        details.certificate_status = Some(Untrusted::new(known));
    } else if let Some(known) = VALIDATION_STATES.iter().find(|known| known.eq_ignore_ascii_case(line)) {
        details.validation_status = Some(Untrusted::new(known));
    } else if let Some((name, value)) = status(line) {
        details.statuses.push((name, value));
    } else if let Some(caa) = line.strip_prefix("caaStatus=") {
        details.caa = Untrusted::some(caa);
    } else if words.len() >= 2
        && line.split(',').all(|pair| pair.split_whitespace().count() == 2)
        && line.contains('.')
    {
        details.take_domains(line);
    } else if words.len() == 1 && line.contains('.') && details.fqdn.is_none() {
        details.fqdn = Some(Untrusted::new(line));
    } else if details.others.len() < super::MAX_OTHERS {
        details.others.push((Untrusted::new("line"), Untrusted::new(line)));
    }
}

/// `csrStatus=1`: no page shows how showStatusDetails looks in this form, so the other form's pairs count.
fn status(line: &str) -> Option<(&'static str, i32)> {
    let (key, value) = line.split_once('=')?;
    let name = STATUSES.into_iter().find(|name| name.eq_ignore_ascii_case(key))?;
    Some((name, value.trim().parse().ok()?))
}
