//! The vendor's push notifications [doc certificate-issuance-push]. They prove nothing about who sent them. What is
//! taken from one are orders to look at, and words about why; never a certificate.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Untrusted;

/// What a notification hints at.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hint {
    pub numbers: Vec<String>,
    pub certificates: Vec<String>,
    /// Serial numbers of certificates that it names: hexadecimal, lower case, no leading zeros.
    pub serials: Vec<String>,
    /// What it says, in our own words where they are documented; printable, at most [`Hint::WORDS`] characters.
    pub why: String,
    /// Whether the operator should look at the order, because something failed or was withdrawn.
    pub bad: bool,
    /// Whether it announces that a certificate will be revoked.
    pub revocation: bool,
    /// Whether the sender knew the password agreed with the vendor.
    pub proven: bool,
}

impl Hint {
    /// The longest [`Hint::why`].
    pub const WORDS: usize = 1000;

    /// Whether it names anything by which an order may be known.
    pub fn names_something(&self) -> bool {
        !(self.numbers.is_empty() && self.certificates.is_empty() && self.serials.is_empty())
    }
}

/// `statusCode` of an event of type Certificate, what it means, and whether it is bad.
const STATUS: [(i32, &str, bool); 8] = [
    (3, "failed before signing", true),
    (5, "failed after signing", true),
    (6, "issued", false),
    (7, "rejected", true),
    (8, "revoked", true),
    (9, "issued, not yet collected", false),
    (12, "awaiting brand validation", false),
    (14, "replaced", false),
];

/// `revocationReasonCode`, as RFC 5280 (5.3.1) names it.
const REASONS: [(i32, &str); 10] = [
    (0, "unspecified"),
    (1, "keyCompromise"),
    (2, "cACompromise"),
    (3, "affiliationChanged"),
    (4, "superseded"),
    (5, "cessationOfOperation"),
    (6, "certificateHold"),
    (8, "removeFromCRL"),
    (9, "privilegeWithdrawn"),
    (10, "aACompromise"),
];

/// What the announcement of a revocation calls itself, in lower case and without what is between the words.
const PRE_REVOCATION: &str = "prerevocation";
/// No serial number is longer than an order number may be.
const MAX_NUMBER: usize = super::OrderRef::MAX_ORDER_NUMBER;
/// No notification has more names than this.
const MAX_NAMES: usize = 200;
/// Maximum number of orders, certificates or serial numbers taken from one notification.
const MAX_MEANT: usize = 100;
/// Maximum number of bytes searched in a body that is neither a form nor JSON.
const MAX_TEXT: usize = 64 * 1024;

/// Reads a notification from query and body, each a form or JSON. `None` if it names nothing and announces no
/// revocation.
pub fn parse(query: &[u8], body: &[u8]) -> Option<Hint> {
    let body = utf8(body);
    let body = body.as_ref();
    let mut pairs = read(body);
    pairs.extend(form(query));
    pairs.truncate(MAX_NAMES);
    let mut hint = Hint::default();
    for (Name { plain, .. }, value) in &pairs {
        // `orderNumber`, `orders`, `certId`.
        let ends = |ends: &[&str]| ends.iter().any(|end| plain.ends_with(end));
        if plain.contains("serial") {
            serials(value, &mut hint.serials);
        } else if plain.contains("cert") && ends(&["id", "ids"]) {
            numbers(value, &mut hint.certificates);
        } else if plain.contains("order")
            && ends(&["order", "orders", "number", "numbers", "no", "id", "ids"])
        {
            numbers(value, &mut hint.numbers);
        }
    }
    hint.revocation = announces(&pairs, body);
    if !hint.revocation && !hint.names_something() {
        return None;
    }
    if hint.revocation {
        hint.tell_announcement(&pairs);
    } else {
        hint.tell_event(&pairs);
    }
    Some(hint)
}

/// A parameter's name as it came, and in lower case with nothing but letters and digits.
struct Name {
    given: String,
    plain: String,
}

impl Name {
    fn new(given: &str) -> Name {
        Name { given: given.to_owned(), plain: plain(given) }
    }
}

fn plain(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|character| character.to_ascii_lowercase()).collect()
}

type Pair = (Name, String);

