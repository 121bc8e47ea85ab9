//! The password, blotted out of whatever a server echoes.
//!
//! Parts of an answer are shown to people, and error pages like to repeat what they were sent: as it went over the
//! wire, decoded, escaped for HTML or JSON, or encoded once more because the whole answer is a form. So the
//! answer is searched as it is and through every decoding, a few deep; what was found is blotted out where it
//! came from, and nothing else is changed.

use std::ops::Range;

use bytes::Bytes;

/// A shorter password could stand in a certificate's base64 by chance.
const MIN_ECHO: usize = 6;
/// Encodings on top of each other: a form, repeated in an escaped message, in an answer that is a form itself.
const MAX_DEPTH: u8 = 3;
/// The parameter's name, whose value is blotted out whatever it is: the echo may be cut off in the middle.
const NAME: &[u8] = b"loginpassword=";

/// Blots the password out of an answer.
pub(super) fn without(body: Bytes, password: &str) -> Bytes {
    let mut found = Vec::new();
    search(&Layer::new(&body), password.as_bytes(), 0, &mut found);
    if found.is_empty() {
        return body;
    }
    let mut clean = body.to_vec();
    for range in found {
        clean[range].fill(b'*');
    }
    Bytes::from(clean)
}

/// Bytes, and where in the answer each of them came from.
struct Layer {
    bytes: Vec<u8>,
    /// One more than there are bytes: each one's start, and the end of the last.
    from: Vec<usize>,
}

type Decoder = fn(&[u8]) -> Option<(u32, usize)>;

/// Each reads what stands at the start of a text and says what it stands for, and how long it is.
const DECODERS: [Decoder; 4] = [form, percent, entity, backslash];

impl Layer {
    fn new(body: &[u8]) -> Self {
        Layer { bytes: body.to_vec(), from: (0..=body.len()).collect() }
    }

    /// The text with one encoding undone; nothing if it has none.
    fn decoded(&self, decoder: Decoder) -> Option<Self> {
        // Most answers have nothing to decode, and then there is nothing to build.
        let first = (0..self.bytes.len()).find(|at| decoder(&self.bytes[*at..]).is_some())?;
        let mut layer = Layer { bytes: self.bytes[..first].to_vec(), from: self.from[..first].to_vec() };
        let mut at = first;
        while at < self.bytes.len() {
            let mut utf8 = [0; 4];
            let (text, length): (&[u8], usize) = match decoder(&self.bytes[at..]) {
                // Percent-encoding is of bytes, all else of characters.
                Some((code, length)) if self.bytes[at] == b'%' => {
                    utf8[0] = u8::try_from(code).unwrap_or_default();
                    (&utf8[..1], length)
                }
                Some((code, length)) => {
                    let letter = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                    (letter.encode_utf8(&mut utf8).as_bytes(), length)
                }
                None => (&self.bytes[at..=at], 1),
            };
            layer.bytes.extend_from_slice(text);
            layer.from.extend(std::iter::repeat_n(self.from[at], text.len()));
            at += length;
        }
        layer.from.push(self.from[self.bytes.len()]);
        Some(layer)
    }

    fn origin(&self, range: Range<usize>) -> Range<usize> {
        self.from[range.start]..self.from[range.end]
    }
}

fn search(layer: &Layer, password: &[u8], depth: u8, found: &mut Vec<Range<usize>>) {
    if password.len() >= MIN_ECHO {
        let hits = memchr::memmem::find_iter(&layer.bytes, password);
        found.extend(hits.map(|at| layer.origin(at..at + password.len())));
    }
    let named = |window: &[u8]| window.eq_ignore_ascii_case(NAME);
    for at in memchr::memchr_iter(b'=', &layer.bytes) {
        let start = at + 1;
        if start.checked_sub(NAME.len()).is_some_and(|name| named(&layer.bytes[name..start])) {
            let value = &layer.bytes[start..];
            let end = value.iter().position(|byte| b"&\r\n".contains(byte)).unwrap_or(value.len());
            found.push(layer.origin(start..start + end));
        }
    }
    if depth < MAX_DEPTH {
        for decoder in DECODERS {
            if let Some(inner) = layer.decoded(decoder) {
                search(&inner, password, depth + 1, found);
            }
        }
    }
}

/// Form encoding: `%26`, and `+` for a space.
fn form(text: &[u8]) -> Option<(u32, usize)> {
    if text[0] == b'+' { Some((u32::from(b' '), 1)) } else { percent(text) }
}

/// Percent-encoding of paths, where a `+` is a `+`.
fn percent(text: &[u8]) -> Option<(u32, usize)> {
    (text[0] == b'%').then(|| Some((number(text.get(1..3)?, 16)?, 3)))?
}

