//! The bytes of an answer: lines, URL-encoded pairs, JSON and binary bodies in a given [`Shape`].
//!
//! It knows forms, not meanings; what is said is put together in `collect`, `domains`, `reissue` and `smime`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use super::der::{base64_lines, pem};
use super::params::{Endpoint, Form};
use super::refusal::Refusal;
use super::shape::{Dice, KeyCase, Shape, Tail, Value};

pub(super) const TEXT: &str = "text/plain";
pub(super) const URL_ENCODED: &str = "application/x-www-form-urlencoded";
pub(super) const JSON: &str = "application/json";
const HTML: &str = "text/html";

/// An HTTP answer before faults are applied to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
    /// The vendor's code in it, for the records.
    pub(super) code: Option<i32>,
}

impl Answer {
    /// A text body, with what the shape puts around it.
    pub(super) fn text(content_type: &str, code: i32, text: &str, shape: &Shape) -> Answer {
        let mut body = Vec::with_capacity(text.len() + 16);
        if shape.bom {
            body.extend_from_slice("\u{feff}".as_bytes());
        }
        body.extend_from_slice(text.as_bytes());
        match shape.tail {
            Tail::None => {}
            Tail::Newlines => body.extend(shape.eol().repeat(2).into_bytes()),
            Tail::Junk => body.extend_from_slice(b"\n<!-- 17 ms -->\n"),
        }
        Answer::plain(content_type, Some(code), body)
    }

    /// Lines, each of them ended.
    pub(super) fn lines(code: i32, lines: &[String], shape: &Shape) -> Answer {
        let text: String = lines.iter().flat_map(|line| [line.as_str(), shape.eol()]).collect();
        Answer::text(TEXT, code, &text, shape)
    }

    /// A binary body: no status line, no byte order mark.
    pub(super) fn binary(content_type: &str, code: i32, mut body: Vec<u8>, shape: &Shape) -> Answer {
        if shape.tail == Tail::Junk {
            body.extend_from_slice(&[0; 8]);
        }
        Answer::plain(content_type, Some(code), body)
    }

    /// A page that the API did not write: a front end's error page, an unknown path.
    pub(super) fn html(status: u16, title: &str) -> Answer {
        let page = format!(
            "<!DOCTYPE html>\n<html><head><title>{title}</title></head>\n\
             <body><h1>{title}</h1><p>Please try again later.</p></body></html>\n"
        );
        Answer { status, ..Answer::plain(HTML, None, page.into_bytes()) }
    }

    fn plain(content_type: &str, code: Option<i32>, body: Vec<u8>) -> Answer {
        Answer { status: 200, content_type: content_type.into(), headers: Vec::new(), body, code }
    }
}