fn form(text: &[u8]) -> Vec<Pair> {
    let pairs = form_urlencoded::parse(text).take(MAX_NAMES);
    pairs.map(|(name, value): (Cow<'_, str>, _)| (Name::new(&name), value.trim().to_owned())).collect()
}

fn read(body: &[u8]) -> Vec<Pair> {
    match structured(body) {
        Some(pairs) => pairs,
        None if body.trim_ascii_start().starts_with(b"--") => parts(body),
        None if body.trim_ascii().contains(&b'\n') && !body.contains(&b'&') => lines(body),
        None => unwrapped(form(body)),
    }
}

/// What stands in JSON or XML; `None` if it is neither.
fn structured(text: &[u8]) -> Option<Vec<Pair>> {
    match text.trim_ascii_start().first() {
        Some(b'{' | b'[') => {
            let value = serde_json::from_slice::<serde_json::Value>(text).ok()?;
            let mut pairs = Vec::new();
            flatten("", &value, &mut pairs);
            Some(pairs)
        }
        Some(b'<') => Some(elements(text)),
        _ => None,
    }
}

/// Without a byte order mark, and out of UTF-16.
fn utf8(body: &[u8]) -> Cow<'_, [u8]> {
    let unit: fn([u8; 2]) -> u16 = match body {
        [0xef, 0xbb, 0xbf, rest @ ..] => return Cow::Borrowed(rest),
        [0xff, 0xfe, ..] | [1..=0x7f, 0, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] | [0, 1..=0x7f, ..] => u16::from_be_bytes,
        _ => return Cow::Borrowed(body),
    };
    let units: Vec<u16> = body.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
    Cow::Owned(String::from_utf16_lossy(&units).trim_start_matches('\u{feff}').as_bytes().to_vec())
}

/// A form of which a parameter holds the notification itself, in JSON or XML, has what stands in it as well.
fn unwrapped(mut pairs: Vec<Pair>) -> Vec<Pair> {
    let within = |(_, value): &Pair| structured(value.as_bytes()).unwrap_or_default();
    let more: Vec<Pair> = pairs.iter().flat_map(within).take(MAX_NAMES).collect();
    pairs.extend(more);
    pairs
}

/// The parts of a multipart/form-data that have a name; the boundary is the first line.
fn parts(body: &[u8]) -> Vec<Pair> {
    let text = String::from_utf8_lossy(&body[..body.len().min(MAX_TEXT)]).replace("\r\n", "\n");
    let text = text.trim_start();
    let boundary = text.lines().next().unwrap_or_default();
    let named = text.split(boundary).filter_map(|part| {
        let (head, value) = part.split_once("\n\n")?;
        let (_, name) = head.split_once("name=")?;
        let name = name.split(['"', ';', '\n']).find(|name| !name.is_empty())?;
        Some((Name::new(name), value.trim().to_owned()))
    });
    unwrapped(named.take(MAX_NAMES).collect())
}

/// A parameter on each line.
fn lines(body: &[u8]) -> Vec<Pair> {
    let text = String::from_utf8_lossy(&body[..body.len().min(MAX_TEXT)]);
    let named = text.lines().filter_map(|line| line.split_once(['=', ':']));
    named.map(|(name, value)| (Name::new(name.trim()), value.trim().to_owned())).take(MAX_NAMES).collect()
}

/// The texts and attributes of the elements in XML, and nothing finer.
fn elements(body: &[u8]) -> Vec<Pair> {
    let text = String::from_utf8_lossy(&body[..body.len().min(MAX_TEXT)]);
    let opened = text.split('<').filter_map(|part| part.split_once('>'));
    let named = opened.flat_map(|(tag, value)| {
        let (name, attributes) = tag.split_once([' ', '\t', '\r', '\n']).unwrap_or((tag, ""));
        // A prefix says which vocabulary it is of.
        let name = name.trim_end_matches('/').rsplit(':').next().unwrap_or_default();
        let of_it = attributes.split(['"', '\'']).collect::<Vec<_>>();
        let (of_it, _) = of_it.as_chunks::<2>();
        let of_it = of_it.iter().map(|[attribute, value]| {
            let attribute = attribute.trim().trim_end_matches('=').trim_end();
            (inner_name(name, attribute), (*value).to_owned())
        });
        let all = of_it.chain(std::iter::once((name.to_owned(), value.trim().to_owned())));
        all.filter(|(name, value)| !name.is_empty() && !value.is_empty()).collect::<Vec<_>>()
    });
    named.map(|(name, value)| (Name::new(&name), value)).take(MAX_NAMES).collect()
}

/// What something within something else is called: an `id` or `number` is one of what it stands in.
fn inner_name(outer: &str, inner: &str) -> String {
    match plain(inner).as_str() {
        "id" | "ids" | "number" | "numbers" | "no" => format!("{outer} {inner}").trim().to_owned(),
        _ => inner.to_owned(),
    }
}

/// Every value with the name next to it; what stands in a list has the list's, and an `id` or `number` that of what
/// it is the number of before its own.
fn flatten(name: &str, value: &serde_json::Value, pairs: &mut Vec<Pair>) {
    if pairs.len() >= MAX_NAMES {
        return;
    }
    let mut push = |text: String| pairs.push((Name::new(name), text.trim().to_owned()));
    match value {
        serde_json::Value::Null => push(String::new()),
        serde_json::Value::Bool(value) => push(value.to_string()),
        serde_json::Value::Number(value) => push(value.to_string()),
        serde_json::Value::String(value) => push(value.clone()),
        serde_json::Value::Array(values) => values.iter().for_each(|value| flatten(name, value, pairs)),
        serde_json::Value::Object(values) => {
            // An object may stand for an event of its name.
            if plain(name).starts_with(PRE_REVOCATION) {
                pairs.push((Name::new(name), String::new()));
            }
            for (inner, value) in values {
                flatten(&inner_name(name, inner), value, pairs);
            }
        }
    }
}

/// One number, or several with something between them.
fn numbers(value: &str, into: &mut Vec<String>) {
    let parts = value.split([',', ';', '|', ' ', '\t', '\n', '\r']).map(str::trim);
    let all = std::iter::once(value).chain(parts);
    all.filter(|number| !number.contains(char::is_control)).for_each(|number| meant(number, into));
}

fn serials(value: &str, into: &mut Vec<String>) {
    for part in value.split([',', ';', '|']) {
        let hex = plain(part);
        let hex = hex.strip_prefix("0x").unwrap_or(&hex).trim_start_matches('0');
        if hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            meant(hex, into);
        }
    }
}

