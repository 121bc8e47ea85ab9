//! A server may echo what it was sent, and parts of an answer are shown to people. So the password is redacted
//! from the answer before anything reads it, in every encoding that an echo may have.
//!
//! A byte of it may stand there as it is, percent-encoded once or again, or as an escape of JSON or HTML, each
//! byte in its own way, because every encoder leaves other characters alone. The whole of it may stand there
//! in base64 or hexadecimal, at any place within something longer.

use std::cell::OnceCell;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use zeroize::Zeroizing;

/// A shorter password could stand in a certificate's base64 by chance.
const MIN_ECHO: usize = 6;
/// Maximum depth of repeated percent-encoding: `%2526`, `%252526`.
const MAX_LAYERS: usize = 3;
/// Maximum number of backslashes before a character: a text that was quoted four times.
const MAX_QUOTES: usize = 16;
/// A backslash as an escape; the first two stand after one.
const ESCAPED: [&[u8]; 4] = [b"u005c", b"x5c", b"&#92;", b"&#x5c;"];

/// Redacts one password. What that takes is made at the first text in which it could stand.
pub(super) struct Redactor<'a> {
    password: &'a str,
    /// The shortest text in which it could stand.
    shortest: usize,
    /// By the byte: whether the password, spelled in any way, may begin with it.
    begins: OnceCell<[bool; 256]>,
    whole: OnceCell<Vec<Zeroizing<Vec<u8>>>>,
}