/// A value in a URL-encoded answer.
#[derive(Debug, Clone)]
pub(super) enum Field {
    /// Plain text.
    Text(String),
    /// Bytes, and the label of their PEM form where they have one.
    Data(Option<&'static str>, Vec<u8>),
}

impl<T: ToString> From<T> for Field {
    fn from(text: T) -> Field {
        Field::Text(text.to_string())
    }
}

/// The pairs of a URL-encoded answer.
pub(super) type Pairs = Vec<(String, Field)>;

/// An `application/x-www-form-urlencoded` answer.
pub(super) fn form(code: i32, mut pairs: Pairs, shape: &Shape) -> Answer {
    if shape.extra_keys {
        pairs.push(("serverNode".into(), "node 7".into()));
        pairs.push(("3_relatedCertificate".into(), "n/a".into()));
        pairs.push(("renewalHint".into(), "".into()));
    }
    if shape.shuffled_pairs {
        Dice::new(shape.seed).shuffle(&mut pairs);
    }
    let mut text = String::new();
    for (key, field) in &pairs {
        if !text.is_empty() {
            text.push('&');
        }
        let key = match shape.keys {
            KeyCase::Documented => key.clone(),
            KeyCase::Upper => key.to_ascii_uppercase(),
            KeyCase::Lower => key.to_ascii_lowercase(),
        };
        text.push_str(&encode(&key, shape));
        text.push('=');
        match field {
            Field::Text(value) => text.push_str(&encode(value, shape)),
            Field::Data(label, bytes) => text.push_str(&encode_data(*label, bytes, shape)),
        }
    }
    if shape.crlf {
        text.push_str(shape.eol());
    }
    Answer::text(URL_ENCODED, code, &text, shape)
}

fn encode(text: &str, shape: &Shape) -> String {
    let encoded: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
    // A literal plus has become %2B already, so every plus that is left was a space.
    if shape.percent_space { encoded.replace('+', "%20") } else { encoded }
}

fn encode_data(label: Option<&str>, bytes: &[u8], shape: &Shape) -> String {
    let armoured = label.map(|label| pem(label, bytes, shape.eol()));
    match (shape.value, armoured) {
        (Value::Pem64, Some(text)) => encode(&STANDARD.encode(text), shape),
        (Value::Pem, Some(text)) => encode(&text, shape),
        (Value::Der64Lines, _) => encode(&base64_lines(bytes, shape.eol()), shape),
        (Value::RawPlus, _) => encode(&STANDARD.encode(bytes), shape).replace("%2B", "+"),
        (Value::Der64, _) | (Value::Pem64 | Value::Pem, None) => encode(&STANDARD.encode(bytes), shape),
    }
}

/// A JSON answer.
pub(super) fn json(code: i32, value: &Json, shape: &Shape) -> Answer {
    let text = serde_json::to_string_pretty(value).expect("a JSON value can always be written");
    Answer::text(JSON, code, &text.replace('\n', shape.eol()), shape)
}

/// The form in which an answer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Lines,
    Form,
    Json,
}

impl Format {
    /// What `responseFormat` asks for, or the endpoint's default: also where the call is refused before
    /// its parameters were looked at.
    pub(super) fn of(endpoint: Endpoint, form: &Form, shape: &Shape) -> Format {
        match (endpoint, form.get("responseFormat")) {
            (Endpoint::CollectSsl, Some("1")) => Format::Form,
            (Endpoint::CollectSsl, _) => Format::Lines,
            (Endpoint::DomainDetails, Some("2")) => Format::Json,
            (Endpoint::DomainDetails, _) => Format::Form,
            (Endpoint::ReplaceSsl | Endpoint::ReplaceSmime, Some("1")) => Format::Form,
            (Endpoint::ReplaceSmime, Some("2")) => Format::Json,
            (Endpoint::ReplaceSsl | Endpoint::ReplaceSmime, _) => Format::Lines,
            // The two kinds of CollectMC page disagree on the form of its errors.
            (Endpoint::CollectMc, _) if shape.form_errors => Format::Form,
            (Endpoint::CollectMc | Endpoint::CollectSmime | Endpoint::ResendSmime, _) => Format::Lines,
        }
    }
}

