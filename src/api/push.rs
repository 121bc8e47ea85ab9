//! Push notifications: the vendor calls us when an order has news.
//!
//! <https://docs.sectigo.com/sps/certificate-issuance-push/>. A `GET` with a query, or a `POST` with a form
//! that holds certificates as well. The call proves nothing about who sent it, so all that is taken from it
//! is which order to look at, and a word about why; never a certificate.

use super::Foreign;

/// What a notification hints at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// `orderNumber`, or `certificateID` where that is all there is.
    pub number: String,
    /// `certificateID` where both are given: an order can be known here by either.
    pub certificate: Option<String>,
    /// Why, in our own words where the code is documented.
    pub why: String,
}

/// `statusCode` of an event of type Certificate, and what it means.
const STATUS: [(i32, &str); 8] = [
    (3, "failed before signing"),
    (5, "failed after signing"),
    (6, "issued"),
    (7, "rejected"),
    (8, "revoked"),
    (9, "issued, not yet collected"),
    (12, "awaiting brand validation"),
    (14, "replaced"),
];

/// An order number has at most 128 characters [doc: CollectSSL].
const MAX_NUMBER: usize = 128;
/// No notification has more names than this.
const MAX_NAMES: usize = 200;

/// Reads a query or a form body; `None` if it names no order.
pub fn parse(form: &[u8]) -> Option<Hint> {
    let (mut order, mut certificate, mut event, mut status) = (None, None, None, None);
    for (name, value) in form_urlencoded::parse(form).take(MAX_NAMES) {
        let slot = match name.to_ascii_lowercase().as_str() {
            "ordernumber" => &mut order,
            "certificateid" => &mut certificate,
            "eventtype" => &mut event,
            "statuscode" => &mut status,
            _ => continue,
        };
        slot.get_or_insert_with(|| value.trim().to_owned());
    }
    let fits = |number: &String| {
        !number.is_empty() && number.len() <= MAX_NUMBER && !number.contains(char::is_control)
    };
    let (order, certificate) = (order.filter(fits), certificate.filter(fits));
    let (number, certificate) = match order {
        Some(order) => (order, certificate),
        None => (certificate?, None),
    };
    let status = status.and_then(|status| status.parse::<i32>().ok());
    let known = status.and_then(|status| STATUS.iter().find(|(code, _)| *code == status));
    let why = match (known, event) {
        (Some((code, words)), _) => format!("{words} (status {code})"),
        (None, Some(event)) => format!("event {}", Foreign::new(&event)),
        (None, None) => "no reason given".to_owned(),
    };
    Some(Hint { number, certificate, why })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(form: &str, expected: Option<(&str, &str)>) {
        let found = parse(form.as_bytes());
        let found = found.as_ref().map(|hint| (hint.number.as_str(), hint.why.as_str()));
        assert_eq!(found, expected, "{form}");
    }

    #[test]
    fn a_hint_names_an_order_and_a_reason() {
        check(
            "orderNumber=123&certificateID=9&eventType=Certificate&status=Issued&statusCode=9&statusDesc=x",
            Some(("123", "issued, not yet collected (status 9)")),
        );
        check("ORDERNUMBER=+7+&certificate=-----BEGIN", Some(("7", "no reason given")));
        check("certificateID=9&eventType=Pre%0aRevocation", Some(("9", "event Pre\\nRevocation")));
        check("orderNumber=1&statusCode=99&eventType=CallBack", Some(("1", "event CallBack")));
        check("orderNumber=1&orderNumber=2", Some(("1", "no reason given")));
        let certificate = |form: &str| parse(form.as_bytes()).and_then(|hint| hint.certificate);
        assert_eq!(certificate("orderNumber=1&certificateID=9").as_deref(), Some("9"));
        assert_eq!(certificate("certificateID=9"), None);
    }

    #[test]
    fn what_names_no_order_is_no_hint() {
        check("", None);
        check("orderNumber=", None);
        check("eventType=Certificate", None);
        check(&format!("orderNumber={}", "1".repeat(200)), None);
        check("orderNumber=1%00", None);
    }

    proptest::proptest! {
        #[test]
        fn no_input_panics(form in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let _ = parse(&form);
        }
    }
}
