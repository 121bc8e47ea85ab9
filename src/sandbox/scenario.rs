//! A scenario: accounts, orders, dials and faults in one TOML or JSON text.
//!
//! ```toml
//! [[account]]
//! login_name = "demo"
//! password = "demo-password"
//!
//! [[order]]
//! order_number = "123456789"            # product "ssl", issued at the first call
//! domains = ["www.example.com"]
//!
//! [[order]]
//! order_number = "123456790"
//! domains = ["shop.example.com", "www.shop.example.com"]
//! certificate = { days = 90, flaws = ["missing-name"] }
//! script = [
//!     { state = "pending", polls = 2, status = { dcvStatus = 2 }, dcv = [
//!         { domain = "shop.example.com", method = "CNAME_CSR_HASH", state = "validated" },
//!         { domain = "www.shop.example.com", state = "in-progress" },
//!     ] },
//!     { state = "error", code = -26, for_ms = 60000 },
//!     { state = "issued" },
//! ]
//!
//! [dials]
//! shape = "issuer-first+crlf"
//! lockout_after = 5
//! call_limit = { calls = 100, window_ms = 3600000 }
//!
//! [[fault]]
//! fault = { delay = { ms = 200 } }
//! order = "123456790"
//! ```
//!
//! JSON has the same keys: `{"account": [{…}], "order": [{…}], "dials": {…}, "fault": [{…}]}`. An unknown
//! key is an error everywhere. Only the keys in bold are needed; the types tell more about each.
//!
//! | table | keys |
//! | --- | --- |
//! | account, [`AccountSpec`] | **`login_name`**, **`password`**; `locked`, `ip_blocked`, `password_expired`, `ca_agreement`: true or false; `denied`: endpoint names |
//! | order, [`OrderSpec`] | **`order_number`**: text; `product`: `ssl`, `mark`, `smime`; `account`: login name; `base_order_number`; `domains`: list; `script`: list of steps; `certificate`: see below; `shape`; `term_days`; `resend_code` |
//! | step, [`Step`] | `state`: `pending`, `available`, `issued`, `error`; `code`, `message` with `error`; `polls`, `for_ms`, `until`: what ends it; `certificate` with `issued`; `status`: integers by key; `caa`, `certificate_status`, `validation_status`; `dcv`: list of domains |
//! | domain, [`Dcv`](super::Dcv) | **`domain`**; `method`; **`state`**: `validated`, `not-validated`, `in-progress`, `awaiting-brand` |
//! | certificate, [`CertificateSpec`](super::CertificateSpec) | `key`: PEM; `new_key`; `key_type`: `p256`, `p384`, `rsa2048`; `names`; `not_before`, `not_after`: UNIX seconds; `days`; `backdate`: seconds; `serial`: hexadecimal; `logo_bytes`, `logo_critical`; `certificate_id`; `flaws`: list of [`Flaw`](super::Flaw) |
//! | dials, [`DialSettings`] | `shape`: see [`shape`](super::shape); `lockout_after`; `call_limit`: `calls` and `window_ms`; `extra_arguments`: list; `replacement_script`: list of steps; `login_words`: see [`LoginWords`](super::LoginWords); `ignore_empty` |
//! | fault, [`FaultSpec`] | **`fault`**: see [`faults`](super::faults); `order`, `account`, `endpoint`: whom it is for; `times`, `skip`, `reached` |

use serde::Deserialize;

use super::Error;
use super::accounts::AccountSpec;
use super::dials::DialSettings;
use super::faults::FaultSpec;
use super::script::{OrderSpec, Product, Step};

/// What a sandbox starts with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scenario {
    /// `[[account]]`.
    pub account: Vec<AccountSpec>,
    /// `[[order]]`.
    pub order: Vec<OrderSpec>,
    /// `[dials]`.
    pub dials: DialSettings,
    /// `[[fault]]`.
    pub fault: Vec<FaultSpec>,
}

impl Scenario {
    /// Reads TOML. An error shows the line it is about.
    pub fn from_toml(text: &str) -> Result<Scenario, Error> {
        toml::from_str(text).map_err(|error| Error::Scenario(error.to_string()))
    }