fn meant(number: &str, into: &mut Vec<String>) {
    let fits = (1..=MAX_NUMBER).contains(&number.len()) && into.len() < MAX_MEANT;
    if fits && !into.iter().any(|known| known == number) {
        into.push(number.to_owned());
    }
}

/// Whether it is the announcement of a revocation, whatever its form. Its parameters are on no page that we have.
fn announces(pairs: &[Pair], body: &[u8]) -> bool {
    let says = |(name, value): &Pair| {
        let value = if value.len() <= MAX_NUMBER { plain(value) } else { String::new() };
        let is_kind =
            ["event", "type", "notification", "action", "name"].iter().any(|word| name.plain.contains(word));
        name.plain.starts_with(PRE_REVOCATION)
            || value == "prerevocationnotification"
            || (is_kind && value.starts_with(PRE_REVOCATION))
    };
    if pairs.iter().any(says) {
        return true;
    }
    // What is no list of parameters at all.
    let is_event = pairs.iter().any(|(name, _)| matches!(name.plain.as_str(), "eventtype" | "statuscode"));
    let text = || plain(&String::from_utf8_lossy(&body[..body.len().min(MAX_TEXT)]));
    !is_event && text().contains(PRE_REVOCATION)
}

impl Hint {
    fn tell_event(&mut self, pairs: &[Pair]) {
        let get = |wanted: &str| {
            let found = pairs.iter().find(|(name, _)| name.plain == wanted).map(|(_, value)| value.as_str());
            found.filter(|value| !value.is_empty())
        };
        let said = |name: &str| get(name).map(Untrusted::new);
        let code = get("statuscode").and_then(|code| code.parse::<i32>().ok());
        let known = code.and_then(|code| STATUS.iter().find(|(known, ..)| *known == code));
        self.bad = known.is_some_and(|(.., bad)| *bad);
        let status = match known {
            Some((code, means, _)) => Some(format!("{means} (status {code})")),
            None => said("statuscode").map(|code| format!("status {code}")),
        };
        let event = get("eventtype").filter(|event| known.is_none() || plain(event) != "certificate");
        let reason = match (get("revocationreasoncode"), get("revocationreasonname")) {
            (None, None) => None,
            (code, name) => Some(format!("reason of the revocation: {}", reason(code, name))),
        };
        let words = [
            status,
            event.map(|event| format!("event {}", Untrusted::new(event))),
            said("status").filter(|_| known.is_none()).map(|status| format!("status \"{status}\"")),
            said("statusdesc").map(|described| format!("\"{described}\"")),
            said("removeddomains").map(|domains| format!("removed domains: {domains}")),
            reason,
            said("bimil").map(|address| format!("bimi-l: {address}")),
            said("bimia").map(|address| format!("bimi-a: {address}")),
        ];
        words.into_iter().flatten().for_each(|words| self.add(&words));
        if self.why.is_empty() {
            self.add("no reason given");
        }
    }