impl<'a> Redactor<'a> {
    pub(super) fn new(password: &'a str) -> Redactor<'a> {
        // Each character is written as one byte at least, backslashes excepted. In base64 it is longer, also where the
        // characters at both ends are left out, and so is the parameter's name with a value.
        let spelled = password.chars().filter(|character| *character != '\\').count();
        let shortest = spelled.min(NAME.len() + 2);
        Redactor { password, shortest, begins: OnceCell::new(), whole: OnceCell::new() }
    }

    /// The body with stars where the password stood. Lengths stay as they are.
    pub(super) fn redact(&self, body: Bytes) -> Bytes {
        if self.password.len() < MIN_ECHO || body.len() < self.shortest {
            return body;
        }
        let mut clean: Option<Vec<u8>> = None;
        let mut blot = |from: usize, to: usize| {
            clean.get_or_insert_with(|| body.to_vec())[from..to].fill(b'*');
        };
        let begins = self.begins.get_or_init(|| beginnings(self.password));
        let mut at = 0;
        while let Some(skipped) = body[at..].iter().position(|byte| begins[usize::from(*byte)]) {
            at += skipped;
            match spelled(&body, at, self.password) {
                Some(end) => {
                    blot(at, end);
                    at = end;
                }
                None => at += 1,
            }
        }
        for secret in self.whole.get_or_init(|| as_a_whole(self.password)) {
            for at in memchr::memmem::find_iter(&body, secret.as_slice()) {
                blot(at, at + secret.len());
            }
        }
        for (from, to) in values(&body) {
            blot(from, to);
        }
        clean.map_or(body, Bytes::from)
    }
}

/// The first character itself, or what can stand before it: backslashes, and what begins an escape.
fn beginnings(password: &str) -> [bool; 256] {
    let mut begins = [false; 256];
    let first = password.chars().find(|character| *character != '\\').unwrap_or('\\');
    let mut bytes = [0; 4];
    let as_it_is = first.encode_utf8(&mut bytes).as_bytes()[0];
    for byte in [as_it_is, b'\\', b'%', b'&'] {
        begins[usize::from(byte)] = true;
    }
    begins[usize::from(b'+')] |= first == ' ';
    begins
}

/// The parameter's name; its value is redacted whatever it is, because an echo may be truncated.
const NAME: &[u8] = b"loginpassword";
/// What ends a value.
const ENDS: &[u8] = b"& \t\r\n\"'<>";

fn values(body: &[u8]) -> Vec<(usize, usize)> {
    let named = |at: &usize| body[*at..*at + NAME.len()].eq_ignore_ascii_case(NAME);
    let value = |at: usize| {
        let past = at + NAME.len();
        let rest = &body[past..];
        let sign = match rest {
            [b'=', ..] => 1,
            [b'%', b'3', b'd' | b'D', ..] => 3,
            _ => return None,
        };
        let end = rest[sign..].iter().position(|byte| ENDS.contains(byte));
        Some((past + sign, end.map_or(body.len(), |end| past + sign + end)))
    };
    let last = (body.len() + 1).saturating_sub(NAME.len());
    (0..last).filter(named).filter_map(value).collect()
}

/// Where the password ends if it begins here, however its characters are written. Backslashes count on neither
/// side: how many there are depends on how often a text was quoted.
fn spelled(body: &[u8], start: usize, password: &str) -> Option<usize> {
    let mut at = start;
    let mut length = 0;
    for character in password.chars().filter(|character| *character != '\\') {
        let mut bytes = [0; 4];
        let encoded = character.encode_utf8(&mut bytes).as_bytes();
        at = escaped(body, at, character)
            .or_else(|| encoded.iter().try_fold(at, |at, byte| octet(body, at, *byte)))?;
        length += encoded.len();
    }
    (length >= MIN_ECHO).then_some(at)
}

/// Past the backslashes here, however they are written themselves, and what then follows; whether there were any.
fn unquoted(body: &[u8], at: usize) -> (usize, &[u8], bool) {
    let rest = body.get(at..).unwrap_or_default();
    let mut past = 0;
    for _ in 0..MAX_QUOTES {
        let here = &rest[past..];
        past += match here {
            [b'\\', ..] => 1,
            [b'%', ..] => match (1..=MAX_LAYERS + 1).find(|layers| is_octet(here, *layers, b'\\')) {
                Some(layers) => 1 + 2 * layers,
                None => break,
            },
            _ => match ESCAPED
                .iter()
                .find(|form| here.len() >= form.len() && here[..form.len()].eq_ignore_ascii_case(form))
            {
                Some(form) if past > 0 || form[0] == b'&' => form.len(),
                _ => break,
            },
        };
    }
    (at + past, &rest[past..], past > 0)
}

/// Whether this is a byte, percent-encoded so many times: `%22`, `%2522`, `%252522`.
fn is_octet(rest: &[u8], layers: usize, byte: u8) -> bool {
    let digits = 1 + 2 * (layers - 1);
    let outer = rest.get(1..digits).is_some_and(|outer| outer.chunks(2).all(|layer| layer == b"25"));
    outer && matches!(rest.get(digits..digits + 2), Some([high, low]) if hex(*high, *low) == Some(byte))
}

/// One byte: as it is, after backslashes, percent-encoded, or a space as `+`.
fn octet(body: &[u8], at: usize, byte: u8) -> Option<usize> {
    let (at, rest, quoted) = unquoted(body, at);
    match rest {
        [b'x', high, low, ..] if quoted && hex(*high, *low) == Some(byte) => Some(at + 3),
        // Before the byte itself: a password may hold percent signs. Most layers first, for the same reason.
        [b'%', ..] => {
            let found = (1..=MAX_LAYERS + 1).rev().find(|layers| {
                // A space may have become a plus, which was then encoded itself.
                is_octet(rest, *layers, byte) || (byte == b' ' && is_octet(rest, *layers, b'+'))
            });
            found.map(|layers| at + 1 + 2 * layers).or_else(|| (byte == b'%').then_some(at + 1))
        }
        [b'+', ..] if byte == b' ' => Some(at + 1),
        [first, ..] if *first == byte => Some(at + 1),
        _ => None,
    }
}

/// One character as an escape of JSON, HTML or a programming language.
fn escaped(body: &[u8], at: usize, character: char) -> Option<usize> {
    let (at, rest, quoted) = unquoted(body, at);
    let code = u32::from(character);
    let begins = |rest: &[u8], form: &str| {
        rest.get(..form.len()).is_some_and(|found| found.eq_ignore_ascii_case(form.as_bytes()))
    };
    if quoted && rest.first() == Some(&b'u') {
        let braced = format!("u{{{code:x}}}");
        if begins(rest, &braced) {
            return Some(at + braced.len());
        }
        let mut units = [0; 2];
        return character.encode_utf16(&mut units).iter().try_fold(at, |at, unit| {
            let (at, rest, _) = unquoted(body, at);
            let form = format!("u{unit:04x}");
            begins(rest, &form).then_some(at + form.len())
        });
    }
    if rest.first() != Some(&b'&') {
        return None;
    }
    let named = match character {
        '&' => "&amp;",
        '<' => "&lt;",
        '>' => "&gt;",
        '"' => "&quot;",
        _ => "&apos;",
    };
    // Decimal references are often written with leading zeros (`&#039;`).
    let mut forms = vec![format!("&#{code};"), format!("&#0{code};"), format!("&#x{code:x};")];
    if named != "&apos;" || character == '\'' {
        forms.push(named.to_owned());
    }
    forms.iter().find(|form| begins(rest, form)).map(|form| at + form.len())
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// The password as it is and form-encoded, which a walk byte by byte may miss where it holds something like `%25`
/// itself; within a longer text in base64, at each of the three places it can have there; and in hexadecimal.
fn as_a_whole(password: &str) -> Vec<Zeroizing<Vec<u8>>> {
    let encoded: String = form_urlencoded::byte_serialize(password.as_bytes()).collect();
    let mut forms = vec![Zeroizing::new(password.as_bytes().to_vec()), Zeroizing::new(encoded.into_bytes())];
    for before in 0..3 {
        let mut bytes = Zeroizing::new(vec![0; before]);
        bytes.extend_from_slice(password.as_bytes());
        // Characters that hold bits of a neighbour as well are not the same in every text.
        let first = (before * 8).div_ceil(6);
        let last = bytes.len() * 8 / 6;
        for text in [STANDARD_NO_PAD.encode(&*bytes), URL_SAFE_NO_PAD.encode(&*bytes)].map(Zeroizing::new) {
            forms.push(Zeroizing::new(text.as_bytes()[first..last].to_vec()));
        }
    }
    for digits in [b"0123456789abcdef", b"0123456789ABCDEF"] {
        let digits =
            password.bytes().flat_map(|byte| [byte >> 4, byte & 15].map(|half| digits[usize::from(half)]));
        let mut form = Zeroizing::new(Vec::with_capacity(2 * password.len()));
        form.extend(digits);
        forms.push(form);
    }
    forms.retain(|form| form.len() >= MIN_ECHO);
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redact(body: &[u8], password: &str) -> Bytes {
        Redactor::new(password).redact(Bytes::copy_from_slice(body))
    }

    fn check(body: &str, password: &str, expected: &str) {
        let clean = redact(body.as_bytes(), password);
        assert_eq!(String::from_utf8_lossy(&clean), expected);
    }

    #[test]
    fn an_echoed_password_is_blotted_out() {
        check(
            "-4\n'p&ss=w+rd' is invalid, p&ss=w+rd!",
            "p&ss=w+rd",
            "-4\n'*********' is invalid, *********!",
        );
        check("errorMessage=p%26ss%3Dw%2Brd", "p&ss=w+rd", "errorMessage=***************");
        check("nothing of it", "p&ss=w+rd", "nothing of it");
        check("p&ss=w+rd", "p&ss=w+rd", "*********");
        check(r"p\a\s\s\w", r"p\a\s\s\w", "*********");
        check("loginpassword=h", "hunter2 hunter2 hunter2", "loginpassword=*");
        // So short that it may be part of a certificate.
        check("MIIC", "MIIC", "MIIC");
    }

    #[test]
    fn however_it_is_written() {
        let password = "a-b~c d\"e\\f%g<\u{e9}";
        for echo in [
            "a-b~c d\"e\\f%g<\u{e9}",
            "a-b%7Ec+d%22e%5Cf%25g%3C%C3%A9",
            "a%2db~c%20d%22e%5cf%25g%3c%c3%a9",
            "a-b%257Ec%2520d%2522e%255Cf%2525g%253C%25C3%25A9",
            "a-b%257Ec%2Bd%2522e%255Cf%2525g%253C%25C3%25A9",
            "a-b~c d\\\"e\\\\f%g<\\u00e9",
            "a-b~c d\\u0022e\\u005Cf%g\\u003c\\u00E9",
            "a-b~c d\\\\\\\"e\\\\\\\\f%g<\\\\u00e9",
            "a-b~c d\\\"e\\\\f%g<\\u{e9}",
            "a-b~c d\\x22e\\\\f%g<\\xc3\\xa9",
            "a-b~c d&quot;e\\f%g&lt;&#233;",
            "a-b~c d&#34;e&#x5c;f%g&#060;&#xE9;",
        ] {
            check(&format!("<{echo}>"), password, &format!("<{}>", "*".repeat(echo.len())));
        }
        check(
            "-16\n\u{1f511}key-2 \\ud83d\\udd11key-2",
            "\u{1f511}key-2",
            "-16\n********* *****************",
        );
    }

    #[test]
    fn within_something_longer_that_was_packed() {
        for before in ["", "x", "xy", "xyz"] {
            for after in ["", "1", "12"] {
                let text = format!("{before}correct horse?>{after}");
                for packed in [STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
                    let clean = redact(packed.as_bytes(), "correct horse?>");
                    let left = clean.iter().filter(|byte| **byte != b'*').count();
                    assert!(left <= before.len() + after.len() + 5, "{packed} {clean:?}");
                }
            }
        }
        check("x%25y%%25\nx%2525y%25%2525", "x%25y%%25", "*********\n***************");
        check("=636f7272656374=", "correct", "=**************=");
    }

    proptest::proptest! {
        #[test]
        fn no_input_panics_and_the_password_is_gone(body: Vec<u8>, password in "[ -~]{6,20}") {
            let clean = redact(&body, &password);
            proptest::prop_assert_eq!(clean.len(), body.len());
            proptest::prop_assert!(!clean.windows(password.len()).any(|part| part == password.as_bytes()));
        }
    }
}
