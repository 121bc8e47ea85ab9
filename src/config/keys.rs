//! Every key that a configuration file may hold, table by table.
//!
//! The reader refuses what is not listed here, and a test holds `config/certcollectd.toml` against it.

use super::value::near;

/// One kind of table and the keys it takes.
#[derive(Debug, PartialEq, Eq)]
pub struct Keys {
    /// How the table is written, as messages name it.
    pub title: &'static str,
    /// Its keys, in the order in which the example file shows them.
    pub names: &'static [&'static str],
}

pub(super) static TOP: Keys = Keys {
    title: "the top of the file",
    names: &[
        "state_dir",
        "install_dir",
        "include",
        "polling",
        "account",
        "defaults",
        "order",
        "hook",
        "http",
        "push",
        "dns",
        "log",
    ],
};

/// What a file named by `include` may hold.
pub(super) static INCLUDED: Keys = Keys { title: "an included file", names: &["account", "order", "hook"] };

pub(super) static POLLING: Keys = Keys {
    title: "[polling]",
    names: &[
        "interval",
        "max_interval",
        "guard_interval",
        "spread",
        "call_gap",
        "connect_timeout",
        "request_timeout",
        "settle",
        "unknown_tries",
        "merge_window",
    ],
};

pub(super) static ACCOUNT: Keys = Keys {
    title: "[[account]]",
    names: &[
        "name",
        "login_name",
        "password",
        "base_url",
        "ca_file",
        "proxy",
        "proxy_user",
        "proxy_password",
        "response",
        "params",
    ],
};

pub(super) static PASSWORD: Keys =
    Keys { title: "password = { … }", names: &["file", "credential", "env"] };

/// First the keys that are one order's own.
const ORDER_KEYS: &[&str] = &[
    "name",
    "order_number",
    "certificate_id",
    "base_order_number",
    "account",
    "product",
    "domains",
    "key_file",
    "csr_file",
    "hooks",
    "response",
    "params",
    "interval",
    "max_interval",
    "guard_interval",
    "spread",
    "files",
    "verify",
    "copy",
];
const OWN_KEYS: usize = 4;

pub(super) static ORDER: Keys = Keys { title: "[[order]]", names: ORDER_KEYS };

pub(super) static FILES: Keys = Keys {
    title: "[order.files]",
    names: &[
        "cert",
        "chain",
        "fullchain",
        "key",
        "combined",
        "root",
        "pkcs7",
        "der",
        "owner",
        "group",
        "mode",
    ],
};

pub(super) static VERIFY: Keys = Keys {
    title: "[order.verify]",
    names: &["key", "domains", "coverage", "chain", "dates", "downgrade", "trust", "trust_anchors"],
};

pub(super) static COPY: Keys =
    Keys { title: "[[order.copy]]", names: &["from", "to", "owner", "group", "mode"] };

pub(super) static DEFAULTS: Keys = Keys { title: "[defaults]", names: ORDER_KEYS.split_at(OWN_KEYS).1 };

pub(super) static DEFAULTS_FILES: Keys = Keys { title: "[defaults.files]", names: FILES.names };

pub(super) static DEFAULTS_VERIFY: Keys = Keys { title: "[defaults.verify]", names: VERIFY.names };

pub(super) static DEFAULTS_COPY: Keys = Keys { title: "[[defaults.copy]]", names: COPY.names };

pub(super) static HOOK: Keys =
    Keys { title: "[[hook]]", names: &["name", "on", "run", "signal", "http", "socket", "timeout", "merge"] };

pub(super) static SIGNAL: Keys = Keys { title: "signal = { … }", names: &["pid_file", "name"] };

pub(super) static REQUEST: Keys = Keys { title: "http = { … }", names: &["url", "method"] };

pub(super) static HTTP: Keys = Keys { title: "[http]", names: &["listen"] };

pub(super) static PUSH: Keys = Keys { title: "[push]", names: &["listen", "path", "user", "password"] };

pub(super) static DNS: Keys = Keys { title: "[dns]", names: &["resolver"] };

pub(super) static LOG: Keys = Keys { title: "[log]", names: &["format", "level"] };

/// All tables, the top of the file first. Those of [`DEFAULTS_TABLES`] come besides.
pub static TABLES: [&Keys; 15] = [
    &TOP, &POLLING, &ACCOUNT, &PASSWORD, &ORDER, &FILES, &VERIFY, &COPY, &HOOK, &SIGNAL, &REQUEST, &HTTP,
    &PUSH, &DNS, &LOG,
];

/// `[defaults]` and its tables, which repeat keys of `[[order]]` and its tables.
pub static DEFAULTS_TABLES: [&Keys; 4] = [&DEFAULTS, &DEFAULTS_FILES, &DEFAULTS_VERIFY, &DEFAULTS_COPY];

/// What other programs call a key: their word, ours.
static OTHER_WORDS: [(&str, &str); 18] = [
    ("path", "file"),
    ("filename", "file"),
    ("from_file", "file"),
    ("secret", "credential"),
    ("cred", "credential"),
    ("variable", "env"),
    ("environment", "env"),
    ("login", "login_name"),
    ("username", "login_name"),
    ("url", "base_url"),
    ("number", "order_number"),
    ("order", "order_number"),
    ("private_key", "key_file"),
    ("csr", "csr_file"),
    ("command", "run"),
    ("cmd", "run"),
    ("exec", "run"),
    ("pid", "pid_file"),
];

/// Most keys that a table takes.
pub(super) const MOST_KEYS: usize = 19;

impl Keys {
    pub(super) fn index(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| *known == name)
    }

    /// The key that was meant by one that is not here: the nearest, or what others call it.
    pub(super) fn meant(&self, name: &str) -> Option<&'static str> {
        let other = || {
            let lower = name.to_ascii_lowercase();
            OTHER_WORDS.iter().find(|(word, key)| *word == lower && self.has(key))
        };
        near(name, self.names.iter().copied()).or_else(|| other().map(|(_, key)| *key))
    }

    /// How to write it.
    pub(super) fn example(&self) -> &'static str {
        match self.title {
            title if title == SIGNAL.title => "signal = { pid_file = \"/run/nginx.pid\", name = \"HUP\" }",
            title if title == REQUEST.title => "http = { url = \"http://127.0.0.1:8080/reload\" }",
            title => title,
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.names.contains(&name)
    }
}

/// The tables that take `name`, for "it belongs there".
pub(super) fn homes(name: &str) -> impl Iterator<Item = &'static Keys> {
    TABLES.into_iter().filter(move |keys| keys.has(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_has_room() {
        assert_eq!(TABLES.iter().map(|keys| keys.names.len()).max(), Some(MOST_KEYS));
    }
}