    /// Everything it says, since any of it may matter: a date, a reason, a domain.
    fn tell_announcement(&mut self, pairs: &[Pair]) {
        self.bad = true;
        self.add("PreRevocationNotification");
        for (name, value) in pairs {
            let said = plain(value).starts_with(PRE_REVOCATION) || value.is_empty();
            if !said && !value.contains("-----BEGIN") {
                self.add(&format!("{} {}", Untrusted::new(&name.given), Untrusted::new(value)));
            }
        }
    }

    fn add(&mut self, text: &str) {
        let between = if self.why.is_empty() { "" } else { ", " };
        if self.why.len() + between.len() + text.len() <= Hint::WORDS {
            self.why.push_str(between);
            self.why.push_str(text);
        }
    }
}

fn reason(code: Option<&str>, name: Option<&str>) -> String {
    let known = code.and_then(|code| code.parse::<i32>().ok());
    let known = known.and_then(|code| REASONS.iter().find(|(known, _)| *known == code));
    match (name, known, code) {
        (Some(name), _, Some(code)) => format!("{} ({})", Untrusted::new(name), Untrusted::new(code)),
        (Some(name), _, None) => Untrusted::new(name).to_string(),
        (None, Some((code, words)), _) => format!("{words} ({code})"),
        (None, None, code) => format!("code {}", Untrusted::new(code.unwrap_or("unknown"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(hint: Option<&Hint>) -> Option<(String, &str)> {
        let hint = hint?;
        let mut names = hint.numbers.clone();
        names.extend(hint.certificates.iter().map(|id| format!("c{id}")));
        names.extend(hint.serials.iter().map(|serial| format!("s{serial}")));
        Some((names.join(" "), hint.why.as_str()))
    }

    #[track_caller]
    fn check(form: &str, expected: Option<(&str, &str)>) {
        for found in [parse(form.as_bytes(), b""), parse(b"", form.as_bytes())] {
            let found = shown(found.as_ref());
            let found = found.as_ref().map(|(names, why)| (names.as_str(), *why));
            assert_eq!(found, expected, "{form}");
        }
    }

    #[test]
    fn a_hint_names_an_order_and_a_reason() {
        check(
            "orderNumber=123&certificateID=9&eventType=Certificate&status=Issued&statusCode=9&statusDesc=x",
            Some(("123 c9", "issued, not yet collected (status 9), \"x\"")),
        );
        check("ORDERNUMBER=+7+&certificate=-----BEGIN", Some(("7", "no reason given")));
        check("certificateID=9&eventType=Pre%0aTest", Some(("c9", "event Pre\\nTest")));
        check("orderNumber=1&statusCode=99&eventType=CallBack", Some(("1", "status 99, event CallBack")));
        check("orderNumber=1&orderNumber=2", Some(("1 2", "no reason given")));
    }

    #[test]
    fn everything_that_the_page_names_is_told() {
        check(
            "orderNumber=1&eventType=Certificate&statusCode=3&statusDesc=CAA+record+of+a.example%1b",
            Some(("1", "failed before signing (status 3), \"CAA record of a.example\\u{1b}\"")),
        );
        check(
            "orderNumber=1&statusCode=8&revocationReasonCode=1&removedDomains=a.example,b.example",
            Some((
                "1",
                "revoked (status 8), removed domains: a.example,b.example, reason of the revocation: keyCompromise (1)",
            )),
        );
        check(
            "orderNumber=1&statusCode=6&revocationReasonName=superseded&bimi-l=https://l&bimi-a=https://a",
            Some((
                "1",
                "issued (status 6), reason of the revocation: superseded, bimi-l: https://l, bimi-a: https://a",
            )),
        );
        let bad = |code: i32| parse(format!("orderNumber=1&statusCode={code}").as_bytes(), b"").unwrap().bad;
        assert_eq!([3, 5, 7, 8].map(bad), [true; 4]);
        assert_eq!([6, 9, 12, 14, 99].map(bad), [false; 5]);
    }

    #[test]
    fn what_names_no_order_is_no_hint() {
        check("", None);
        check("orderNumber=", None);
        check("eventType=Certificate", None);
        check(&format!("orderNumber={}", "1".repeat(200)), None);
        check("orderNumber=1%00", None);
        // The words alone, somewhere in the text of another event, are no announcement.
        check("eventType=Certificate&statusDesc=no+pre-revocation", None);
    }

    #[test]
    fn an_announced_revocation_is_heard_in_any_form() {
        for body in [
            "eventType=PreRevocationNotification",
            "EVENTTYPE=prerevocationnotification",
            "event=Pre-Revocation+Notification",
            "notification_type=PRE_REVOCATION_NOTIFICATION&x=1",
            "PreRevocationNotification=",
            "{\"eventType\": \"PreRevocationNotification\"}",
            "{\"PreRevocationNotification\": {\"date\": \"2026-12-01\"}}",
            "[{\"type\": \"PreRevocation\"}]",
            "<event>PreRevocationNotification</event>",
        ] {
            for hint in [parse(b"", body.as_bytes()), parse(body.as_bytes(), b"x=1")] {
                let asked = body.starts_with(['{', '[', '<']);
                let Some(hint) = hint else {
                    // A query is a list of parameters and nothing else.
                    assert!(asked, "{body}");
                    continue;
                };
                assert!(hint.revocation && hint.bad && !hint.names_something(), "{body}: {hint:?}");
            }
        }
        let all = b"{\"eventType\": \"PreRevocationNotification\", \"orders\": [{\"orderNumber\": 12, \"certificateId\": \"34\", \
            \"serialNumber\": \"00:AB:cd\"}], \"revocationDate\": \"2026-12-01\", \"reason\": \"bad \\u001b\"}";
        let hint = parse(b"", all).unwrap();
        let (names, why) = shown(Some(&hint)).unwrap();
        assert_eq!(names, "12 c34 sabcd");
        for part in ["PreRevocationNotification, ", "revocationDate 2026-12-01", "reason bad \\u{1b}"] {
            assert!(why.contains(part), "{why}");
        }
        for (names, body) in [
            ("12 34", r#"{"type": "PreRevocation", "orders": ["12", 34]}"#),
            ("12", r#"{"type": "PreRevocation", "order": {"number": 12, "status": {"id": 5}}}"#),
            (
                "12 c34",
                r#"{"PreRevocationNotification": [{"order": {"id": 12}, "certificate": {"id": "34"}}]}"#,
            ),
            ("c6", r#"{"type": "PreRevocation", "orderStatus": "7", "certIds": [6]}"#),
            ("12 c34 sab", "event=PreRevocation&order_no=12&Certificate-ID=34&certificateSerialNumber=AB"),
            (
                "12 sab",
                "<?xml version='1.0'?>\n<n:event xmlns:n='x'><n:type>PreRevocation</n:type>\n<orderNumber a='7'> 12 \
                 </orderNumber><id>9</id><empty/><serial>0AB</serial></n:event>",
            ),
        ] {
            let hint = parse(b"", body.as_bytes());
            assert_eq!(shown(hint.as_ref()).map(|(names, _)| names).as_deref(), Some(names), "{body}");
            assert!(hint.is_some_and(|hint| hint.revocation), "{body}");
        }
        let json = r#"{"type": "PreRevocation", "orderNumber": 12}"#;
        let utf16 = |unit: fn(u16) -> [u8; 2]| json.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
        for body in [
            [b"\xef\xbb\xbf", json.as_bytes()].concat(),
            [b"\xff\xfe", &*utf16(u16::to_le_bytes)].concat(),
            [b"\xfe\xff", &*utf16(u16::to_be_bytes)].concat(),
            utf16(u16::to_le_bytes),
            utf16(u16::to_be_bytes),
            [b"x=1&payload=", json.as_bytes()].concat(),
            b"eventType=PreRevocationNotification\norderNumber=12\n".to_vec(),
            b"Event: PreRevocationNotification\r\nOrder number: 12\r\nWhen: 2026-12-01T10:00:00Z\r\n".to_vec(),
            b"<event type=\"PreRevocation\"><order id='12' state=\"x\"/></event>".to_vec(),
            b"--B\r\nContent-Disposition: form-data; name=\"type\"\r\n\r\nPreRevocation\r\n--B\r\nContent-Disposition: \
              form-data; name=\"orderNumber\"\r\n\r\n12\r\n--B--\r\n"
                .to_vec(),
        ] {
            let hint = parse(b"", &body).unwrap_or_default();
            assert!(hint.revocation && hint.numbers == ["12"], "{}: {hint:?}", body.escape_ascii());
        }
        // What looks like JSON and is none is not looked into again and again.
        assert_eq!(parse(b"", "a={=".repeat(100_000).as_bytes()), None);
        // Its parts may stand in two places.
        let hint = parse(b"orderNumber=5,6", b"eventType=PreRevocationNotification").unwrap();
        assert!(hint.revocation && hint.numbers.contains(&"6".to_owned()), "{hint:?}");
        let long = format!("eventType=PreRevocationNotification{}", "&a=b+c".repeat(1000));
        assert!(parse(b"", long.as_bytes()).unwrap().why.len() <= Hint::WORDS);
    }

    proptest::proptest! {
        #[test]
        fn no_input_panics(form in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let (query, body) = form.split_at(form.len() / 2);
            let _ = parse(query, body);
        }
    }
}