/// The entities that escape a text for HTML: `&amp;`, `&#38;`, `&#x26;`.
fn entity(text: &[u8]) -> Option<(u32, usize)> {
    if text[0] != b'&' {
        return None;
    }
    let length = text.iter().take(10).position(|byte| *byte == b';')?;
    let letter = match &text[1..length] {
        b"amp" => u32::from(b'&'),
        b"lt" => u32::from(b'<'),
        b"gt" => u32::from(b'>'),
        b"quot" => u32::from(b'"'),
        b"apos" => u32::from(b'\''),
        [b'#', b'x' | b'X', hex @ ..] => number(hex, 16)?,
        [b'#', digits @ ..] => number(digits, 10)?,
        _ => return None,
    };
    Some((letter, length + 1))
}

/// Escapes of JSON and its relatives: `\"`, `\u0026`.
fn backslash(text: &[u8]) -> Option<(u32, usize)> {
    match text {
        [b'\\', b'u', hex, ..] if hex.is_ascii_hexdigit() => Some((number(text.get(2..6)?, 16)?, 6)),
        [b'\\', sign, ..] if sign.is_ascii_punctuation() => Some((u32::from(*sign), 2)),
        _ => None,
    }
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    let plain = digits.iter().all(u8::is_ascii_alphanumeric);
    plain.then(|| u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: &str = "p&ss=\"w+rd ü'/";

    fn clean(body: &str, password: &str) -> String {
        String::from_utf8(without(Bytes::copy_from_slice(body.as_bytes()), password).to_vec()).unwrap()
    }

    fn form_encoded(text: &str) -> String {
        form_urlencoded::byte_serialize(text.as_bytes()).collect()
    }

    #[test]
    fn an_echoed_password_is_blotted_out() {
        assert_eq!(
            clean("-4\n'p&ss=w+rd' is invalid, p&ss=w+rd!", "p&ss=w+rd"),
            "-4\n'*********' is invalid, *********!"
        );
        assert_eq!(clean("errorMessage=p%26ss%3Dw%2Brd", "p&ss=w+rd"), "errorMessage=***************");
        assert_eq!(clean("nothing+of%20it &amp; \\n", "p&ss=w+rd"), "nothing+of%20it &amp; \\n");
        // So short that it may be part of a certificate.
        assert_eq!(clean("MIIC", "MIIC"), "MIIC");
    }

    #[test]
    fn however_it_was_encoded() {
        let once = form_encoded(PASSWORD);
        let escaped = PASSWORD.replace('&', "&amp;").replace('"', "&quot;").replace('\'', "&#39;");
        let forms = [
            PASSWORD.to_owned(),
            once.clone(),
            once.to_lowercase(),
            once.replace('+', "%20"),
            form_encoded(&once),
            form_encoded(&form_encoded(&once)),
            escaped.clone(),
            form_encoded(&escaped),
            escaped.replace("&#39;", "&#x27;"),
            serde_json::to_string(PASSWORD).unwrap().trim_matches('"').to_owned(),
            PASSWORD.replace('"', "\\\"").replace('ü', "\\u00fc").replace('/', "\\/").replace('&', "\\u0026"),
            // Escaped only in part, as encodeURI does.
            PASSWORD.replace(' ', "%20").replace('"', "%22").replace('ü', "%C3%BC"),
        ];
        for form in forms {
            let stars = "*".repeat(form.len());
            assert_eq!(clean(&format!("a=1&m=said {form}, no"), PASSWORD), format!("a=1&m=said {stars}, no"));
        }
    }

    #[test]
    fn the_value_of_the_parameter_even_short_or_cut_off() {
        assert_eq!(clean("a=1&loginPassword=abc&b=2", "abc"), "a=1&loginPassword=***&b=2");
        assert_eq!(clean("said LOGINPASSWORD=p%26", "p&ss=w+rd"), "said LOGINPASSWORD=****");
        assert_eq!(
            clean("errorMessage=loginPassword%3Dp%2526ss%25", "p&ss=w+rd"),
            "errorMessage=loginPassword%3D***********"
        );
        let missing = "-3\nThe 'loginPassword' argument is missing!";
        assert_eq!(clean(missing, "p&ss=w+rd"), missing);
    }

    proptest::proptest! {
        #[test]
        fn no_input_panics(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let length = body.len();
            proptest::prop_assert_eq!(without(Bytes::from(body), "%26&#;\\u").len(), length);
        }

        #[test]
        fn nothing_that_is_built_from_escapes_panics(body in "[%&#;xu0-9a-f+=\\\\ü]{0,60}") {
            let length = body.len();
            proptest::prop_assert_eq!(without(Bytes::from(body), "secret").len(), length);
        }
    }
}
