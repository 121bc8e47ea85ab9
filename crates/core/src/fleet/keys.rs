//! Names of the rows that the hosts of a fleet share, without the configured prefix.
//!
//! | row | holds | written by |
//! | --- | --- | --- |
//! | `lease`, `term` | [`lease::Beat`](super::lease::Beat), [`lease::Fence`](super::lease::Fence) | collectors |
//! | `meta` | [`Meta`](super::published::Meta) | collectors |
//! | `rows/<table>/<name>` | a row of the state, see [`rows`](super::rows) | the leader |
//! | `rows/salt` | the salt of credential tags | the first leader |
//! | `rows/commit` | the number of the last commit | the leader, with each |
//! | `pub/<group>/<order>` | [`Publication`](super::published::Publication) | the leader |
//! | `chain/<SHA-256>` | a certificate, DER | the leader |
//! | `go/<group>/<order>` | [`Go`](super::rollout::Go) | the leader |
//! | `hosts/<host>/seen` | [`Seen`](super::report::Seen) | that host |
//! | `hosts/<host>/orders/<order>` | [`Report`](super::report::Report) | that host |
//! | `hints/<number>` | that a push notification named the order | collectors |
//!
//! A follower reads `meta`, `pub`, `chain` and `go`. Order numbers stand in `rows` and `hints` only.

use std::fmt;

use crate::api::OrderRef;
use crate::cert::Fingerprint;
use crate::config::is_name;

/// The lists of [`Key::Row`].
pub const ROWS: &str = "rows/";
/// The list of [`Key::Chain`].
pub const CHAINS: &str = "chain/";
/// The list of [`Key::Seen`] and [`Key::Report`].
pub const HOSTS: &str = "hosts/";
/// The list of [`Key::Hint`].
pub const HINTS: &str = "hints/";
/// The list of [`Key::Publication`] of all groups.
pub const PUBLICATIONS: &str = "pub/";
/// The list of [`Key::Go`] of all groups.
pub const GOES: &str = "go/";

words! {
    /// A table of the state, see [`crate::state`].
    pub enum Table {
        Accounts = "accounts",
        Orders = "orders",
        Adopted = "adopted",
        Bundles = "bundles",
    }
}

/// One row. Every part is a name as [`is_name`] has it, but a number is 1 to 128 characters of printable ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key<'a> {
    Lease,
    Term,
    Meta,
    /// The salt of the fleet's credential tags, a secret of the collectors.
    Salt,
    /// Counts the commits of the leaders: one that is late is not taken for a newer one.
    Commit,
    Row {
        table: Table,
        name: &'a str,
    },
    Publication {
        group: &'a str,
        order: &'a str,
    },
    Chain(Fingerprint),
    Go {
        group: &'a str,
        order: &'a str,
    },
    Seen {
        host: &'a str,
    },
    Report {
        host: &'a str,
        order: &'a str,
    },
    Hint {
        number: &'a str,
    },
}

impl<'a> Key<'a> {
    /// Reads what `Display` writes; `None` for everything else.
    pub fn parse(text: &'a str) -> Option<Key<'a>> {
        let name = |text: &'a str| Some(text).filter(|text| is_name(text));
        let two = |text: &'a str| {
            let (first, second) = text.split_once('/')?;
            Some((name(first)?, name(second)?))
        };
        let Some((first, rest)) = text.split_once('/') else {
            return match text {
                "lease" => Some(Key::Lease),
                "term" => Some(Key::Term),
                "meta" => Some(Key::Meta),
                _ => None,
            };
        };
        match first {
            "rows" if rest == "salt" => Some(Key::Salt),
            "rows" if rest == "commit" => Some(Key::Commit),
            "rows" => {
                let (table, row) = two(rest)?;
                Some(Key::Row { table: Table::named(table)?, name: row })
            }
            "pub" => two(rest).map(|(group, order)| Key::Publication { group, order }),
            "chain" => digest(rest).map(Key::Chain),
            "go" => two(rest).map(|(group, order)| Key::Go { group, order }),
            "hosts" => {
                let (host, rest) = rest.split_once('/')?;
                let host = name(host)?;
                match rest.split_once('/') {
                    None => (rest == "seen").then_some(Key::Seen { host }),
                    Some(("orders", order)) => Some(Key::Report { host, order: name(order)? }),
                    Some(_) => None,
                }
            }
            "hints" => is_number(rest).then_some(Key::Hint { number: rest }),
            _ => None,
        }
    }

    /// The row of a roll-out that it is, if it is one.
    pub fn rollout(self) -> Option<RolloutKey<'a>> {
        match self {
            Key::Publication { group, order } => Some(RolloutKey::Publication { group, order }),
            Key::Go { group, order } => Some(RolloutKey::Go { group, order }),
            Key::Seen { host } => Some(RolloutKey::Seen { host }),
            Key::Report { host, order } => Some(RolloutKey::Report { host, order }),
            Key::Lease
            | Key::Term
            | Key::Meta
            | Key::Salt
            | Key::Commit
            | Key::Row { .. }
            | Key::Chain(_)
            | Key::Hint { .. } => None,
        }
    }
}

/// The rows that a roll-out is made of: what hosts read, and what they write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RolloutKey<'a> {
    Publication { group: &'a str, order: &'a str },
    Go { group: &'a str, order: &'a str },
    Seen { host: &'a str },
    Report { host: &'a str, order: &'a str },
}

