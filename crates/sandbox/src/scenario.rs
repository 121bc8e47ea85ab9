//! A scenario: accounts, orders, dials and faults in one TOML or JSON text.
//!
//! ```toml
#![doc = include_str!("example.toml")]
//! ```
//!
//! JSON has the same keys: `{"account": [{…}], "order": [{…}], "dials": {…}, "fault": [{…}]}`. An unknown
//! key is an error everywhere.
//!
//! The keys are those of [`AccountSpec`], [`OrderSpec`], [`DialSettings`] and [`FaultSpec`]; `docs/rehearsal.md` has
//! them in a table.

use std::collections::HashSet;

use serde::Deserialize;

use super::Error;
use super::accounts::AccountSpec;
use super::dials::DialSettings;
use super::faults::FaultSpec;
use super::script::{Dcv, DcvState, OrderSpec, Product, Step};

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
    /// A duplicate or a dangling reference: a mistake in a scenario that a sandbox starts with.
    pub fn slip(&self) -> Option<String> {
        let logins: Vec<&str> = self.account.iter().map(|account| account.login_name.as_str()).collect();
        let numbers: Vec<&str> = self.order.iter().map(|order| order.order_number.as_str()).collect();
        let twice = |all: &[&str]| {
            let mut known = HashSet::new();
            all.iter().find(|each| !known.insert(**each)).map(|each| (*each).to_owned())
        };
        if let Some(login) = twice(&logins) {
            return Some(format!("two accounts have the login_name {login:?}"));
        }
        if let Some(number) = twice(&numbers) {
            return Some(format!("two orders have the order_number {number:?}"));
        }
        self.order.iter().find_map(|order| {
            let account = order.account.as_deref().filter(|account| !logins.contains(account))?;
            Some(format!(
                "order {:?} names the account {account:?}, which the scenario does not define",
                order.order_number
            ))
        })
    }

    /// Reads JSON where the text begins with a brace, TOML otherwise. An error shows the line it is about.
    pub fn parse(text: &str) -> Result<Scenario, Error> {
        let read = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|error| error.to_string())
        } else {
            toml::from_str(text).map_err(|error| error.to_string())
        };
        read.map_err(Error::Scenario)
    }

    /// The content for a demonstration: the account `demo` with the password [`Scenario::DEMO_PASSWORD`],
    /// a TLS order `1000001` that is pending twice and then issued, a TLS order `1000002` that waits for
    /// the control of its second domain, and a mark order `2000001`.
    pub fn demo() -> Scenario {
        let waiting = Step {
            dcv: vec![
                Dcv::by_cname("shop.example.com", DcvState::Validated),
                Dcv::by_cname("www.shop.example.com", DcvState::InProgress),
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

    /// A scenario with a bit of everything, as TOML.
    pub const EXAMPLE: &'static str = include_str!("example.toml");

    /// Password of the account `demo`.
    pub const DEMO_PASSWORD: &'static str = "demo-password";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vendor::Vendor;

    #[test]
    fn the_example_is_a_scenario() {
        let scenario = Scenario::parse(Scenario::EXAMPLE).unwrap();
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
        check("[dials]\nshape = \"odd\"", &["shape: 'odd' is unknown"]);
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