/// An answer below zero, in the form that was asked for.
pub(super) fn refuse(endpoint: Endpoint, format: Format, refusal: &Refusal, shape: &Shape) -> Answer {
    let Refusal { code, message, item } = refusal;
    let item = item.as_ref().filter(|_| !shape.no_error_item);
    match format {
        Format::Lines => Answer::lines(*code, &[code.to_string(), message.clone()], shape),
        Format::Form => {
            let mut pairs: Pairs =
                vec![("errorCode".into(), code.into()), ("errorMessage".into(), message.into())];
            // "errorDetail: additional details about the error, when available" (mark pages).
            let key = if endpoint == Endpoint::CollectMc { "errorDetail" } else { "errorItem" };
            pairs.extend(item.map(|item| (key.to_owned(), item.into())));
            form(*code, pairs, shape)
        }
        Format::Json => {
            // The one JSON error that a page shows is nested, on the page of GetMDCDomainDetails; the
            // AutoReplaceSMIME page lists the keys of the URL-encoded form for JSON as well.
            let nested = endpoint == Endpoint::DomainDetails || shape.nested_json;
            let keys = ["errorCode", "errorMessage", "errorItem"];
            let [number, text, about] = if nested { ["code", "description", "item"] } else { keys };
            let mut error = json!({ number: code, text: message });
            if let Some(item) = item {
                error[about] = json!(item);
            }
            json(*code, &if nested { json!({ "error": error }) } else { error }, shape)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Choice;

    fn shape(text: &str) -> Shape {
        Choice::parse(text).unwrap().shape(0)
    }

    fn check(shape_text: &str, expected: &str) {
        let data = Field::Data(Some("X"), vec![0xfb, 0xef, 0xbe]);
        let pairs: Pairs = vec![
            ("errorCode".into(), 2.into()),
            ("caCertificate".into(), data),
            ("name".into(), "a b+c".into()),
        ];
        let answer = form(2, pairs, &shape(shape_text));
        assert_eq!(String::from_utf8(answer.body).unwrap(), expected, "{shape_text}");
    }

    #[test]
    fn pairs_are_written_as_the_shape_says() {
        check("documented", "errorCode=2&caCertificate=%2B%2B%2B%2B&name=a+b%2Bc");
        check("raw-plus", "errorCode=2&caCertificate=++++&name=a+b%2Bc");
        check("percent-space", "errorCode=2&caCertificate=%2B%2B%2B%2B&name=a%20b%2Bc");
        check("upper-keys", "ERRORCODE=2&CACERTIFICATE=%2B%2B%2B%2B&NAME=a+b%2Bc");
        check("lower-keys+crlf", "errorcode=2&cacertificate=%2B%2B%2B%2B&name=a+b%2Bc\r\n");
        check("bom+newline-tail", "\u{feff}errorCode=2&caCertificate=%2B%2B%2B%2B&name=a+b%2Bc\n\n");
        check("der64-lines", "errorCode=2&caCertificate=%2B%2B%2B%2B%0A&name=a+b%2Bc");
        check(
            "pem",
            "errorCode=2&caCertificate=-----BEGIN+X-----%0A%2B%2B%2B%2B%0A-----END+X-----%0A&name=a+b%2Bc",
        );
        check(
            "pem64",
            "errorCode=2&caCertificate=LS0tLS1CRUdJTiBYLS0tLS0KKysrKwotLS0tLUVORCBYLS0tLS0K&name=a+b%2Bc",
        );
        check(
            "extra-keys",
            "errorCode=2&caCertificate=%2B%2B%2B%2B&name=a+b%2Bc\
             &serverNode=node+7&3_relatedCertificate=n%2Fa&renewalHint=",
        );
    }

    fn check_error(endpoint: Endpoint, format: Format, shape_text: &str, expected: &str) {
        let answer = refuse(endpoint, format, &Refusal::missing("csr"), &shape(shape_text));
        let text = String::from_utf8(answer.body).unwrap();
        assert_eq!(text.split_whitespace().collect::<Vec<_>>().join(" "), expected);
    }

    #[test]
    fn errors_come_in_all_documented_shapes() {
        let (ssl, mc, mdc, replace) =
            (Endpoint::CollectSsl, Endpoint::CollectMc, Endpoint::DomainDetails, Endpoint::ReplaceSmime);
        let words = "The 'csr' argument is missing!";
        let encoded = "The+%27csr%27+argument+is+missing%21";
        check_error(ssl, Format::Lines, "documented", &format!("-3 {words}"));
        check_error(
            ssl,
            Format::Form,
            "documented",
            &format!("errorCode=-3&errorMessage={encoded}&errorItem=csr"),
        );
        check_error(ssl, Format::Form, "no-error-item", &format!("errorCode=-3&errorMessage={encoded}"));
        check_error(
            mc,
            Format::Form,
            "documented",
            &format!("errorCode=-3&errorMessage={encoded}&errorDetail=csr"),
        );
        check_error(
            mdc,
            Format::Json,
            "documented",
            &format!("{{ \"error\": {{ \"code\": -3, \"description\": \"{words}\", \"item\": \"csr\" }} }}"),
        );
        check_error(
            replace,
            Format::Json,
            "documented",
            &format!("{{ \"errorCode\": -3, \"errorItem\": \"csr\", \"errorMessage\": \"{words}\" }}"),
        );
    }
}