    /// Reads JSON.
    pub fn from_json(text: &str) -> Result<Scenario, Error> {
        serde_json::from_str(text).map_err(|error| Error::Scenario(error.to_string()))
    }

    /// Reads JSON where the text begins with a brace, TOML otherwise.
    pub fn parse(text: &str) -> Result<Scenario, Error> {
        if text.trim_start().starts_with('{') { Scenario::from_json(text) } else { Scenario::from_toml(text) }
    }

    /// The content for a demonstration: the account `demo` with the password [`Scenario::DEMO_PASSWORD`],
    /// a TLS order `1000001` that is pending twice and then issued, a TLS order `1000002` that waits for
    /// the control of its second domain, and a mark order `2000001`.
    pub fn demo() -> Scenario {
        let waiting = Step {
            dcv: vec![
                super::script::Dcv {
                    domain: "shop.example.com".into(),
                    method: Some("CNAME_CSR_HASH".into()),
                    state: super::script::DcvState::Validated,
                },
                super::script::Dcv {
                    domain: "www.shop.example.com".into(),
                    method: Some("CNAME_CSR_HASH".into()),
                    state: super::script::DcvState::InProgress,
                },
            ],
            ..Step::default()
        };
        Scenario {
            account: vec![AccountSpec::new("demo", Scenario::DEMO_PASSWORD)],
            order: vec![
                OrderSpec::new(Product::Ssl, "1000001", &["www.example.com", "example.com"])
                    .with_script(vec![Step::pending(2), Step::issued()]),
                OrderSpec::new(Product::Ssl, "1000002", &["shop.example.com", "www.shop.example.com"])
                    .with_script(vec![waiting]),
                OrderSpec::new(Product::Mark, "2000001", &["example.com"])
                    .with_script(vec![Step::pending(1), Step::issued()]),
            ],
            ..Scenario::default()
        }
    }

    /// Password of the account `demo`.
    pub const DEMO_PASSWORD: &'static str = "demo-password";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::vendor::Vendor;

    /// The example at the top of this file.
    fn example() -> String {
        let page = include_str!("scenario.rs");
        let begin = page.find("```toml\n").unwrap() + 8;
        let end = begin + page[begin..].find("//! ```").unwrap();
        page[begin..end].lines().map(|line| line.trim_start_matches("//!").to_owned() + "\n").collect()
    }

    #[test]
    fn the_example_is_a_scenario() {
        let scenario = Scenario::parse(&example()).unwrap();
        assert_eq!((scenario.account.len(), scenario.order.len(), scenario.fault.len()), (1, 2, 1));
        assert_eq!(scenario.order[1].script[0].dcv.len(), 2);
        let vendor = Vendor::new(scenario).unwrap();
        assert_eq!(vendor.book().numbers(), ["123456789", "123456790"]);
        assert_eq!(vendor.dials().shape.as_deref(), Some("issuer-first+crlf"));
    }

    fn check(text: &str, expected: &[&str]) {
        let error = Scenario::parse(text).and_then(Vendor::new).map(|_| ()).unwrap_err().to_string();
        for part in expected {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_is_shown() {
        check("[[order]]\norder_number = \"1\"\ndomain = []", &["line 3", "unknown field `domain`"]);
        check("[[order]]\nproduct = \"ssl\"", &["missing field `order_number`"]);
        check("[[order]]\norder_number = \"1\"\nproduct = \"tls\"", &["line 3", "unknown variant `tls`"]);
        check(r#"{"orders": []}"#, &["unknown field `orders`"]);
        check("[dials]\nshape = \"odd\"", &["shape: 'odd' is not known"]);
        check(
            "[[order]]\norder_number = \"1\"\nscript = [{ state = \"error\" }]",
            &["order 1: script, step 1: the state 'error' needs a code"],
        );
        check(
            "[[order]]\norder_number = \"1\"\ncertificate = { key = \"x\" }",
            &["order 1: the key must be PEM"],
        );
    }

    #[test]
    fn the_demonstration_loads() {
        let vendor = Vendor::new(Scenario::demo()).unwrap();
        assert_eq!(vendor.book().numbers(), ["1000001", "1000002", "2000001"]);
    }
}