impl<'a> RolloutKey<'a> {
    /// Reads the row's key; `None` for every other one.
    pub fn parse(text: &'a str) -> Option<RolloutKey<'a>> {
        Key::parse(text)?.rollout()
    }
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Lease => f.write_str("lease"),
            Key::Term => f.write_str("term"),
            Key::Meta => f.write_str("meta"),
            Key::Salt => write!(f, "{ROWS}salt"),
            Key::Commit => write!(f, "{ROWS}commit"),
            Key::Row { table, name } => write!(f, "{ROWS}{table}/{name}"),
            Key::Publication { group, order } => write!(f, "{PUBLICATIONS}{group}/{order}"),
            Key::Chain(digest) => write!(f, "{CHAINS}{digest}"),
            Key::Go { group, order } => write!(f, "{GOES}{group}/{order}"),
            Key::Seen { host } => write!(f, "{HOSTS}{host}/seen"),
            Key::Report { host, order } => write!(f, "{HOSTS}{host}/orders/{order}"),
            Key::Hint { number } => write!(f, "{HINTS}{number}"),
        }
    }
}

/// The list of a table's rows.
pub fn rows_of(table: Table) -> String {
    format!("{ROWS}{table}/")
}

/// The list of what is published for a group.
pub fn publications(group: &str) -> String {
    format!("{PUBLICATIONS}{group}/")
}

/// The list of how far each of a group's publications may spread.
pub fn goes(group: &str) -> String {
    format!("{GOES}{group}/")
}

/// The list of what a host writes: of `web-1` nothing of `web-10`.
pub fn host(name: &str) -> String {
    format!("{HOSTS}{name}/")
}

/// SHA-256 as 64 hex digits in lower case, and in no other form.
pub(super) fn digest(text: &str) -> Option<Fingerprint> {
    Fingerprint::from_hex(text).filter(|digest| digest.to_string() == text)
}

/// Whether an order's number can stand in a key. Others are not the vendor's.
pub fn is_number(text: &str) -> bool {
    (1..=OrderRef::MAX_ORDER_NUMBER).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEX: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    #[test]
    fn each_kind_of_row_has_its_name() {
        let (group, order, host) = ("web", "www", "web-1");
        for (text, key) in [
            ("lease", Key::Lease),
            ("term", Key::Term),
            ("meta", Key::Meta),
            ("rows/salt", Key::Salt),
            ("rows/commit", Key::Commit),
            ("rows/accounts/main", Key::Row { table: Table::Accounts, name: "main" }),
            ("rows/bundles/www", Key::Row { table: Table::Bundles, name: "www" }),
            ("pub/web/www", Key::Publication { group, order }),
            (&format!("chain/{HEX}"), Key::Chain(Fingerprint::from_hex(HEX).unwrap())),
            ("go/web/www", Key::Go { group, order }),
            ("hosts/web-1/seen", Key::Seen { host }),
            ("hosts/web-1/orders/www", Key::Report { host, order }),
            ("hosts/orders/orders/seen", Key::Report { host: "orders", order: "seen" }),
            ("hints/123456789", Key::Hint { number: "123456789" }),
            ("hints/A/b", Key::Hint { number: "A/b" }),
        ] {
            assert_eq!(Key::parse(text), Some(key));
            assert_eq!(key.to_string(), text);
        }
    }

    #[test]
    fn other_names_are_no_rows() {
        let upper = format!("chain/{}", HEX.to_uppercase());
        for text in [
            "",
            "/",
            "lease/",
            "leases",
            "/lease",
            "rows/accounts",
            "rows/accounts/",
            "rows/history/www",
            "rows/orders/a/b",
            "pub/www",
            "pub//www",
            "pub/web/www/",
            "pub/web/WWW",
            "pub/web/..",
            "go/web/www ",
            "chain/00",
            &upper,
            "hosts/web-1",
            "hosts/web-1/",
            "hosts/web-1/seen/",
            "hosts/web-1/orders/",
            "hosts//seen",
            "hosts/web-1/order/www",
            "hints/",
            "hints/1 2",
            "hints/1\n",
        ] {
            assert_eq!(Key::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_list_holds_its_rows_and_no_neighbours() {
        let seen = |host| Key::Seen { host }.to_string();
        assert!(seen("web-1").starts_with(&host("web-1")) && !seen("web-10").starts_with(&host("web-1")));
        let published = |group| Key::Publication { group, order: "www" }.to_string();
        assert!(published("web").starts_with(&publications("web")));
        assert!(!published("web-eu").starts_with(&publications("web")));
        let go = |group| Key::Go { group, order: "www" }.to_string();
        assert!(go("web").starts_with(&goes("web")) && !go("web-eu").starts_with(&goes("web")));
        for table in Table::ALL {
            let row = Key::Row { table, name: "www" }.to_string();
            assert!(row.starts_with(&rows_of(table)) && row.starts_with(ROWS));
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_the_same(
            text in "(lease|term|(rows|pub|go|hosts|hints|chain)(/[a-z0-9._A-]{0,6}|/orders|/seen){0,4})",
        ) {
            if let Some(key) = Key::parse(&text) {
                prop_assert_eq!(key.to_string(), text);
            }
        }
    }
}
